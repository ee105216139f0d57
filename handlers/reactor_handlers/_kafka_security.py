"""How to get into a cluster: TLS and SASL options, spelled as those of the Kafka sensor."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

from aiokafka.abc import AbstractTokenProvider
from pydantic import BaseModel, ConfigDict, model_validator

from reactor.api import SettingsError, read_secret

Mechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
Token: TypeAlias = Callable[[], Awaitable[str]]
_REFERENCES = ("env:", "file:")


class Security(BaseModel):
    """The options of a producer that say how to get in. Secrets are `env:` or `file:` references.

    Paths are relative to the working directory of the daemon: a step, unlike a sensor, is not told
    where its project lies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    tls: bool = False
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_key_password: str = ""
    sasl: Mechanism | None = None
    username: str = ""
    password: str = ""
    token: Token | None = None

    @model_validator(mode="after")
    def _security_fits(self) -> Security:
        files = (self.tls_ca, self.tls_cert, self.tls_key, self.tls_key_password)
        if any(files) and not self.tls:
            raise ValueError("tls_… options mean nothing without tls=True; add it")
        if self.tls_key and not self.tls_cert:
            raise ValueError("tls_key needs tls_cert, the certificate that belongs to it")
        for name in ("password", "tls_key_password"):
            if getattr(self, name) and not getattr(self, name).startswith(_REFERENCES):
                # Never the value: it may be the secret itself.
                raise ValueError(f'{name} is a reference, "env:NAME" or "file:PATH", not the value')
        self._check_sasl()
        return self

    def _check_sasl(self) -> None:
        if self.sasl is None:
            if self.username or self.password or self.token:
                raise ValueError('credentials need sasl=, for example sasl="SCRAM-SHA-512"')
        elif self.sasl == "OAUTHBEARER":
            if self.token is None or self.username or self.password:
                raise ValueError(
                    'sasl="OAUTHBEARER" takes token=, an async function that returns one, '
                    "and nothing else"
                )
        elif not self.username or not self.password or self.token:
            raise ValueError(f'sasl="{self.sasl}" takes username= and password="env:NAME"')

    @property
    def protocol(self) -> str:
        """Return Kafka's name for the combination."""
        return ("SASL_" if self.sasl else "") + ("SSL" if self.tls else "PLAINTEXT")

    def client_options(self) -> dict[str, Any]:
        """Return options for aiokafka's clients, secrets read now. Reads files: not for the loop.

        Raises SettingsError.
        """
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.tls:
            options["ssl_context"] = self._context()
        if self.sasl is not None:
            options["sasl_mechanism"] = self.sasl
        if self.username:
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = _secret_text(self.password)
        if self.token is not None:
            options["sasl_oauth_token_provider"] = _Provider(self.token)
        return options

    def _context(self) -> ssl.SSLContext:
        password = read_secret(self.tls_key_password) if self.tls_key_password else None
        try:
            context = ssl.create_default_context(cafile=self.tls_ca or None)
            if self.tls_cert:
                # Without a password OpenSSL would ask for one on the terminal.
                context.load_cert_chain(self.tls_cert, self.tls_key or None, password or b"")
        except OSError as error:
            files = ", ".join(filter(None, (self.tls_ca, self.tls_cert, self.tls_key)))
            raise SettingsError(f"TLS files {files} cannot be used: {error}") from None
        return context


def _secret_text(reference: str) -> str:
    try:
        return read_secret(reference).decode()
    except UnicodeDecodeError:
        raise SettingsError(
            f"secret {reference!r} is not UTF-8; expected the password as text"
        ) from None


class _Provider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    def __init__(self, token: Token) -> None:
        self._token = token

    async def token(self) -> str:
        return await self._token()
