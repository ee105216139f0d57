"""The benchmarks measure what they say. Never how fast: a time is nothing that a test can hold to."""

from __future__ import annotations

import json
import math
import os
import socket
import sqlite3
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from benchmarks import __main__ as benchmarks_main
from benchmarks import engine_load, guard, journal, machine, paired, peer, plots, report, runs
from benchmarks.__main__ import main
from benchmarks.apart import beside
from benchmarks.bare_asgi import serve
from benchmarks.bare_loop import STEPS, Load
from benchmarks.catalogue import BENCHMARKS
from benchmarks.figures import Figure, MeasurementError, Result, quantile, spell, summarise
from benchmarks.guard import Guarded
from benchmarks.raw_inotify import tell_arrivals
from benchmarks.webhook_client import deliver, signed_requests
from reactor.store.sqlite import identities
from reactor.store.sqlite.connection import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.figures import Summary

RATE = Figure(name="rate", unit="runs/s", at_least=100)
TIME = Figure(name="time", unit="ms", at_most=2)
PLAIN = Figure(name="other", unit="×")
RUNS = replace(runs.MANY["tiny"], runs=12, in_flight=4)
# The kernel is asked for memory, processor time and file events.
SVG = "{http://www.w3.org/2000/svg}"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="measured on Linux only")


def rounds(figure: Figure, *values: float) -> list[Result]:
    """Return results of as many rounds as there are values."""
    return [Result(values={figure: value}) for value in values]


def answer_once(server: socket.socket, answer: bytes) -> None:
    """Answer one request and wait until the client has closed; close at once for no answer."""
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(answer)
        if answer:
            assert connection.recv(1) == b""


@LINUX
@pytest.mark.real_time
@pytest.mark.parametrize("name", [*BENCHMARKS])
def test_a_benchmark_works_in_a_tiny_size(name: str) -> None:
    try:
        result = BENCHMARKS[name].measure("tiny", False)
    except MeasurementError as error:
        if (
            name == "kafka"
            and "no Kafka broker could be had" in str(error)
            and "CI" not in os.environ
        ):
            pytest.skip(f"{error}; install Java and Maven for it")
        raise
    assert result.values
    assert [f.name for f, value in result.values.items() if not 0 <= value < math.inf] == []


@pytest.mark.real_time
def test_a_peer_that_fails_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "nobody.txt").write_text("")
    (tmp_path / "peers" / "fail.py").write_text("raise SystemExit('no such queue')")
    (tmp_path / "peers" / "mute.py").write_text("print('done')")
    (tmp_path / "peers" / "good.py").write_text("print('about'); print(12.5)")
    monkeypatch.setattr(peer, "HERE", tmp_path)
    monkeypatch.setattr(peer, "ENVIRONMENTS", tmp_path / "environments")
    with pytest.raises(MeasurementError, match=r"exit code 1; expected 0[^$]*no such queue"):
        peer.run_peer("nobody", "fail.py", seconds=30)
    with pytest.raises(MeasurementError, match=r"printed 'done.n'; expected a number"):
        peer.run_peer("nobody", "mute.py", seconds=30)
    assert peer.run_peer("nobody", "good.py", seconds=30) == 12.5


@pytest.mark.real_time
def test_the_engine_that_is_measured_stores_every_step_and_decision(tmp_path: Path) -> None:
    load = runs.drive_reactor(tmp_path, RUNS)
    with closing(sqlite3.connect(tmp_path / "reactor.db")) as connection:
        steps = connection.execute("SELECT count(*) FROM step").fetchone()[0]
        verdicts = connection.execute("SELECT DISTINCT decisions ->> '$[0][1]' FROM event")
        assert verdicts.fetchall() == [("fired",)]
    assert (len(load.latencies_ms), steps) == (12, 12 * STEPS)


@pytest.mark.real_time
def test_an_engine_that_did_half_of_its_work_is_not_measured(tmp_path: Path) -> None:
    runs.drive_reactor(tmp_path, replace(RUNS, runs=2, in_flight=1))
    with pytest.raises(MeasurementError, match="left 2 runs, 6 steps and 2 decisions; expected 3"):
        engine_load._check(tmp_path / DATABASE, 3)


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "503 Busy.*expected 202"),
        (b"HTTP/1.1 202 Accepted\r\n\r\n", "no Content-Length"),
        (b"", "closed a connection"),
    ],
)
def test_an_answer_that_is_no_202_ends_the_measurement(answer: bytes, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=answer_once, args=(server, answer))
        answering.start()
        with pytest.raises(MeasurementError, match=why):
            deliver(server.getsockname(), "/hook", "secret", requests=1, connections=1)
        answering.join()


@pytest.mark.real_time
def test_every_request_is_answered_once(tmp_path: Path) -> None:
    with beside(serve, str(tmp_path)) as address:
        answers = deliver(tuple(address), "/hook", "secret", requests=10, connections=3)
    assert len(answers.latencies_ms) == 10


def test_each_request_is_a_delivery_of_its_own() -> None:
    assert len(set(signed_requests("/hook", "secret", 50))) == 50


@pytest.mark.real_time
@LINUX
def test_a_process_beside_that_ends_at_once_is_an_error(tmp_path: Path) -> None:
    nowhere = (str(tmp_path / "missing"), str(tmp_path / "socket"), 0)
    with (
        pytest.raises(MeasurementError, match="tell_arrivals ended or said nothing"),
        beside(tell_arrivals, *nowhere),
    ):
        pytest.fail("it did not start")


def test_the_median_over_rounds_is_held_to_the_goal() -> None:
    (summary,) = summarise(rounds(RATE, 90, 120, 110))
    assert (summary.median, summary.low, summary.high) == (110, 90, 120)
    assert summary.is_reached


def test_a_median_below_its_goal_is_missed() -> None:
    (summary,) = summarise(rounds(RATE, 90, 120, 95))
    assert not summary.is_reached
    assert report.cells(summary)[-2:] == ("≥ 100", "MISSED")


def test_a_time_above_its_goal_is_missed() -> None:
    assert TIME.is_reached_by(2)
    assert not TIME.is_reached_by(2.01)


def test_a_figure_without_a_goal_has_no_verdict() -> None:
    (summary,) = summarise(rounds(PLAIN, 0.5))
    assert report.cells(summary)[-2:] == ("", "")


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_quantile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert quantile(range(1, 101), share) == value


def test_a_quantile_of_nothing_is_an_error() -> None:
    with pytest.raises(MeasurementError, match="nothing was measured"):
        quantile([], 0.5)


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12"), (12.34, "12.3"), (1234.5, "1,234"), (1e6, "1,000,000")]
)
def test_a_number_has_about_three_digits(value: float, text: str) -> None:
    assert spell(value) == text


def test_the_written_results_say_how_they_came_about() -> None:
    text = report.markdown(
        {"runs": summarise(rounds(RATE, 120, 130))},
        machine={"Python": "CPython 3.11"},
        day=date(2026, 1, 2),
        command="python -m benchmarks --rounds 2",
        rounds=2,
        plots={"runs": plots.PLOTS[0]},
    )
    assert "](plots/runs.svg)" in text
    assert "on 2026-01-02 with `python -m benchmarks --rounds 2`" in text
    assert "medians and ranges of 2 rounds" in text
    assert "| Python | CPython 3.11 |" in text
    assert "| rate | 125 | 120 – 130 | runs/s | ≥ 100 | reached |" in text


def test_the_machine_is_described_without_its_name() -> None:
    described = " ".join(machine.description().values())
    assert "cores" in described
    assert "/" not in described


def test_tiny_figures_are_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(["--tiny", "--write"])
    assert exit_code.value.code == 2
    assert "leave --write out" in capsys.readouterr().err


@pytest.mark.real_time
def test_only_what_was_named_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tiny", "--no-peers", "--rounds", "1", "--only", "alone"]) == 0
    shown = capsys.readouterr().out
    assert BENCHMARKS["alone"].title in shown
    assert BENCHMARKS["runs"].title not in shown


def test_a_peer_that_could_not_be_measured_keeps_its_place_in_the_table() -> None:
    def fail() -> float:
        raise peer.PeerError("it ended with exit code 1. It said:\nsecrets of a machine")

    missing = peer.or_missing(PLAIN, fail)
    summaries = summarise([Result(values={RATE: 120}) | missing])
    assert report.cells(summaries[1]) == ("other", "–", "–", "×", "", "not measured")
    assert report.notes(summaries) == [
        "other: not measured, it ended with exit code 1. It said:",
    ]


def test_a_peer_that_failed_once_is_shown_with_the_rounds_it_has() -> None:
    results = [Result(values={PLAIN: 2}), Result(values={}, missing={PLAIN: "too slow"})]
    (summary,) = summarise(results)
    assert (summary.median, summary.is_measured) == (2, True)
    assert report.notes([summary]) == ["other: not measured in every round, too slow"]


def test_what_takes_long_is_measured_only_when_it_is_asked_for() -> None:
    assert "journal-huge" not in benchmarks_main._chosen(None, everything=False)
    assert benchmarks_main._chosen(["journal-huge"], everything=False) == ["journal-huge"]
    assert benchmarks_main._chosen(None, everything=True) == [*BENCHMARKS]


@pytest.mark.real_time
def test_a_peer_beside_is_heard_and_killed_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "good.py").write_text(
        "import os, signal\nprint(os.getpid(), flush=True)\nsignal.pause()"
    )
    (tmp_path / "peers" / "dead.py").write_text("raise SystemExit('no such queue')")
    monkeypatch.setattr(peer, "HERE", tmp_path)
    monkeypatch.setattr(peer, "_environment", lambda _: sys.executable)
    with peer.peer_beside("nobody", "good.py") as line:
        os.kill(int(line), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(line), 0)
    with (
        pytest.raises(peer.PeerError, match=r"expected it to say[^$]*no such queue"),
        peer.peer_beside("nobody", "dead.py"),
    ):
        pytest.fail("it did not start")


# Pairs of turns


def load(seconds: float, cpu_seconds: float = 1) -> Load:
    """Return what a turn of two runs says."""
    return Load(
        seconds=seconds, latencies_ms=[1, 1], cpu_seconds=cpu_seconds, loop_cpu_seconds=cpu_seconds
    )


def test_a_ratio_is_taken_within_each_pair_of_turns() -> None:
    # In the second pair the machine was ten times as slow for both.
    pairs = [(load(1), load(2)), (load(10), load(20)), (load(1), load(2, cpu_seconds=3))]
    costs = paired.costs(pairs)
    assert (costs.ratio, costs.cpu_ratio, costs.base_micros) == (2, 1, 500_000)


def test_no_pair_of_turns_is_an_error() -> None:
    with pytest.raises(MeasurementError, match="no pair of turns"):
        paired.costs([])


@pytest.mark.real_time
def test_a_journal_that_was_written_by_plain_sql_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "SEGMENT_EVENTS", 8)
    journal.write_journal(tmp_path / DATABASE, 50)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = connection.execute("SELECT count(*) FROM step JOIN run ON run.id = step.run")
        assert rows.fetchone() == (50 * STEPS,)
        # All but the newest, which are found in the rows.
        known = connection.execute("SELECT count(*), max(event) FROM identity")
        assert known.fetchone() == (40, 40)


# The plots


def drawn(*summaries: Summary) -> ElementTree.Element:
    """Return the picture of figures, as it is read again."""
    rows = [
        (plots.Bar(figure=summary.figure, label=summary.figure.name, kind="peer"), summary)
        for summary in summaries
    ]
    plot = plots.Plot(name="p", benchmark="b", title="a < b", bars=())
    return ElementTree.fromstring(plots.draw(plot, rows))


def test_a_bar_is_as_long_as_its_value() -> None:
    picture = drawn(*summarise(rounds(PLAIN, 2)), *summarise(rounds(RATE, 4)))
    first, second = (float(bar.attrib["width"]) for bar in picture.iter(f"{SVG}rect"))
    # Of a goal of 100 both show little.
    assert second == pytest.approx(2 * first, abs=0.2)


def test_sides_that_differ_much_are_drawn_by_decades() -> None:
    assert not plots.axis_for([1, 25]).is_log
    axis = plots.axis_for([2, 20_000])
    assert (axis.is_log, axis.ticks()) == (True, [1, 10, 100, 1_000, 10_000, 100_000])
    assert axis.at(0.5) == axis.at(1) < axis.at(2)


def test_the_axis_ends_at_a_round_number_beyond_all_values() -> None:
    axis = plots.axis_for([0.9, 1.17])
    assert axis.ticks() == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1.25])


def test_a_side_that_was_not_measured_keeps_its_row() -> None:
    (missing,) = summarise([Result(values={}, missing={PLAIN: "too slow"})])
    picture = drawn(*summarise(rounds(RATE, 120)), missing)
    words = [text.text for text in picture.iter(f"{SVG}text")]
    assert "not measured" in words
    assert words[0] == "a < b"


def test_every_figure_of_a_plot_is_of_its_benchmark(tmp_path: Path) -> None:
    found = {
        plot.benchmark: [
            summary for bar in plot.bars for summary in summarise(rounds(bar.figure, 3))
        ]
        for plot in plots.PLOTS
    }
    assert plots.write_plots(found, tmp_path).keys() <= BENCHMARKS.keys()
    assert {path.name for path in tmp_path.iterdir()} == {plot.file for plot in plots.PLOTS}


# The guard


def measured(*values: float) -> Callable[[], Result]:
    """Return what measures RATE, each time the next of these values."""
    rest = iter(values)
    return lambda: Result(values={RATE: next(rest)})


MORE = Guarded(benchmark="runs", figure=RATE, more_is_better=True)
LESS = Guarded(benchmark="alone", figure=RATE, more_is_better=False)


def test_the_guard_is_content_with_one_good_round() -> None:
    assert guard.judge(MORE, 0.5, measured(0.1, 0.2, 0.45)).is_good
    assert guard.judge(LESS, 1.0, measured(3.0, 1.5)).is_good


def test_the_guard_names_what_became_slower_in_every_round() -> None:
    verdict = guard.judge(MORE, 0.5, measured(0.1, 0.15, 0.18, 0.1, 0.1))
    assert not verdict.is_good
    assert (
        "rate: 0.10, 0.15, 0.18, 0.10, 0.10 × in 5 rounds; expected one within 2.5 times"
        in verdict.text
    )
    assert not guard.judge(LESS, 1.0, measured(3.0, 2.6, 2.7, 2.8, 2.9)).is_good


def test_the_guard_has_a_baseline_for_all_that_it_guards() -> None:
    baseline = json.loads(guard.BASELINE.read_text())
    assert baseline.keys() == {guarded.benchmark for guarded in guard.GUARDED}
    assert guard.GUARDED[0].figure in BENCHMARKS["runs"].measure("tiny", False).values
