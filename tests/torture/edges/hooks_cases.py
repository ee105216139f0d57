"""G16, G18, and G1 over a bad network: deliveries that are cut, forged, repeated and garbage."""

from __future__ import annotations

import http.client
import json
import threading
import time
from random import Random
from typing import TYPE_CHECKING

from tests.torture.edges.hooks import SENDERS, Answer, HookStage, connected
from tests.torture.edges.proxy import Proxy
from tests.torture.edges.signing import SECRETS, forge, sign

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.edges.catalogue import Outcome

# Longer than the longest partition: who waits, is answered or reset.
PROXIED_SECONDS = 5.0
GENUINE_SHARE = 0.02
STORM_SENDERS = 16
POISON_SHARE = 0.01
# G16, in percent; seconds of a shorter form say more about the machine than about the daemon.
PROMISED_SHARE = 90
COMPARABLE = 10_000


def network(folder: Path, size: int, luck: Random) -> Outcome:
    """Deliveries through a network that delays, drips, resets and partitions, repeated until acknowledged."""
    tries = 0
    lock = threading.Lock()
    with HookStage(folder) as stage, Proxy(("127.0.0.1", stage.port), luck.randrange(2**32)) as bad:

        def send(sender: int) -> None:
            nonlocal tries
            for number in range(sender, size, SENDERS):
                while True:
                    with lock:
                        tries += 1
                    if _deliver(stage, bad.port, f"d{number}", number):
                        break

        stage.at_once(send)
        stage.judge()
    return stage.findings, {
        "deliveries": size,
        "requests": tries,
        "connections cut": bad.cuts,
        "told duplicate": len(stage.answers.repeated),
    }


def _deliver(stage: HookStage, port: int, delivery: str, number: int) -> bool:
    try:
        with connected(port, seconds=PROXIED_SECONDS) as client:
            answer = client.deliver(delivery, {"n": number})
            stage.answers.add(delivery, answer)
    except (OSError, http.client.HTTPException):
        return False
    return stage_expects(stage, answer, 202, delivery)


def stage_expects(stage: HookStage, answer: Answer, status: int, what: str) -> bool:
    """Note a finding where the answer is another; return True."""
    stage.expect(answer.status == status, f"{what}: {answer.status} {answer.body[:200]!r}")
    return True


def forgeries(folder: Path, size: int, luck: Random) -> Outcome:
    """Requests of every scheme, changed, unsigned, strangely signed or stale; a few genuine ones, also replayed."""
    seeds = [luck.randrange(2**32) for _ in SECRETS]
    with HookStage(folder) as stage:

        def send(number: int) -> None:
            scheme = [*SECRETS][number]
            _forge_many(stage, scheme, size // len(SECRETS), Random(seeds[number]))

        stage.at_once(send, senders=len(SECRETS))
        stage.judge()
        genuine = len(stage.answers.new)
        stage.expect(genuine > 0, "no genuine request was taken: the forgeries prove nothing")
    return stage.findings, {"forged": size, "genuine": genuine}


def _forge_many(stage: HookStage, scheme: str, size: int, luck: Random) -> None:
    with connected(stage.port) as client:
        for number in range(size):
            delivery = f"{scheme}-{number}"
            now = int(time.time())
            if luck.random() < GENUINE_SHARE:
                genuine = sign(scheme, delivery, now=now)
                for _ in range(2):
                    answer = client.post(genuine.path, genuine.body, genuine.headers)
                    stage.expect(answer.status == 202, f"{delivery}: genuine, {answer.status}")
                    stage.answers.add(delivery, answer)
            forged = forge(scheme, f"forged-{delivery}", luck, now=now)
            answer = client.post(forged.path, forged.body, forged.headers)
            stage.expect(answer.status in (400, 401), f"{answer.status} for {forged}")


def duplicates(folder: Path, size: int, luck: Random) -> Outcome:
    """The same deliveries from many senders at the same moment."""
    together = threading.Barrier(STORM_SENDERS)
    orders = [luck.sample(range(size), size) for _ in range(STORM_SENDERS)]
    with HookStage(folder) as stage:

        def send(sender: int) -> None:
            with connected(stage.port) as client:
                # The first ones at the very same moment, then each in an order of its own.
                together.wait()
                for number in [*range(min(size, 20)), *orders[sender]]:
                    answer = client.deliver(f"d{number}", {"n": number})
                    stage_expects(stage, answer, 202, f"d{number}")
                    stage.answers.add(f"d{number}", answer)

        stage.at_once(send, senders=STORM_SENDERS)
        stage.judge()
        stage.expect(len(stage.answers.new) == size, "some delivery was never called new")
        posted = stage.answers.new.total() + stage.answers.repeated.total()
    return stage.findings, {"deliveries": size, "requests": posted}


def poison(folder: Path, size: int, luck: Random) -> Outcome:
    """One in a hundred is garbage: parked with its bytes, and none of the others is the worse for it."""
    garbage = {
        number: _garbage(luck, number) for number in range(size) if luck.random() < POISON_SHARE
    } or {0: b"\xff"}
    seconds = {"clean": 0.0, "poisoned": 0.0}
    with HookStage(folder) as stage:
        for first in range(0, size, max(size // 10, 1)):
            numbers = range(first, min(first + max(size // 10, 1), size))
            for kind in seconds:
                seconds[kind] += _timed(stage, kind, numbers, garbage)
        stage.judge()
        letters = {
            bytes(raw) for (raw,) in stage.select("SELECT raw FROM dead_letter WHERE workflow = ''")
        }
        stage.expect(
            letters == set(garbage.values()), "dead letters are not the garbage, byte by byte"
        )
        failed = stage.count("SELECT count(*) FROM dead_letter WHERE reason = 'trigger_failed'")
        stage.expect(failed == 0, f"{failed} good events made a trigger fail")
    share = round(100 * seconds["clean"] / seconds["poisoned"])
    if size >= COMPARABLE:
        stage.expect(share >= PROMISED_SHARE, f"only {share} % of the clean throughput")
    return stage.findings, {"sent": 2 * size, "garbage": len(garbage), "lowest % of clean": share}


def _timed(stage: HookStage, kind: str, numbers: range, garbage: dict[int, bytes]) -> float:
    headers = {"content-type": "application/json"}

    def send(sender: int) -> None:
        with connected(stage.port) as client:
            for number in numbers[sender::SENDERS]:
                delivery = f"{kind}-{number}"
                bad = garbage.get(number) if kind == "poisoned" else None
                if bad is not None:
                    stage_expects(stage, client.post("/open", bad, headers), 422, delivery)
                    continue
                answer = client.deliver(delivery, {"n": number})
                stage_expects(stage, answer, 202, delivery)
                stage.answers.add(delivery, answer)

    began = time.monotonic()
    stage.at_once(send)
    return time.monotonic() - began


def _garbage(luck: Random, number: int) -> bytes:
    tail = b"%d" % number
    return luck.choice(
        (
            b"\xff\xfe" + luck.randbytes(40) + tail,
            b'{"n": ' + tail,
            b"[" * 300 + tail,
            b'{"n": 1e999, "k": ' + tail + b"}",
            b'{"n": NaN, "k": ' + tail + b"}",
            json.dumps({"n": "\ud800", "k": number}).encode(),
            b"<xml>" + tail + b"</xml>",
        )
    )
