"""What a step emitted, as rows of the outbox, and as dead letters that find their way back into it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

from reactor.model.ids import spell_id
from reactor.model.outlet import Outgoing, dump_outgoing, load_outgoing
from reactor.store.contract import DeadLetterRow, OutgoingRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reactor.store.contract import StepRow


def outgoing_rows(emitted: Sequence[Outgoing], workflow: str, step: StepRow) -> list[OutgoingRow]:
    """Return the rows for what a step emitted, in order."""
    return [
        _row(one, workflow, step.run, step.name, part, step.finished_at)
        for part, one in enumerate(emitted, start=1)
    ]


@lru_cache(maxsize=1024)
def lane_of(outlet: str, options: str, target: str) -> str:
    """Return a short name that stands for all three."""
    texts = (outlet.encode(), options.encode(), target.encode())
    whole = b"".join(b"%d:%b" % (len(text), text) for text in texts)
    return hashlib.blake2b(whole, digest_size=12).hexdigest()


def outgoing_of(row: OutgoingRow) -> Outgoing:
    """Return what the step emitted."""
    return Outgoing(
        outlet=row.outlet,
        options=row.options,
        target=row.target,
        payload=row.payload,
        key=row.key,
        attributes=row.attributes,
    )


def idempotency_key(row: OutgoingRow) -> str:
    """Return what is the same at every delivery of this part: RUN/STEP/PART."""
    return f"{spell_id(row.run)}/{row.step}/{row.part}"


def letter_of(row: OutgoingRow, *, id: int, reason: str, detail: str, at: int) -> DeadLetterRow:  # noqa: A002  # its name
    """Return the dead letter for a row that cannot be delivered; its payload is the raw bytes."""
    # All but the payload, which is `raw`.
    kept = {
        "outgoing": orjson.loads(dump_outgoing(replace(outgoing_of(row), payload=b""))),
        "run": row.run,
        "step": row.step,
        "part": row.part,
    }
    return DeadLetterRow(
        id=id,
        # A name that no sensor has.
        sensor=f"outlet {row.outlet}",
        event_id=idempotency_key(row),
        reason=reason,
        detail=detail,
        raw=row.payload,
        created_at=at,
        workflow=row.workflow,
        subject=row.target,
        outgoing=orjson.dumps(kept).decode(),
    )


def row_of(letter: DeadLetterRow, at: int) -> OutgoingRow:
    """Return the row that `letter_of` made the letter from, with a new id to come."""
    kept = orjson.loads(letter.outgoing or "{}")
    outgoing = replace(load_outgoing(orjson.dumps(kept["outgoing"])), payload=letter.raw)
    return _row(outgoing, letter.workflow, kept["run"], kept["step"], kept["part"], at)


def _row(
    outgoing: Outgoing, workflow: str, run: int, step: str, part: int, created_at: int
) -> OutgoingRow:
    return OutgoingRow(
        id=0,
        lane=lane_of(outgoing.outlet, outgoing.options, outgoing.target),
        workflow=workflow,
        run=run,
        step=step,
        part=part,
        outlet=outgoing.outlet,
        options=outgoing.options,
        target=outgoing.target,
        key=outgoing.key,
        attributes=outgoing.attributes,
        payload=outgoing.payload,
        created_at=created_at,
    )
