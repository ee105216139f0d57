"""An operator says where a partition goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactor_sensors._kafka_client import TroubleError
from reactor_sensors._kafka_positions import EARLIEST, LATEST, Bounds, Partition, cursor_key

if TYPE_CHECKING:
    from reactor.api import Intake
    from reactor_sensors._kafka_client import Client


async def seek(client: Client, intake: Intake, where: str, to: str) -> str:
    """Write the offset of a partition into the cursor; return in words what was done. Raises ValueError."""
    partition = parse_partition(where)
    try:
        await client.open()
        catalog = await client.catalog([partition.topic])
        topic = catalog.topics.get(partition.topic)
        if topic is None or partition.number >= topic.partitions:
            why = catalog.problems.get(partition.topic, f"there is no partition {partition}")
            raise ValueError(why)
        bounds = (await client.bounds([partition]))[partition]
        committed = (await client.committed([partition])).get(partition)
    except TroubleError as error:
        raise ValueError(str(error)) from None
    finally:
        await client.close()
    offset = chosen_offset(to, bounds, committed)
    key = cursor_key(catalog.cluster, topic.name, topic.generation, partition.number)
    await intake.move_cursor({key: str(offset).encode()})
    return f"{partition} goes on at offset {offset}; the log holds {bounds.first} to {bounds.end}"


def parse_partition(text: str) -> Partition:
    """Return the partition that TOPIC/NUMBER names. Raises ValueError."""
    topic, _, number = text.rpartition("/")
    if not topic or not (number.isascii() and number.isdigit() and len(number) < 10):
        raise ValueError(f"{text!r} is no partition; write it like orders/3")
    return Partition(topic, int(number))


def chosen_offset(to: str, bounds: Bounds, committed: int | None) -> int:
    """Return the offset that `to` means. Raises ValueError for one that cannot be read, or was read by the group."""
    if to == EARLIEST:
        offset = bounds.first
    elif to == LATEST:
        offset = bounds.end
    elif to.isascii() and to.isdigit() and len(to) < 19:
        offset = int(to)
    else:
        raise ValueError(f"{to!r} is no position; write earliest, latest or an offset")
    if not bounds.first <= offset <= bounds.end:
        raise ValueError(
            f"offset {offset} is not there; the log holds {bounds.first} to {bounds.end}"
        )
    if committed is not None and offset < committed <= bounds.end:
        raise ValueError(
            f"offset {offset} lies before {committed}, which the group has read: its later offset counts, "
            "so that no record is journaled twice"
        )
    return offset
