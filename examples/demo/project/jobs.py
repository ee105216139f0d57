"""Jobs: a Kafka topic tells month by month how many people work in an industry of the USA.

Two workflows share its consumer: `trend` follows each industry in order, `figures` loads what
came in, many records at a time.
"""

from __future__ import annotations

import csv
import os
from datetime import date
from pathlib import Path

from pydantic import BaseModel, Field
from warehouse import replace_rows

from reactor import Event, Retry, Workflow
from reactor_sensors import Kafka, KafkaRecord

FOLDER = Path("trend")


class Jobs(BaseModel):
    """How many thousand people an industry employs in a month."""

    # It names a file, so what may stand in it is said.
    industry: str = Field(pattern=r"^[a-z_]{1,60}$")
    month: date
    thousands: float = Field(gt=0)


topic = Kafka(
    "jobs",
    bootstrap_servers=os.environ.get("KAFKA_BOOTSTRAP", "127.0.0.1:9092"),
    group="demo",
    model=Jobs,
    # So long does a group wait for a member that was killed. The broker that the demo embeds gathers
    # a new group for 3 s, and a shorter time would end before that.
    session_timeout="4s",
)

trend = Workflow(
    "trend",
    on=topic.key("data.value.industry"),
    owner="economics@example.com",
    description="Note by how much each industry grew or shrank since the month before.",
    concurrency=8,
)


@trend.step
def follow(event: Event[KafkaRecord[Jobs]]) -> str:
    jobs, offset = event.data.value, event.data.offset
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{jobs.industry}.csv"
    rows = read_rows(path)
    # A step that was cut off is called again: what it wrote is there already.
    if rows and int(rows[-1]["offset"]) >= offset:
        return f"{jobs.industry} {jobs.month:%Y-%m}: noted before"
    change = jobs.thousands - float(rows[-1]["thousands"]) if rows else 0.0
    line = f"{offset},{jobs.month},{jobs.thousands:g},{change:+.1f}\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line if rows else f"offset,month,thousands,change\n{line}")
    return f"{jobs.industry} {jobs.month:%Y-%m}: {change:+.1f}"


figures = Workflow(
    "figures",
    on=topic.batch(50, within="1s"),
    owner="economics@example.com",
    description="Load the figures of all industries, up to 50 of them at a time.",
)


@figures.step(retry=Retry(attempts=5, first_delay="200ms", longest_delay="5s"), timeout="30s")
def load(events: list[Event[KafkaRecord[Jobs]]]) -> int:
    return replace_rows(
        "jobs",
        {"industry": "VARCHAR", "month": "DATE", "thousands": "DOUBLE"},
        [event.data.value.model_dump() for event in events],
        # A batch that is loaded again after a crash has the same first record.
        file=events[0].id,
    )


@figures.step
async def report(load: int, events: list[Event[KafkaRecord[Jobs]]]) -> str:
    industries = {event.data.value.industry for event in events}
    months = sorted(event.data.value.month for event in events)
    return (
        f"{load} figures of {len(industries)} industries, {months[0]:%Y-%m} to {months[-1]:%Y-%m}"
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return what was noted of an industry so far, the oldest month first."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []
