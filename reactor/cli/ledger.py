"""`reactor dead` and `reactor audit`: what waits for a human, and whether anything got lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reactor.cli.listing import Listing
from reactor.cli.options import JsonOption, LimitOption, StateOption, state_directory
from reactor.cli.output import (
    NO,
    as_json,
    console,
    count,
    iso_instant,
    print_json,
    short_instant,
    shorten,
    text,
)
from reactor.clock import SystemClock, to_micros
from reactor.model.ids import spell_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reactor.store.sqlite.reader import Counts, LetterRecord

OPEN_STATES = ("pending", "running", "waiting")
OUTCOMES = ("succeeded", "failed", "timed_out", "cancelled", "dead")
_REMOVED = "removed"


def dead(
    *,
    reason: Annotated[str | None, typer.Option(help="Only those with this reason.")] = None,
    limit: LimitOption = 20,
    state: StateOption = None,
    as_document: JsonOption = False,
) -> None:
    """List dead letters that wait for a human, the newest first."""
    from reactor.store.sqlite.reader import read

    letters, reasons = read(
        state_directory(state),
        lambda reader: (
            reader.dead_letters(reason=reason, limit=limit),
            reader.dead_letter_reasons(),
        ),
    )
    if as_document:
        print_json({"reasons": reasons, "letters": [_letter_document(found) for found in letters]})
        return
    out = console()
    if not letters:
        out.print("no dead letters" + ("" if reason is None else f" with the reason {reason!r}"))
        return
    flexible = ["sensor", "workflow", "detail"]
    rows = Listing("id", "parked", "sensor", "workflow", "reason", "detail", flexible=flexible)
    now = to_micros(SystemClock().now())
    for found in letters:
        letter = found.letter
        rows.add(
            text(spell_id(letter.id), "cyan"),
            short_instant(letter.created_at, now),
            letter.sensor,
            letter.workflow,
            letter.reason,
            letter.detail,
        )
    rows.print(out)
    total = sum(reasons.values()) if reason is None else reasons.get(reason, 0)
    out.print()
    out.print(
        text(
            f"{count(total, 'dead letter')}, {len(letters):,} shown; "
            "accept again: reactor redrive ID… | --reason R | --all",
            "dim",
        )
    )


def _letter_document(found: LetterRecord) -> dict[str, Any]:
    letter = found.letter
    return {
        "id": spell_id(letter.id),
        "sensor": letter.sensor,
        "event_id": letter.event_id,
        "workflow": letter.workflow or None,
        "event": None if letter.event is None else spell_id(letter.event),
        "run": None if letter.run is None else spell_id(letter.run),
        "reason": letter.reason,
        "detail": letter.detail,
        "subject": letter.subject,
        "created_at": iso_instant(letter.created_at),
        "raw": as_json(letter.raw) if found.raw_bytes == len(letter.raw) else shorten(letter.raw),
        "raw_bytes": found.raw_bytes,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One sum: what was counted when it happened, and the rows that should make it up."""

    name: str
    what: str
    counted: int
    parts: dict[str, int]

    @property
    def difference(self) -> int:
        """Return how many are missing (negative) or too many (positive) among the rows."""
        return sum(self.parts.values()) - self.counted

    @property
    def is_used(self) -> bool:
        """Return whether anything was counted or is stored at all."""
        return bool(self.counted or any(self.parts.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Every sum of a store."""

    sensors: Sequence[Line]
    workflows: Sequence[Line]
    outbox: Sequence[Line]

    @property
    def is_balanced(self) -> bool:
        """Return whether every sum agrees."""
        return not self.faults

    @property
    def faults(self) -> list[str]:
        """Return a sentence for every sum that does not agree."""
        return [
            f"{kind} {line.name}: {line.counted:,} {line.what}, but "
            f"{sum(line.parts.values()):,} are accounted for: "
            f"{abs(line.difference):,} {'too many' if line.difference > 0 else 'missing'}"
            for kind, lines in (
                ("sensor", self.sensors),
                ("workflow", self.workflows),
                ("workflow", self.outbox),
            )
            for line in lines
            if line.difference
        ]


def audit(*, state: StateOption = None, as_document: JsonOption = False) -> None:
    """Say whether everything accepted is accounted for.

    What was counted when it happened is compared with what is stored, per sensor and workflow.
    Exit code 1: some sum does not agree.
    """
    from reactor.store.sqlite.reader import read

    found = balance(*read(state_directory(state), lambda reader: reader.counts()))
    if as_document:
        print_json(_audit_document(found))
    else:
        _print_audit(found)
    if not found.is_balanced:
        raise typer.Exit(NO)


def balance(tally: Counts, rows: Counts) -> Audit:
    """Return every sum: of each sensor what it took, of each workflow its runs and what they emitted."""
    names = {(subject, name) for subject, name, _ in [*tally, *rows]}
    sensors = sorted(name for subject, name in names if subject == "sensor")
    workflows = sorted(name for subject, name in names if subject == "workflow")
    return Audit(
        sensors=[line for name in sensors for line in _sensor_lines(name, tally, rows)],
        workflows=[_workflow_line(name, tally, rows) for name in workflows],
        outbox=[line for name in workflows if (line := _outbox_line(name, tally, rows)).is_used],
    )


def _sensor_lines(name: str, tally: Counts, rows: Counts) -> list[Line]:
    lines = []
    for what, kind, removed in (
        ("accepted", "events", "removed"),
        ("rejected", "rejected", "removed_rejected"),
        ("skipped", "skipped", "removed_skipped"),
    ):
        parts = {
            "stored": rows.get(("sensor", name, kind), 0),
            _REMOVED: tally.get(("sensor", name, removed), 0),
        }
        counted = tally.get(("sensor", name, what), 0)
        lines.append(Line(name=name, what=what, counted=counted, parts=parts))
    return lines


def _workflow_line(name: str, tally: Counts, rows: Counts) -> Line:
    parts = {kind: rows.get(("workflow", name, kind), 0) for kind in (*OPEN_STATES, *OUTCOMES)}
    parts[_REMOVED] = sum(
        number
        for (subject, workflow, kind), number in tally.items()
        if (subject, workflow) == ("workflow", name) and kind.startswith("removed_")
    )
    counted = tally.get(("workflow", name, "fired"), 0)
    return Line(name=name, what="fired", counted=counted, parts=parts)


def _outbox_line(name: str, tally: Counts, rows: Counts) -> Line:
    parts = {
        "pending": rows.get(("workflow", name, "outbox"), 0),
        "delivered": tally.get(("workflow", name, "delivered"), 0),
        "dead": rows.get(("workflow", name, "undeliverable"), 0),
    }
    counted = tally.get(("workflow", name, "emitted"), 0)
    return Line(name=name, what="emitted", counted=counted, parts=parts)


def _print_audit(found: Audit) -> None:
    out = console()
    if not found.sensors and not found.workflows:
        out.print("nothing was accepted yet; the sums agree")
        return
    if found.sensors:
        _sensor_table(found.sensors).print(out)
        out.print()
    if found.workflows:
        _workflow_table(found.workflows).print(out)
        out.print()
    if found.outbox:
        _outbox_table(found.outbox).print(out)
        out.print()
    for fault in found.faults:
        out.print(text(fault, "bold red"), soft_wrap=True)
    if found.is_balanced:
        out.print(text("balanced: everything that was accepted is accounted for", "bold green"))
    else:
        out.print(text("NOT balanced; keep a copy of the state directory and report this", "red"))


def _sensor_table(lines: Sequence[Line]) -> Listing:
    numbers = ["accepted", "rejected", "skipped", "stored", _REMOVED]
    rows = Listing("sensor", *numbers, "", right=numbers, flexible=["sensor"])
    for name in dict.fromkeys(line.name for line in lines):
        own = [line for line in lines if line.name == name]
        counted = {line.what: line.counted for line in own}
        rows.add(
            name,
            *(f"{counted[what]:,}" for what in ("accepted", "rejected", "skipped")),
            *(f"{sum(line.parts[part] for line in own):,}" for part in ("stored", _REMOVED)),
            _mark(own),
        )
    return rows


def _workflow_table(lines: Sequence[Line]) -> Listing:
    """Return the runs by outcome; columns in which nothing stands are left out."""
    kinds = (*OPEN_STATES, *OUTCOMES, _REMOVED)
    used = [kind for kind in kinds if any(line.parts[kind] for line in lines)] or ["succeeded"]
    headings = ["fired", *used]
    rows = Listing("workflow", *headings, "", right=headings, flexible=["workflow"])
    for line in lines:
        numbers = [line.counted, *(line.parts[kind] for kind in used)]
        rows.add(line.name, *(f"{number:,}" for number in numbers), _mark([line]))
    return rows


def _outbox_table(lines: Sequence[Line]) -> Listing:
    headings = ["emitted", *lines[0].parts]
    rows = Listing("workflow", *headings, "", right=headings, flexible=["workflow"])
    for line in lines:
        numbers = [line.counted, *line.parts.values()]
        rows.add(line.name, *(f"{number:,}" for number in numbers), _mark([line]))
    return rows


def _mark(lines: Sequence[Line]) -> Any:
    wrong = any(line.difference for line in lines)
    return text("unequal", "bold red") if wrong else text("✓", "green")


def _audit_document(found: Audit) -> dict[str, Any]:
    return {
        "balanced": found.is_balanced,
        "sensors": [_line_document("sensor", line) for line in found.sensors],
        "workflows": [_line_document("workflow", line) for line in found.workflows],
        "outbox": [_line_document("workflow", line) for line in found.outbox],
        "faults": found.faults,
    }


def _line_document(kind: str, line: Line) -> dict[str, Any]:
    return {
        kind: line.name,
        "what": line.what,
        "counted": line.counted,
        "parts": line.parts,
        "difference": line.difference,
    }
