"""A stage of webhooks: senders, what they were answered, and whether that was true."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.torture.edges.signing import ENVIRONMENT
from tests.torture.edges.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Self

ANSWER_SECONDS = 20.0
SENDERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one request."""

    status: int
    body: bytes
    retry_after: str | None

    @property
    def content(self) -> dict[str, Any]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Client:
    """One connection, opened anew when it was lost."""

    def __init__(self, port: int, *, seconds: float = ANSWER_SECONDS) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return the answer. Raises OSError or HTTPException when there is none."""
        try:
            self._connection.request("POST", path, body, dict(headers))
            response = self._connection.getresponse()
            return Answer(
                status=response.status,
                body=response.read(),
                retry_after=response.getheader("retry-after"),
            )
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def deliver(self, delivery: str, content: Mapping[str, object]) -> Answer:
        """Post JSON to the open endpoint under a delivery's id."""
        headers = {"content-type": "application/json", "idempotency-key": delivery}
        return self.post("/open", json.dumps(content).encode(), headers)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def connected(port: int, *, seconds: float = ANSWER_SECONDS) -> Iterator[Client]:
    """Yield a client that is closed afterwards."""
    client = Client(port, seconds=seconds)
    try:
        yield client
    finally:
        client.close()


@dataclass(slots=True)
class Answers:
    """What was acknowledged: how often each delivery was called new, and how often a duplicate."""

    new: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, delivery: str, answer: Answer) -> None:
        with self.lock:
            (self.repeated if answer.content["duplicate"] else self.new)[delivery] += 1


class HookStage(Stage):
    """A stage whose `answers` are judged against the database and the effects."""

    def __init__(
        self,
        folder: Path,
        project: str = "hooks_project.py",
        *,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        super().__init__(
            folder,
            project,
            environment={**ENVIRONMENT, **(environment or {})},
            arguments=arguments,
        )
        self.answers = Answers()

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    @property
    def port(self) -> int:
        return urlsplit(self.daemon.hooks).port or 0

    @property
    def admin_port(self) -> int:
        return urlsplit(self.daemon.admin).port or 0

    def at_once(self, work: Callable[[int], None], *, senders: int = SENDERS) -> None:
        """Call `work` with each number below `senders`, each in a thread; raise what any of them raised."""
        with ThreadPoolExecutor(senders) as pool:
            for done in [pool.submit(work, number) for number in range(senders)]:
                done.result()

    def judge(self) -> None:
        """Every acknowledged delivery is one event with one run and one effect; nothing else is there."""
        self.settle()
        known = self.answers.new.keys() | self.answers.repeated.keys()
        events = Counter(row.id for row in self.rows())
        effects = Counter(line["event"] for line in self.effects())
        self.expect_none([name for name in known if not events[name]], "acknowledged and lost")
        self.expect_none([name for name in events if name not in known], "events of nothing")
        self.expect_none([name for name, n in events.items() if n > 1], "deliveries twice there")
        self.expect_none([name for name in events if effects[name] != 1], "not run once")
        self.expect_none(
            [name for name, n in self.answers.new.items() if n > 1], "called new more than once"
        )
