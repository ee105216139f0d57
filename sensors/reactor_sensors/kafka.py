"""Kafka: an event for every record of topics, once per record and store, at the pace of what becomes of them."""

from __future__ import annotations

import asyncio
import hashlib
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    PrivateAttr,
    PydanticSchemaGenerationError,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from reactor.api import Duration, Sensor
from reactor_sensors._kafka_poison import RegistryError
from reactor_sensors._kafka_positions import EARLIEST, parse_start
from reactor_sensors._kafka_record import RECORD, Decoder, Decoding, KafkaRecord, unpack
from reactor_sensors._kafka_security import Mechanism, Security, Token
from reactor_sensors._registry_access import RegistryAccess

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from reactor.api import Event, Intake
    from reactor_sensors._kafka_client import GroupClient
    from reactor_sensors._kafka_schemas import Schemas
    from reactor_sensors._kafka_subject import Pace

__all__ = ["RECORD", "Kafka", "KafkaRecord"]

_LONGEST_LABEL = 150
_LARGEST_RECORD = 64 * 1024 * 1024
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_SECURITY = tuple(Security.model_fields)


def _as_tuple(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class _Running:
    """What a sensor knows while it runs. No part of what makes two sensors equal."""

    schemas: Schemas | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Running)

    def __hash__(self) -> int:
        return 0


class Kafka(Sensor):
    """Fires for each record of the topics, once per record, restarts included.

    `Kafka("orders", bootstrap_servers="kafka1:9092,kafka2:9092", group="billing", model=Order)`. Several
    topics are given one after the other; `pattern=` takes those whose whole name the regular expression matches.
    All workflows that listen to an equal sensor share one consumer.

    The offset lies in the commit that makes the events durable, so that no crash repeats or loses a record; the
    group's offset follows within a second, for lag tools and other members. Where to begin the very first time
    is said by `start`: `"earliest"`, `"latest"`, an aware datetime, or `"-1h"`. Afterwards no offset is ever jumped
    over: a partition whose topic was recreated, or whose records were deleted unread, is halted until
    `reactor kafka seek` says where to go on; the others go on.

    - `decode`: `"json"`, `"text"` or `"bytes"`, or by the schemas of a registry `"avro"` or `"json-schema"`; `model`:
      a pydantic model or any other type, for all but text and bytes. A null value (a tombstone) is None. What cannot
      be decoded, breaks its schema or its model or is larger than `largest_bytes` becomes a dead letter with key,
      headers and value, and the next record goes on.
    - `registry`: the address of a schema registry; `registry_username` and `registry_password`, or `registry_token`;
      `registry_ca`. While it cannot be asked for a schema that is not known yet, what needs it waits; nothing is lost.
    - `tls`, `tls_ca`, `tls_cert`, `tls_key`, `tls_key_password`; `sasl` (`"PLAIN"`, `"SCRAM-SHA-256"`,
      `"SCRAM-SHA-512"`, `"OAUTHBEARER"`), `username`, `password`, `token`. Secrets are `"env:NAME"` or `"file:PATH"`;
      `token` is an async function that returns a token.
    - `isolation`: `"read_committed"` leaves out records of aborted transactions, `"read_uncommitted"` does not.
    - `session_timeout`, `max_poll_interval`: see Kafka's consumer settings of the same names.

    Raises DefinitionError for options that cannot be meant.
    """

    kind: ClassVar[str] = "kafka"

    topics: tuple[str, ...] = ()
    pattern: str = ""
    bootstrap_servers: Names
    group: str
    start: Annotated[datetime | timedelta | str, BeforeValidator(parse_start)] = EARLIEST
    decode: Decoding = "json"
    model: Any = None
    registry: str = ""
    registry_username: str = ""
    registry_password: str = ""
    registry_token: str = ""
    registry_ca: str = ""
    largest_bytes: int = 1024 * 1024
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
    session_timeout: Duration = timedelta(seconds=10)
    max_poll_interval: Duration = timedelta(minutes=5)
    tls: bool = False
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_key_password: str = ""
    sasl: Mechanism | None = None
    username: str = ""
    password: str = ""
    token: Token | None = None

    _running: _Running = PrivateAttr(default_factory=_Running)

    def __init__(self, *topics: str, **options: Any) -> None:
        if topics and "topics" in options:
            raise TypeError("Kafka was given its topics twice; give them once")
        super().__init__(**({"topics": topics, **options} if topics else options))

    @model_validator(mode="after")
    def _options_can_be_meant(self) -> Kafka:
        self._check_topics()
        if not self.group:
            raise ValueError("group: must not be empty; it names all daemons that share the topics")
        if not all(self.bootstrap_servers):
            raise ValueError('bootstrap_servers: write "host:port", several with commas between')
        if not 1 <= self.largest_bytes <= _LARGEST_RECORD:
            raise ValueError(f"largest_bytes: must be between 1 and {_LARGEST_RECORD:,}")
        if self.session_timeout < timedelta(seconds=1):
            raise ValueError('session_timeout: must be "1s" or longer')
        if self.max_poll_interval < self.session_timeout / 2:
            raise ValueError("max_poll_interval: must be at least half of session_timeout")
        if self.model is not None:
            self._check_model()
        self._security()
        self._registry().expect_usable(self.decode)
        return self

    def _check_topics(self) -> None:
        if bool(self.topics) == bool(self.pattern):
            raise ValueError('name one topic or more, or give pattern="…", not both')
        for topic in self.topics:
            if not _TOPIC_NAME.fullmatch(topic) or topic in (".", ".."):
                raise ValueError(
                    f"topics: {topic!r} cannot be a topic; names are of letters, digits, '.', '_' and '-'"
                )
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(
                f"pattern: {self.pattern!r} is no regular expression: {error}"
            ) from None

    def _check_model(self) -> None:
        if self.decode in ("text", "bytes"):
            raise ValueError('model: needs decode="json", "avro" or "json-schema"')
        try:
            TypeAdapter(self.model)
        except PydanticSchemaGenerationError as error:
            raise ValueError(f"model: pydantic cannot read it: {error}") from None

    def _security(self) -> Security:
        try:
            return Security(**{name: getattr(self, name) for name in _SECURITY})
        except ValidationError as error:
            faults = [fault["msg"].removeprefix("Value error, ") for fault in error.errors()]
            raise ValueError("; ".join(faults)) from None

    def _registry(self) -> RegistryAccess:
        return RegistryAccess(
            url=self.registry,
            username=self.registry_username,
            password=self.registry_password,
            token=self.registry_token,
            ca=self.registry_ca,
        )

    def label(self) -> str:
        """Return topics or pattern, and the group; a long text is cut and numbered by its content."""
        text = f"{','.join(self.topics) or self.pattern}@{self.group}"
        if len(text) <= _LONGEST_LABEL:
            return text
        # Two lists that were cut alike would share a cursor.
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        return f"{text[: _LONGEST_LABEL - 10]}…{digest}"

    @property
    def data_type(self) -> Any:
        if self.model is not None:
            return KafkaRecord[self.model | None]  # type: ignore[name-defined]  # known at run time only
        value = {"text": str | None, "bytes": bytes | None}.get(self.decode, Any)
        return KafkaRecord[value]  # type: ignore[valid-type]  # known at run time only

    async def run(self, intake: Intake) -> None:
        """Read until cancelled. Raises SettingsError for secrets and TLS files that are not there."""
        # Not at the head: aiokafka costs start-up time, and most daemons have no topic.
        from reactor_sensors._kafka_subject import Subject
        from reactor_sensors._kafka_watch import keep_reading

        self._running.schemas = schemas = await self._new_schemas(intake)
        await keep_reading(
            lambda: self._new_client(intake),
            intake,
            self._decoder(schemas),
            Subject(topics=self.topics, pattern=self.pattern, start=self.start),
            self._pace(),
        )

    async def seek(self, intake: Intake, where: str, to: str) -> str:
        """Let a partition, TOPIC/NUMBER, go on at "earliest", "latest" or an offset, but never behind the group's."""
        from reactor_sensors._kafka_seek import seek

        return await seek(await self._new_client(intake), intake, where, to)

    async def _new_client(self, intake: Intake) -> GroupClient:
        from reactor_sensors._kafka_client import GroupClient, GroupOptions

        options = GroupOptions(
            servers=self.bootstrap_servers,
            group=self.group,
            client_id=f"reactor-{re.sub(r'[^a-zA-Z0-9._-]', '-', intake.sensor)[:100]}",
            isolation=self.isolation,
            session_timeout=self.session_timeout,
            max_poll_interval=self.max_poll_interval,
            most_bytes=max(self.largest_bytes, 1024 * 1024),
        )
        # Read anew for each client: a password may have been changed meanwhile.
        security = await asyncio.to_thread(self._security().client_options, intake)
        return GroupClient(options, security)

    def _pace(self) -> Pace:
        from reactor_sensors._kafka_subject import Pace

        session = self.session_timeout.total_seconds()
        return Pace(
            poll=min(0.5, self.max_poll_interval.total_seconds() / 4),
            check=min(5.0, session / 2),
            answer=min(10.0, 2 * session),
            freeze=0.8 * session,
        )

    async def _new_schemas(self, intake: Intake) -> Schemas | None:
        if self.decode != "avro" and self.decode != "json-schema":
            return None
        # Not at the head: an HTTP client, which most sensors of topics do not need.
        from reactor_sensors._kafka_schemas import Schemas

        schemas = Schemas(self.decode, self._registry(), intake)
        await schemas.expect_access()
        return schemas

    def revive(
        self, raw: bytes, *, event_id: str, subject: str | None, at: datetime
    ) -> Event[Any] | Awaitable[Event[Any]]:
        """Return the event of an enveloped record. Raises ValueError that says why it still is none.

        With a registry it is to be awaited, while the sensor runs.
        """
        if self.registry:
            return self._revive(raw, at)
        return self._decoder(None).revive(raw, now=at)

    async def _revive(self, raw: bytes, at: datetime) -> Event[Any]:
        if self._running.schemas is None:
            raise ValueError("the sensor does not run yet, and its schema registry is not known")
        decoder = self._decoder(self._running.schemas)
        try:
            await decoder.prepare([unpack(raw)[1]])
        except RegistryError as error:
            raise ValueError(str(error)) from None
        return await asyncio.to_thread(decoder.revive, raw, now=at)

    def _decoder(self, schemas: Schemas | None) -> Decoder:
        return Decoder(self.decode, self.model, largest_bytes=self.largest_bytes, schemas=schemas)
