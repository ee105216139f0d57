"""Values checked by JSON Schemas, and schemas that would cost the process its time."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor_sensors._json_schema import json_schema_codec
from reactor_sensors._kafka_poison import PoisonError

ORDER = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "customer": {"type": "string", "pattern": "^c[0-9]+$"},
        "amount": {"minimum": 1},
    },
    "required": ["customer"],
    "additionalProperties": False,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 0.5, "", "a", "bb"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=8,
)
SCHEMAS = st.recursive(
    st.booleans()
    | st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["null", "boolean", "integer", "number", "string", "array"]),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "pattern": st.sampled_from(["^a", "b+$", "."]),
            "minLength": st.integers(0, 2),
            "uniqueItems": st.booleans(),
            "minimum": st.integers(-2, 2),
            "required": st.lists(st.sampled_from("ab"), unique=True),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=2),
            "additionalProperties": inner,
            "propertyNames": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "if": inner,
            "then": inner,
        },
    ),
    max_leaves=6,
)


def check(schema: Any, payload: bytes | Any, *references: tuple[str, Any]) -> bytes:
    """Return what the codec makes of a payload, or of the JSON of a value."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return json_schema_codec(text, tuple((name, json.dumps(s)) for name, s in references))(raw)


def refused(schema: Any, payload: bytes | Any, *references: tuple[str, Any]) -> PoisonError:
    with pytest.raises(PoisonError) as caught:
        check(schema, payload, *references)
    return caught.value


def test_a_value_that_fits_comes_out_as_it_went_in() -> None:
    raw = b'{"customer": "c1",  "amount": 1.50}'
    assert check(ORDER, raw) == raw


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"customer": "secret"}, 'customer: not as pattern "^c[0-9]+$" asks'),
        ({"customer": "c1", "amount": 0}, "amount: not as minimum 1 asks"),
        ({"customer": "c1", "other": 1}, "other: not as additionalProperties false asks"),
        ({}, 'value: not as required ["customer"] asks'),
        ([], 'value: not as type "object" asks'),
    ],
)
def test_a_value_that_does_not_fit_is_poison_that_names_field_and_rule(
    value: Any, why: str
) -> None:
    error = refused(ORDER, value)
    assert error.reason == "breaks_schema"
    assert why in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"NaN", b"[1e999999"])
def test_what_is_not_json_is_poison(value: bytes) -> None:
    assert refused(True, value).reason == "not_json"


@given(SCHEMAS, VALUES)
def test_the_library_and_what_is_counted_agree(schema: Any, value: Any) -> None:
    fits = jsonschema.Draft7Validator(schema).is_valid(value)
    if fits:
        check(schema, value)
    else:
        assert refused(schema, value).reason == "breaks_schema"


def test_references_are_found_by_their_names_whatever_the_address_around_them() -> None:
    schema = {"properties": {"to": {"$ref": "address.json"}}}
    references = [
        ("zip.json", {"type": "string"}),
        ("address.json", {"items": {"$ref": "zip.json"}}),
    ]
    for root in (schema, {**schema, "$id": "http://example.com/schemas/order.json"}):
        check(root, {"to": ["1"]}, *references)
        assert refused(root, {"to": [1]}, *references).reason == "breaks_schema"


@pytest.mark.parametrize("draft", ["draft-04/schema#", "draft-06/schema#", "draft-07/schema#"])
def test_the_draft_that_a_schema_names_is_used(draft: str) -> None:
    schema = {"$schema": f"http://json-schema.org/{draft}", "type": "integer"}
    if "04" in draft:
        assert refused(schema, b"1.0").reason == "breaks_schema"
    else:
        check(schema, b"1.0")


def test_what_newer_drafts_know_is_checked_too() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [{"properties": {"a": True}}],
        "unevaluatedProperties": False,
        "prefixItems": [{"type": "string"}],
    }
    check(schema, {"a": 1})
    assert refused(schema, {"b": 1}).reason == "breaks_schema"
    assert refused(schema, [1]).reason == "breaks_schema"


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("{", "not JSON"),
        ({"type": "nothing"}, "type"),
        ({"pattern": "(?=a)"}, "without look-around"),
        ({"pattern": r"(a)\1"}, "back-references"),
        ({"$ref": "http://127.0.0.1:1/a.json"}, "which is not there"),
        ({"$ref": "file:///etc/passwd"}, "which is not there"),
        ({"$ref": "#/definitions/none"}, "which is not there"),
        ({"$id": "http://[", "allOf": [{"$ref": "x"}]}, "no address"),
        ({"$ref": "#"}, "without an end"),
        ({"allOf": [{"$ref": "#"}]}, "without an end"),
        ({"not": {"anyOf": [{"$ref": "#"}]}}, "without an end"),
        ({"enum": [*range(3000)]}, "not all texts"),
        ({"enum": [f"{n}" for n in range(30_000)]}, "more than 20,000 parts"),
        (
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "patternProperties": {"a": True},
                "unevaluatedProperties": False,
            },
            "use one of them",
        ),
    ],
)
def test_a_schema_that_nothing_can_be_checked_by_is_refused(schema: Any, why: str) -> None:
    error = refused(schema, '"a"' if isinstance(schema, str) else "a")
    assert error.reason == "bad_schema"
    assert why in str(error)


def nested(levels: int) -> Any:
    schema: Any = True
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def test_a_schema_of_many_levels_is_refused() -> None:
    assert refused(nested(400), []).reason == "bad_schema"


def doubling(levels: int) -> dict[str, Any]:
    """Return a schema of 2 ** levels looks at the same value."""
    inner: dict[str, Any] = {f"d{levels}": {"type": "integer"}}
    for level in range(levels):
        ref = {"$ref": f"#/definitions/d{level + 1}"}
        inner[f"d{level}"] = {"allOf": [ref, ref]}
    return {"definitions": inner, "$ref": "#/definitions/d0"}


TREE = {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}


def deep(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling(40), 1),
        ({"$schema": "http://json-schema.org/draft-07/schema#", **doubling(40)}, 1),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", **doubling(40)}, 1),
        (TREE, deep(40)),
        ({"items": {"not": {"enum": [f"{n}" for n in range(10_000)]}}}, [*range(20_000)]),
        ({"items": {"not": {"anyOf": [{"type": "integer"}] * 1900}}}, ["x" * 10] * 5000),
    ],
)
def test_a_schema_that_asks_for_endless_work_makes_poison_in_bounded_time(
    schema: Any, value: Any
) -> None:
    error = refused(schema, value)
    assert error.reason == "breaks_schema"
    assert "takes too long for its size" in str(error)


def test_a_pattern_that_backtracks_elsewhere_is_matched_in_linear_time() -> None:
    assert refused({"pattern": "^(a+)+$"}, "a" * 50_000 + "!").reason == "breaks_schema"
    names = {"patternProperties": {"^(a+)+$": False}, "additionalProperties": False}
    assert refused(names, {"a" * 50_000 + "!": 1}).reason == "breaks_schema"


def test_many_items_of_mixed_types_are_compared_in_linear_time() -> None:
    schema = {"uniqueItems": True}
    check(schema, [value for n in range(5000) for value in (n, f"{n}", [n])])
    assert refused(schema, [1, "1", {"a": 1}, {"a": 1.0}]).reason == "breaks_schema"
    check(schema, [1, True, "1", 0, False])
