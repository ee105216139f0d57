"""Signature schemes: the senders' own published examples, and every way to bend a genuine request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reactor.api import HookRequest
from reactor_sensors._webhook_schemes import PUBLISHED, Scheme, Verdict, hmac_scheme, verdict_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WINDOW = timedelta(minutes=5)
STRIPE_SECRET = b"whsec_test_secret"
STRIPE_AT = 1492774577

Headers = dict[str, str]


def request(headers: Headers, body: bytes) -> HookRequest:
    pairs = [
        (name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()
    ]
    return HookRequest(method="POST", path="/", headers=pairs, body=body, client="192.0.2.1")


def stripe_signature(body: bytes, at: int, secret: bytes = STRIPE_SECRET) -> str:
    return hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()


class Example:
    """A genuine request of a scheme, with the secret and the instant it was signed at."""

    def __init__(
        self, scheme: Scheme, secret: bytes, headers: Headers, body: bytes, at: int
    ) -> None:
        self.scheme = scheme
        self.key = scheme.key(secret)
        self.headers = headers
        self.body = body
        self.at = at

    def verdict(
        self,
        headers: Headers | None = None,
        body: bytes | None = None,
        *,
        keys: tuple[bytes, ...] | None = None,
        seconds_later: float = 0,
        window: timedelta = WINDOW,
    ) -> Verdict:
        return verdict_on(
            self.scheme,
            request(
                self.headers if headers is None else headers, self.body if body is None else body
            ),
            (self.key,) if keys is None else keys,
            now=datetime.fromtimestamp(self.at, UTC) + timedelta(seconds=seconds_later),
            window=window,
        )


# https://github.com/standard-webhooks/standard-webhooks, the test of each of its libraries
STANDARD = Example(
    PUBLISHED["standard"],
    b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    b'{"test": 2432232314}',
    1614265330,
)
# https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
GITHUB = Example(
    PUBLISHED["github"],
    b"It's a Secret to Everybody",
    {
        "X-Hub-Signature-256": "sha256="
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    },
    b"Hello, World!",
    1614265330,
)
# Stripe publishes the construction, no example.
STRIPE_BODY = b'{"id":"evt_1","object":"event","type":"invoice.paid"}'
STRIPE = Example(
    PUBLISHED["stripe"],
    STRIPE_SECRET,
    {"Stripe-Signature": f"t={STRIPE_AT},v1={stripe_signature(STRIPE_BODY, STRIPE_AT)}"},
    STRIPE_BODY,
    STRIPE_AT,
)
# https://docs.slack.dev/authentication/verifying-requests-from-slack
SLACK = Example(
    PUBLISHED["slack"],
    b"8f742231b10e8888abcd99yyyzzz85a5",
    {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    },
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
    1531420618,
)
SHOPIFY = Example(
    PUBLISHED["shopify"],
    b"hush",
    {
        "X-Shopify-Hmac-Sha256": base64.b64encode(
            hmac.new(b"hush", b'{"id":820982911946154508}', hashlib.sha256).digest()
        ).decode()
    },
    b'{"id":820982911946154508}',
    1614265330,
)
# RFC 4231, test case 2
HMAC = Example(
    hmac_scheme(header="X-Proof", algorithm="sha512", encoding="hex", prefix="hmac "),
    b"Jefe",
    {
        "X-Proof": "hmac "
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    },
    b"what do ya want for nothing?",
    1614265330,
)
EXAMPLES = {
    example.scheme.name: example for example in (STANDARD, GITHUB, STRIPE, SLACK, SHOPIFY, HMAC)
}
TIMED = {name: example for name, example in EXAMPLES.items() if example.scheme.is_timed}

each_scheme = pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
each_timed_scheme = pytest.mark.parametrize("example", TIMED.values(), ids=TIMED)


def flipped(raw: bytes) -> Iterator[bytes]:
    """Return `raw` with each of its bits flipped, one at a time."""
    for place in range(len(raw)):
        for bit in range(8):
            yield raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]


@each_scheme
def test_the_published_example_is_genuine(example: Example) -> None:
    assert example.verdict() is Verdict.GENUINE


def test_each_scheme_is_tried() -> None:
    assert EXAMPLES.keys() == {*PUBLISHED, "hmac"}


@each_scheme
def test_no_flipped_bit_of_a_body_passes(example: Example) -> None:
    assert {example.verdict(body=body) for body in flipped(example.body)} == {Verdict.WRONG}


@each_scheme
def test_no_flipped_bit_of_a_header_passes(example: Example) -> None:
    for name, text in example.headers.items():
        for raw in flipped(text.encode()):
            headers = {**example.headers, name: raw.decode("latin-1")}
            assert example.verdict(headers) is not Verdict.GENUINE, (name, raw)


@each_scheme
def test_no_random_mutation_passes(example: Example) -> None:
    luck = random.Random(example.scheme.name)
    for _ in range(1000):
        body = bytearray(example.body)
        for _ in range(luck.randint(1, 4)):
            mutate(body, luck)
        if bytes(body) != example.body:
            assert example.verdict(body=bytes(body)) is Verdict.WRONG


def mutate(body: bytearray, luck: random.Random) -> None:
    place = luck.randrange(len(body) + 1)
    choice = luck.randrange(4)
    if choice == 0:
        body.insert(place, luck.randrange(256))
    elif choice == 1:
        del body[place : place + luck.randint(1, 8)]
    elif choice == 2:
        body[place:place] = body[: luck.randint(1, 16)]
    else:
        del body[place:]


@each_scheme
def test_another_secret_does_not_pass(example: Example) -> None:
    assert {example.verdict(keys=(key,)) for key in flipped(example.key)} == {Verdict.WRONG}


@each_scheme
def test_any_of_several_live_secrets_passes(example: Example) -> None:
    assert example.verdict(keys=(b"new", example.key)) is Verdict.GENUINE
    assert example.verdict(keys=(example.key, b"old")) is Verdict.GENUINE


@each_scheme
def test_no_secret_passes_nothing(example: Example) -> None:
    assert example.verdict(keys=()) is Verdict.WRONG


@each_scheme
def test_each_header_is_needed(example: Example) -> None:
    for name in example.headers:
        rest = {key: text for key, text in example.headers.items() if key != name}
        assert example.verdict(rest) is Verdict.MISSING
        assert example.verdict({**rest, name: ""}) is Verdict.MISSING


@each_scheme
@pytest.mark.parametrize("text", ["v1,", "v0=", "sha256=", "t=,v1=", "é", "=", ",", " ", "v1"])
def test_a_malformed_signature_does_not_pass(example: Example, text: str) -> None:
    *_, name = example.headers
    verdict = example.verdict({**example.headers, name: text})
    assert verdict in (Verdict.WRONG, Verdict.MISSING)


@each_timed_scheme
@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_within_the_replay_window_a_signature_passes(example: Example, seconds: int) -> None:
    assert example.verdict(seconds_later=seconds) is Verdict.GENUINE


@each_timed_scheme
@pytest.mark.parametrize("seconds", [-86_400, -300.001, 300.001, 86_400])
def test_outside_the_replay_window_a_signature_is_stale(example: Example, seconds: float) -> None:
    assert example.verdict(seconds_later=seconds) is Verdict.STALE


@each_timed_scheme
def test_the_replay_window_can_be_chosen(example: Example) -> None:
    window = timedelta(seconds=10)
    assert example.verdict(seconds_later=10, window=window) is Verdict.GENUINE
    assert example.verdict(seconds_later=11, window=window) is Verdict.STALE


@each_timed_scheme
def test_a_guesser_is_not_told_that_an_instant_is_stale(example: Example) -> None:
    verdict = example.verdict(body=b"forged", seconds_later=86_400)
    assert verdict is Verdict.WRONG


@pytest.mark.parametrize(
    "spell",
    [
        lambda at: f"+{at}",
        lambda at: f" {at}.0",
        lambda at: f"{at}_0",
        lambda at: f"0x{at:x}",
        lambda at: "9" * 400,
        lambda at: "²",
    ],
)
@pytest.mark.parametrize("name", TIMED)
def test_an_instant_is_digits_and_nothing_else(name: str, spell: Callable[[int], str]) -> None:
    example = EXAMPLES[name]
    at = str(example.at)
    headers = {key: text.replace(at, spell(example.at)) for key, text in example.headers.items()}
    assert example.verdict(headers) is Verdict.WRONG


def test_several_standard_signatures_may_stand_in_one_header() -> None:
    genuine = STANDARD.headers["webhook-signature"]
    for given in (f"v1,AAAA {genuine}", f"v1a,AAAA {genuine} v1,AAAA", f"{genuine} v2,x"):
        assert STANDARD.verdict({**STANDARD.headers, "webhook-signature": given}) is Verdict.GENUINE


def test_a_signature_of_another_version_does_not_count() -> None:
    for version in ("v1a", "v2", "V1", ""):
        given = STANDARD.headers["webhook-signature"].replace("v1,", f"{version},")
        assert STANDARD.verdict({**STANDARD.headers, "webhook-signature": given}) is Verdict.WRONG


def test_several_stripe_signatures_may_stand_in_one_header() -> None:
    old, new = (stripe_signature(STRIPE_BODY, STRIPE_AT, secret) for secret in (b"old", b"new"))
    headers = {"Stripe-Signature": f"t={STRIPE_AT},v1={old},v1={new}"}
    assert STRIPE.verdict(headers, keys=(b"new",)) is Verdict.GENUINE
    assert STRIPE.verdict(headers, keys=(b"old",)) is Verdict.GENUINE
    assert STRIPE.verdict(headers, keys=(b"other",)) is Verdict.WRONG


def test_two_stripe_instants_are_ambiguous() -> None:
    given = STRIPE.headers["Stripe-Signature"]
    for headers in (f"{given},t={STRIPE_AT}", f"t=1,{given}", given.replace("t=", "x=")):
        assert STRIPE.verdict({"Stripe-Signature": headers}) is Verdict.WRONG


def test_the_test_signature_of_stripe_does_not_count() -> None:
    genuine = STRIPE.headers["Stripe-Signature"]
    only_test = genuine.replace("v1=", "v0=")
    assert STRIPE.verdict({"Stripe-Signature": only_test}) is Verdict.WRONG
    assert STRIPE.verdict({"Stripe-Signature": f"{genuine},v0=6ffbb5"}) is Verdict.GENUINE


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_not base64!", b"", b"whsec_A"])
def test_a_standard_secret_that_is_no_base64_is_refused_unseen(secret: bytes) -> None:
    with pytest.raises(ValueError, match="whsec_ followed by the key in base64") as caught:
        PUBLISHED["standard"].key(secret)
    assert "not base64!" not in str(caught.value)


def test_a_standard_secret_may_come_without_its_prefix() -> None:
    key = PUBLISHED["standard"].key
    assert key(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") == key(
        b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    )


@pytest.mark.parametrize(
    ("algorithm", "encoding", "signature"),
    [
        ("sha1", "hex", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("sha256", "hex", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("sha256", "base64", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="),
    ],
)
def test_a_body_signature_is_known_in_each_spelling(
    algorithm: str, encoding: str, signature: str
) -> None:
    # RFC 2202 and RFC 4231, test case 2 of each
    scheme = hmac_scheme(
        header="X-Signature",
        algorithm=algorithm,  # type: ignore[arg-type]  # parametrised texts are not literals
        encoding=encoding,  # type: ignore[arg-type]  # the same
        prefix="",
    )
    example = Example(scheme, b"Jefe", {"x-signature": signature}, HMAC.body, 0)
    assert example.verdict() is Verdict.GENUINE
