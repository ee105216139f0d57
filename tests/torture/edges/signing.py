"""How senders sign, written a second time from what they publish: nothing of it comes from the product."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

SECRETS = {
    "standard": "whsec_" + base64.b64encode(b"standard-secret-of-the-suite").decode(),
    "github": "github secret",
    "stripe": "whsec_stripe_secret",
    "slack": "8f742231b10e8888abcd99yyyzzz85a5",
    "shopify": "hush",
    "hmac": "Jefe",
}
ENVIRONMENT = {f"EDGE_{scheme.upper()}": secret for scheme, secret in SECRETS.items()}
TIMED = ("standard", "stripe", "slack")
STALE_SECONDS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request. `proof` names the headers that the signature covers or is made of."""

    path: str
    headers: dict[str, str]
    body: bytes
    proof: tuple[str, ...]


def sign(scheme: str, delivery: str, *, now: int, secret: str | None = None) -> Signed:
    """Return a genuine delivery of that id, signed at `now` in seconds since 1970."""
    secret = SECRETS[scheme] if secret is None else secret
    body = json.dumps({"id": delivery, "event_id": delivery, "n": 1, "type": "t"}).encode()
    headers, proof = _SIGNERS[scheme](secret.encode(), delivery, body, now)
    headers["content-type"] = "application/json"
    return Signed(path=f"/{scheme}", headers=headers, body=body, proof=tuple(proof))


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).digest()


def _standard(
    secret: bytes, delivery: str, body: bytes, now: int
) -> tuple[dict[str, str], list[str]]:
    key = base64.b64decode(secret.removeprefix(b"whsec_"))
    digest = base64.b64encode(_mac(key, f"{delivery}.{now}.".encode() + body)).decode()
    headers = {"webhook-id": delivery, "webhook-timestamp": str(now)}
    headers["webhook-signature"] = f"v1,{digest}"
    return headers, list(headers)


def _github(
    secret: bytes, delivery: str, body: bytes, now: int
) -> tuple[dict[str, str], list[str]]:
    name = "x-hub-signature-256"
    headers = {name: f"sha256={_mac(secret, body).hex()}", "x-github-delivery": delivery}
    return headers, [name]


def _stripe(
    secret: bytes, delivery: str, body: bytes, now: int
) -> tuple[dict[str, str], list[str]]:
    digest = _mac(secret, f"{now}.".encode() + body).hex()
    return {"stripe-signature": f"t={now},v1={digest}"}, ["stripe-signature"]


def _slack(secret: bytes, delivery: str, body: bytes, now: int) -> tuple[dict[str, str], list[str]]:
    digest = _mac(secret, f"v0:{now}:".encode() + body).hex()
    headers = {"x-slack-request-timestamp": str(now), "x-slack-signature": f"v0={digest}"}
    return headers, list(headers)


def _shopify(
    secret: bytes, delivery: str, body: bytes, now: int
) -> tuple[dict[str, str], list[str]]:
    name = "x-shopify-hmac-sha256"
    digest = base64.b64encode(_mac(secret, body)).decode()
    return {name: digest, "x-shopify-webhook-id": delivery}, [name]


def _hmac(secret: bytes, delivery: str, body: bytes, now: int) -> tuple[dict[str, str], list[str]]:
    headers = {"x-signature": f"sha256={_mac(secret, body).hex()}", "idempotency-key": delivery}
    return headers, ["x-signature"]


_SIGNERS = {
    "standard": _standard,
    "github": _github,
    "stripe": _stripe,
    "slack": _slack,
    "shopify": _shopify,
    "hmac": _hmac,
}


def forge(scheme: str, delivery: str, luck: Random, *, now: int) -> Signed:
    """Return a delivery that is not genuine: changed after signing, signed by another, or too old."""
    genuine = sign(scheme, delivery, now=now)
    name = luck.choice(genuine.proof)
    headers, text = dict(genuine.headers), genuine.headers[name]
    place = luck.randrange(len(text))
    match luck.randrange(9 if scheme in TIMED else 8):
        case 0:
            del headers[name]
        case 1:
            headers[name] = ""
        case 2:
            headers[name] = text[:place]
        case 3:
            # Behind a comma or space it would be another signature beside the right one, as schemes allow.
            headers[name] = text + luck.choice("0aA=;\t") + luck.choice("0aA=")
        case 4:
            other = luck.choice([c for c in "0123456789abcdefXYZ+/=," if c != text[place]])
            headers[name] = text[:place] + other + text[place + 1 :]
        case 5 | 6:
            return replace(genuine, body=_changed(genuine.body, luck))
        case 7:
            strange = SECRETS["standard" if scheme != "standard" else "github"]
            if scheme == "standard":
                strange = "whsec_" + base64.b64encode(strange.encode()).decode()
            return sign(scheme, delivery, now=now, secret=strange)
        case _:
            return sign(scheme, delivery, now=now + luck.choice((-1, 1)) * STALE_SECONDS)
    return replace(genuine, headers=headers)


def _changed(body: bytes, luck: Random) -> bytes:
    place = luck.randrange(len(body))
    match luck.randrange(4):
        case 0:
            return body[:place]
        case 1:
            return body + bytes([luck.randrange(256)])
        case 2:
            return body[:place] + bytes([luck.randrange(256)]) + body[place:]
        case _:
            return (
                body[:place] + bytes([body[place] ^ (1 << luck.randrange(8))]) + body[place + 1 :]
            )
