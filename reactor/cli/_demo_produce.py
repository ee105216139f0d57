"""Feed the topic of `reactor demo --stay` by hand: `python -m reactor.cli._demo_produce ADDRESS [FILE]`.

Each line of FILE, or of standard input, is a record: its key, a tabulator, its value.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reactor.cli._demo_plan import TOPIC

ANSWER_WITHIN_SECONDS = 10.0


def produce(address: str, lines: list[bytes]) -> str:
    """Send the records and return, in words for people, what the broker acknowledged."""
    from confluent_kafka import Producer  # an extra; whoever has a topic to feed has it

    faults: list[str] = []
    # librdkafka tells on standard error of every connection that ends; errors are enough.
    producer = Producer({"bootstrap.servers": address, "log_level": 3})
    for line in lines:
        key, _, value = line.rstrip(b"\n").rpartition(b"\t")
        producer.produce(
            TOPIC,
            value,
            key or None,
            on_delivery=lambda error, _: faults.append(str(error)) if error is not None else None,
        )
    left = producer.flush(ANSWER_WITHIN_SECONDS) + len(faults)
    if left:
        why = f": {faults[0]}" if faults else f"; does a broker listen on {address}?"
        raise SystemExit(f"{left} of {len(lines)} records were not acknowledged{why}")
    return f"{len(lines)} records are acknowledged"


def main(arguments: list[str]) -> None:
    if len(arguments) not in (1, 2):
        raise SystemExit("expected the address of the broker, HOST:PORT, and at most one file")
    content = Path(arguments[1]).read_bytes() if arguments[1:] else sys.stdin.buffer.read()
    print(produce(arguments[0], content.splitlines()))


if __name__ == "__main__":
    main(sys.argv[1:])
