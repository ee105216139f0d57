"""How events become what the store keeps."""

from __future__ import annotations

import tracemalloc

from reactor.engine.event_json import encode

EVENTS = 1_000


def test_what_waits_takes_as_much_memory_as_it_is_long() -> None:
    tracemalloc.start()
    try:
        waiting = [encode({"n": number}) for number in range(EVENTS)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert waiting[1] == b'{"n":1}'
    assert taken < EVENTS * 200
