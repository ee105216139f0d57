"""Webhooks: an event for every delivery that proves its sender, once per delivery."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from reactor.api import Duration, Sensor, nearest
from reactor_sensors._webhook_delivery import DELIVERED, Hints, read
from reactor_sensors._webhook_endpoint import Endpoint, Reading, no_keys_error
from reactor_sensors._webhook_keys import Keys
from reactor_sensors._webhook_schemes import (
    PUBLISHED,
    UNSIGNED,
    Algorithm,
    Encoding,
    Scheme,
    hmac_scheme,
)

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Self

    from reactor.api import Event, Intake

__all__ = ["DELIVERED", "Webhook"]

_LONGEST_LABEL = 150
_LONGEST_PATH = 200
_MOST_SECRETS = 10
_MOST_BODY_BYTES = 64 * 1024 * 1024
# What RFC 3986 lets stand in a path segment without percent-encoding.
_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+")
# RFC 9110, 5.6.2: token.
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\0]+")
_SCHEMES = (*PUBLISHED, "hmac")
_OF_HMAC = ("header", "algorithm", "encoding", "prefix")


def _one_of(*names: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, str) and value not in names:
            raise ValueError(f"{value!r} is not known{nearest(value, names)}")
        return value

    return BeforeValidator(check)


SchemeName = Literal["standard", "github", "stripe", "slack", "shopify", "hmac"]


class Webhook(Sensor):
    """Serves `path` on the hooks listener and fires once for each genuine delivery.

    `Webhook("/github", scheme="github", secret="env:GITHUB_SECRET")`. A delivery is answered 202 once it is
    durable; the same delivery again is answered with `"duplicate": true` and fires nothing.

    - `scheme`: how the sender signs: "standard", "github", "stripe", "slack", "shopify" or "hmac".
    - `secret`: `"env:NAME"` or `"file:PATH"`, or several of them that are all good; read again as they change.
    - `auth=None`: an open endpoint, that anybody who reaches it can make fire.
    - `replay_window`: how far a signed instant may lie in the past or future, where the scheme signs one.
    - `model`: what `event.data` is validated to; plain JSON without.
    - `max_body_bytes`, `deadline`: a larger or slower request is cut off (413, 408).
    - `header`, `algorithm`, `encoding`, `prefix`: where and how a sender of scheme "hmac" puts its signature.

    Raises DefinitionError for an option that cannot be meant; no message repeats a secret.
    """

    # Should somebody write a secret where a reference belongs, no error may carry it.
    model_config = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "webhook"

    path: str
    scheme: Annotated[SchemeName, _one_of(*_SCHEMES)] | None = None
    secret: tuple[str, ...] = Field(default=(), max_length=_MOST_SECRETS)
    auth: Literal["signature"] | None = "signature"
    replay_window: Duration = timedelta(minutes=5)
    model: Any = None
    max_body_bytes: int = Field(default=1024 * 1024, ge=1, le=_MOST_BODY_BYTES, strict=True)
    deadline: Duration = timedelta(seconds=10)
    header: str = "X-Signature"
    algorithm: Annotated[Algorithm, _one_of(*get_args(Algorithm))] = "sha256"
    encoding: Annotated[Encoding, _one_of(*get_args(Encoding))] = "hex"
    prefix: str = Field(default="", max_length=100)

    def __init__(self, *path: str, **options: Any) -> None:
        if len(path) == 1:
            options["path"] = path[0]
        elif path:
            raise TypeError(
                f"Webhook takes one path, not {len(path)}; write a list of Webhooks instead"
            )
        super().__init__(**options)

    @field_validator("path")
    @classmethod
    def _path_is_normal(cls, path: str) -> str:
        segments = path[1:].split("/") if path != "/" else []
        is_normal = all(_SEGMENT.fullmatch(s) and s not in (".", "..") for s in segments)
        if not path.startswith("/") or not is_normal or len(path) > _LONGEST_PATH:
            raise ValueError(
                'expected a path like "/orders/paid": it begins with "/", ends without one, '
                f"has no empty, . or .. part, no %, ? or #, and at most {_LONGEST_PATH} characters"
            )
        return path

    @field_validator("secret", mode="before")
    @classmethod
    def _secrets_are_references(cls, secret: object) -> object:
        references = (secret,) if isinstance(secret, str) else secret
        if not isinstance(references, (list, tuple)) or not references:
            raise ValueError('expected "env:NAME" or "file:PATH", or a list of such references')
        for number, reference in enumerate(references, start=1):
            if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
                raise ValueError(
                    f'number {number} is no reference; expected "env:NAME" or "file:PATH". '
                    "The secret itself does not belong in a definition"
                )
        return tuple(references)

    @field_validator("auth", mode="before")
    @classmethod
    def _auth_is_known(cls, auth: object) -> object:
        if auth not in ("signature", None):
            raise ValueError("expected None for an open endpoint, or leave it out")
        return auth

    @field_validator("replay_window", "deadline")
    @classmethod
    def _duration_is_bearable(cls, duration: timedelta) -> timedelta:
        if not timedelta(milliseconds=100) <= duration <= timedelta(days=1):
            raise ValueError('must lie between "100ms" and "1d"')
        return duration

    @field_validator("model")
    @classmethod
    def _model_can_validate(cls, model: Any) -> Any:
        if model is not None:
            try:
                TypeAdapter(model)
            except Exception as error:
                # pydantic raises many kinds, some of them no ValueError.
                raise ValueError(
                    f"pydantic cannot validate to {model!r} ({type(error).__name__}); "
                    "expected a model, a dataclass or another type that it knows"
                ) from error
        return model

    @field_validator("header")
    @classmethod
    def _header_is_a_token(cls, header: str) -> str:
        if not _HEADER.fullmatch(header):
            raise ValueError("is not the name of an HTTP header")
        return header

    @model_validator(mode="after")
    def _proof_is_declared(self) -> Self:
        if self.auth is None and self.secret:
            raise ValueError(
                "auth=None opens the endpoint, a secret closes it; leave out one of them"
            )
        if self.auth is not None and not self.secret:
            raise ValueError(
                'an endpoint needs secret="env:NAME" and a scheme; '
                "write auth=None if anybody who reaches it may make it fire"
            )
        if self.auth is not None and self.scheme is None:
            raise ValueError(f"with a secret a scheme is needed; known: {', '.join(_SCHEMES)}")
        return self

    @model_validator(mode="after")
    def _options_have_a_meaning(self) -> Self:
        signs = self.auth is not None
        idle = [name for name in _OF_HMAC if not (signs and self.scheme == "hmac")]
        if not (signs and self._signing.is_timed):
            idle.append("replay_window")
        for name in idle:
            if name in self.model_fields_set:
                how = f"scheme={self.scheme!r}" if signs else "auth=None"
                raise ValueError(f"{name} has no meaning with {how}; leave it out")
        return self

    def label(self) -> str:
        """Return the path, cut in the middle when it is long."""
        half = _LONGEST_LABEL // 2
        path = self.path
        return path if len(path) <= _LONGEST_LABEL else f"{path[:half]}…{path[-half:]}"

    @property
    def data_type(self) -> Any:
        return Any if self.model is None else self.model

    async def run(self, intake: Intake) -> None:
        """Serve until cancelled. Raises SettingsError while no secret can be read."""
        keys = await self._keys(intake)
        endpoint = Endpoint(intake, self._reading, keys, window=self.replay_window)
        with intake.serve(
            self.path,
            endpoint.answer,
            methods=("POST",),
            max_body_bytes=self.max_body_bytes,
            deadline=self.deadline,
        ):
            intake.up()
            await endpoint.keyless.wait()
        if keys is not None:
            raise no_keys_error(keys)

    def revive(self, raw: bytes, *, event_id: str, subject: str | None, at: datetime) -> Event[Any]:
        """Return the event that rejected input is by now, under the identity its delivery had.

        Raises ValueError that says why it still is none.
        """
        reading = self._reading
        delivery = read(Hints.of_note(event_id, subject), raw, reading.scheme)
        return reading.event(self.sensor_name, delivery, at=at)

    async def _keys(self, intake: Intake) -> Keys | None:
        if self.auth is None:
            return None
        keys = Keys(intake, self.secret, self._signing.key)
        if not await keys.newest():
            raise no_keys_error(keys)
        return keys

    @property
    def _reading(self) -> Reading:
        data_type = None if self.model is None else TypeAdapter(self.model)
        return Reading(scheme=self._signing, data_type=data_type)

    @property
    def _signing(self) -> Scheme:
        if self.scheme is None:
            return UNSIGNED
        if self.scheme == "hmac":
            return hmac_scheme(
                header=self.header,
                algorithm=self.algorithm,
                encoding=self.encoding,
                prefix=self.prefix,
            )
        return PUBLISHED[self.scheme]
