"""The checker can fail: each fault that is put into the evidence of a good round is found."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.torture.checker import check
from tests.torture.deaths import Deaths
from tests.torture.evidence import EFFECTS, STATE, Evidence, load_evidence
from tests.torture.journal import Journal, read_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.evidence import Effect
    from tests.torture.round import Report

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]


@pytest.fixture
def copied(killed: tuple[Path, Report, str], tmp_path: Path) -> Path:
    """A copy of the round's folder, to be spoiled."""
    return shutil.copytree(killed[0], tmp_path / "round")


def spoil(folder: Path, *statements: str) -> list[str]:
    """Change the database of a round; return what the checker says then."""
    with contextlib.closing(sqlite3.connect(folder / STATE / "reactor.db")) as database, database:
        for statement in statements:
            database.execute(statement)
    return check(load_evidence(folder))


def has(findings: list[str], *parts: str) -> bool:
    return any(all(part in finding for part in parts) for finding in findings)


class TestDatabase:
    def test_a_run_that_was_removed_is_missed(self, copied: Path) -> None:
        chosen = "(SELECT max(id) FROM run WHERE workflow = 'large')"
        findings = spoil(
            copied, f"DELETE FROM step WHERE run = {chosen}", f"DELETE FROM run WHERE id = {chosen}"
        )
        assert has(findings, "G3", "has no run of large")
        assert has(findings, "G3", "which is not there")

    def test_an_event_that_was_fired_twice_is_seen(self, copied: Path) -> None:
        columns = "workflow, event, key, state, outcome, created_at"
        findings = spoil(
            copied,
            f"INSERT INTO run ({columns}) SELECT {columns} FROM run WHERE workflow = 'keyed' LIMIT 1",
        )
        assert has(findings, "G3", "has 2 runs of keyed")

    def test_a_result_that_was_changed_is_seen(self, copied: Path) -> None:
        findings = spoil(
            copied,
            "UPDATE step SET result = CAST('\"0\"' AS BLOB) WHERE name = 'take' "
            "AND run = (SELECT max(run) FROM step WHERE name = 'take')",
        )
        assert has(findings, "G4", "returned")
        assert has(findings, "G4", "got another result of take")

    def test_a_run_that_never_ended_is_seen(self, copied: Path) -> None:
        findings = spoil(
            copied, "UPDATE run SET state = 'pending', outcome = NULL WHERE workflow = 'order'"
        )
        assert has(findings, "G1", "of order is pending at the end")

    def test_an_event_that_two_batches_hold_is_seen(self, copied: Path) -> None:
        findings = spoil(
            copied,
            "UPDATE run SET event = (SELECT min(event) FROM run WHERE workflow = 'bulk') WHERE id = "
            "(SELECT id FROM run WHERE workflow = 'bulk' ORDER BY event LIMIT 1 OFFSET 1)",
        )
        assert has(findings, "G3", "is in 2 batches")


class TestEffects:
    def test_an_effect_that_was_doubled_is_seen(self, copied: Path) -> None:
        doubled = next(line for line in reversed(read_lines(copied / EFFECTS)) if "step" in line)
        with contextlib.closing(Journal(copied / EFFECTS)) as log:
            log.mark(doubled)
        assert has(check(load_evidence(copied)), "G4", "called")

    def test_a_second_call_in_one_life_is_seen(self, killed_evidence: Evidence) -> None:
        first = killed_evidence.effects[0]
        effects = [first, *killed_evidence.effects]
        assert has(check(replace(killed_evidence, effects=effects)), "G4", "called twice in life")

    def test_a_call_after_the_result_was_durable_is_seen(self, killed_evidence: Evidence) -> None:
        early = self.effect_before_a_death(killed_evidence)
        late = early._replace(life=len(killed_evidence.deaths) - 1, place=1_000_000_000)
        effects = [*killed_evidence.effects, late]
        findings = check(replace(killed_evidence, effects=effects))
        assert has(findings, "G4", early.step, "its result was durable before")

    def test_a_call_that_was_not_in_flight_is_seen(self, killed_evidence: Evidence) -> None:
        deaths = [{**death, "in_flight": []} for death in killed_evidence.deaths]
        findings = check(replace(killed_evidence, deaths=deaths))
        assert has(findings, "G5", "was not in flight")

    def test_another_idempotency_key_is_seen(self, killed_evidence: Evidence) -> None:
        repeated = next(
            effect
            for place, effect in enumerate(killed_evidence.effects)
            for earlier in killed_evidence.effects[:place]
            if earlier[2:5] == effect[2:5] and earlier.step == effect.step
        )
        effects = [
            effect._replace(key="another") if effect is repeated else effect
            for effect in killed_evidence.effects
        ]
        findings = check(replace(killed_evidence, effects=effects))
        assert has(findings, "G5", "several idempotency keys")

    def test_a_step_without_an_effect_is_seen(self, killed_evidence: Evidence) -> None:
        gone = killed_evidence.effects[-1]
        effects = [
            effect
            for effect in killed_evidence.effects
            if (effect.run, effect.step) != (gone.run, gone.step)
        ]
        assert has(
            check(replace(killed_evidence, effects=effects)),
            "G4",
            "has a result and was never called",
        )

    @staticmethod
    def effect_before_a_death(evidence: Evidence) -> Effect:
        """Return the last call of a step whose result was durable at the first death that found any."""
        death = next(death for death in evidence.deaths if death["new"].get("steps"))
        run, _, step = death["new"]["steps"][0].partition(" ")
        return next(
            effect for effect in evidence.effects if (effect.run, effect.step) == (int(run), step)
        )


class TestIntake:
    def test_a_delivery_that_was_lost_is_seen(self, killed_evidence: Evidence) -> None:
        lost = killed_evidence.deliveries[0]["id"]
        events = [event for event in killed_evidence.events if event.id != lost]
        findings = check(replace(killed_evidence, events=events))
        assert has(findings, "G1", lost, "was acknowledged and is lost")

    def test_a_delivery_that_was_taken_as_new_twice_is_seen(
        self, killed_evidence: Evidence
    ) -> None:
        again = {**killed_evidence.deliveries[0], "duplicate": False}
        findings = check(replace(killed_evidence, deliveries=[*killed_evidence.deliveries, again]))
        assert has(findings, "G18", again["id"])

    def test_a_file_that_was_missed_is_seen(self, killed_evidence: Evidence) -> None:
        missed = {**killed_evidence.files[-1], "path": "/inbox/missed.dat"}
        findings = check(replace(killed_evidence, files=[*killed_evidence.files, missed]))
        assert has(findings, "G1", "missed.dat", "has no event")

    def test_a_version_that_fired_twice_is_seen(self, killed_evidence: Evidence) -> None:
        event = killed_evidence.by_sensor("inbox")[0]
        findings = check(replace(killed_evidence, events=[*killed_evidence.events, event]))
        assert has(findings, "G12", "became 2 events")

    def test_a_half_written_file_that_fired_is_seen(self, killed_evidence: Evidence) -> None:
        event = killed_evidence.by_sensor("inbox")[0]
        files = [line for line in killed_evidence.files if line["path"] != event.data["path"]]
        findings = check(replace(killed_evidence, files=files))
        assert has(findings, "G11", json.dumps(event.data["path"]).strip('"'))

    def test_an_instant_that_was_left_out_is_seen(self, killed_evidence: Evidence) -> None:
        left_out = killed_evidence.by_sensor("beat")[1]
        events = [event for event in killed_evidence.events if event != left_out]
        findings = check(replace(killed_evidence, events=events))
        assert has(findings, "G1", "beat neither fired nor skipped", str(left_out.time))

    def test_an_instant_that_fired_early_is_seen(self, killed_evidence: Evidence) -> None:
        events = [event._replace(accepted_at=event.time - 1) for event in killed_evidence.events]
        assert has(check(replace(killed_evidence, events=events)), "G22", "1 µs early")


class TestDeaths:
    def test_a_row_that_changed_or_went_is_seen(self, killed_evidence: Evidence) -> None:
        *others, last = killed_evidence.deaths
        spoiled = {**last, "changed": ["steps 1 take"], "gone": ["events 1"]}
        findings = check(replace(killed_evidence, deaths=[*others, spoiled]))
        assert has(findings, "G4", "steps 1 take changed")
        assert has(findings, "G1", "events 1 was durable, and gone")

    def test_a_run_that_was_parked_too_soon_is_seen(self, killed_evidence: Evidence) -> None:
        run = killed_evidence.runs[-1].id
        letters = [*killed_evidence.dead_letters, (run, "process_died")]
        findings = check(replace(killed_evidence, dead_letters=letters))
        assert has(findings, "G33", f"run {run}", "after 0 deaths")

    def test_a_sum_that_does_not_agree_is_seen(self, copied: Path) -> None:
        spoil(copied, "UPDATE tally SET count = count + 1 WHERE kind = 'fired' AND name = 'bulk'")
        seen = Deaths().look(copied / STATE)
        assert [what.partition(":")[0] for what in seen["unbalanced"]] == ["bulk"]
        evidence = load_evidence(copied)
        assert has(
            check(replace(evidence, deaths=[*evidence.deaths, {"death": 99, **seen}])), "G33"
        )
