"""What goes on the wire: key, value and headers as bytes. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from reactor.api import Reject

IDEMPOTENCY_KEY = "idempotency-key"
# W3C Trace Context, https://www.w3.org/TR/trace-context/
TRACEPARENT = "traceparent"

HeaderValue: TypeAlias = str | bytes | None
Headers: TypeAlias = Mapping[str, HeaderValue] | Iterable[tuple[str, HeaderValue]]
_BYTES = (bytes, bytearray, memoryview)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record that is ready to be sent. `timestamp` is in milliseconds since 1970, None for the time of sending."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    partition: int | None = None
    timestamp: int | None = None

    @property
    def size_bytes(self) -> int:
        """Return what key, value and headers take together, without what Kafka adds."""
        headers = sum(len(name.encode()) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers

    @property
    def identity(self) -> bytes | None:
        """Return the same bytes for the same record of the same step and run, None where no key tells.

        The trace is left out: each attempt may have a span of its own.
        """
        if not any(name == IDEMPOTENCY_KEY and value for name, value in self.headers):
            return None
        digest = hashlib.blake2b(digest_size=16)
        names = [(name, value) for name, value in self.headers if name != TRACEPARENT]
        # Only lengths and numbers are spelled out: a value may be large.
        digest.update(repr((self.topic, self.partition, self.timestamp, names)).encode())
        for part in (self.key, self.value):
            digest.update(b"-" if part is None else b"%d:" % len(part))
            digest.update(part or b"")
        return digest.digest()


def make_record(
    topic: str,
    value: Any,
    *,
    key: Any = None,
    headers: Headers = (),
    idempotency_key: str | None = None,
    traceparent: str | None = None,
    partition: int | None = None,
    timestamp: int | None = None,
    largest_bytes: int,
) -> Record:
    """Return the record for what a step gave. A header that it named itself is not added again.

    Raises Reject for what no other attempt can make better: a value that is no JSON, a record
    without key and value, or one over `largest_bytes`.
    """
    pairs = _header_pairs(headers)
    names = {name for name, _ in pairs}
    for name, text in ((IDEMPOTENCY_KEY, idempotency_key), (TRACEPARENT, traceparent)):
        if text is not None and name not in names:
            pairs.append((name, text.encode()))
    record = Record(
        topic=topic,
        value=encode(value, "value"),
        key=encode(key, "key"),
        headers=tuple(pairs),
        partition=partition,
        timestamp=timestamp,
    )
    if record.value is None and record.key is None:
        raise Reject(
            f"a record for topic {topic!r} has neither key nor value; a value of None deletes what "
            "its key names, so give key="
        )
    if record.size_bytes > largest_bytes:
        raise Reject(
            f"a record for topic {topic!r} has {record.size_bytes:,} bytes, more than the "
            f"{largest_bytes:,} allowed; send a reference to it, or raise largest_bytes= here and "
            "max.message.bytes of the topic"
        )
    return record


def encode(value: Any, what: str) -> bytes | None:
    """Return bytes as they are, text as UTF-8, anything else as JSON, and None as None.

    JSON of a key has its names sorted: equal keys are equal bytes and go to the same partition.
    Raises Reject.
    """
    if value is None:
        return None
    if isinstance(value, _BYTES):
        return bytes(value)
    try:
        if isinstance(value, str):
            return value.encode()
        if what == "key":
            return orjson.dumps(_finite(to_jsonable_python(value)), option=orjson.OPT_SORT_KEYS)
        raw = to_json(value, inf_nan_mode="null")
        if b"null" in raw:
            _finite(to_jsonable_python(value))
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        raise Reject(
            f"the {what} of a record cannot be written ({error}); give bytes, text, plain data, "
            "a dataclass or a pydantic model"
        ) from None
    return raw


def _finite(plain: Any) -> Any:
    """Return `plain`. JSON writers turn nan and the infinities into null, a silent change."""
    left = [plain]
    while left:
        part = left.pop()
        if isinstance(part, float) and not math.isfinite(part):
            raise ValueError(f"it holds {part!r}, for which JSON has no number")
        if isinstance(part, dict):
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)
    return plain


def _header_pairs(headers: Headers) -> list[tuple[str, bytes | None]]:
    pairs: list[tuple[str, bytes | None]] = []
    given: Any = headers.items() if isinstance(headers, Mapping) else headers
    for pair in given:
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise Reject(
                f"{pair!r} is no header; give headers as a dict, or as pairs of name and value"
            )
        name, value = pair
        if value is not None and not isinstance(value, str | bytes):
            raise Reject(
                f"header {name!r} is a {type(value).__name__}; expected text, bytes or None. "
                "Write it as text"
            )
        try:
            name.encode()
            pairs.append((name, value.encode() if isinstance(value, str) else value))
        except UnicodeEncodeError as error:
            raise Reject(f"header {name!r} is not valid Unicode: {error}") from None
    return pairs
