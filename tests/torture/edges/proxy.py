"""A TCP proxy that delays, drips, resets and partitions: a bad network between a sender and the daemon."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

# A close with this sends RST: what has not arrived is lost, and both ends hear of it as an error.
_RESET = struct.pack("ii", 1, 0)
MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What happens to one connection.

    `delay_seconds` holds back each piece. After `cut_after` bytes in the direction `cut` the connection is reset;
    with `hold_seconds` it first hangs for so long, in both directions: a partition.
    """

    delay_seconds: float = 0.0
    piece_bytes: int = MOST_BYTES
    cut: str = ""
    cut_after: int = 0
    hold_seconds: float = 0.0


def fate(luck: Random) -> Fate:
    """Return what happens to the next connection; two of seven have no trouble."""
    match luck.randrange(7):
        case 0:
            return Fate(delay_seconds=luck.uniform(0, 0.02))
        case 1:
            return Fate(delay_seconds=0.0005, piece_bytes=luck.randint(1, 9))
        case 2:
            return Fate(cut="request", cut_after=luck.randrange(200))
        case 3:
            # The request arrives; of its answer nothing, or a part.
            return Fate(cut="answer", cut_after=luck.choice((0, luck.randrange(150))))
        case 4:
            direction = luck.choice(("request", "answer"))
            hold = luck.uniform(0.05, 0.4)
            return Fate(cut=direction, cut_after=luck.randrange(200), hold_seconds=hold)
        case _:
            return Fate()


class Proxy:
    """Listens on a port of 127.0.0.1 while the context is open; every connection has a fate of its own."""

    def __init__(self, target: tuple[str, int], seed: int) -> None:
        self.connections = 0
        self.cuts = 0
        self._target = target
        self._luck = Random(seed)
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._server = threading.Thread(target=self._serve, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        # Closing alone would leave the thread in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._server.join()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(
                target=self._carry, args=(client, fate(self._luck)), daemon=True
            )
            self._threads = [known for known in self._threads if known.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket, fated: Fate) -> None:
        with client, contextlib.ExitStack() as stack:
            try:
                daemon = stack.enter_context(socket.create_connection(self._target))
            except OSError:
                return
            for end in (client, daemon):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(
                target=self._pump, args=(daemon, client, "answer", fated), daemon=True
            )
            back.start()
            self._pump(client, daemon, "request", fated)
            back.join()

    def _pump(
        self, source: socket.socket, sink: socket.socket, direction: str, fated: Fate
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(MOST_BYTES):
                for first in range(0, len(data), fated.piece_bytes):
                    piece = data[first : first + fated.piece_bytes]
                    if fated.cut == direction and passed + len(piece) > fated.cut_after:
                        sink.sendall(piece[: fated.cut_after - passed])
                        self._cut(source, sink, fated)
                        return
                    if fated.delay_seconds:
                        self._is_over.wait(fated.delay_seconds)
                    sink.sendall(piece)
                    passed += len(piece)
            sink.shutdown(socket.SHUT_WR)

    def _cut(self, source: socket.socket, sink: socket.socket, fated: Fate) -> None:
        self.cuts += 1
        if fated.hold_seconds:
            self._is_over.wait(fated.hold_seconds)
        for end in (source, sink):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            # Wakes the thread of the other direction; the close that resets is the context's.
            end.shutdown(socket.SHUT_RD)
