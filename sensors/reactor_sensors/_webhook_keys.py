"""The keys of an endpoint: read from their references, and read again so that rotation needs no restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reactor.api import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reactor.api import Intake

# A secret that was taken away opens nothing for longer than this.
FRESH_SECONDS = 1.0


class Keys:
    """The HMAC keys behind `references`; a reference that cannot be read gives none, with a warning.

    `key_of` makes a key of a secret's bytes and raises ValueError that does not repeat them.
    """

    def __init__(
        self, intake: Intake, references: Sequence[str], key_of: Callable[[bytes], bytes]
    ) -> None:
        self.faults: tuple[str, ...] = ()
        self._intake = intake
        self._references = references
        self._key_of = key_of
        self._keys: tuple[bytes, ...] = ()
        self._read_at: float | None = None
        self._reading = asyncio.Lock()
        # Reading a file blocks, reading the environment does not.
        self._needs_thread = any(reference.startswith("file:") for reference in references)

    async def current(self) -> tuple[bytes, ...]:
        """Return the keys as they were at most a second ago."""
        now = asyncio.get_running_loop().time()
        if self._read_at is None or now - self._read_at >= FRESH_SECONDS:
            return await self.reread(seen=self._read_at)
        return self._keys

    async def newest(self) -> tuple[bytes, ...]:
        """Return the keys as they are: a read that begins after this call. Calls in a row share reads."""
        return await self.reread(seen=None)

    async def reread(self, *, seen: float | None) -> tuple[bytes, ...]:
        asked_at = asyncio.get_running_loop().time()
        async with self._reading:
            if self._read_at is not None and self._read_at > (asked_at if seen is None else seen):
                return self._keys
            began_at = asyncio.get_running_loop().time()
            if self._needs_thread:
                keys, faults = await asyncio.to_thread(self._read)
            else:
                keys, faults = self._read()
            if faults and faults != self.faults:
                self._intake.log.warning(
                    "secret not usable",
                    extra={"sensor": self._intake.sensor, "faults": "; ".join(faults)},
                )
            self._keys, self.faults, self._read_at = keys, faults, began_at
            return keys

    def _read(self) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
        keys: list[bytes] = []
        faults: list[str] = []
        for reference in self._references:
            try:
                keys.append(self._key(reference))
            except SettingsError as error:
                faults.append(str(error))
        return tuple(keys), tuple(faults)

    def _key(self, reference: str) -> bytes:
        secret = self._intake.secret(reference)
        if not secret.strip():
            raise SettingsError(f"secret {reference!r} is blank")
        try:
            return self._key_of(secret)
        except ValueError as error:
            raise SettingsError(f"secret {reference!r}: {error}") from None
