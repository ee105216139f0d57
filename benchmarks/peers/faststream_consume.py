"""FastStream, one async handler call per record, as its documentation starts: offsets committed before the work.

Prints records per second. Arguments: bootstrap servers, topic, number of records. Runs in an environment of its own
(faststream.txt), so it imports nothing of Reactor. Source: https://faststream.ag2.ai/latest/kafka/
"""

import sys
import time
import uuid

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker

servers, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
broker = KafkaBroker(servers, logger=None)
application = FastStream(broker, logger=None)
seen = 0
began = 0.0


@broker.subscriber(topic, group_id=uuid.uuid4().hex, auto_offset_reset="earliest")
async def take(record: dict) -> int:
    """Count the record; the first one starts the clock."""
    global seen, began  # a script of one purpose
    if not seen:
        began = time.perf_counter()
    seen += 1
    if seen == count:
        print(count / (time.perf_counter() - began))
        application.exit()
    return 1


uvloop.run(application.run())
