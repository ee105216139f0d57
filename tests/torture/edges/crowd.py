"""G19: clients that are silent, slow, fat or deaf, in a crowd, beside some that only want to deliver."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from random import Random
from typing import TYPE_CHECKING

from tests.torture.edges.hooks import Answer, HookStage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.torture.edges.catalogue import Outcome

# G19, in seconds.
PROMISED_P99 = 1.0
PROMISED_CLOSE = 10.0
# Of what the same deliveries take without a crowd: a machine that is busy with other things is no fault of the daemon.
MOST_TIMES_ALONE = 5
DRIP_SECONDS = 0.2
FAT_PIECE = b"x" * 65_536
VALID_PACE_SECONDS = 0.02
# The crowd gathers in this time: what is looked at is the crowd, not how quickly it can be made.
GATHER_SECONDS = 2.0
VALID_CLIENTS = 4
FEWEST_VALID = 200
MOST_SECONDS = 60.0
CONNECT_AT_ONCE = 200
# For both ends' descriptors; this process has one of each connection.
SPARE_FILES = 200

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def crowd(folder: Path, size: int, luck: Random) -> Outcome:
    """`size` hostile connections; valid deliveries keep their pace, and nothing half-open stays."""
    _allow_files(size + SPARE_FILES)
    with HookStage(folder) as stage:
        _, alone, _ = asyncio.run(_play(stage, 0, luck))
        lasted, took, late_here = asyncio.run(_play(stage, size, luck))
        stage.judge()
        stage.expect(len(lasted) == size, f"of {size} connections {len(lasted)} were closed")
        late = sorted(
            f"{kind} {seconds:.1f} s" for kind, seconds in lasted if seconds > PROMISED_CLOSE
        )
        stage.expect_none(late, f"connections were open for more than {PROMISED_CLOSE:.0f} s")
        p99, p99_alone, lag = _p99(took), _p99(alone), max(late_here)
        stage.expect(
            p99 <= max(PROMISED_P99, MOST_TIMES_ALONE * p99_alone) + lag,
            f"the p99 of valid deliveries was {p99:.2f} s, {p99_alone:.2f} s alone, {lag:.2f} s our own",
        )
    return stage.findings, {
        "hostile connections": size,
        "valid deliveries": len(took),
        "p99 ms": round(1000 * p99),
        "p99 ms alone": round(1000 * p99_alone),
        "longest open ms": round(1000 * max(seconds for _, seconds in lasted)),
    }


def _p99(took: list[float]) -> float:
    return sorted(took)[len(took) * 99 // 100]


async def _play(
    stage: HookStage, size: int, luck: Random
) -> tuple[list[tuple[str, float]], list[float], list[float]]:
    """Return how long each hostile connection lasted, with its kind, and how long each valid delivery took.

    The last list is by how much this process came too late to things of its own: no delay of the daemon.
    """
    port, is_over = stage.port, asyncio.Event()
    lasted: list[tuple[str, float]] = []
    took: list[float] = []
    late_here: list[float] = []
    gate = asyncio.Semaphore(CONNECT_AT_ONCE)
    async with asyncio.TaskGroup() as valid:
        valid.create_task(_watch_ourselves(is_over, late_here), name="watch")
        for number in range(VALID_CLIENTS):
            valid.create_task(
                _deliver(stage, port, f"{size}-{number}", is_over, took), name=f"valid {number}"
            )
        async with asyncio.timeout(MOST_SECONDS), asyncio.TaskGroup() as hostile:
            for number in range(size):
                kind = KINDS[number % len(KINDS)]
                hostile.create_task(
                    _be_hostile(port, kind, luck.randrange(2**32), gate, lasted), name=kind
                )
        is_over.set()
    return lasted, took, late_here


async def _watch_ourselves(is_over: asyncio.Event, late: list[float]) -> None:
    while not late or not is_over.is_set():
        began = time.monotonic()
        await asyncio.sleep(VALID_PACE_SECONDS)
        late.append(time.monotonic() - began - VALID_PACE_SECONDS)


async def _deliver(
    stage: HookStage, port: int, sender: str, is_over: asyncio.Event, took: list[float]
) -> None:
    """Deliver at a steady pace, each time over a new connection, until the crowd has gone."""
    number = 0
    while not is_over.is_set() or len(took) < FEWEST_VALID:
        delivery = f"valid-{sender}-{number}"
        number += 1
        began = time.monotonic()
        async with _open(port) as (reader, writer):
            body = b'{"n": 1}'
            writer.write(
                b"POST /open HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
                b"connection: close\r\nidempotency-key: %b\r\ncontent-length: %d\r\n\r\n%b"
                % (delivery.encode(), len(body), body)
            )
            head, _, content = (await reader.read()).partition(b"\r\n\r\n")
        took.append(time.monotonic() - began)
        status = int(head.split(b" ")[1]) if head else 0
        stage.expect(status == 202, f"a valid delivery was answered {status}")
        if status == 202:
            stage.answers.add(delivery, Answer(status=status, body=content, retry_after=None))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(VALID_PACE_SECONDS):
                await is_over.wait()


async def _be_hostile(
    port: int, kind: str, seed: int, gate: asyncio.Semaphore, lasted: list[tuple[str, float]]
) -> None:
    """Misbehave until the daemon closes; note how long that took it."""
    luck = Random(seed)
    await asyncio.sleep(luck.uniform(0, GATHER_SECONDS))
    await gate.acquire()
    try:
        ends = await asyncio.open_connection("127.0.0.1", port)
    finally:
        gate.release()
    began = time.monotonic()
    reader, writer = ends
    try:
        await _misbehave(kind, reader, writer, luck)
    except OSError:
        # Reset by the daemon, which is a way to close.
        pass
    finally:
        lasted.append((kind, time.monotonic() - began))
        writer.transport.abort()


KINDS = ("silent", "half head", "half body", "dripping", "fat", "endless", "no HTTP", "idle")
_HEAD = b"POST /open HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"


async def _misbehave(
    kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, luck: Random
) -> None:
    match kind:
        case "half head":
            writer.write(_HEAD[: luck.randrange(1, len(_HEAD))])
        case "half body":
            writer.write(_HEAD + b"content-length: 1000\r\n\r\n" + b"x" * luck.randrange(1000))
        case "dripping":
            await _drip(reader, writer)
        case "fat":
            writer.write(_HEAD + b"content-length: 10000000000\r\n\r\n" + FAT_PIECE)
        case "endless":
            writer.write(_HEAD + b"transfer-encoding: chunked\r\n\r\n")
            await _feed_chunks(reader, writer)
        case "no HTTP":
            # The beginning of a TLS handshake.
            writer.write(b"\x16\x03\x01\x02\x00\x01" + luck.randbytes(500))
        case "idle":
            writer.write(b"GET /nowhere HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nx")
    await reader.read()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in _HEAD + b"x-slow: " + b"y" * 1000:
        writer.write(bytes([byte]))
        if await _is_closed(reader, DRIP_SECONDS):
            return


async def _feed_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not await _is_closed(reader, DRIP_SECONDS / 10):
        writer.write(b"%x\r\n%b\r\n" % (len(FAT_PIECE), FAT_PIECE))
        await writer.drain()


async def _is_closed(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Return whether the daemon has said something by now: whatever it is, it ends the connection."""
    try:
        async with asyncio.timeout(seconds):
            return bool(await reader.read(1)) or reader.at_eof()
    except TimeoutError:
        return False


@contextlib.asynccontextmanager
async def _open(port: int) -> AsyncIterator[Ends]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _allow_files(count: int) -> None:
    """Raise this process's limit of open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
