"""`reactor runs` and `reactor show`: what was executed, and one run in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reactor.cli.listing import Listing
from reactor.cli.options import JsonOption, LimitOption, StateOption, state_directory
from reactor.cli.output import (
    STYLES,
    NotFoundError,
    as_json,
    console,
    count,
    iso_instant,
    line,
    one_line,
    print_json,
    short_instant,
    shorten,
    spell_instant,
    spell_span,
    text,
)
from reactor.clock import SystemClock, to_micros
from reactor.errors import SettingsError
from reactor.model.ids import parse_id, spell_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.text import Text

    from reactor.store.contract import AttemptRow, StepRow
    from reactor.store.sqlite.reader import RunHistory, RunRecord

Outcome = Literal["succeeded", "failed", "timed_out", "cancelled", "dead"]
State = Literal["pending", "running", "waiting", "finished"]
GANTT_WIDTH, GANTT_LEAST = 36, 12
# What the other columns of the picture take, but for the steps' names.
GANTT_BESIDE = 40
RESULT_WIDTH = 200


def runs(
    *,
    workflow: Annotated[str | None, typer.Option(help="Only those of this workflow.")] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only those that ended so.")] = None,
    run_state: Annotated[State | None, typer.Option("--in", help="Only those that are so.")] = None,
    limit: LimitOption = 20,
    state: StateOption = None,
    as_document: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    from reactor.store.sqlite.reader import read

    found = read(
        state_directory(state),
        lambda reader: reader.runs(
            workflow=workflow, outcome=outcome, state=run_state, limit=limit
        ),
    )
    if as_document:
        print_json({"runs": [_run_document(run) for run in found]})
        return
    if not found:
        console().print("no runs")
        return
    now = to_micros(SystemClock().now())
    rows = Listing(
        "run", "created", "workflow", "state", "took", "error", flexible=["error", "workflow"]
    )
    for run in found:
        rows.add(
            text(spell_id(run.id), "cyan"),
            short_instant(run.created_at, now),
            run.workflow + (f" [{run.key}]" if run.key else ""),
            run.outcome or run.state,
            spell_span(_took(run, now)),
            text(one_line(run.error or ""), "dim"),
        )
    rows.print(console())


def show(
    run: Annotated[str, typer.Argument(help="The id of a run, as `runs` shows it.", metavar="RUN")],
    *,
    state: StateOption = None,
    as_document: JsonOption = False,
) -> None:
    """Show one run: event, steps, attempts, results."""
    from reactor.store.sqlite.reader import read

    try:
        run_id = parse_id(run)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    found = read(state_directory(state), lambda reader: reader.history(run_id))
    if found is None:
        raise NotFoundError(f"no run {run!r} is stored; `reactor runs` lists them")
    if as_document:
        print_json(_history_document(found))
    else:
        _print_history(console(), found, to_micros(SystemClock().now()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One attempt of a step in the picture of a run; without instants for one that never began."""

    step: str
    attempt: int
    outcome: str
    started_at: int | None
    finished_at: int | None


def bars(history: RunHistory) -> list[Bar]:
    """Return every attempt in the order of its start, then the steps and retries still to come."""
    ended = {step.name: step for step in history.steps}
    begun = [
        _bar(attempt.step, attempt.attempt, attempt.outcome, attempt)
        for attempt in history.attempts
        if attempt.step not in ended or ended[attempt.step].attempt != attempt.attempt
    ]
    begun += [
        _bar(step.name, step.attempt, step.outcome, step) for step in history.steps if step.attempt
    ]
    skipped = [_bar(step.name, 0, step.outcome) for step in history.steps if not step.attempt]
    tried = {attempt.step: attempt.attempt for attempt in history.attempts}
    retried = [
        _bar(name, attempt + 1, "waiting")
        for name, attempt in tried.items()
        if name not in ended and history.run.outcome is None
    ]
    steps = history.definition["steps"] if history.definition else ()
    others = [
        _bar(step["name"], 0, _standing(step, history))
        for step in steps
        if step["name"] not in ended and step["name"] not in tried
    ]
    begun.sort(key=lambda bar: (bar.started_at, bar.finished_at))
    return [*begun, *skipped, *retried, *others]


def _bar(step: str, attempt: int, outcome: str, times: StepRow | AttemptRow | None = None) -> Bar:
    return Bar(
        step=step,
        attempt=attempt,
        outcome=outcome,
        started_at=times.started_at if times else None,
        finished_at=times.finished_at if times else None,
    )


def _standing(step: Mapping[str, Any], history: RunHistory) -> str:
    """Return what is going on with a step of which nothing was recorded."""
    succeeded = {ended.name for ended in history.steps if ended.outcome == "succeeded"}
    is_ready = history.run.state == "running" and succeeded.issuperset(step["upstream"])
    return "running" if is_ready else "not begun"


def gantt(bar: Bar, first: int, last: int, width: int) -> str:
    """Return one bar in a field of `width` characters that stands for the time from first to last."""
    if bar.started_at is None or bar.finished_at is None:
        return ""
    span = max(last - first, 1)
    begin = min((bar.started_at - first) * width // span, width - 1)
    end = min(-(-(bar.finished_at - first) * width // span), width)
    mark = "█" if bar.outcome == "succeeded" else "▒"
    return " " * begin + mark * max(end - begin, 1)


def _print_history(out: Console, history: RunHistory, now: int) -> None:
    run, event = history.run, history.event
    outcome = run.outcome or run.state
    took = _took(run, now)
    duration = "" if took is None else f" {'in' if run.outcome else 'for'} {spell_span(took)}"
    out.print(
        line(
            ("run ", "bold"),
            (spell_id(run.id), "bold cyan"),
            (" of ", ""),
            (run.workflow, "bold"),
            (" ", ""),
            (outcome, STYLES.get(outcome, "")),
            (duration, ""),
        )
    )
    out.print(text(f"event   {event.subject or event.id} from {event.sensor}"))
    out.print(
        text(f"        seq {spell_id(event.seq)}, accepted {spell_instant(event.accepted_at)}")
    )
    out.print(text(f"data    {shorten(event.data, RESULT_WIDTH)}"))
    if run.key:
        out.print(text(f"key     {run.key}"))
    if run.started_at is not None:
        waited = spell_span(run.started_at - run.created_at)
        out.print(text(f"started {spell_instant(run.started_at)}, {waited} after it was created"))
    if run.deaths:
        deaths = count(run.deaths, "death")
        out.print(text(f"deaths  in flight at {deaths} of the process in a row", "yellow"))
    if run.error:
        out.print(text(f"error   {one_line(run.error)}", "red"))
    out.print()
    attempts = bars(history)
    if attempts:
        _print_attempts(out, attempts, run, now)
    _print_results(out, history)


def _print_attempts(out: Console, attempts: Sequence[Bar], run: RunRecord, now: int) -> None:
    instants = [bar.started_at for bar in attempts if bar.started_at is not None]
    first = min([*instants, run.started_at or now])
    last = run.finished_at or max([bar.finished_at or 0 for bar in attempts] + [first])
    numbers = ["try", "start", "took"]
    rows = Listing("step", "try", "outcome", "start", "took", "", right=numbers, flexible=["step"])
    names = max(len(bar.step) for bar in attempts)
    width = max(GANTT_LEAST, min(GANTT_WIDTH, out.width - names - GANTT_BESIDE))
    for bar in attempts:
        began, took = "", ""
        if bar.started_at is not None and bar.finished_at is not None:
            began = f"+{spell_span(bar.started_at - first)}"
            took = spell_span(bar.finished_at - bar.started_at)
        picture = text(gantt(bar, first, last, width), STYLES.get(bar.outcome, ""))
        rows.add(bar.step, bar.attempt or "", bar.outcome, began, took, picture)
    rows.print(out)


def _print_results(out: Console, history: RunHistory) -> None:
    found = [_failure(attempt, history) for attempt in history.attempts]
    for step in history.steps:
        if step.error and step.attempt:
            found.append(text(f"{step.name} try {step.attempt}: {one_line(step.error)}", "red"))
        elif step.error:
            found.append(text(f"{step.name}: {one_line(step.error)}", "yellow"))
        elif step.result is not None:
            found.append(text(f"{step.name} → {shorten(step.result, RESULT_WIDTH)}"))
    if found:
        out.print()
    for one in found:
        out.print(one)


def _failure(attempt: AttemptRow, history: RunHistory) -> Text:
    """Return what went wrong, and when the next try is where that is still to come."""
    last = max(one.attempt for one in history.attempts if one.step == attempt.step)
    ended = {step.name for step in history.steps}
    is_open = history.run.outcome is None and attempt.step not in ended and attempt.attempt == last
    again = f"; again at {spell_instant(attempt.next_at)}" if is_open else ""
    return text(f"{attempt.step} try {attempt.attempt}: {one_line(attempt.error)}{again}", "red")


def _took(run: RunRecord, now: int) -> int | None:
    if run.started_at is None:
        return None
    return (run.finished_at or now) - run.started_at


def _run_document(run: RunRecord) -> dict[str, Any]:
    return {
        "id": spell_id(run.id),
        "workflow": run.workflow,
        "event": spell_id(run.event),
        "key": run.key,
        "state": run.state,
        "outcome": run.outcome,
        "deaths": run.deaths,
        "created_at": iso_instant(run.created_at),
        "started_at": iso_instant(run.started_at),
        "finished_at": iso_instant(run.finished_at),
        "error": run.error,
    }


def _history_document(history: RunHistory) -> dict[str, Any]:
    event = history.event
    return {
        **_run_document(history.run),
        "event": {
            "seq": spell_id(event.seq),
            "id": event.id,
            "source": event.source,
            "sensor": event.sensor,
            "type": event.type,
            "subject": event.subject,
            "time": iso_instant(event.time),
            "accepted_at": iso_instant(event.accepted_at),
            "data": as_json(event.data),
        },
        "steps": [
            {
                "name": step.name,
                "outcome": step.outcome,
                "attempt": step.attempt,
                "started_at": iso_instant(step.started_at),
                "finished_at": iso_instant(step.finished_at),
                "result": as_json(step.result),
                "error": step.error,
            }
            for step in history.steps
        ],
        "attempts": [
            {
                "step": attempt.step,
                "attempt": attempt.attempt,
                "outcome": attempt.outcome,
                "started_at": iso_instant(attempt.started_at),
                "finished_at": iso_instant(attempt.finished_at),
                "error": attempt.error,
                "next_at": iso_instant(attempt.next_at),
            }
            for attempt in history.attempts
        ],
    }
