"""`reactor demo --stay`: the example project left running, and how to feed it."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from rich.text import Text

from reactor.cli._demo_daemon import DemoDaemon, DemoError, free_address
from reactor.cli._demo_plan import Delivery, push_payload

if TYPE_CHECKING:
    from rich.console import Console

    from reactor.cli._demo_stage import Stage

# Those of `reactor run`, if nobody has them.
HOOKS_PORT, ADMIN_PORT = 8080, 8081
TOPIC_HINTS = """\
  The Kafka topic jobs, on a broker inside this process ({kafka}).
  363 records, 3 of them poison, which become dead letters, then one of your
  own; each industry has a file in trend/:
    {feed} samples/jobs.txt
    printf 'government\\t{{"industry":"government","month":"2011-01-01","thousands":22251}}\\n' |
      {feed}
    {reactor} runs --workflow figures --state state

"""
HINTS = """
The daemon runs; below this its log goes on. Feed it from another terminal:

  cd {folder}

  A price file fires the workflow prices; a damaged one ends as a failed run
  that names the line:
    cp samples/prices/AAPL.csv inbox/prices/
    cp samples/prices/damaged.csv inbox/prices/

  Every other file of samples/ has its place below inbox/ too:
    cp samples/cars/japan.json inbox/cars/

  A push to main, signed as GitHub signs:
    curl -i http://{hooks}/github -H "X-GitHub-Delivery: $(date +%s)" \\
      -H "X-Hub-Signature-256: sha256=$(openssl dgst -sha256 -hmac "$(cat secret)" \\
          -r samples/push.json | cut -d' ' -f1)" \\
      -H 'X-GitHub-Event: push' -H 'Content-Type: application/json' \\
      --data-binary @samples/push.json

{topic}  What came of it:
    {reactor} runs --workflow prices --state state
    {reactor} events --sensor 'files:inbox/**/*.json' --state state
    {reactor} audit --state state
    curl -s http://{admin}/metrics

Ctrl-C drains and ends it.
"""


async def stay_running(stage: Stage, console: Console) -> int:
    """Run the project until it ends or is cancelled; return its exit code, or 1 if it cannot start."""
    secret = secrets.token_hex(32)
    write_samples(stage, secret)
    daemon = DemoDaemon(
        stage.folder,
        stage.project,
        secret=secret,
        kafka=stage.kafka,
        hooks=free_address(HOOKS_PORT),
        admin=free_address(ADMIN_PORT),
        has_terminal=True,
    )
    try:
        await daemon.start()
        console.print(spell_hints(stage, daemon), highlight=False, markup=False, soft_wrap=True)
        return await daemon.ended()
    except DemoError as error:
        console.print(Text(str(error), style="red"), soft_wrap=True)
        return 1
    finally:
        if daemon.pid is not None:
            await daemon.stop()


def spell_hints(stage: Stage, daemon: DemoDaemon) -> str:
    """Return how to feed the daemon, in commands to copy."""
    reactor = reactor_command()
    feed = f"{sys.executable} -m reactor.cli._demo_produce {stage.kafka}"
    topic = TOPIC_HINTS.format(feed=feed, kafka=stage.kafka, reactor=reactor)
    return HINTS.format(
        folder=stage.folder,
        hooks=daemon.hooks,
        admin=daemon.admin,
        reactor=reactor,
        topic=topic if stage.topic else "",
    )


def write_samples(stage: Stage, secret: str) -> None:
    """Lay out all that can be fed, and the webhook's secret (readable by its owner alone)."""
    place = stage.folder
    for file in stage.files.values():
        target = place / "samples" / file.place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
    push = push_payload(Delivery(at_seconds=0.0, number=1))
    (place / "samples" / "push.json").write_bytes(orjson.dumps(push))
    lines = [b"\t".join((record.key, record.value)) for record in stage.records]
    (place / "samples" / "jobs.txt").write_bytes(b"\n".join([*lines, b""]))
    (place / "secret").touch(mode=0o600)
    (place / "secret").write_text(secret)


def reactor_command() -> str:
    """Return how a shell in another folder calls this very `reactor`."""
    beside = Path(sys.executable).with_name("reactor")
    return str(beside) if beside.is_file() else f"{sys.executable} -m reactor"
