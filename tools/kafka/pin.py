"""Pin the jars anew after the version of Kafka has changed: `python -m tools.kafka.pin`.

Maven fetches them, comparing with the sums that the repository publishes; what is printed goes into
the commit, for a reviewer to look at.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from reactor.testing import kafka_jars

HEAD = f"""\
# sha256 of each jar of Apache Kafka {kafka_jars.KAFKA_VERSION}; written by `python -m tools.kafka.pin`.
"""


def main() -> None:
    """Write reactor/testing/kafka_jars.txt and tell what has changed."""
    before = kafka_jars.pins()
    with tempfile.TemporaryDirectory() as scratch:
        jars = Path(scratch) / "jars"
        kafka_jars.fetch(jars)
        after = kafka_jars.sums(jars)
    lines = (f"{digest}  {name}\n" for name, digest in after.items())
    target = Path(kafka_jars.__file__).with_name(kafka_jars.PINS)
    target.write_text(HEAD + "".join(lines), encoding="ascii")
    changed = {name for name, _ in before.items() ^ after.items()}
    sys.stdout.write("".join(f"changed: {name}\n" for name in sorted(changed)) or "unchanged\n")


if __name__ == "__main__":
    main()
