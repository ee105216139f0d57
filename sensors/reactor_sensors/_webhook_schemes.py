"""Signature schemes exactly as their senders publish them. Pure: keys and instants are arguments."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, timedelta

    from reactor.api import HookRequest

Algorithm = Literal["sha1", "sha256", "sha512"]
Encoding = Literal["base64", "hex"]

# Seconds since 1970; signs, spaces and underscores that `int` would take are no part of any scheme.
_SECONDS = re.compile(r"[0-9]{1,12}")
_STANDARD_PREFIX = b"whsec_"


class Verdict(Enum):
    """What came of checking a signature. The value is all that a sender is told."""

    GENUINE = "the signature is right"
    MISSING = "the signature is missing"
    WRONG = "the signature is wrong"
    STALE = "the signature is stale"


@dataclass(slots=True, kw_only=True)
class Claim:
    """What a request claims: that one of `signatures` (encoded, as sent) is over the parts of `signed`.

    `signed_at` is in seconds since 1970, None where the scheme signs no instant. Nobody changes one; not `frozen`,
    since making a frozen one takes three times as long.
    """

    signed: tuple[bytes, ...]
    signatures: tuple[bytes, ...]
    signed_at: int | None = None


def _no_claim(_: HookRequest) -> Claim | Verdict:
    return Verdict.MISSING


def _plain_key(secret: bytes) -> bytes:
    return secret


def _nothing(_: Any) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How a sender signs, and where it says which delivery this is and of which type.

    `key` makes the HMAC key of a secret and raises ValueError that does not repeat it.
    """

    name: str
    claim: Callable[[HookRequest], Claim | Verdict] = _no_claim
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    key: Callable[[bytes], bytes] = _plain_key
    is_timed: bool = False
    id_of_headers: Callable[[HookRequest], str | None] = _nothing
    id_of_body: Callable[[Any], str | None] = _nothing
    type_of_body: Callable[[Any], str | None] = _nothing
    type_header: str | None = None
    subject_header: str | None = None
    answers_challenges: bool = False


def verdict_on(
    scheme: Scheme,
    request: HookRequest,
    keys: Sequence[bytes],
    *,
    now: datetime,
    window: timedelta,
) -> Verdict:
    """Return whether one of `keys` signed the request, not longer than `window` before or after `now`.

    STALE is said only of a right signature, so a guesser learns nothing from it.
    """
    claim = scheme.claim(request)
    if isinstance(claim, Verdict):
        return claim
    # Every key and signature is compared: which one fits is not to be told by the time it takes.
    fits = [
        hmac.compare_digest(expected, signature)
        for expected in [_signature(scheme, claim.signed, key) for key in keys]
        for signature in claim.signatures
    ]
    if not any(fits):
        return Verdict.WRONG
    if claim.signed_at is None:
        return Verdict.GENUINE
    is_stale = abs(now.timestamp() - claim.signed_at) > window.total_seconds()
    return Verdict.STALE if is_stale else Verdict.GENUINE


def _signature(scheme: Scheme, signed: Iterable[bytes], key: bytes) -> bytes:
    mac = hmac.new(key, digestmod=scheme.algorithm)
    for part in signed:
        mac.update(part)
    if scheme.encoding == "hex":
        return mac.hexdigest().encode()
    return base64.b64encode(mac.digest())


def _field(document: Any, name: str) -> str | None:
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) and value else None


def _bytes_of(header: str) -> bytes:
    # What `HookRequest.header` decoded, back as it was sent.
    return header.encode("latin-1")


def _standard_key(secret: bytes) -> bytes:
    encoded = secret.strip().removeprefix(_STANDARD_PREFIX)
    try:
        key = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError('the scheme "standard" expects whsec_ followed by the key in base64')
    return key


def _standard_claim(request: HookRequest) -> Claim | Verdict:
    """Standard Webhooks: `v1,<base64>` over `id.timestamp.body`, several separated by spaces.

    Signatures of other versions (v1a is asymmetric) are passed over.
    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    delivery = request.header("webhook-id")
    at = request.header("webhook-timestamp")
    given = request.header("webhook-signature")
    if not delivery or not at or not given:
        return Verdict.MISSING
    if not _SECONDS.fullmatch(at):
        return Verdict.WRONG
    versions = [signature.partition(",") for signature in given.split(" ")]
    return Claim(
        signed=(_bytes_of(f"{delivery}.{at}."), request.body),
        signatures=tuple(_bytes_of(text) for version, _, text in versions if version == "v1"),
        signed_at=int(at),
    )


def _github_claim(request: HookRequest) -> Claim | Verdict:
    """GitHub: `sha256=<hex>` over the body.

    Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    return _body_claim(request, "x-hub-signature-256", "sha256=")


def _stripe_claim(request: HookRequest) -> Claim | Verdict:
    """Stripe: `t=<seconds>,v1=<hex>,…` over `t.body`; several v1 while a secret is rolled.

    Source: https://docs.stripe.com/webhooks#verify-manually
    """
    given = request.header("stripe-signature")
    if not given:
        return Verdict.MISSING
    parts = [part.partition("=") for part in given.split(",")]
    instants = [text for name, _, text in parts if name == "t"]
    if len(instants) != 1 or not _SECONDS.fullmatch(instants[0]):
        return Verdict.WRONG
    return Claim(
        signed=(_bytes_of(f"{instants[0]}."), request.body),
        signatures=tuple(_bytes_of(text) for name, _, text in parts if name == "v1"),
        signed_at=int(instants[0]),
    )


def _slack_claim(request: HookRequest) -> Claim | Verdict:
    """Slack: `v0=<hex>` over `v0:timestamp:body`.

    Source: https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    given = request.header("x-slack-signature")
    at = request.header("x-slack-request-timestamp")
    if not given or not at:
        return Verdict.MISSING
    if not _SECONDS.fullmatch(at) or not given.startswith("v0="):
        return Verdict.WRONG
    return Claim(
        signed=(_bytes_of(f"v0:{at}:"), request.body),
        signatures=(_bytes_of(given.removeprefix("v0=")),),
        signed_at=int(at),
    )


def _shopify_claim(request: HookRequest) -> Claim | Verdict:
    """Shopify: base64 over the body.

    Source: https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
    """
    return _body_claim(request, "x-shopify-hmac-sha256", "")


def _body_claim(request: HookRequest, header: str, prefix: str) -> Claim | Verdict:
    given = request.header(header)
    if not given:
        return Verdict.MISSING
    if not given.startswith(prefix):
        return Verdict.WRONG
    return Claim(signed=(request.body,), signatures=(_bytes_of(given.removeprefix(prefix)),))


def _shopify_id(request: HookRequest) -> str | None:
    """Return the delivery's own id; an event id is shared by all topics that one action touches."""
    delivery = request.header("x-shopify-webhook-id")
    event = request.header("x-shopify-event-id")
    if delivery is not None or event is None:
        return delivery
    return f"{request.header('x-shopify-topic') or ''}:{event}"


def _slack_type(document: Any) -> str | None:
    outer = _field(document, "type")
    if outer == "event_callback":
        return _field(document["event"], "type") if "event" in document else outer
    return outer


def hmac_scheme(*, header: str, algorithm: Algorithm, encoding: Encoding, prefix: str) -> Scheme:
    """Return the scheme of a sender that signs the body alone; hex is in lower case."""

    def claim(request: HookRequest) -> Claim | Verdict:
        return _body_claim(request, header.lower(), prefix)

    return Scheme(name="hmac", claim=claim, algorithm=algorithm, encoding=encoding)


UNSIGNED = Scheme(name="none")

PUBLISHED = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            name="standard",
            claim=_standard_claim,
            encoding="base64",
            key=_standard_key,
            is_timed=True,
            id_of_headers=lambda request: request.header("webhook-id"),
            type_of_body=lambda document: _field(document, "type"),
        ),
        Scheme(
            name="github",
            claim=_github_claim,
            id_of_headers=lambda request: request.header("x-github-delivery"),
            type_header="x-github-event",
        ),
        Scheme(
            name="stripe",
            claim=_stripe_claim,
            is_timed=True,
            id_of_body=lambda document: _field(document, "id"),
            type_of_body=lambda document: _field(document, "type"),
        ),
        Scheme(
            name="slack",
            claim=_slack_claim,
            is_timed=True,
            id_of_body=lambda document: _field(document, "event_id"),
            type_of_body=_slack_type,
            answers_challenges=True,
        ),
        Scheme(
            name="shopify",
            claim=_shopify_claim,
            encoding="base64",
            id_of_headers=_shopify_id,
            type_header="x-shopify-topic",
            subject_header="x-shopify-shop-domain",
        ),
    )
}
