"""Topic ids: a metadata request of our own, for aiokafka 0.14 speaks only versions without them.

Kafka's protocol guide, Metadata API (key 3), version 10: https://kafka.apache.org/protocol#The_Messages_Metadata
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from reactor_sensors._kafka_positions import NO_GENERATION, Catalog, Topic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import BytesIO

_API_KEY = 3
_VERSION = 10
_UUID_BYTES = 16
_NO_UUID = bytes(_UUID_BYTES)
_PROBLEMS = {
    3: "does not exist",
    17: "has a name that Kafka does not allow",
    29: "may not be read by this user (no right to describe it)",
}
# A topic that is being made or moved tells one of these for a moment.
_PASSING = {5: "has no leader now"}


class _Uuid(AbstractType):  # type: ignore[misc]  # aiokafka is untyped
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(_UUID_BYTES)


_PARTITION_FIELDS = (
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("isr", CompactArray(Int32)),
    ("offline_replicas", CompactArray(Int32)),
    ("tags", TaggedFields),
)


class _Response10(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                ("partitions", CompactArray(*_PARTITION_FIELDS)),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _Request10(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped
    FLEXIBLE_VERSION = True
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    RESPONSE_TYPE = _Response10
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid),
                ("name", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class DescribeTopics:
    """Asks for topics, all of them where none is named, and creates none. To be given to a client's `send`."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self._names = names

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """Return the request in the version that the connection speaks."""
        least, most = versions.get(_API_KEY, (0, 0))
        if least <= _VERSION <= most:
            topics: list[Any] | None = None
            if self._names is not None:
                topics = [(_NO_UUID, name, {}) for name in self._names]
            return _Request10(topics, False, False, False, {})
        return MetadataRequest_v5(None if self._names is None else [*self._names], False)


def read_catalog(response: Any) -> Catalog:
    """Return what a response to `DescribeTopics` says. Internal topics are left out."""
    topics: dict[str, Topic] = {}
    problems: dict[str, str] = {}
    for described in response.to_object()["topics"]:
        name, code = described["topic"], described["error_code"]
        if code in _PROBLEMS:
            problems[name] = _PROBLEMS[code]
        elif code or not described["partitions"]:
            problems[name] = _PASSING.get(code, f"cannot be read now (Kafka error {code})")
        elif not described["is_internal"]:
            topics[name] = Topic(
                name=name,
                generation=_spell_id(described.get("topic_id", _NO_UUID)),
                partitions=len(described["partitions"]),
            )
    return Catalog(cluster=response.cluster_id or "", topics=topics, problems=problems)


def _spell_id(raw: bytes) -> str:
    """Return a topic id as Kafka's own tools write it."""
    if raw == _NO_UUID:
        return NO_GENERATION
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
