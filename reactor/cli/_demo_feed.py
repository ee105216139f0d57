"""The sources of the demo: who drops files, a GitHub that calls a webhook, a producer for a topic."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from reactor.cli._demo_daemon import DemoError
from reactor.cli._demo_plan import TOPIC, Delivery, Drop, Produce, push_payload
from reactor.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from reactor.cli._demo_data import DataFile, Record
    from reactor.cli._demo_plan import Act
    from reactor.cli._demo_topic import Topic

CHUNKS = 8
RETRY_SECONDS = 0.25
DELIVERED_WITHIN_SECONDS = 30.0
ACCEPTED, UNAUTHORISED = 202, 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a webhook got back, after how many tries."""

    delivery: Delivery
    status: int
    body: Mapping[str, Any]
    tries: int


class Feeder:
    """Carries out acts in real time. `say` is told, in words for people, what was done.

    Without a `topic` there may be no act that produces.
    """

    def __init__(
        self,
        *,
        folder: Path,
        files: Mapping[str, DataFile],
        secret: str,
        url: Callable[[], str],
        say: Callable[[str], None],
        topic: Topic | None = None,
        records: Sequence[Record] = (),
    ) -> None:
        self.answers: list[Answer] = []
        self._folder = folder
        self._files = files
        self._secret = secret
        self._url = url
        self._say = say
        self._topic = topic
        self._records = records
        self._dropped: dict[str, asyncio.Event] = {}

    async def perform(self, acts: Sequence[Act], client: httpx.AsyncClient) -> None:
        """Carry out the acts of a phase, each at its moment after now; return when all are done."""
        async with asyncio.TaskGroup() as group:
            for number, act in enumerate(acts):
                group.create_task(self._perform(act, client), name=f"demo act {number}")

    async def dropped(self, place: str) -> None:
        """Return once that file is in its place, whole."""
        await self._dropped.setdefault(place, asyncio.Event()).wait()

    async def _perform(self, act: Act, client: httpx.AsyncClient) -> None:
        await asyncio.sleep(act.at_seconds)
        if isinstance(act, Drop):
            await self._drop(act)
        elif isinstance(act, Produce):
            await self._produce(act)
        else:
            await self._deliver(act, client)

    async def _drop(self, drop: Drop) -> None:
        file = self._files[drop.place]
        target = self._folder / "inbox" / drop.place
        target.parent.mkdir(parents=True, exist_ok=True)
        note = " (damaged)" if file.is_damaged else ""
        if drop.how == "slow":
            self._say(f"file   {drop.place} is being written, over {drop.over_seconds:g} s")
            await self._write_slowly(target, file.content, drop.over_seconds)
        elif drop.how == "renamed":
            aside = self._folder / "outside" / target.name
            aside.parent.mkdir(exist_ok=True)
            aside.write_bytes(file.content)
            os.rename(aside, target)
            note += " (renamed into place)"
        else:
            target.write_bytes(file.content)
        self._say(f"file   {drop.place} is complete, {len(file.content):,} bytes{note}")
        self._dropped.setdefault(drop.place, asyncio.Event()).set()

    @staticmethod
    async def _write_slowly(target: Path, content: bytes, over_seconds: float) -> None:
        size = -(-len(content) // CHUNKS)
        with target.open("wb", buffering=0) as file:
            for start in range(0, len(content), size):
                file.write(content[start : start + size])
                await asyncio.sleep(over_seconds / CHUNKS)

    async def _produce(self, act: Produce) -> None:
        assert self._topic is not None
        records = act.of(self._records)
        await self._topic.send(records)
        poison = sum(record.is_poison for record in records)
        note = f" ({poison} of them poison)" if poison else ""
        self._say(f"topic  {TOPIC}: {len(records)} records are acknowledged{note}")

    async def _deliver(self, delivery: Delivery, client: httpx.AsyncClient) -> None:
        headers, body = signed(delivery, self._secret)
        started, tries = monotonic(), 0
        while True:
            tries += 1
            answer = await self._try(client, headers, body)
            if answer is not None:
                break
            if monotonic() - started > DELIVERED_WITHIN_SECONDS:
                raise DemoError(f"webhook {delivery.number} was not taken in {tries} tries")
            await asyncio.sleep(RETRY_SECONDS)
        self.answers.append(
            Answer(delivery=delivery, status=answer.status_code, body=_object(answer), tries=tries)
        )
        self._say(spell_answer(self.answers[-1]))

    async def _try(
        self, client: httpx.AsyncClient, headers: Mapping[str, str], body: bytes
    ) -> httpx.Response | None:
        """Return the answer; None when the sender, like a real one, is to try again later."""
        try:
            answer = await client.post(f"{self._url()}/github", headers=headers, content=body)
        except httpx.TransportError:
            return None
        is_busy = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error
        return None if is_busy else answer


def signed(delivery: Delivery, secret: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body as GitHub sends them; a forged one is signed with another secret.

    Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    body = orjson.dumps(push_payload(delivery))
    key = "a guess" if delivery.is_forged else secret
    digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/demo",
        "X-GitHub-Event": delivery.what,
        "X-GitHub-Delivery": f"00000000-0000-4000-8000-{delivery.number:012d}",
        "X-Hub-Signature-256": f"sha256={digest}",
    }
    return headers, body


def answer_differences(answers: Sequence[Answer]) -> list[str]:
    """Return one line for each answer that is not the one that delivery had to get."""
    faults = []
    ids: dict[int, object] = {}
    for answer in answers:
        number, status = answer.delivery.number, answer.status
        wanted = UNAUTHORISED if answer.delivery.is_forged else ACCEPTED
        if status != wanted:
            faults.append(f"webhook {number}: expected {wanted}, was answered {status}")
        elif status == ACCEPTED:
            faults += _repeat_fault(answer, ids)
            ids.setdefault(number, answer.body.get("id"))
    return faults


def refused_and_repeated(answers: Sequence[Answer]) -> tuple[int, int]:
    """Return how many deliveries were refused, and how many were accepted ones sent again."""
    refused = sum(answer.status != ACCEPTED for answer in answers)
    accepted = [answer.delivery.number for answer in answers if answer.status == ACCEPTED]
    return refused, len(accepted) - len({*accepted})


def _repeat_fault(answer: Answer, ids: Mapping[int, object]) -> list[str]:
    number = answer.delivery.number
    is_repeated = number in ids
    # A try that the kill cut off may have been accepted: then the next one is a duplicate.
    if answer.body.get("duplicate") is not is_repeated and (is_repeated or answer.tries == 1):
        return [f"webhook {number}: expected duplicate: {is_repeated}, got {answer.body}"]
    if is_repeated and answer.body.get("id") != ids[number]:
        return [
            f"webhook {number}: sent twice, it got ids {ids[number]} and {answer.body.get('id')}"
        ]
    return []


def spell_answer(answer: Answer) -> str:
    """Return a webhook and its answer in one line for people."""
    delivery = answer.delivery
    kind = "ping" if delivery.what == "ping" else f"push to {delivery.branch}"
    forged = ", forged" if delivery.is_forged else ""
    tries = f", at try {answer.tries}" if answer.tries > 1 else ""
    verdict = {ACCEPTED: "accepted", UNAUTHORISED: "refused"}.get(answer.status, "")
    if answer.body.get("duplicate"):
        verdict = "a duplicate"
    status = f"{answer.status} {verdict}".strip()
    return f"hook   {kind} ({delivery.number}{forged}): {status}{tries}"


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
