"""Makes a plan that fails as small as it can be while it still fails in the same way."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulation.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.plan import Plan, SourcePlan, WorkflowPlan

MOST_TRIES = 400


def kinds_of(findings: list[str]) -> set[str]:
    """Return what was found, without the numbers and names that differ between two ways to find it."""
    return {re.split(r"[:(]", finding, maxsplit=1)[0] for finding in findings}


def minimise(
    plan: Plan, *, fails: Callable[[Plan], bool] | None = None, most_tries: int = MOST_TRIES
) -> Plan:
    """Return the smallest plan found; it fails with one of the kinds of findings that `plan` fails with."""
    if fails is None:
        wanted = kinds_of(simulate(plan).findings)

        def fails(smaller: Plan) -> bool:
            return bool(kinds_of(simulate(smaller).findings) & wanted)

    tries = 0
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(plan):
            tries += 1
            if tries > most_tries:
                return plan
            if fails(smaller):
                plan = smaller
                progress = True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Yield plans with something less, the largest cuts first."""
    for index in range(len(plan.happenings)):
        rest = plan.happenings[:index] + plan.happenings[index + 1 :]
        yield replace(plan, happenings=rest)
    if len(plan.workflows) > 1:
        for index in range(len(plan.workflows)):
            rest_of_workflows = plan.workflows[:index] + plan.workflows[index + 1 :]
            yield replace(plan, workflows=rest_of_workflows)
    yield from _without_source(plan)
    for index, source in enumerate(plan.sources):
        for smaller_source in _smaller_source(source):
            sources = (*plan.sources[:index], smaller_source, *plan.sources[index + 1 :])
            yield replace(plan, sources=sources)
    for index, workflow in enumerate(plan.workflows):
        for smaller_workflow in _smaller_workflow(workflow):
            workflows = (*plan.workflows[:index], smaller_workflow, *plan.workflows[index + 1 :])
            yield replace(plan, workflows=workflows)


def _without_source(plan: Plan) -> Iterator[Plan]:
    for source in plan.sources:
        if any(workflow.sensors == (source.name,) for workflow in plan.workflows):
            continue
        if len(plan.sources) > 1:
            workflows = tuple(
                replace(
                    workflow,
                    sensors=tuple(name for name in workflow.sensors if name != source.name),
                )
                for workflow in plan.workflows
            )
            sources = tuple(other for other in plan.sources if other is not source)
            yield replace(plan, workflows=workflows, sources=sources)


def _smaller_source(source: SourcePlan) -> Iterator[SourcePlan]:
    for count in (source.count // 2, source.count - 1):
        if 0 < count < source.count:
            yield replace(source, count=count)
    if source.garbage or source.skips or source.repeats:
        yield replace(source, garbage=0, skips=0, repeats=0)


def _smaller_workflow(workflow: WorkflowPlan) -> Iterator[WorkflowPlan]:
    for step in workflow.steps:
        used = {name for other in workflow.steps for name in (*other.takes, *other.after)}
        if step.name not in used and len(workflow.steps) > 1:
            yield replace(workflow, steps=tuple(s for s in workflow.steps if s is not step))
    if workflow.chokes_on is not None:
        yield replace(workflow, chokes_on=None)
    for step in workflow.steps:
        if step.trouble_percent:
            calm = replace(step, trouble_percent=0)
            yield replace(workflow, steps=tuple(calm if s is step else s for s in workflow.steps))
