"""A record in the outbox: all that is needed to send it later, and perhaps in another process. Pure."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from reactor.api import Outgoing
from reactor_handlers._kafka_record import IDEMPOTENCY_KEY, Record

OUTLET = "kafka"


def outgoing_of(record: Record, options: str) -> Outgoing:
    """Return the record for `ctx.emit`. Its value is the payload, so that a dead letter shows it as it is."""
    attributes: dict[str, Any] = {}
    if record.headers:
        attributes["headers"] = [[name, _spell(value)] for name, value in record.headers]
    if record.value is None:
        attributes["is_null"] = True
    if record.partition is not None:
        attributes["partition"] = record.partition
    if record.timestamp is not None:
        attributes["timestamp"] = record.timestamp
    return Outgoing(
        outlet=OUTLET,
        options=options,
        target=record.topic,
        payload=record.value or b"",
        key=record.key,
        attributes=orjson.dumps(attributes).decode(),
    )


def record_of(outgoing: Outgoing, idempotency_key: str) -> Record:
    """Return the record that `outgoing_of` was given, with a header `idempotency-key` unless it had one."""
    attributes = orjson.loads(outgoing.attributes)
    headers = [(name, _read(value)) for name, value in attributes.get("headers", ())]
    if not any(name == IDEMPOTENCY_KEY for name, _ in headers):
        headers.append((IDEMPOTENCY_KEY, idempotency_key.encode()))
    return Record(
        topic=outgoing.target,
        value=None if attributes.get("is_null") else outgoing.payload,
        key=outgoing.key,
        headers=tuple(headers),
        partition=attributes.get("partition"),
        timestamp=attributes.get("timestamp"),
    )


def _spell(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _read(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)
