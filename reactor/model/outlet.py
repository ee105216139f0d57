"""What leaves Reactor after a step has succeeded, and the plug-in that takes it there."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Something to be delivered once the step that emits it has succeeded: the argument of `ctx.emit`.

    Made by an outlet's own function, such as `reactor_handlers.kafka.Producer.record`, and kept in the store until it
    is acknowledged, so it holds plain text and bytes.

    - `outlet`: the name of the plug-in, an entry point of the group `reactor.outlets`.
    - `options`: JSON of an object, what the plug-in is opened with. Secrets only by reference, `"env:NAME"`. Equal
      options are equal text, so the outlet writes them in one way.
    - `target`: where to, within what `options` reach; a topic's name. Shown to people.
    - `key`: what is delivered in order. Of one outlet, options, target and key the next is handed over only after the
      one before it was acknowledged or parked; None stands for no order.
    - `attributes`: JSON of an object, what else belongs to it; only the outlet reads it.
    """

    outlet: str
    options: str
    target: str
    payload: bytes
    key: bytes | None = None
    attributes: str = "{}"

    @property
    def size_bytes(self) -> int:
        """Return what it takes in the store, nearly."""
        texts = len(self.options) + len(self.target) + len(self.attributes)
        return texts + len(self.payload) + len(self.key or b"")


def dump_outgoing(outgoing: Outgoing) -> bytes:
    """Return it as JSON, with its bytes in base 64."""
    key = outgoing.key
    return orjson.dumps(
        {
            "outlet": outgoing.outlet,
            "options": outgoing.options,
            "target": outgoing.target,
            "payload": base64.b64encode(outgoing.payload).decode(),
            "key": None if key is None else base64.b64encode(key).decode(),
            "attributes": outgoing.attributes,
        }
    )


def load_outgoing(raw: bytes) -> Outgoing:
    """Return what `dump_outgoing` wrote."""
    found = orjson.loads(raw)
    found["payload"] = base64.b64decode(found["payload"])
    found["key"] = None if found["key"] is None else base64.b64decode(found["key"])
    return Outgoing(**found)


class Outlet(Protocol):
    """Delivers what steps emit. Opened with the `options` of an Outgoing; one for all that have equal ones.

    A plug-in registers a function of those options under the group `reactor.outlets`; the entry point's name is the
    `outlet` of an Outgoing. It is called in a thread, may be slow, and what it raises is tried again.
    """

    async def deliver(self, outgoing: Outgoing, *, idempotency_key: str) -> None:
        """Return once the other side has it for good.

        At least once: it is called again for the same one after a crash, or when the acknowledgement was lost, each
        time with the same `idempotency_key`, to be passed on for readers to compare. Called for several at once, up to
        256. May be cancelled. Raises Reject for what can never be delivered, which is then parked as a dead letter;
        after anything else it is called again, with exponential back-off, for as long as it takes.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; called once, when nothing is being delivered."""
        ...


class OpenOutlet(Protocol):
    """Returns the outlet of this name, opened with these options. Called in a thread; what it raises is tried again."""

    def __call__(self, name: str, options: Mapping[str, Any]) -> Outlet: ...
