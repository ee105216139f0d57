"""The options of the Kafka sensor, and where it resumes: pure parts."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from reactor.api import DefinitionError, SettingsError
from reactor.testing import RecordingIntake
from reactor_sensors._kafka_positions import (
    Bounds,
    Halt,
    Resume,
    cursor_key,
    generations_in,
    parse_start,
    resume_at,
    start_timestamp,
)
from reactor_sensors._kafka_security import Security
from reactor_sensors.kafka import Kafka

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OFFSETS = st.none() | st.integers(0, 50)


def kafka(*topics: str, **options: Any) -> Kafka:
    return Kafka(
        *(topics or (() if options.keys() & {"topics", "pattern"} else ("orders",))),
        **{"bootstrap_servers": "h:9092", "group": "g", **options},
    )


def test_servers_may_be_one_text_or_a_list() -> None:
    assert kafka(bootstrap_servers="a:1, b:2").bootstrap_servers == ("a:1", "b:2")
    assert kafka(bootstrap_servers=["a:1", "b:2"]).bootstrap_servers == ("a:1", "b:2")


def test_equal_options_make_equal_sensors() -> None:
    assert kafka("a", "b", model=dict[str, int]) == kafka("a", "b", model=dict[str, int])


def test_the_name_tells_topics_and_group() -> None:
    assert kafka("a", "b").sensor_name == "kafka:a,b@g"
    assert kafka(pattern="a.*").sensor_name == "kafka:a.*@g"


def test_long_lists_of_topics_that_differ_have_names_that_differ() -> None:
    names = {kafka(*[f"topic-{i}" for i in range(60)], last).sensor_name for last in ("x", "y")}
    assert len(names) == 2
    assert all(len(name) <= 200 for name in names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": ""}, "name one topic or more"),
        ({"pattern": "("}, "no regular expression"),
        ({"topics": ("a b",)}, "cannot be a topic"),
        ({"topics": ("a",), "pattern": "b"}, "not both"),
        ({"group": ""}, "group: must not be empty"),
        ({"bootstrap_servers": ""}, "host:port"),
        ({"decode": "xml"}, "decode"),
        ({"decode": "text", "model": dict}, 'needs decode="json"'),
        ({"model": object()}, "pydantic cannot read it"),
        ({"largest_bytes": 0}, "largest_bytes"),
        ({"start": "yesterday"}, "no start position"),
        ({"start": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001  # the fault under test
        ({"session_timeout": "10ms"}, "session_timeout"),
        ({"max_poll_interval": "1s"}, "max_poll_interval"),
        ({"boostrap": "x"}, "did you mean 'bootstrap_servers'"),
        ({"password": "env:P"}, "need sasl="),
        ({"sasl": "PLAIN"}, "takes username= and password="),
        ({"sasl": "PLAIN", "username": "u", "password": "hunter2"}, "is a reference"),
        ({"sasl": "OAUTHBEARER"}, "takes token="),
        ({"sasl": "KERBEROS"}, "sasl"),
        ({"tls_ca": "ca.pem"}, "without tls=True"),
        ({"tls": True, "tls_key": "k.pem"}, "needs tls_cert"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        kafka(**options)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decode": "avro"}, "expected the address"),
        ({"decode": "avro", "registry": "r:8081"}, "expected the address"),
        ({"decode": "avro", "registry": "http://["}, "expected the address"),
        ({"decode": "avro", "registry": "http://r:x"}, "expected the address"),
        ({"decode": "avro", "registry": "http://r?a=hunter2"}, "expected the address"),
        ({"decode": "avro", "registry": "http://u:hunter2@r"}, "do not belong into the address"),
        ({"registry": "http://r"}, "means nothing without decode="),
        ({"decode": "json-schema", "registry": "http://r", "registry_ca": "a"}, "means nothing"),
        ({"decode": "avro", "registry": "http://r", "registry_token": "hunter2"}, "is a reference"),
        (
            {"decode": "avro", "registry": "http://r", "registry_username": "u"},
            "go together",
        ),
        (
            {
                "decode": "avro",
                "registry": "http://r",
                "registry_username": "u",
                "registry_password": "env:P",
                "registry_token": "env:T",
            },
            "exclude each other",
        ),
    ],
)
def test_registry_options_that_cannot_be_meant_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        kafka(**options)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("decode", "extra"), [("avro", "avro"), ("json-schema", "jsonschema")])
def test_a_package_that_is_not_there_is_named_with_what_installs_it(
    decode: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactor_sensors._registry_access.find_spec", lambda _: None)
    with pytest.raises(DefinitionError, match=rf'pip install "reactor\[{extra}\]"'):
        kafka(decode=decode, registry="http://r")


def test_a_group_must_be_named() -> None:
    with pytest.raises(DefinitionError, match="group"):
        Kafka("orders", bootstrap_servers="h:1")


def test_topics_given_twice_are_refused() -> None:
    with pytest.raises(TypeError, match="twice"):
        Kafka("a", topics=("b",), bootstrap_servers="h:1", group="g")


def test_the_client_library_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, reactor_sensors as r; r.Kafka; sys.exit('aiokafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_secrets_are_read_by_reference(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    security = Security(
        sasl="SCRAM-SHA-512", username="u", password=f"file:{tmp_path / 'password'}"
    )
    assert security.client_options(RecordingIntake()) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "u",
        "sasl_plain_password": "hunter2",
    }


async def test_tls_trusts_what_the_system_trusts() -> None:
    options = Security(tls=True).client_options(RecordingIntake())
    assert options["security_protocol"] == "SSL"
    assert options["ssl_context"].check_hostname


async def test_a_token_comes_from_the_function_given() -> None:
    async def token() -> str:
        return "t"

    options = Security(tls=True, sasl="OAUTHBEARER", token=token).client_options(RecordingIntake())
    assert options["security_protocol"] == "SASL_SSL"
    assert await options["sasl_oauth_token_provider"].token() == "t"


@pytest.mark.parametrize(
    ("returned", "what"),
    [("a token\n", "no bearer token"), ("", "no bearer token"), (b"token", "no text")],
)
async def test_what_is_no_token_is_refused_without_being_shown(returned: Any, what: str) -> None:
    async def token() -> Any:
        return returned

    options = Security(tls=True, sasl="OAUTHBEARER", token=token).client_options(RecordingIntake())
    with pytest.raises(KafkaConnectionError, match=what) as caught:
        await options["sasl_oauth_token_provider"].token()
    assert not returned or str(returned) not in str(caught.value)


async def test_a_missing_certificate_is_a_setting_to_correct(tmp_path: Path) -> None:
    security = Security(tls=True, tls_ca="nowhere.pem")
    with pytest.raises(SettingsError, match=r"nowhere\.pem"):
        security.client_options(RecordingIntake(directory=tmp_path))


def test_a_start_is_a_word_an_instant_or_a_time_back() -> None:
    assert parse_start("latest") == "latest"
    assert parse_start("-1h") == timedelta(hours=1)
    assert parse_start("2026-01-01T00:00:00+00:00") == NOW
    assert start_timestamp(parse_start("-1h"), NOW) == 1_767_222_000_000
    assert start_timestamp(parse_start(NOW), NOW) == 1_767_225_600_000
    assert start_timestamp("latest", NOW) is None


def resume(
    own: int | None,
    committed: int | None,
    first: int = 0,
    end: int = 100,
    others: frozenset[str] = frozenset(),
) -> Resume | Halt:
    return resume_at(
        own=own, committed=committed, others=others, bounds=Bounds(first=first, end=end), start=42
    )


def test_the_first_start_begins_where_it_was_told_to() -> None:
    assert resume(None, None) == Resume(42, is_new=True)


def test_a_later_start_goes_on_after_what_is_durable() -> None:
    assert resume(7, None) == Resume(7, is_new=False)


def test_what_another_member_journaled_is_not_read_again() -> None:
    assert resume(7, 9) == Resume(9, is_new=True)


def test_a_group_moved_back_is_not_followed() -> None:
    assert resume(7, 3) == Resume(7, is_new=False)


def test_an_offset_behind_the_log_halts() -> None:
    assert isinstance(resume(101, None), Halt)


def test_records_deleted_before_they_were_read_halt() -> None:
    halt = resume(7, None, first=10)
    assert isinstance(halt, Halt)
    assert "3 offsets were deleted before they were read" in halt.why


def test_a_recreated_topic_halts_whatever_the_group_committed() -> None:
    for committed in (None, 5):
        halt = resume(None, committed, others=frozenset({"old"}))
        assert isinstance(halt, Halt)
        assert "recreated" in halt.why


def test_a_recreated_topic_goes_on_once_its_offset_was_set() -> None:
    assert resume(0, None, others=frozenset({"old"})) == Resume(0, is_new=False)


@given(own=OFFSETS, committed=OFFSETS, first=st.integers(0, 50), length=st.integers(0, 50))
def test_no_offset_is_ever_jumped_over(
    own: int | None, committed: int | None, first: int, length: int
) -> None:
    decision = resume(own, committed, first=first, end=first + length)
    if isinstance(decision, Resume) and (own, committed) != (None, None):
        assert decision.offset == max(own or 0, committed or 0)
        assert first <= decision.offset <= first + length


def test_generations_of_a_topic_are_told_apart_from_those_of_another() -> None:
    cursor = {
        cursor_key("c", "a", "g1", 0): b"1",
        cursor_key("c", "a", "g2", 3): b"1",
        cursor_key("c", "a.b", "g3", 0): b"1",
        cursor_key("d", "a", "g4", 0): b"1",
    }
    assert generations_in(cursor, "c", "a") == {"g1", "g2"}
