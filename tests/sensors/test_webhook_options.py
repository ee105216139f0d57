"""What a Webhook may be told, and what each mistake is called."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from reactor.api import DefinitionError
from reactor_sensors import Webhook

SECRET = "correct-horse-battery-staple"
GITHUB: dict[str, Any] = {"scheme": "github", "secret": "env:GITHUB_SECRET"}
HMAC: dict[str, Any] = {"scheme": "hmac", "secret": "env:HMAC_SECRET"}


def fault(*path: str, **options: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        Webhook(*(path or ("/hook",)), **options)
    return str(caught.value)


class Order(BaseModel):
    number: int


@dataclass
class Parcel:
    weight: float


def test_an_endpoint_is_closed_unless_opened_by_name() -> None:
    assert "write auth=None if anybody" in fault()
    assert "write auth=None if anybody" in fault(scheme="github")
    assert Webhook("/hook", auth=None).secret == ()


def test_open_and_closed_at_once_is_a_contradiction() -> None:
    assert "leave out one of them" in fault(auth=None, **GITHUB)


def test_a_secret_needs_a_scheme() -> None:
    assert "known: standard, github" in fault(secret="env:X")


def test_an_open_endpoint_may_have_a_scheme_for_identity_and_type() -> None:
    assert Webhook("/hook", scheme="github", auth=None).scheme == "github"


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"scheme": "githb", "secret": "env:X"}, "'githb' is not known; did you mean 'github'?"),
        ({"scheme": "zzz", "secret": "env:X"}, "known: github, hmac, shopify, slack"),
        ({**HMAC, "algorithm": "sha265"}, "did you mean 'sha256'?"),
        ({**HMAC, "encoding": "base46"}, "did you mean 'base64'?"),
        ({**GITHUB, "secrets": "env:X"}, "unknown option 'secrets'; did you mean 'secret'?"),
        (
            {"auth": None, "max_body": 1},
            "unknown option 'max_body'; did you mean 'max_body_bytes'?",
        ),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(options: dict[str, Any], hint: str) -> None:
    assert hint in fault(**options)


@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        f"env:{SECRET}",
        f"ENV:{SECRET}",
        "env:",
        "file:",
        "env:A B",
        ["env:GOOD", SECRET],
        [],
        (),
        [SECRET.encode()],
        {"env": SECRET},
        SECRET.encode(),
        3,
        None,
        ["env:A"] * 11,
    ],
)
def test_what_is_no_reference_is_refused_and_not_repeated(secret: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        Webhook("/hook", scheme="github", secret=secret)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert SECRET not in f"{seen} {seen!r}"
        seen = seen.__cause__ or seen.__context__


def test_several_references_are_kept_in_order() -> None:
    references = ["env:NEW", "file:/run/secrets/old"]
    assert Webhook("/hook", scheme="github", secret=references).secret == tuple(references)


@pytest.mark.parametrize("auth", ["none", "", False, "hunter2"])
def test_auth_is_none_or_left_out(auth: Any) -> None:
    said = fault(auth=auth)
    assert "expected None for an open endpoint, or leave it out" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "path",
    ["/", "/github", "/a/b-c_d~e.f", "/a:b@c;d=e,f", "/...", "/" + "x" * 199],
)
def test_a_normal_path_is_served(path: str) -> None:
    assert Webhook(path, auth=None).path == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "github", "//", "/a//b", "/a/", "/a/../b", "/.", "/a?b", "/a#b", "/a%20b", "/a b"),
        *("/é", "/a\nb", "/a\n", "/a\\b", "http://x/a", "/" + "x" * 200),
    ],
)
def test_another_path_is_refused(path: str) -> None:
    assert 'expected a path like "/orders/paid"' in fault(path, auth=None)


def test_two_paths_are_two_sensors() -> None:
    with pytest.raises(TypeError, match="takes one path, not 2"):
        Webhook("/a", "/b", auth=None)


def test_the_name_comes_from_the_path() -> None:
    assert Webhook("/github", **GITHUB).sensor_name == "webhook:/github"
    assert len(Webhook("/" + "x" * 199, auth=None).sensor_name) <= 200


@pytest.mark.parametrize("option", [{"header": "X-A"}, {"prefix": "a="}, {"encoding": "hex"}])
def test_options_of_hmac_have_no_meaning_elsewhere(option: dict[str, str]) -> None:
    (name,) = option
    assert f"{name} has no meaning with scheme='github'" in fault(**GITHUB, **option)
    assert f"{name} has no meaning with auth=None" in fault(auth=None, **option)


@pytest.mark.parametrize("options", [GITHUB, HMAC, {"auth": None}])
def test_a_replay_window_needs_a_signed_instant(options: dict[str, Any]) -> None:
    assert "replay_window has no meaning with" in fault(**options, replay_window="1m")


def test_a_replay_window_is_a_duration() -> None:
    stripe = Webhook("/hook", scheme="stripe", secret="env:X", replay_window="1m")
    assert stripe.replay_window == timedelta(minutes=1)
    said = fault(scheme="stripe", secret="env:X", replay_window="soon")
    assert "'soon' is not a duration" in said


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"deadline": "0s"}, "deadline"),
        ({"deadline": "2d"}, "deadline"),
        ({"max_body_bytes": 0}, "max_body_bytes"),
        ({"max_body_bytes": 64 * 1024 * 1024 + 1}, "max_body_bytes"),
        ({"max_body_bytes": "1MiB"}, "max_body_bytes"),
        ({"max_body_bytes": True}, "max_body_bytes"),
    ],
)
def test_limits_are_within_reason(options: dict[str, Any], named: str) -> None:
    assert f"{named}: " in fault(auth=None, **options)


def test_the_largest_body_is_64_mib() -> None:
    largest = 64 * 1024 * 1024
    assert Webhook("/hook", auth=None, max_body_bytes=largest).max_body_bytes == largest


@pytest.mark.parametrize("header", ["", "a b", "a:b", "é", "a\r\nb", "x" * 101])
def test_a_header_is_the_name_of_one(header: str) -> None:
    assert "is not the name of an HTTP header" in fault(**HMAC, header=header)


@pytest.mark.parametrize("model", [Order, Parcel, list[Order], dict[str, int], int])
def test_a_model_is_the_type_of_the_data(model: Any) -> None:
    assert Webhook("/hook", auth=None, model=model).data_type == model


def test_without_a_model_the_data_is_plain_json() -> None:
    assert Webhook("/hook", auth=None).data_type is Any


def test_what_pydantic_cannot_validate_is_no_model() -> None:
    assert "pydantic cannot validate to" in fault(auth=None, model=object())


def test_webhooks_of_equal_options_are_equal() -> None:
    # The supervisor leaves a sensor that a reload did not change undisturbed.
    assert Webhook("/hook", **GITHUB, model=Order) == Webhook("/hook", **GITHUB, model=Order)
    assert Webhook("/hook", **GITHUB) != Webhook("/hook", **GITHUB, deadline="5s")
