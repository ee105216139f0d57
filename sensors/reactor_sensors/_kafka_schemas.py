"""The schemas of a registry that are known, each asked for once and kept; ids and GUIDs never change their meaning."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, TypeAlias

from reactor.api import SettingsError
from reactor_sensors._kafka_poison import PoisonError, RegistryError
from reactor_sensors._registry_client import UnknownSchemaError, fetch_schema, new_client

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import httpx

    from reactor.api import Intake
    from reactor_sensors._kafka_framing import SchemaRef
    from reactor_sensors._registry_access import RegistryAccess
    from reactor_sensors._registry_client import SchemaText

SchemaKind: TypeAlias = Literal["avro", "json-schema"]
Codec: TypeAlias = "Callable[[bytes], bytes]"
"""From a value without framing to JSON. Raises PoisonError."""

_REGISTRY_KINDS = {"avro": "AVRO", "json-schema": "JSON"}
MOST_KEPT = 2000
UNKNOWN_SECONDS = 10.0
MOST_AT_ONCE = 4


class Schemas:
    """What is known of one registry. `fetch` learns more; `codec` and `lacks` never wait, and may be in a thread."""

    def __init__(self, kind: SchemaKind, access: RegistryAccess, intake: Intake) -> None:
        self._kind, self._access, self._intake = kind, access, intake
        self._codecs: dict[SchemaRef, Codec] = {}
        self._unknown: dict[SchemaRef, tuple[PoisonError, float]] = {}
        self._asking: dict[SchemaRef, asyncio.Lock] = {}

    async def expect_access(self) -> None:
        """Raise SettingsError for secrets and files that are not there."""
        client = await asyncio.to_thread(new_client, self._access, self._intake)
        await client.aclose()

    def lacks(self, schema: SchemaRef) -> bool:
        """Return whether it is not even known that there is no such schema."""
        return schema not in self._codecs and schema not in self._unknown

    def codec(self, schema: SchemaRef) -> Codec:
        """Return how to read values. Raises PoisonError for a schema that the registry does not have."""
        found = self._codecs.get(schema)
        if found is None:
            error, _ = self._unknown[schema]
            raise PoisonError(error.reason, str(error))
        return found

    async def fetch(self, schemas: Collection[SchemaRef]) -> None:
        """Learn of all of these that are not known. Raises RegistryError when one cannot be learnt; others are."""
        now = asyncio.get_running_loop().time()
        missing = []
        for schema in schemas:
            if schema in self._codecs:
                # Those used last are kept.
                self._codecs[schema] = self._codecs.pop(schema)
            elif schema not in self._unknown or self._unknown[schema][1] <= now:
                missing.append(schema)
        if not missing:
            return
        try:
            client = await asyncio.to_thread(new_client, self._access, self._intake)
        except SettingsError as error:
            raise RegistryError(str(error)) from None
        room = asyncio.Semaphore(MOST_AT_ONCE)
        troubles: list[RegistryError] = []

        async def learn(schema: SchemaRef) -> None:
            async with room:
                if troubles:
                    return
                try:
                    await self._learn(client, schema)
                except RegistryError as error:
                    troubles.append(error)

        async with client, asyncio.TaskGroup() as group:
            for schema in missing:
                group.create_task(learn(schema), name=f"schema {schema}")
        if troubles:
            raise RegistryError(f"schema registry {self._access.url}: {troubles[0]}")

    async def _learn(self, client: httpx.AsyncClient, schema: SchemaRef) -> None:
        lock = self._asking.setdefault(schema, asyncio.Lock())
        try:
            async with lock:
                if schema not in self._codecs:
                    await self._ask(client, schema)
        finally:
            if not lock.locked():
                self._asking.pop(schema, None)

    async def _ask(self, client: httpx.AsyncClient, schema: SchemaRef) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await fetch_schema(client, schema)
            codec = await asyncio.to_thread(self._compiled, found)
        except UnknownSchemaError as error:
            if len(self._unknown) >= MOST_KEPT:
                self._unknown.clear()
            self._unknown[schema] = (error, loop.time() + UNKNOWN_SECONDS)
            return
        except PoisonError as error:
            codec = _refusing(error)
        self._unknown.pop(schema, None)
        self._codecs[schema] = codec
        if len(self._codecs) > MOST_KEPT:
            del self._codecs[next(iter(self._codecs))]

    def _compiled(self, found: SchemaText) -> Codec:
        if found.kind != _REGISTRY_KINDS[self._kind]:
            raise PoisonError(
                "bad_schema",
                f"it is of type {found.kind}, and decode={self._kind!r} reads {_REGISTRY_KINDS[self._kind]}",
            )
        # Each needs a package of its own that not everybody has.
        if self._kind == "avro":
            from reactor_sensors._avro_codec import avro_codec

            return avro_codec(found.text, tuple(text for _, text in found.references))
        from reactor_sensors._json_schema import json_schema_codec

        return json_schema_codec(found.text, found.references)


def _refusing(error: PoisonError) -> Codec:
    reason, detail = error.reason, str(error)

    def refuse(_: bytes) -> bytes:
        raise PoisonError(reason, detail)

    return refuse
