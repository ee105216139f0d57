"""CloudEvents 1.0.2 over HTTP, binary and structured mode. Pure.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from reactor.api import HookRequest

_REQUIRED = ("id", "source", "type")
# One of these makes a request a CloudEvent, if a faulty one.
_TELLING = ("ce-specversion", *(f"ce-{name}" for name in _REQUIRED))
_LONGEST = {"id": 200, "source": 500, "type": 200, "subject": 1000}
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)
_ESCAPED = re.compile(r"\\(.)")


class CloudEventError(ValueError):
    """The request says that it is a CloudEvent and is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """The context attributes that Reactor keeps. Extensions are not among them."""

    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what `of_json` reads back."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": None if self.time is None else self.time.isoformat(),
        }


def of_headers(request: HookRequest) -> CloudEvent | None:
    """Return the event that the ce-* headers describe, None where there are none. Raises CloudEventError."""
    for name in _TELLING:
        if request.header(name) is not None:
            break
    else:
        return None

    def attribute(name: str) -> object:
        text = request.header(f"ce-{name}")
        return None if text is None else _decoded(name, text)

    return _event(attribute, "the header ce-")


def of_json(envelope: Any) -> CloudEvent:
    """Return the event that the members of a structured one describe. Raises CloudEventError."""
    if not isinstance(envelope, dict):
        raise CloudEventError("a structured CloudEvent is a JSON object")
    return _event(envelope.get, "")


def data_of(envelope: dict[str, Any]) -> Any | bytes:
    """Return a structured event's data: a JSON value, or bytes where it came as base64. Raises CloudEventError."""
    encoded = envelope.get("data_base64")
    if encoded is None:
        return envelope.get("data")
    if "data" in envelope:
        raise CloudEventError("both data and data_base64 are given; expected one of them")
    try:
        return base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise CloudEventError("data_base64 is not base64") from None


def _event(attribute: Callable[[str], object], where: str) -> CloudEvent:
    version = attribute("specversion")
    if version != "1.0":
        wanted = "is missing; expected 1.0" if version is None else "is not 1.0"
        raise CloudEventError(f"{where}specversion {wanted}")
    found = {name: _text(attribute(name), where, name) for name in (*_REQUIRED, "subject")}
    for name in _REQUIRED:
        if found[name] is None:
            raise CloudEventError(f"{where}{name} is missing; a CloudEvent has one")
    return CloudEvent(
        id=found["id"] or "",
        source=found["source"] or "",
        type=found["type"] or "",
        subject=found["subject"],
        time=_instant(attribute("time"), where),
    )


def _text(value: object, where: str, name: str) -> str | None:
    if value is None:
        return None
    longest = _LONGEST[name]
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise CloudEventError(
            f"{where}{name} is not 1 to {longest} printable characters, as expected"
        )
    return value


def _instant(value: object, where: str) -> datetime | None:
    """Return an RFC 3339 instant in UTC."""
    if value is None:
        return None
    try:
        if not isinstance(value, str) or not _INSTANT.fullmatch(value):
            raise ValueError
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CloudEventError(
            f"{where}time is not an instant like 2026-01-31T12:00:00Z (RFC 3339)"
        ) from None


def _decoded(name: str, header: str) -> str:
    """Return a header's value with quotes and one round of percent-encoding removed (binding, 3.1.3.2)."""
    if len(header) > 1 and header[0] == header[-1] == '"':
        header = _ESCAPED.sub(r"\1", header[1:-1])
    try:
        return unquote_to_bytes(header.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise CloudEventError(f"the header ce-{name} is not percent-encoded UTF-8") from None
