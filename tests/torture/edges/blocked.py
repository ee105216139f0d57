"""G27: steps that hold the loop. The line is named while it does, and nothing that was accepted is lost."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.torture.edges.hooks import ANSWER_SECONDS, HookStage, connected
from tests.torture.edges.overload import TRIES
from tests.torture.edges.own_delay import OwnDelay

if TYPE_CHECKING:
    from random import Random

    from tests.torture.edges.catalogue import Outcome

PROJECT = "blocking_project.py"
# G27: who is named, and when.
PROMISED_SECONDS = 0.2
# The first is half a threshold longer than what is called blocked: a watchdog that is late must find it still.
LENGTHS = (0.15, 0.5, 2.0, 10.0, 60.0)
HOWS = ("sleep", "compute")
SENDERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Blockage:
    """What is known of one: since when the loop was held, and by how much later it was named, None for never."""

    name: str
    named_after: float | None
    most: float
    was_named_meanwhile: bool

    @property
    def is_as_promised(self) -> bool:
        return (
            self.named_after is not None
            and self.named_after <= self.most
            and self.was_named_meanwhile
        )

    def __str__(self) -> str:
        when = "never" if self.named_after is None else f"after {1000 * self.named_after:.0f} ms"
        meanwhile = "" if self.was_named_meanwhile else ", and not while it lasted"
        return f"{self.name}: named {when}, expected {1000 * self.most:.0f} ms at most{meanwhile}"


def blocked(folder: Path, size: int, luck: Random) -> Outcome:
    """Steps that sleep or compute on the loop, by turns, for up to `size` seconds, with deliveries around them."""
    first = luck.randrange(len(HOWS))
    lengths = [seconds for seconds in LENGTHS if seconds <= size]
    figures = {"blockages": 0, "longest until named ms": 0, "deliveries": 0}
    log = folder / "state.log"
    with (
        OwnDelay() as own,
        HookStage(folder, PROJECT, environment={"EDGE_LOG": str(log)}) as stage,
    ):
        for number, seconds in enumerate(lengths):
            how = HOWS[(first + number) % len(HOWS)]
            tried: list[Blockage] = []
            while len(tried) < TRIES and not any(found.is_as_promised for found in tried):
                name = f"{how}-{seconds}-{len(tried)}"
                tried.append(_block(stage, own, name, how, seconds))
            last = tried[-1]
            stage.expect(last.is_as_promised, f"G27: {'; '.join(map(str, tried))}")
            figures["blockages"] += len(tried)
            named = round(1000 * (last.named_after or 0))
            figures["longest until named ms"] = max(figures["longest until named ms"], named)
        stage.judge()
        figures["deliveries"] = len(stage.answers.new)
    return stage.findings, figures


def _block(stage: HookStage, own: OwnDelay, name: str, how: str, seconds: float) -> Blockage:
    """Hold the loop once, deliver around it, and look at what the log says of it."""

    def hold() -> None:
        body = json.dumps({"how": how, "seconds": seconds}).encode()
        _deliver(stage, "/block", name, body, seconds)

    def deliver(sender: int) -> None:
        for number in range(5):
            _deliver(stage, "/open", f"{name}-{sender}-{number}", b"{}", seconds)

    deliver(-1)
    with ThreadPoolExecutor(1 + SENDERS) as pool:
        work = [pool.submit(hold)]
        stage.daemon.wait_until_told("held")
        work += [pool.submit(deliver, sender) for sender in range(SENDERS)]
        for done in work:
            done.result()
    deliver(SENDERS)
    stage.settle()
    (effect,) = [line for line in stage.effects() if line["event"] == name]
    return _look(stage, own, name, effect, f"# {how}s here")


def _deliver(stage: HookStage, path: str, delivery: str, body: bytes, seconds: float) -> None:
    """Deliver until it is taken, as senders do: who waited for longer than the deadline is sent away."""
    headers = {"content-type": "application/json", "idempotency-key": delivery}
    while True:
        try:
            with connected(stage.port, seconds=seconds + ANSWER_SECONDS) as client:
                answer = client.post(path, body, headers)
        except (OSError, http.client.HTTPException):
            continue
        if answer.status == 202:
            stage.answers.add(delivery, answer)
            return
        stage.expect(answer.status in (408, 503), f"{delivery}: {answer.status}")


def _look(
    stage: HookStage, own: OwnDelay, name: str, effect: dict[str, Any], mark: str
) -> Blockage:
    """Find the first line of the log that names the blockage; it names the marked line of the step."""
    began_at = effect["began_at"]
    source = (stage.folder / "project.py").read_text(encoding="utf-8").splitlines()
    # A loop of two lines is named by either.
    lines = {number for number, text in enumerate(source, 1) if mark in text}
    lines |= {number - 1 for number in lines if mark.startswith("# computes")}
    place, named_after, was_named_meanwhile = 0, None, False
    for raw in stage.daemon.log_file.read_bytes().splitlines(keepends=True):
        place += len(raw)
        said = _said(raw)
        at = datetime.fromisoformat(said["time"]).timestamp() if said else 0.0
        fields = said.get("fields", {})
        is_it = said.get("message") == "event loop blocked" and fields["function"] == "keep_loop"
        if is_it and at >= began_at and fields["line"] in lines:
            named_after, was_named_meanwhile = at - began_at, place <= effect["log_bytes"]
            stage.expect(Path(fields["file"]).name == "project.py", f"named {fields['file']}")
            stage.expect(fields["step"] == "blocker.hold", f"named step {fields['step']}")
            break
    most = PROMISED_SECONDS + own.longest(began_at, began_at + PROMISED_SECONDS)
    return Blockage(
        name=name,
        named_after=named_after,
        most=most,
        was_named_meanwhile=was_named_meanwhile,
    )


def _said(raw: bytes) -> dict[str, Any]:
    """Return a line of the log as what it says; nothing for a line that something else wrote."""
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
