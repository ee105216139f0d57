"""Avro values as JSON, and schemas that would cost the process its life; fastavro's writer is the oracle."""

from __future__ import annotations

import base64
import io
import itertools
import json
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import fastavro
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor_sensors._avro_codec import avro_codec
from reactor_sensors._avro_schema import MOST_FREE_VALUES, MOST_LEVELS, MOST_NODES
from reactor_sensors._kafka_poison import PoisonError

if TYPE_CHECKING:
    from collections.abc import Callable

NODE = {
    "type": "record",
    "name": "Node",
    "fields": [
        {"name": "value", "type": "int"},
        {"name": "next", "type": ["null", "Node"]},
    ],
}


def written(schema: Any, value: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return stream.getvalue()


def read(schema: Any, payload: bytes, *references: Any) -> Any:
    texts = tuple(json.dumps(reference) for reference in references)
    return orjson.loads(avro_codec(json.dumps(schema), texts)(payload))


def refused(schema: Any, payload: bytes = b"", *references: Any) -> PoisonError:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    with pytest.raises(PoisonError) as caught:
        avro_codec(text, tuple(json.dumps(reference) for reference in references))(payload)
    return caught.value


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except PoisonError as error:
        return error.reason
    return "read"


def record(name: str, *types: Any) -> dict[str, Any]:
    fields = [{"name": f"f{place}", "type": kind} for place, kind in enumerate(types)]
    return {"type": "record", "name": name, "fields": fields}


# Schema, value as fastavro writes it, and the JSON that it is to become.
Case = tuple[Any, Any, Any]
names = map("N{}".format, itertools.count())
LEAVES = st.one_of(
    st.just(("null", None, None)),
    st.booleans().map(lambda v: ("boolean", v, v)),
    st.integers(-(2**31), 2**31 - 1).map(lambda v: ("int", v, v)),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: ("long", v, v)),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda v: ("double", v, v)),
    st.text().map(lambda v: ("string", v, v)),
    st.binary(min_size=3, max_size=3).map(
        lambda v: ({"type": "fixed", "name": next(names), "size": 3}, v, spelled(v))
    ),
    st.sampled_from("AB").map(
        lambda v: ({"type": "enum", "name": next(names), "symbols": ["A", "B"]}, v, v)
    ),
)


def spelled(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _record(fields: list[Case]) -> Case:
    numbered = [(f"f{place}", *case) for place, case in enumerate(fields)]
    return (
        record(next(names), *[schema for schema, _, _ in fields]),
        {name: value for name, _, value, _ in numbered},
        {name: wanted for name, _, _, wanted in numbered},
    )


def _nested(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(_record),
        inner.filter(lambda case: case[0] != "null").map(
            lambda c: ({"type": "map", "values": c[0]}, {"k": c[1]}, {"k": c[2]})
        ),
        inner.filter(lambda case: not takes_nothing(case[0])).map(
            lambda c: ({"type": "array", "items": c[0]}, [c[1]] * 3, [c[2]] * 3)
        ),
        inner.filter(lambda case: not isinstance(case[0], list) and case[0] != "null").map(
            lambda c: (["null", c[0]], c[1], c[2])
        ),
    )


def takes_nothing(schema: Any) -> bool:
    if isinstance(schema, dict) and schema["type"] == "record":
        return all(takes_nothing(field["type"]) for field in schema["fields"])
    return bool(schema == "null")


@given(st.recursive(LEAVES, _nested, max_leaves=8))
def test_what_fastavro_writes_becomes_the_same_in_json(case: Case) -> None:
    schema, value, wanted = case
    assert read(schema, written(schema, value)) == wanted


@given(st.recursive(LEAVES, _nested, max_leaves=6), st.binary(max_size=60))
def test_any_bytes_become_json_or_poison(case: Case, payload: bytes) -> None:
    assert outcome(lambda: read(case[0], payload)) in {"read", "not_avro", "not_storable"}


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        ({"type": "int", "logicalType": "date"}, date(2026, 2, 3), "2026-02-03"),
        ({"type": "int", "logicalType": "time-millis"}, time(1, 2, 3, 4000), "01:02:03.004000"),
        ({"type": "long", "logicalType": "time-micros"}, time(1, 2, 3, 4), "01:02:03.000004"),
        (
            {"type": "long", "logicalType": "timestamp-millis"},
            datetime(2026, 1, 1, tzinfo=UTC),
            "2026-01-01T00:00:00+00:00",
        ),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=1),
            "2026-01-01T00:00:00.000001+00:00",
        ),
        (
            {"type": "long", "logicalType": "local-timestamp-millis"},
            datetime(2026, 1, 1),  # noqa: DTZ001  # a local timestamp has no zone
            "2026-01-01T00:00:00",
        ),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            Decimal("-12.30"),
            "-12.30",
        ),
        (
            {
                "type": "fixed", "name": "F", "size": 8,
                "logicalType": "decimal", "precision": 15, "scale": 0,
            },
            Decimal("120"),
            "120",
        ),
        ({"type": "string", "logicalType": "uuid"}, uuid.UUID(int=7), str(uuid.UUID(int=7))),
        (
            {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"},
            uuid.UUID(int=7).bytes,
            str(uuid.UUID(int=7)),
        ),
        (
            {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"},
            b"\x01\0\0\0\x02\0\0\0\xdc\x05\0\0",
            "P1M2DT1.500S",
        ),
        ({"type": "long", "logicalType": "of-tomorrow"}, 7, 7),
        ({"type": "bytes", "logicalType": "decimal", "precision": 0}, b"\x07", spelled(b"\x07")),
    ],
)  # fmt: skip
def test_a_logical_type_becomes_what_json_and_pydantic_know(
    schema: Any, value: Any, wanted: Any
) -> None:
    plain = dict(schema)
    if plain.get("type") == "fixed" and isinstance(value, bytes):
        del plain["logicalType"]
    assert read(record("R", schema), written(record("R", plain), {"f0": value})) == {"f0": wanted}


def test_types_of_other_schemas_are_known_by_their_full_names() -> None:
    address = {**record("Address", "string"), "namespace": "com.example"}
    order = record("com.example.Order", "Address", "com.example.Address")
    payload = b"\x02a\x02b"
    assert read(order, payload, address) == {"f0": {"f0": "a"}, "f1": {"f0": "b"}}


def test_a_root_may_be_of_any_type() -> None:
    assert read(["null", "int"], b"\x02\x04") == 2
    assert read({"type": "array", "items": "int"}, b"\x02\x04\x00") == [2]
    assert read("com.A", b"\x04", {**record("com.A", "int")}) == {"f0": 2}


def test_bytes_alone_are_the_whole_value_as_the_java_serializer_writes_them() -> None:
    assert read("bytes", b"\x07abc") == spelled(b"\x07abc")


def test_a_record_of_many_records_is_read() -> None:
    parts = [record(f"P{place}", "int") for place in range(200)]
    schema = record("R", *parts)
    assert read(schema, b"\x02" * 200) == {f"f{place}": {"f0": 1} for place in range(200)}


def test_a_schema_may_contain_itself() -> None:
    value = {"value": 1, "next": {"value": 2, "next": None}}
    assert read(NODE, written(NODE, value)) == value


@pytest.mark.parametrize("levels", [1000, 100_000, 500_000])
def test_a_value_nested_without_bound_is_poison_and_no_crash(levels: int) -> None:
    assert refused(NODE, b"\x02\x02" * levels + b"\x02\x00").reason == "not_storable"


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        ("string", b"\x08ab"),
        ("string", b"\x02\xff"),
        ("string", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01a"),
        ("int", b""),
        ("int", b"\x02\x02"),
        ("double", b"\x02"),
        (["null", "int"], b"\x08"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x08"),
        ({"type": "array", "items": "int"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02"),
        ({"type": "int", "logicalType": "date"}, b"\xfe\xff\xff\xff\x0f"),
        ({"type": "string", "logicalType": "uuid"}, b"\x02a"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 5}, b"\xc0\x84\x3d" + b"1" * 500_000),
    ],
)  # fmt: skip
def test_bytes_that_do_not_fit_their_schema_are_poison(schema: Any, payload: bytes) -> None:
    assert refused(record("R", schema), payload).reason == "not_avro"


def test_a_number_that_json_does_not_have_is_poison() -> None:
    schema = record("R", {"type": "array", "items": "double"})
    for number in (float("nan"), float("inf")):
        error = refused(schema, written(schema, {"f0": [1.0, number]}))
        assert (error.reason, str(number) in str(error)) == ("not_storable", True)


def doubled(levels: int) -> Any:
    """Return a schema of 2 ** levels nulls, which takes no bytes at all."""
    node: Any = record("R0", "null")
    for level in range(1, levels):
        node = record(f"R{level}", node, f"R{level - 1}")
    return node


def arrays(levels: int) -> Any:
    node: Any = "int"
    for _ in range(levels):
        node = {"type": "array", "items": node}
    return node


def chain(length: int) -> Any:
    node: Any = record("R0", "int")
    parts = [node]
    for level in range(1, length):
        parts.append(record(f"R{level}", f"R{level - 1}", "int"))
    return parts


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("{", "not JSON"),
        ("[" * 2000, "not JSON"),
        ({"type": "array", "items": "null"}, "take no bytes"),
        ({"type": "array", "items": record("R", record("S"))}, "take no bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "take no bytes"),
        (doubled(30), "values in 0 bytes"),
        (record("R", *["null"] * MOST_FREE_VALUES), "17 values in 0 bytes"),
        (record("R", "R"), "contains itself, always"),
        (arrays(MOST_LEVELS + 1), "nested in more than"),
        (arrays(150), "nested in more than"),
        (chain(500), "nested in more than"),
        (arrays(250), "levels"),
        (["int"] * (MOST_NODES + 1), "more than 20,000 types"),
        ({"type": "enum", "name": "E", "symbols": ["A"] * 30_000 + [1]}, "symbols"),
        (record("R", "Unknown"), "defined nowhere before"),
        (record("R", record("R", "int")), "defined twice"),
        ({"type": "record", "name": "R"}, "no list of fields"),
        ({"type": "record", "fields": []}, "has no name"),
        ({"type": "record", "name": "R", "fields": [{"type": "int"}]}, "no name or no type"),
        ({"type": "fixed", "name": "F", "size": -1}, "no size"),
        ({"type": "array"}, "expected a type"),
        (7, "expected a type"),
        ({"__fastavro_parsed": True, "type": "record", "name": "R", "fields": 7}, "fields"),
    ],
)
def test_a_schema_that_nothing_can_be_read_by_is_refused(schema: Any, why: str) -> None:
    error = refused(json.dumps(schema) if schema not in ("{", "[" * 2000) else schema)
    assert error.reason == "bad_schema"
    assert why in str(error)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5)
                    | st.sampled_from(["int", "record", "array", "map", "fixed", "enum", "union"]),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                        st.sampled_from(["type", "name", "fields", "items", "values", "symbols",
                                         "size", "logicalType", "precision", "namespace"]),
                        inner, max_size=5), max_leaves=12))  # fmt: skip
def test_any_json_is_a_schema_or_is_refused(schema: Any) -> None:
    assert outcome(lambda: avro_codec(json.dumps(schema))) in {"read", "bad_schema"}
