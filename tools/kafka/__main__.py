"""`make kafka`: one real Kafka broker in the foreground. Ctrl-C stops it."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from reactor.testing.java import JavaProcessError, UnavailableError
from reactor.testing.kafka_broker import KafkaBroker
from reactor.testing.kafka_jars import KAFKA_VERSION, PinError, default_cache, kafka_jars

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 after Ctrl-C or SIGTERM, 1 when there is no broker to be had."""
    options = _options().parse_args(arguments)
    # `kill` ends in the same orderly way as Ctrl-C; a shell starts what is in its background deaf to
    # SIGINT, and that is not wanted here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if not (default_cache() / KAFKA_VERSION).is_dir():
            _say(f"fetching Kafka {KAFKA_VERSION} into {default_cache()}: 45 MB, once")
        jars = kafka_jars()
        if options.fetch:
            _say(f"Kafka {KAFKA_VERSION} is in {jars}")
            return 0
        return _run(options)
    except (UnavailableError, PinError, JavaProcessError) as error:
        sys.stderr.write(f"kafka: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def _run(options: argparse.Namespace) -> int:
    if options.directory is not None:
        return _serve(options.directory, options)
    with tempfile.TemporaryDirectory(prefix="reactor-kafka-") as scratch:
        return _serve(Path(scratch), options)


def _serve(directory: Path, options: argparse.Namespace) -> int:
    broker = KafkaBroker(
        directory.absolute(),
        port=options.port,
        users=dict(options.user),
        properties=dict(options.set),
    )
    with broker:
        _say(f"Kafka {KAFKA_VERSION} is ready at {broker.bootstrap}")
        if options.user:
            _say(f"with credentials (SASL_PLAINTEXT: PLAIN, SCRAM) at {broker.sasl_bootstrap}")
        kept = "kept" if options.directory else "deleted at the end"
        _say(f"data and log in {broker.directory}, {kept}. Ctrl-C stops it")
        try:
            code = broker.wait()
        except KeyboardInterrupt:
            _say("\nstopping")
            broker.stop()
            return 0
        sys.stderr.write(f"kafka: the broker ended by itself with exit code {code}:\n{broker.log}")
        return 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make kafka", description=__doc__)
    parser.add_argument("--port", type=int, default=19_092, help="of loopback; 19092 by default")
    parser.add_argument(
        "--directory", type=Path, help="keep data there; a temporary one by default"
    )
    add = parser.add_argument
    add(
        "--user",
        action="append",
        default=[],
        type=_user,
        metavar="NAME:PASSWORD",
        help="may be repeated",
    )
    add(
        "--set",
        action="append",
        default=[],
        type=_property,
        metavar="NAME=VALUE",
        help="may be repeated",
    )
    parser.add_argument("--fetch", action="store_true", help="fetch and check the jars, no more")
    return parser


def _user(text: str) -> tuple[str, str]:
    return _pair(text, ":")


def _property(text: str) -> tuple[str, str]:
    return _pair(text, "=")


def _pair(text: str, separator: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found:
        raise argparse.ArgumentTypeError(
            f"{text!r} has no {separator!r}; expected NAME{separator}VALUE"
        )
    return name, value


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
