"""From a request to what an event is made of. Pure: fresh ids and instants are arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from reactor_sensors._webhook_answers import RefusedError
from reactor_sensors._webhook_cloudevents import (
    CloudEvent,
    CloudEventError,
    data_of,
    of_headers,
    of_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reactor.api import HookRequest
    from reactor_sensors._webhook_schemes import Scheme

DELIVERED = "reactor.webhook.delivery"

_LONGEST_ID = 200
_LONGEST_TEXT = 1000
_MOST_FAULTS = 5
_STRUCTURED = "application/cloudevents+json"


class UnreadableError(ValueError):
    """A genuine delivery that cannot become an event as it is; `reason` is that of its dead letter."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


@dataclass(slots=True, kw_only=True)
class Hints:
    """What was known of a delivery before its body was read. A dead letter keeps it as its subject.

    Neither this nor `Delivery` is ever changed. Not `frozen`: making a frozen one takes three times as long.

    `own_id` is the scheme's own header; `spare_id` serves where neither the scheme nor a CloudEvent names one.
    """

    spare_id: str
    own_id: str | None = None
    type: str | None = None
    subject: str | None = None
    cloud_event: CloudEvent | None = None
    is_structured: bool = False

    @property
    def letter_id(self) -> str:
        """Return the id of the dead letter: another one for the same id of another CloudEvents source."""
        if self.own_id is not None:
            return self.own_id
        if self.cloud_event is not None:
            return f"{self.cloud_event.source}#{self.cloud_event.id}"
        return self.spare_id

    def note(self) -> str | None:
        """Return as JSON text what the body does not tell, None when that is nothing."""
        kept: dict[str, Any] = {"type": self.type, "subject": self.subject}
        if self.is_structured:
            kept |= {"own_id": self.own_id, "is_structured": True}
        elif self.cloud_event is not None:
            kept |= {"own_id": self.own_id, "cloud_event": self.cloud_event.as_json()}
        kept = {name: value for name, value in kept.items() if value is not None}
        return orjson.dumps(kept).decode() if kept else None

    @classmethod
    def of_note(cls, event_id: str, note: str | None) -> Hints:
        """Return what `note` kept for the dead letter `event_id`. Raises ValueError."""
        try:
            kept = {} if note is None else dict(orjson.loads(note))
        except (TypeError, ValueError):
            raise ValueError("the dead letter's subject is not what this sensor wrote") from None
        cloud_event = kept.get("cloud_event")
        return cls(
            spare_id=event_id,
            own_id=kept.get("own_id"),
            type=kept.get("type"),
            subject=kept.get("subject"),
            cloud_event=None if cloud_event is None else of_json(cloud_event),
            is_structured=bool(kept.get("is_structured")),
        )


@dataclass(slots=True, kw_only=True)
class Delivery:
    """A delivery read in full. `raw` is the JSON of its data; `source` is that of the CloudEvent that names it."""

    id: str
    source: str | None
    type: str
    subject: str | None
    cloud_event: CloudEvent | None
    document: Any
    raw: bytes

    def hints(self, hints: Hints) -> Hints:
        """Return `hints` with the identity that the body told, for a dead letter."""
        own_id = self.id if self.source is None else None
        return replace(hints, own_id=own_id, cloud_event=self.cloud_event)


def hints_of(request: HookRequest, scheme: Scheme, *, new_id: Callable[[], str]) -> Hints:
    """Return what the headers tell. Raises RefusedError: 415, or 400 for what cannot be meant."""
    is_structured = _is_structured(request.header("content-type") or "")
    try:
        cloud_event = None if is_structured else of_headers(request)
    except CloudEventError as error:
        raise RefusedError(400, str(error)) from None
    own_id = scheme.id_of_headers(request)
    if own_id is not None:
        own_id = _checked(own_id, "the delivery's id")
    key = request.header("idempotency-key")
    if key is not None:
        spare_id = _checked(key, "the header idempotency-key")
    else:
        spare_id = own_id or new_id()
    return Hints(
        spare_id=spare_id,
        own_id=own_id,
        type=_header(request, scheme.type_header),
        subject=_header(request, scheme.subject_header),
        cloud_event=cloud_event,
        is_structured=is_structured,
    )


def read(hints: Hints, body: bytes, scheme: Scheme) -> Delivery:
    """Return the whole delivery. Raises UnreadableError, CloudEventError, or RefusedError for its id."""
    cloud_event, raw = hints.cloud_event, body
    if hints.is_structured:
        envelope = parse_json(body)
        cloud_event = of_json(envelope)
        data = data_of(envelope)
        raw = data if isinstance(data, bytes) else to_json(data)
        document = parse_json(raw)
    elif cloud_event is not None and not body:
        document, raw = None, b"null"
    else:
        document = parse_json(body)
    own_id = hints.own_id or _body_id(scheme, document)
    type_of_scheme = hints.type or scheme.type_of_body(document)
    is_named_by_event = own_id is None and cloud_event is not None
    return Delivery(
        id=own_id or (cloud_event.id if cloud_event else hints.spare_id),
        source=cloud_event.source if cloud_event and is_named_by_event else None,
        type=cloud_event.type if cloud_event else _short(type_of_scheme) or DELIVERED,
        subject=(cloud_event.subject if cloud_event else None) or hints.subject,
        cloud_event=cloud_event,
        document=document,
        raw=raw,
    )


def parse_json(raw: bytes) -> Any:
    """Return the JSON document, every integer exact. Raises UnreadableError.

    Refused is what a store could not give back the same: NaN, numbers beyond a double, lone
    surrogates, more than 200 levels. Of keys that repeat the last one counts (RFC 8259, 4).
    """
    try:
        # Two parsers: this one refuses what becomes infinite, the other one keeps big integers exact.
        orjson.loads(raw)
        return from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise UnreadableError(
            "not_json", f"the body is not JSON: {_one_line(str(error))}"
        ) from None


def validated(data_type: TypeAdapter[Any], delivery: Delivery) -> Any:
    """Return the data as the model makes it, sure to be storable. Raises UnreadableError."""
    try:
        data = data_type.validate_json(delivery.raw)
        to_json(data)
    except ValidationError as error:
        raise UnreadableError(
            "breaks_model", f"the body breaks the model: {_spell(error)}"
        ) from None
    except Exception as error:
        # A model's own validators may raise anything; a delivery is not lost over it.
        why = f"the model raised {type(error).__name__}; its author has to look"
        raise UnreadableError("breaks_model", why) from error
    return data


def _is_structured(content_type: str) -> bool:
    """Return whether the body is a whole CloudEvent, or raise RefusedError (415) when it is no JSON."""
    media = content_type.partition(";")[0].strip().lower()
    if media == _STRUCTURED:
        return True
    if media in ("", "application/json", "text/json"):
        return False
    if media.startswith("application/cloudevents"):
        hint = (
            "CloudEvents are taken one at a time: application/cloudevents+json, or as ce- headers"
        )
    elif media.endswith("+json"):
        return False
    elif media in ("application/x-www-form-urlencoded", "multipart/form-data"):
        hint = "choose JSON as the content type where the webhook is set up"
    else:
        hint = "expected application/json"
    raise RefusedError(415, f"this content type is not taken; {hint}")


def _body_id(scheme: Scheme, document: Any) -> str | None:
    found = scheme.id_of_body(document)
    return None if found is None else _checked(found, "the delivery's id in the body")


def _checked(text: str, what: str) -> str:
    if not 0 < len(text) <= _LONGEST_ID or not text.isprintable():
        raise RefusedError(
            400, f"{what} is not 1 to {_LONGEST_ID} printable characters, as expected"
        )
    return text


def _header(request: HookRequest, name: str | None) -> str | None:
    return None if name is None else _short(request.header(name))


def _short(text: str | None) -> str | None:
    """Return a text of the sender's that is fit to be shown, None where it is not."""
    return text if text and len(text) <= _LONGEST_ID and text.isprintable() else None


def _spell(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [
        f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}"
        for fault in faults[:_MOST_FAULTS]
    ]
    if len(faults) > _MOST_FAULTS:
        lines.append(f"and {len(faults) - _MOST_FAULTS} more")
    return _one_line("; ".join(lines))


def _one_line(text: str) -> str:
    shown = text.encode("utf-8", "backslashreplace").decode()
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return plain if len(plain) <= _LONGEST_TEXT else plain[: _LONGEST_TEXT - 1] + "…"
