"""What one simulation does, as plain data: drawn from a seed, cut down where it fails, kept as JSON."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

Trouble = Literal["fail", "reject", "hang", "slow", "cancel", "unwritable", "exit"]
Kind = Literal["die", "stop", "break", "full", "reload", "clock", "storm"]
Delivery = Literal["pull", "push"]

TROUBLES: tuple[Trouble, ...] = ("fail", "reject", "hang", "slow", "cancel", "unwritable", "exit")
# How often each happening is drawn, out of their sum.
KINDS: dict[Kind, int] = {
    "die": 8,
    "stop": 4,
    "break": 3,
    "full": 3,
    "reload": 4,
    "clock": 2,
    "storm": 4,
}
NAMES = "abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """A step: what it takes and waits for, how it is tried, and what goes wrong in `trouble_percent` of its calls."""

    name: str
    takes: tuple[str, ...]
    after: tuple[str, ...]
    attempts: int
    delay_ms: int
    timeout_ms: int | None
    is_thread: bool
    work_ms: int
    troubles: tuple[Trouble, ...]
    trouble_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowPlan:
    """A workflow. It matches the messages whose number, modulo `modulus`, is below `below`.

    Its predicate raises for those whose number is divisible by `chokes_on`. With `keys` its runs go in order within
    that many keys, with `batch_size` it gathers.
    """

    name: str
    sensors: tuple[str, ...]
    modulus: int
    below: int
    chokes_on: int | None
    keys: int | None
    batch_size: int | None
    within_ms: int
    concurrency: int
    priority: int
    pending: int
    timeout_ms: int | None
    steps: tuple[StepPlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    """A source of `count` messages, one each `gap_ms`.

    A source that is pulled keeps a position and is read in order, up to `most` at a time; one that pushes delivers up
    to `most` at once until each was acknowledged, and one in `repeats` once more. One in `garbage` is no event, one in
    `skips` is passed over; 0 for none.
    """

    name: str
    delivery: Delivery
    count: int
    gap_ms: int
    most: int
    repeats: int
    garbage: int
    skips: int
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that befalls the process `at_ms` after the simulation began, or as soon as one is alive again.

    `number` is, for die: after how many steps of the loop; stop: the drain's milliseconds; break: whether the failed
    commit is found durable; full: for how many milliseconds; clock: by how many it is stepped; storm: how many
    deliveries are cancelled. `names` are the workflows that a reload leaves out.
    """

    at_ms: int
    kind: Kind
    number: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One simulation. The seed still draws the order of tasks and how long things take."""

    seed: int
    workflows: tuple[WorkflowPlan, ...]
    sources: tuple[SourcePlan, ...]
    happenings: tuple[Happening, ...]
    most_running: int
    most_bytes: int


PLAN = TypeAdapter(Plan)


def draw_plan(seed: int) -> Plan:
    """Return the plan of a seed; the same one in every process."""
    luck = random.Random(seed)
    sources = tuple(
        _source(luck, name) for name in ("pulled", "pushed", "other")[: luck.choice((1, 2, 2, 3))]
    )
    names = [source.name for source in sources]
    workflows = tuple(_workflow(luck, f"w{number}", names) for number in range(luck.randint(1, 4)))
    span_ms = max(source.count * source.gap_ms for source in sources) + 500
    happenings = [
        _happening(luck, span_ms, [workflow.name for workflow in workflows])
        for _ in range(luck.choice((0, 1, 2, 3, 3, 4, 5, 6)))
    ]
    return Plan(
        seed=seed,
        workflows=workflows,
        sources=sources,
        happenings=tuple(sorted(happenings, key=lambda happening: happening.at_ms)),
        most_running=luck.choice((1, 2, 3, 8, 1024)),
        most_bytes=luck.choice((1, 60, 200, 1 << 20, 1 << 20)),
    )


def draw_storm(seed: int, *, storms: int) -> Plan:
    """Return a plan in which deliveries are cancelled all the time, and the process is told to stop now and then."""
    plan = draw_plan(seed)
    luck = random.Random(-seed)
    pushed = SourcePlan(
        name="stormy",
        delivery="push",
        count=60,
        gap_ms=luck.choice((0, 1, 3)),
        most=luck.choice((8, 30)),
        repeats=7,
        garbage=0,
        skips=0,
        waits=luck.random() < 0.7,
    )
    workflow = _workflow(luck, "stormy", ["stormy"])
    step_ms = luck.choice((1, 2, 5))
    happenings = [
        Happening(at_ms=1 + number * step_ms, kind="storm", number=luck.randint(1, 12))
        for number in range(storms)
    ]
    happenings += [
        Happening(
            at_ms=luck.randrange(storms * step_ms + 1), kind="stop", number=luck.choice((0, 1, 5))
        )
        for _ in range(3)
    ]
    return Plan(
        seed=seed,
        workflows=(*plan.workflows[:1], workflow),
        sources=(*plan.sources, pushed),
        happenings=tuple(sorted(happenings, key=lambda happening: happening.at_ms)),
        most_running=plan.most_running,
        most_bytes=plan.most_bytes,
    )


def _source(luck: random.Random, name: str) -> SourcePlan:
    delivery: Delivery = {"pulled": "pull", "pushed": "push"}.get(name) or luck.choice(
        ("pull", "push")
    )  # type: ignore[assignment]  # a dict of words
    return SourcePlan(
        name=name,
        delivery=delivery,
        count=luck.choice((1, 3, 6, 10, 15, 25)),
        gap_ms=luck.choice((0, 0, 1, 5, 20, 100)),
        most=luck.choice((1, 2, 5, 10)),
        repeats=luck.choice((0, 2, 5)),
        garbage=luck.choice((0, 0, 5)),
        skips=luck.choice((0, 0, 5)),
        waits=luck.random() < 0.7,
    )


def _workflow(luck: random.Random, name: str, sources: list[str]) -> WorkflowPlan:
    modulus = luck.choice((1, 1, 2, 3))
    shape = luck.choice(("plain", "plain", "keyed", "batch"))
    has_timeout = luck.random() < 0.2
    return WorkflowPlan(
        name=name,
        sensors=tuple(sorted(luck.sample(sources, luck.randint(1, len(sources))))),
        modulus=modulus,
        below=luck.randint(1, modulus),
        chokes_on=luck.choice((None, None, 4)),
        keys=luck.choice((1, 2, 4)) if shape == "keyed" else None,
        batch_size=luck.choice((1, 2, 3, 7)) if shape == "batch" else None,
        within_ms=luck.choice((1, 50, 2000)),
        concurrency=luck.choice((1, 1, 2, 3, 256)),
        priority=luck.choice((-1, 0, 0, 0, 5)),
        pending=luck.choice((1, 2, 5, 10_000)),
        timeout_ms=luck.choice((20, 500, 5000)) if has_timeout else None,
        steps=_steps(luck, has_timeout=has_timeout),
    )


def _steps(luck: random.Random, *, has_timeout: bool) -> tuple[StepPlan, ...]:
    steps: list[StepPlan] = []
    for name in NAMES[: luck.choice((1, 1, 2, 3, 4, 5))]:
        earlier = [step.name for step in steps]
        upstream = luck.sample(earlier, luck.randint(0, min(len(earlier), 2)))
        cut = luck.randint(0, len(upstream))
        timeout = luck.choice((None, None, 5, 100))
        troubles = luck.sample(TROUBLES, luck.randint(1, 3))
        if timeout is None and not has_timeout:
            # Nothing would ever end it.
            troubles = [trouble for trouble in troubles if trouble != "hang"]
        steps.append(
            StepPlan(
                name=name,
                takes=tuple(sorted(upstream[:cut])),
                after=tuple(sorted(upstream[cut:])),
                attempts=luck.choice((1, 2, 3, 5)),
                delay_ms=luck.choice((1, 20, 1000)),
                timeout_ms=timeout,
                is_thread=luck.random() < 0.2,
                work_ms=luck.choice((0, 0, 1, 4, 30)),
                troubles=tuple(troubles),
                trouble_percent=luck.choice((0, 0, 10, 40)),
            )
        )
    return tuple(steps)


def _happening(luck: random.Random, span_ms: int, workflows: list[str]) -> Happening:
    kind = luck.choices([*KINDS], [*KINDS.values()])[0]
    at_ms = luck.randrange(span_ms)
    number = {
        "die": luck.randint(0, 60),
        "stop": luck.choice((0, 1, 10, 5000)),
        "break": luck.randint(0, 1),
        "full": luck.choice((5, 200, 3000)),
        "clock": luck.choice((-3_600_000, -10_000, -5, 5, 10_000, 86_400_000)),
        "storm": luck.randint(1, 10),
        "reload": 0,
    }[kind]
    names = luck.sample(workflows, luck.randint(0, len(workflows))) if kind == "reload" else []
    return Happening(at_ms=at_ms, kind=kind, number=number, names=tuple(sorted(names)))
