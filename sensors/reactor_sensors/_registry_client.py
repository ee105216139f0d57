"""Asks a schema registry: any with the REST interface of Confluent's (Karapace, Apicurio and Redpanda have it too).

Source: https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import orjson

from reactor.api import SettingsError
from reactor_sensors._kafka_poison import PoisonError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reactor.api import Intake
    from reactor_sensors._kafka_framing import SchemaRef
    from reactor_sensors._registry_access import RegistryAccess

ACCEPTED = "application/vnd.schemaregistry.v1+json, application/json"
LARGEST_ANSWER_BYTES = 2 * 1024 * 1024
MOST_REFERENCES = 100
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0
# Subject, version and schema "not found": said by the registry itself, never by a proxy on the way.
_NOT_FOUND_CODES = (40401, 40402, 40403)
# Refusals that say nothing about what was asked for: another try, or an operator, can change them.
_PASSING = frozenset({401, 403, 407, 408, 425, 429})


class UnknownSchemaError(PoisonError):
    """The registry is there and has no such schema."""

    def __init__(self, detail: str) -> None:
        super().__init__("unknown_schema", detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaText:
    """A schema as it was registered, and all that it refers to by name; what is referred to comes first."""

    kind: str
    text: str
    references: tuple[tuple[str, str], ...] = ()


def new_client(access: RegistryAccess, intake: Intake) -> httpx.AsyncClient:
    """Return a client with the secrets of this moment. Reads files: not for the loop. Raises SettingsError."""
    headers = {"Accept": ACCEPTED, "Accept-Encoding": "identity"}
    auth = None
    try:
        if access.token:
            headers["Authorization"] = f"Bearer {intake.secret(access.token).decode('ascii')}"
        if access.username:
            auth = httpx.BasicAuth(access.username, intake.secret(access.password).decode())
    except UnicodeDecodeError:
        # `from None`, and no text of the error: it would hold the secret.
        raise SettingsError("the registry's password or token is not text; write it anew") from None
    return httpx.AsyncClient(
        base_url=access.url,
        headers=headers,
        auth=auth,
        verify=_context(access, intake),
        timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        # Neither a proxy nor a netrc that happens to be there may see or change what is sent.
        trust_env=False,
        follow_redirects=False,
    )


def _context(access: RegistryAccess, intake: Intake) -> ssl.SSLContext | bool:
    if not access.url.startswith("https:"):
        return False
    try:
        return ssl.create_default_context(
            cafile=str(intake.directory / access.ca) if access.ca else None
        )
    except OSError as error:
        raise SettingsError(f"registry_ca {access.ca!r} cannot be used: {error}") from None


@dataclass(slots=True)
class _Gathering:
    """References on their way into one `SchemaText`, by name, subject and version: each once."""

    texts: dict[tuple[str, str, int], str] = field(default_factory=dict)
    left_bytes: int = LARGEST_ANSWER_BYTES


async def fetch_schema(client: httpx.AsyncClient, schema: SchemaRef) -> SchemaText:
    """Return a schema with all that it refers to.

    Raises RegistryError when the registry could not tell, UnknownSchemaError when it has no such schema, and
    PoisonError ("bad_schema") for one that is too large.
    """
    path = f"/schemas/ids/{schema}" if isinstance(schema, int) else f"/schemas/guids/{schema}"
    answer = await _get(client, path)
    gathering = _Gathering()
    await _gather(client, answer, gathering, depth=0)
    kind = answer.get("schemaType") or "AVRO"
    references = tuple((name, text) for (name, _, _), text in gathering.texts.items())
    return SchemaText(kind=str(kind)[:40], text=answer["schema"], references=references)


async def _gather(
    client: httpx.AsyncClient, answer: Mapping[str, Any], gathering: _Gathering, depth: int
) -> None:
    gathering.left_bytes -= len(answer["schema"])
    if gathering.left_bytes < 0 or depth > MOST_REFERENCES:
        raise _too_large("with what it refers to")
    for reference in _references(answer):
        if reference in gathering.texts:
            continue
        if len(gathering.texts) >= MOST_REFERENCES:
            raise PoisonError("bad_schema", f"it refers to more than {MOST_REFERENCES} others")
        _, subject, version = reference
        # Noted before it is read: a registry that lets two refer to each other would be asked for ever.
        gathering.texts[reference] = ""
        # Deleted ones too: what was written with them is still there.
        path = f"/subjects/{quote(subject, safe='')}/versions/{version}?deleted=true"
        inner = await _get(client, path)
        await _gather(client, inner, gathering, depth + 1)
        # Behind those that it refers to itself.
        del gathering.texts[reference]
        gathering.texts[reference] = inner["schema"]


def _references(answer: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    for one in answer.get("references") or ():
        match one:
            case {"name": str(name), "subject": str(subject), "version": int(version)}:
                yield name, subject, version
            case _:
                raise RegistryError("it answers with references that have no name or version")


async def _get(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    status, body = await _ask(client, path)
    answer = _json(body)
    if status == httpx.codes.OK:
        if isinstance(answer, dict) and isinstance(answer.get("schema"), str):
            return answer
        raise RegistryError(
            "it answers with something that is no schema; is registry= the address of a schema registry?"
        )
    _raise_if_passing(status)
    code = answer.get("error_code") if isinstance(answer, dict) else None
    if code not in _NOT_FOUND_CODES and not await _is_registry(client):
        raise RegistryError(
            f"it answers {status} and is no schema registry there; is registry= its whole address?"
        )
    raise UnknownSchemaError(f"the registry has no {path.partition('?')[0]} (it answers {status})")


async def _is_registry(client: httpx.AsyncClient) -> bool:
    """Return whether the address is right, so that a refusal is about what was asked for and not about the address."""
    status, body = await _ask(client, "/schemas/types")
    _raise_if_passing(status)
    return status == httpx.codes.OK and isinstance(_json(body), list)


def _raise_if_passing(status: int) -> None:
    if status in (401, 403):
        raise RegistryError(
            f"it refuses the credentials ({status}); check registry_username, registry_password "
            "and registry_token, and the right to read schemas"
        )
    if status in _PASSING or status >= 500:
        raise RegistryError(f"it answers {status}")
    if 300 <= status < 400:
        raise RegistryError(
            f"it redirects ({status}), which is not followed; write the address it redirects to"
        )


async def _ask(client: httpx.AsyncClient, path: str) -> tuple[int, bytes]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS), client.stream("GET", path) as answer:
            body = bytearray()
            # Raw: we asked for no compression, and what is compressed all the same could be a bomb.
            async for part in answer.aiter_raw():
                body += part
                if len(body) > LARGEST_ANSWER_BYTES:
                    raise _too_large("as the registry sends it")
            return answer.status_code, bytes(body)
    except TimeoutError:
        raise RegistryError(f"no answer within {ANSWER_SECONDS:.0f} s") from None
    except httpx.TimeoutException:
        raise RegistryError("no answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        raise RegistryError(str(error) or type(error).__name__) from None


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _too_large(how: str) -> PoisonError:
    return PoisonError("bad_schema", f"it is larger than {LARGEST_ANSWER_BYTES:,} bytes {how}")
