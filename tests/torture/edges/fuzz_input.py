"""Requests that no good client sends: every part made from what parsers are known to trip over. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.torture.edges.signing import SECRETS, forge, sign

if TYPE_CHECKING:
    from random import Random

_METHODS = (
    *(b"POST",) * 8,
    *(b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PATCH", b"PRI"),
    *(b"post", b"P\xd6ST", b"", b"X" * 5000),
)
_HOOKS = ("/open", *(f"/{scheme}" for scheme in SECRETS))
_ADMIN = ("/metrics", "/healthz", "/readyz", "/api/emit", "/api/redrive", "/api/seek")
_TRICKS = (
    b"/",
    b"//",
    b"/.",
    b"/..",
    b"%2e%2e",
    b"%00",
    b"%",
    b";a",
    b"?",
    b"?a=%ff",
    b"#x",
    b"\xff",
    b"\\",
)
_CONTENT_TYPES = (
    *("application/json",) * 5,
    *("application/cloudevents+json", "application/cloudevents-batch+json", "text/json; charset=x"),
    *("", ";", "multipart/form-data", "application/x-www-form-urlencoded", "a/b+json", "\xff"),
)
_NAMES = (
    *("content-type", "idempotency-key", "host", "expect", "upgrade", "connection", "cookie"),
    *(
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-specversion",
        "ce-time",
        "ce-subject",
        "ce-datacontenttype",
    ),
    *("transfer-encoding", "content-length", "content-encoding", "authorization", "x-reactor"),
    *("webhook-id", "webhook-timestamp", "webhook-signature", "stripe-signature", "origin"),
    *("x-hub-signature-256", "x-github-delivery", "x-github-event", "x-slack-signature"),
    *("x-slack-request-timestamp", "x-shopify-hmac-sha256", "x-shopify-topic", "x-signature"),
    *("accept", "accept-encoding", "range", "te", "trailer", "forwarded", "x-forwarded-for"),
)
_VALUES = (
    *(b"", b"1.0", b"a", b"100-continue", b"chunked", b"gzip", b"h2c", b"-1", b"0", b"1e3", b"*/*"),
    *(b"2020-01-01T00:00:00Z", b"9999-99-99T99:99:99Z", b"0000-00-00T00:00:00+99:99", b"%FF%FE"),
    *(b"v1,", b"t=1,v1=", b"sha256=", b"v0=", b"99999999999999999999", b"\x80\xff", b"%0d%0aX: y"),
    *(b"a" * 300, b'"\\\\"', b"application/openmetrics-text; version=1.0.0; q=x"),
)
_SCALARS = (
    *(
        b"null",
        b"true",
        b"0",
        b"-0",
        b"1e308",
        b"1e309",
        b"-1e400",
        b"NaN",
        b"Infinity",
        b"1" * 400,
    ),
    *(
        b'""',
        b'"\\ud800"',
        b'"\\u0000"',
        b'"\xff"',
        b'"\x00"',
        b"[]",
        b"{}",
        b"18446744073709551616",
    ),
    *(b'"events"', b'"open"', b'"standard"', b'"beat"', b'"0000000000000"', b"[[]]", b'{"": {}}'),
)
_KEYS = (
    *(
        "n",
        "id",
        "type",
        "source",
        "data",
        "data_base64",
        "specversion",
        "time",
        "subject",
        "event",
    ),
    *(
        "sensor",
        "all",
        "letters",
        "dead_letter",
        "ids",
        "partition",
        "offset",
        "topic",
        "to",
        "key",
    ),
    *("challenge", "event_id", "", "\u202e", "__proto__"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Bytes for a connection. Where `is_whole`, the daemon answers without waiting for more."""

    raw: bytes
    is_whole: bool


def shot(luck: Random, *, is_admin: bool, host: str, token: str, now: int) -> Shot:
    """Return the next bytes for the hooks listener, or for the admin listener with a good token."""
    kind = luck.randrange(20)
    if kind == 0:
        return Shot(raw=luck.randbytes(luck.randint(1, 400)), is_whole=False)
    if not is_admin and kind < 5:
        return _signed(luck, now)
    body = _body(luck)
    paths = _ADMIN if is_admin else _HOOKS
    path = luck.choice(paths).encode()
    if kind < 8:
        place = luck.randrange(len(path) + 1)
        path = path[:place] + luck.choice(_TRICKS) + path[place:]
    method = luck.choice(_METHODS) if kind < 16 else b"POST"
    lines = [b"%b %b HTTP/1.1" % (method, path), b"host: " + host.encode()]
    if is_admin and luck.random() < 0.9:
        lines += [b"authorization: Bearer " + token.encode(), b"x-reactor: 1"]
    lines.append(b"content-type: " + luck.choice(_CONTENT_TYPES).encode("latin-1"))
    for _ in range(luck.choice((0, 0, 0, 1, 2, 5, 120))):
        lines.append(luck.choice(_NAMES).encode() + b": " + luck.choice(_VALUES))
    lines += [b"content-length: %d" % len(body), b"connection: close"]
    raw = b"\r\n".join(lines) + b"\r\n\r\n" + body
    if kind == 1:
        return Shot(raw=raw[: luck.randrange(len(raw))], is_whole=False)
    if kind == 2:
        place = luck.randrange(len(raw))
        return Shot(raw=raw[:place] + luck.randbytes(1) + raw[place + 1 :], is_whole=False)
    return Shot(raw=raw, is_whole=True)


def _signed(luck: Random, now: int) -> Shot:
    """A delivery with a right signature, or almost: what lies behind the signature is fuzzed too."""
    scheme = luck.choice([*SECRETS])
    delivery = f"fuzz-{luck.randrange(10**12)}"
    made = (
        forge(scheme, delivery, luck, now=now)
        if luck.random() < 0.3
        else sign(scheme, delivery, now=now)
    )
    lines = [b"POST %b HTTP/1.1" % made.path.encode(), b"host: h"]
    lines += [f"{name}: {text}".encode() for name, text in made.headers.items()]
    lines += [b"content-length: %d" % len(made.body), b"connection: close"]
    return Shot(raw=b"\r\n".join(lines) + b"\r\n\r\n" + made.body, is_whole=True)


def _body(luck: Random) -> bytes:
    match luck.randrange(10):
        case 0:
            return luck.randbytes(luck.randrange(200))
        case 1:
            return luck.choice(
                (b"", b"\xef\xbb\xbf{}", b"[" * 5000, b'{"a":' * 5000, b"{}{}", b"\x00")
            )
        case 2:
            return luck.choice(_SCALARS)
        case 3:
            return _cloud_event(luck)
        case _:
            raw = _object(luck, 3)
            if luck.random() < 0.2:
                place = luck.randrange(len(raw))
                raw = raw[:place] + luck.randbytes(1) + raw[place + 1 :]
            return raw


def _object(luck: Random, depth: int) -> bytes:
    fields = []
    for key in luck.sample(_KEYS, luck.randint(0, 6)):
        nested = depth and luck.random() < 0.3
        value = _object(luck, depth - 1) if nested else luck.choice(_SCALARS)
        fields.append(json.dumps(key).encode() + b":" + value)
    return b"{" + b",".join(fields) + b"}"


def _cloud_event(luck: Random) -> bytes:
    fields: dict[str, object] = {
        "specversion": "1.0",
        "id": f"c{luck.randrange(10**9)}",
        "source": "/s",
        "type": "t",
    }
    for _ in range(luck.randrange(3)):
        name = luck.choice((*fields, "time", "subject", "data", "data_base64"))
        fields[name] = luck.choice(
            (None, 1, "", [], {}, "!!", "aGk=", "x" * 2000, True, "bnVsbA==")
        )
    return json.dumps(fields).encode()
