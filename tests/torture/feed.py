"""What is fed to the victim all the time, also while it is dead, and the log of what it acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
from typing import TYPE_CHECKING

from tests.torture.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CUSTOMERS = 5
ANSWER_TIMEOUT_SECONDS = 10.0
# Between two deliveries of one sender, and between two files: a load that two cores carry beside the driver.
PACE_SECONDS = 0.02
# A sender waits so long before it sends again what was not acknowledged.
RESEND_SECONDS = 0.02
REPEATED_SHARE = 0.1
LARGEST_FILE_BYTES = 2000


class Feed:
    """A thread that feeds until it is told to stop, and what it noticed on the way.

    `moments` is told the name of each thing that just happened, for kills right after it.
    """

    pace_seconds = PACE_SECONDS

    def __init__(self, name: str, seed: str, log: Journal, moments: Callable[[str], None]) -> None:
        self._luck = random.Random(seed)
        self._log = log
        self._moment = moments
        self._is_over = threading.Event()
        self._is_abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return once all that was begun is acknowledged. The victim must be running. Raises what the thread raised."""
        self._is_over.set()
        self._thread.join(ANSWER_TIMEOUT_SECONDS * 2)
        if self._error is not None:
            raise self._error
        if self._thread.is_alive():
            raise AssertionError(
                f"the {self._thread.name} did not end: something was never acknowledged"
            )

    def abandon(self) -> None:
        """End the thread, whatever was not acknowledged: the round is over, well or not."""
        self._is_over.set()
        self._is_abandoned.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            number = 0
            while not self._is_over.wait(self.pace_seconds * self._luck.uniform(0.5, 1.5)):
                self.feed(number)
                number += 1
        except BaseException as error:  # a thread has nobody to raise to; `stop` raises it
            self._error = error
        finally:
            self.close()

    def feed(self, number: int) -> None:
        """Feed one more thing."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what the thread has open."""


class WebhookSender(Feed):
    """Delivers like a careful sender: again and again with the same id, until there is a 2xx.

    Sometimes it also repeats what was acknowledged. Each answer is logged when it was read, not before.
    """

    def __init__(
        self,
        name: str,
        seed: str,
        log: Journal,
        moments: Callable[[str], None],
        port: int,
        *,
        pace_seconds: float = PACE_SECONDS,
    ) -> None:
        super().__init__(name, seed, log, moments)
        self.pace_seconds = pace_seconds
        self._name = name
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def feed(self, number: int) -> None:
        delivery = f"{self._name}-{number:06}"
        body = {"n": number, "who": f"{self._luck.randrange(CUSTOMERS)}"}
        self._deliver(delivery, body)
        if self._luck.random() < REPEATED_SHARE:
            self._deliver(delivery, body)

    def _deliver(self, delivery: str, body: dict[str, object]) -> None:
        while not self._post(delivery, body):
            if self._is_abandoned.wait(RESEND_SECONDS):
                return

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, delivery: str, body: dict[str, object]) -> bool:
        headers = {"content-type": "application/json", "idempotency-key": delivery}
        connection = self._connection or http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=ANSWER_TIMEOUT_SECONDS
        )
        self._connection = connection
        try:
            connection.request("POST", "/orders", json.dumps(body), headers)
            self._moment("requested")
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            # Nobody knows whether it was accepted: that is what the same id is for.
            self.close()
            return False
        if response.status == http.HTTPStatus.ACCEPTED:
            found = json.loads(answer)
            line = {"id": delivery, **body, "answer": found["id"], "duplicate": found["duplicate"]}
            self._log.add(line)
            self._moment("acknowledged")
            return True
        if response.status != http.HTTPStatus.SERVICE_UNAVAILABLE:
            raise AssertionError(f"delivery {delivery}: {response.status} {answer!r}")
        return False


class FileWriter(Feed):
    """Publishes files into the folder: renamed into it, written in place, written slowly, and replaced."""

    def __init__(
        self, name: str, seed: str, log: Journal, moments: Callable[[str], None], folder: Path
    ) -> None:
        super().__init__(name, seed, log, moments)
        self._inbox = folder / "inbox"
        self._staging = folder / "staging"
        self._inbox.mkdir()
        self._staging.mkdir()

    def feed(self, number: int) -> None:
        how = self._luck.choice(("renamed", "renamed", "written", "slow", "replaced"))
        if how == "replaced" and number:
            number = self._luck.randrange(number)
        path = self._inbox / f"{number:06}.dat"
        content = self._luck.randbytes(self._luck.randrange(1, LARGEST_FILE_BYTES))
        # Writing a file in place that was read before would make a version of each half.
        if how in ("written", "slow") and not path.exists():
            self._write(path, content, slowly=how == "slow")
        else:
            self._rename(path, content)
        stat = path.stat()
        self._log.add(
            {
                "path": os.fspath(path),
                "size": stat.st_size,
                "inode": stat.st_ino,
                "mtime": stat.st_mtime_ns,
            }
        )
        self._moment("published")

    def _write(self, path: Path, content: bytes, *, slowly: bool) -> None:
        with path.open("wb", buffering=0) as file:
            half = len(content) // 2
            file.write(content[:half])
            if slowly:
                self._is_over.wait(PACE_SECONDS * self._luck.uniform(1, 10))
            file.write(content[half:])

    def _rename(self, path: Path, content: bytes) -> None:
        draft = self._staging / path.name
        draft.write_bytes(content)
        draft.rename(path)
