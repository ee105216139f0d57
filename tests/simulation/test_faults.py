"""The simulation can fail: each fault that is put into the engine is found within a few seeds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reactor.engine import runner
from reactor.engine.acceptance import Acceptance
from reactor.engine.credits import Budget
from reactor.engine.runner import ActiveRun
from reactor.engine.scheduler import Lane, Scheduler
from reactor.engine.step_call import context_for
from reactor.model.context import Context
from reactor.model.graph import Graph, Step
from reactor.store.contract import Offer, OutgoingRow, PendingRun, RunEnd, StepRow
from reactor.store.sqlite import SqliteStore
from tests.simulation.minimise import kinds_of, minimise
from tests.simulation.plan import PLAN, Plan, draw_plan
from tests.simulation.simulation import simulate

SEEDS = 100


def acknowledged_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    accept = SqliteStore.accept

    def too_early(self: SqliteStore, offer: Offer, sensor: str, cursor: Any) -> Any:
        accept(self, offer, sensor, cursor)
        answer = asyncio.get_running_loop().create_future()
        answer.set_result([True] * len(offer.events))
        return answer

    patch.setattr(SqliteStore, "accept", too_early)


def a_result_is_forgotten_at_a_resume(patch: pytest.MonkeyPatch) -> None:
    begin: Callable[..., None] = ActiveRun.__init__

    def forgetful(self: ActiveRun, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **{**options, "steps": ()})

    patch.setattr(ActiveRun, "__init__", forgetful)


def a_credit_is_not_given_back(patch: pytest.MonkeyPatch) -> None:
    give_back = Acceptance._give_back

    def stingy(self: Acceptance, taken: Iterable[tuple[Budget, int]]) -> None:
        give_back(self, [*taken][1:])

    patch.setattr(Acceptance, "_give_back", stingy)


def more_runs_start_than_may(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lane, "has_room", property(lambda lane: True))


def a_dependant_begins_before_the_result_is_durable(patch: pytest.MonkeyPatch) -> None:
    finish = SqliteStore.finish_steps

    def hasty(
        self: SqliteStore,
        steps: Sequence[StepRow],
        ends: Sequence[RunEnd],
        outgoing: Sequence[OutgoingRow] = (),
    ) -> Awaitable[None]:
        written = finish(self, steps, ends, outgoing)
        return written if ends else asyncio.sleep(0)

    patch.setattr(SqliteStore, "finish_steps", hasty)


def keys_are_not_kept_in_order(patch: pytest.MonkeyPatch) -> None:
    def is_free(self: Scheduler, lane: Lane, run: PendingRun) -> bool:
        return True

    patch.setattr(Scheduler, "_may_start", is_free)


def an_attempt_gets_a_key_of_its_own(patch: pytest.MonkeyPatch) -> None:
    def fickle(graph: Graph, step: Step, run: int, attempt: int) -> Context:
        context = context_for(graph, step, run, attempt)
        return replace(context, idempotency_key=f"{context.idempotency_key}/{attempt}")

    patch.setattr(runner, "context_for", fickle)


def a_failed_attempt_is_not_recorded(patch: pytest.MonkeyPatch) -> None:
    async def record(self: SqliteStore, attempt: Any, *, is_waiting: bool) -> None:
        """Keep nothing."""

    patch.setattr(SqliteStore, "record_attempt", record)


FAULTS: dict[Callable[[pytest.MonkeyPatch], None], set[str]] = {
    acknowledged_before_the_commit: {"G1", "G5", "nobody caught"},
    a_result_is_forgotten_at_a_resume: {"G4"},
    a_credit_is_not_given_back: {"credit", "stuck"},
    more_runs_start_than_may: {"concurrency"},
    a_dependant_begins_before_the_result_is_durable: {"G4"},
    keys_are_not_kept_in_order: {"key order"},
    an_attempt_gets_a_key_of_its_own: {"G5"},
    a_failed_attempt_is_not_recorded: {"G4"},
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    assert kinds_of(_first_findings()[1]) & FAULTS[fault]


def test_what_is_found_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    more_runs_start_than_may(monkeypatch)
    plan, findings = _first_findings()
    small = minimise(plan)
    assert kinds_of(simulate(small).findings) & kinds_of(findings)
    assert len(small.workflows) == 1
    assert sum(source.count for source in small.sources) <= 3
    assert small.happenings == ()


def _plans() -> Iterator[Plan]:
    """Yield plans that found something once, then those of the first seeds."""
    for path in sorted((Path(__file__).parent / "found").glob("*.json")):
        yield PLAN.validate_json(path.read_bytes())
    for seed in range(SEEDS):
        yield draw_plan(seed)


def _first_findings() -> tuple[Plan, list[str]]:
    for plan in _plans():
        findings = simulate(plan).findings
        if findings:
            return plan, findings
    return pytest.fail(f"{SEEDS} simulations found nothing")
