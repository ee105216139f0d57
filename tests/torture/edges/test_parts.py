"""The hostile parts themselves: a check that cannot fail proves nothing."""

from __future__ import annotations

import base64
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.torture.edges.canaries import Canaries
from tests.torture.edges.prompt import Answers
from tests.torture.edges.signing import SECRETS, forge, sign
from tests.torture.edges.tree import hostile_name

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_700_000_000


@pytest.mark.parametrize(
    "spell",
    [bytes, base64.b64encode, lambda raw: raw.hex().encode(), lambda raw: b"<" + raw + b">"],
    ids=["plain", "base64", "hex", "inside"],
)
def test_a_secret_is_found_however_it_is_spelled(spell: Callable[[bytes], bytes]) -> None:
    birds = Canaries(Random(1))
    secret = birds.new("password")
    birds.new("another")
    assert birds.found_in(b"before " + spell(secret.encode()) + b" after") == ["password"]


@pytest.mark.parametrize("scheme", SECRETS)
def test_a_forgery_is_never_what_the_sender_would_have_sent(scheme: str) -> None:
    luck = Random(scheme)
    genuine = sign(scheme, "d", now=NOW)
    forged = [forge(scheme, "d", luck, now=NOW) for _ in range(500)]
    assert genuine not in forged
    assert len({(tuple(one.headers.items()), one.body) for one in forged}) > 50


def test_no_hostile_name_is_hidden_or_longer_than_a_file_system_takes() -> None:
    luck = Random(1)
    names = [hostile_name(luck) for _ in range(2000)]
    assert all(0 < len(name) <= 255 and not name.startswith(b".") for name in names)
    assert not any(byte in name for name in names for byte in (b"/", b"\0"))
    assert any(b"\xff" in name for name in names)
    assert any(b"\n" in name for name in names)


@pytest.mark.parametrize(
    ("daemon", "bare", "are_late"),
    [(0.02, 0.01, False), (0.12, 0.01, True), (0.12, 0.05, False), (0.3, 0.05, True)],
)
def test_answers_are_late_where_the_machine_does_not_explain_it(
    daemon: float, bare: float, *, are_late: bool
) -> None:
    assert Answers(daemon=daemon, bare=bare).are_late is are_late
