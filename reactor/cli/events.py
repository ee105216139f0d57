"""`reactor events` and `reactor explain`: what happened, and what came of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reactor.cli.listing import Listing
from reactor.cli.options import JsonOption, LimitOption, StateOption, state_directory
from reactor.cli.output import (
    NotFoundError,
    as_json,
    console,
    iso_instant,
    print_json,
    short_instant,
    shorten,
    spell_instant,
    text,
)
from reactor.clock import SystemClock, to_micros
from reactor.errors import SettingsError
from reactor.model.ids import parse_id, spell_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from reactor.store.contract import EventRow
    from reactor.store.sqlite.reader import Explanation

DATA_BYTES = 400
Decision = tuple[str, str, str, str]


def events(
    *,
    sensor: Annotated[str | None, typer.Option(help="Only those of this sensor.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help='Only those accepted since: "10m" ago, or an instant in ISO 8601.'),
    ] = None,
    limit: LimitOption = 20,
    state: StateOption = None,
    as_document: JsonOption = False,
) -> None:
    """List accepted events, the newest first."""
    from reactor.store.sqlite.reader import read

    instant = None if since is None else _instant(since)
    data_bytes = None if as_document else DATA_BYTES
    found = read(
        state_directory(state),
        lambda reader: reader.events(
            sensor=sensor, since=instant, limit=limit, data_bytes=data_bytes
        ),
    )
    if as_document:
        print_json({"events": [_event_document(event) for event in found]})
        return
    if not found:
        console().print("no events")
        return
    names = ["sensor", "event", "fired", "data"]
    rows = Listing("seq", "accepted", *names, flexible=names)
    now = to_micros(SystemClock().now())
    for event in found:
        fired = [workflow for workflow, verdict, _, _ in _decisions(event) if verdict == "fired"]
        rows.add(
            text(spell_id(event.seq), "cyan"),
            short_instant(event.accepted_at, now),
            event.sensor,
            event.subject or event.id,
            ", ".join(fired) or "nothing",
            text(shorten(event.data), "dim"),
        )
    rows.print(console())


def explain(
    event: Annotated[
        str, typer.Argument(help="An event id, or the seq that `events` shows.", metavar="EVENT")
    ],
    *,
    state: StateOption = None,
    as_document: JsonOption = False,
) -> None:
    """Say why each workflow did or did not fire for an event."""
    from reactor.store.sqlite.reader import read

    try:
        seq = parse_id(event)
    except ValueError:
        seq = None
    found = read(state_directory(state), lambda reader: reader.explanation(event, seq))
    if not (found.events or found.rejected or found.skipped):
        raise NotFoundError(
            f"no event {event!r} is stored; `reactor events` lists them. "
            "It may never have been accepted, or be older than the retention"
        )
    if as_document:
        print_json(_explanation_document(found))
        return
    for index, row in enumerate(found.events):
        if index:
            console().print()
        _print_explanation(console(), row, found.definitions)
    _print_not_accepted(console(), found)


def _print_explanation(
    out: Console, event: EventRow, definitions: Mapping[str, Mapping[str, Any]]
) -> None:
    out.print(text(f"event    {event.id}", "bold"))
    out.print(text(f"seq      {spell_id(event.seq)}"))
    out.print(text(f"sensor   {event.sensor}   type {event.type}"))
    if event.subject:
        out.print(text(f"subject  {event.subject}"))
    out.print(text(f"happened {spell_instant(event.time)}"))
    out.print(text(f"accepted {spell_instant(event.accepted_at)}"))
    out.print(text(f"data     {shorten(event.data, 200)}"))
    out.print()
    rows = Listing("workflow", "verdict", "why", flexible=["workflow"], wrapped=["why"])
    decisions, others = _decisions(event), _not_listening(event, definitions)
    if not decisions and not others:
        out.print("no workflow was loaded that could have fired")
        return
    for workflow, verdict, clause, actual in decisions:
        rows.add(workflow, verdict, _why(verdict, clause, actual))
    for workflow, sensors in others.items():
        rows.add(workflow, text("not asked", "dim"), text(f"listens to {sensors}", "dim"))
    rows.print(out)


def _print_not_accepted(out: Console, found: Explanation) -> None:
    for record in found.rejected:
        letter = record.letter
        out.print(
            text(f"{letter.sensor} rejected it at {spell_instant(letter.created_at)}", "bold red")
        )
        out.print(text(f"reason   {letter.reason}: {letter.detail}"))
        out.print(
            text(
                f"letter   {spell_id(letter.id)}  accept it again with: reactor redrive {spell_id(letter.id)}"
            )
        )
        out.print(text(f"raw      {shorten(letter.raw, 200)}"))
    for sensor, reason, at in found.skipped:
        out.print(text(f"{sensor} skipped its occurrence of {spell_instant(at)}: {reason}"))


def _why(verdict: str, clause: str, actual: str) -> str:
    if verdict == "fired":
        return f"run {clause}" + (f"  key {actual}" if actual else "")
    if verdict == "gathered":
        return f"waits for, or went with, a {clause}"
    if verdict == "refused":
        return f"{clause}, but {actual}"
    return f"{clause} raised {actual}"


def _decisions(event: EventRow) -> Sequence[Decision]:
    return [tuple(decision) for decision in json.loads(event.decisions)]


def _not_listening(event: EventRow, definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the loaded workflows that were not asked, with what they listen to."""
    asked = {workflow for workflow, _, _, _ in _decisions(event)}
    return {
        name: ", ".join(definition.get("sensors", ()))
        for name, definition in definitions.items()
        if name not in asked
    }


def _event_document(event: EventRow) -> dict[str, Any]:
    return {
        "seq": spell_id(event.seq),
        "id": event.id,
        "source": event.source,
        "sensor": event.sensor,
        "type": event.type,
        "subject": event.subject,
        "time": iso_instant(event.time),
        "accepted_at": iso_instant(event.accepted_at),
        "data": as_json(event.data),
        "decisions": [_decision_document(decision) for decision in _decisions(event)],
    }


def _decision_document(decision: Decision) -> dict[str, Any]:
    workflow, verdict, clause, actual = decision
    if verdict == "fired":
        return {"workflow": workflow, "verdict": verdict, "run": clause, "key": actual or None}
    if verdict == "gathered":
        return {"workflow": workflow, "verdict": verdict, "clause": clause}
    found = "actual" if verdict == "refused" else "error"
    return {"workflow": workflow, "verdict": verdict, "clause": clause, found: actual}


def _explanation_document(found: Explanation) -> dict[str, Any]:
    return {
        "events": [
            {
                **_event_document(event),
                "not_listening": [*_not_listening(event, found.definitions)],
            }
            for event in found.events
        ],
        "rejected": [
            {
                "id": spell_id(record.letter.id),
                "sensor": record.letter.sensor,
                "reason": record.letter.reason,
                "detail": record.letter.detail,
                "created_at": iso_instant(record.letter.created_at),
                "redriven_at": iso_instant(record.redriven_at),
            }
            for record in found.rejected
        ],
        "skipped": [
            {"sensor": sensor, "reason": reason, "at": iso_instant(at)}
            for sensor, reason, at in found.skipped
        ],
    }


def _instant(given: str) -> int:
    """Return the instant in microseconds that `10m` (ago) or an ISO 8601 text spells."""
    from reactor.model.duration import parse_duration

    try:
        return to_micros(SystemClock().now() - parse_duration(given))
    except ValueError:
        pass
    try:
        # Without an offset it is local time, as people say it.
        return to_micros(datetime.fromisoformat(given).astimezone())
    except ValueError:
        raise SettingsError(
            f'--since {given!r} is neither a duration like "10m" nor an instant like '
            '"2026-01-31T08:00"'
        ) from None
