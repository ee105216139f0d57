"""Workflows as they are written: what an option may be, and what a mistake says."""

from __future__ import annotations

import functools
import linecache
import logging
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from reactor.errors import DefinitionError
from reactor.model.context import Context
from reactor.model.event import Event
from reactor.model.retry import Retry
from reactor.model.sensor import HookRequest, Sensor, nearest
from reactor.model.workflow import Workflow


class Probe(Sensor):
    kind: ClassVar[str] = "probe"
    size: int = 1
    interval: str = "1s"

    def label(self) -> str:
        return self.interval


def workflow(**options: Any) -> Workflow:
    return Workflow("rates", on=Probe(), **options)


async def on_the_loop(event: Event[Any]) -> int:
    return 1


def in_a_thread(event: Event[Any]) -> int:
    return 1


@pytest.mark.parametrize("name", ["a", "rates", "_x", "A-b.c_1", "a" * 100])
def test_a_name_is_letters_digits_and_three_signs(name: str) -> None:
    assert Workflow(name, on=Probe()).name == name


@pytest.mark.parametrize(
    "name", ["", "1a", "-a", "a b", "ä", "a" * 101, "a\n", "a/b", 5, None, b"a"]
)
def test_any_other_name_is_refused_with_what_was_expected(name: Any) -> None:
    with pytest.raises(DefinitionError, match="is not 1 to 100 letters, digits"):
        Workflow(name, on=Probe())


@pytest.mark.parametrize(
    ("option", "lowest", "highest"),
    [
        ("concurrency", 1, 10_000),
        ("priority", -100, 100),
        ("pending", 1, 100_000_000),
        ("largest_result_bytes", 1, 2**30),
    ],
)
def test_a_number_is_whole_and_within_its_bounds(option: str, lowest: int, highest: int) -> None:
    for right in (lowest, highest):
        assert getattr(workflow(**{option: right}), option) == right
    for wrong in (lowest - 1, highest + 1, 1.0, "1", True, None):
        with pytest.raises(
            DefinitionError, match=f"'rates': {option} is .*expected a whole number"
        ):
            workflow(**{option: wrong})


@pytest.mark.parametrize(
    ("text", "why"), [("0s", "is zero"), ("soon", "not a duration"), (5, "not a")]
)
def test_a_timeout_that_cannot_be_meant_is_refused(text: Any, why: str) -> None:
    with pytest.raises(DefinitionError, match=f"workflow 'rates': timeout:? .*{why}"):
        workflow(timeout=text)
    with pytest.raises(DefinitionError, match=f"step 'on_the_loop' .*timeout:? .*{why}"):
        workflow().step(timeout=text)(on_the_loop)


@pytest.mark.parametrize("wrong", [Probe, "probe", None, 5, [Probe], [[Probe()]]])
def test_on_takes_sensors_and_triggers_only(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="on= takes a sensor, a trigger or a list of them"):
        Workflow("rates", on=wrong)


def test_an_empty_list_of_triggers_would_never_fire() -> None:
    with pytest.raises(DefinitionError, match="would never fire; name at least one sensor"):
        Workflow("rates", on=[])


def test_a_sensor_and_a_trigger_may_stand_side_by_side() -> None:
    both = Workflow("rates", on=(Probe(), Probe().where(lambda e: e.data)))
    assert [len(trigger.conditions) for trigger in both.triggers] == [0, 1]


@pytest.mark.parametrize("wrong", ["", "data..x", 5])
def test_a_key_that_cannot_be_meant_is_refused(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="workflow 'rates': key= takes a dotted path"):
        workflow(key=wrong)


def test_a_workflow_knows_the_line_it_is_written_at() -> None:
    made = Workflow(
        "rates",
        on=Probe(),
    )
    assert made.file == __file__
    assert "Workflow(" in linecache.getline(made.file, made.line)


def test_a_step_stays_the_function_it_was() -> None:
    rates = workflow()
    assert rates.step(in_a_thread) is in_a_thread
    assert rates.step(name="again")(on_the_loop) is on_the_loop


def test_where_a_step_runs_follows_from_how_it_is_defined() -> None:
    rates = workflow()
    rates.step(on_the_loop)
    rates.step(in_a_thread)
    rates.step(name="heavy", executor="process")(in_a_thread)
    assert [step.executor for step in rates.steps] == ["loop", "thread", "process"]


@pytest.mark.parametrize(
    ("function", "executor", "why"),
    [
        (on_the_loop, "thread", "cannot run in a thread"),
        (on_the_loop, "process", "a process has no loop"),
        (in_a_thread, "loop", "would block the loop"),
        (in_a_thread, "proces", "did you mean 'process'"),
        (in_a_thread, "dask", "known: loop, process, thread"),
    ],
)
def test_an_executor_that_does_not_suit_is_refused(function: Any, executor: Any, why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        workflow().step(executor=executor)(function)


class Callable:
    def __call__(self, event: Event[Any]) -> None: ...


@pytest.mark.parametrize("wrong", ["parse", 5, len, functools.partial(in_a_thread), Callable()])
def test_a_step_that_is_no_function_is_refused(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="a step is a function written with def or async def"):
        workflow().step(wrong)


def test_a_step_without_a_name_of_its_own_needs_one() -> None:
    with pytest.raises(
        DefinitionError, match="'<lambda>' is no name for a step; give one with name="
    ):
        workflow().step(lambda event: 1)
    rates = workflow()
    rates.step(name="one")(lambda event: 1)
    assert rates.steps[0].name == "one"


def test_after_may_be_one_name_or_several() -> None:
    rates = workflow()
    rates.step(name="b", after="a")(in_a_thread)
    rates.step(name="c", after=["a", "b"])(in_a_thread)
    assert [step.after for step in rates.steps] == [("a",), ("a", "b")]


def test_the_options_of_a_step_are_kept() -> None:
    rates = workflow()
    retry = Retry(5)
    rates.step(retry=retry, timeout="30s")(in_a_thread)
    (step,) = rates.steps
    assert (step.retry, step.timeout) == (retry, timedelta(seconds=30))


def test_an_unknown_option_of_a_sensor_names_the_nearest() -> None:
    wrong: dict[str, Any] = {"sise": 3}
    with pytest.raises(DefinitionError, match="Probe: unknown option 'sise'; did you mean 'size'"):
        Probe(**wrong)


def test_all_wrong_options_of_a_sensor_are_told_at_once() -> None:
    wrong: dict[str, Any] = {"size": "many", "intervall": "2s"}
    with pytest.raises(DefinitionError) as caught:
        Probe(**wrong)
    assert "size: " in str(caught.value)
    assert "did you mean 'interval'" in str(caught.value)


def test_a_sensor_is_named_by_its_kind_and_label_unless_it_has_a_name() -> None:
    assert Probe(interval="5s").sensor_name == "probe:5s"
    assert Probe(interval="").sensor_name == "probe"
    assert Probe(name="mine").sensor_name == "mine"


def test_where_nothing_is_near_all_names_are_listed() -> None:
    assert nearest("zzz", ["parse", "load"]) == "; known: load, parse"


def test_a_header_is_found_by_its_lower_case_name_and_the_first_counts() -> None:
    headers = [(b"x-id", b"caf\xe9"), (b"x-id", b"second")]
    request = HookRequest(method="POST", path="/", headers=headers, body=b"", client="c")
    assert request.header("x-id") == "café"
    assert request.header("x-other") is None


def test_a_context_cannot_be_changed_by_a_step() -> None:
    log = logging.LoggerAdapter(logging.getLogger("t"), {})
    context = Context(run_id="r", workflow="w", step="s", attempt=1, idempotency_key="k", log=log)
    with pytest.raises(AttributeError):
        context.attempt = 2  # type: ignore[misc]  # what the test is about


def test_an_unknown_option_gets_the_nearest_name() -> None:
    options: Any = {"ownr": "me"}
    with pytest.raises(DefinitionError, match="unknown option 'ownr'; did you mean 'owner'"):
        Workflow("w", on=Probe(), **options)
    flow = Workflow("w", on=Probe())
    options = {"retries": 3}
    with pytest.raises(
        DefinitionError, match="step of workflow 'w': unknown option 'retries'; did"
    ):
        flow.step(**options)
