"""Reads the text of an Avro schema that nobody vouches for: what comes out is small, shallow and safe to decode by.

Whoever may register schemas could otherwise stop or crash the process with a few bytes:

- A record of records of … of nulls, or an array of nulls, is any number of values in no bytes at all.
- fastavro recurses on the C stack, once per level of the value and without a limit (1.13.1: a segmentation fault at
  10 000 levels). So the levels of a schema are bounded, and one that contains itself is marked.
- A decimal of a megabyte costs 88 seconds. So decimals are read by `_avro_codec`, which bounds them.

Source: https://avro.apache.org/docs/1.12.0/specification/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from reactor_sensors._kafka_poison import PoisonError

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
MOST_NODES = 20_000
MOST_LEVELS = 64
MOST_TEXT_LEVELS = 200
# How many values a type may hold at its shortest, beyond four for each byte: records, nulls and what else takes none.
# An array of them is what a record can grow to in memory: twenty times its size.
MOST_FREE_VALUES = 16
VALUES_PER_BYTE = 4
MOST_DIGITS = 1000
_LARGEST_FIXED = 64 * 1024 * 1024
_DURATION_SIZE, _UUID_SIZE = 12, 16

# By underlying type: what fastavro reads into values that JSON knows.
_LOGICAL = {
    "int": {"date", "time-millis"},
    "long": {
        "time-micros", "timestamp-millis", "timestamp-micros",
        "local-timestamp-millis", "local-timestamp-micros",
    },
    "string": {"uuid"},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AvroSchema:
    """A schema with full names and nothing in it but what decoding needs.

    `types` are definitions to be known before `root`, in an order in which each is known when it is named.
    """

    root: Any
    types: tuple[Any, ...]
    is_recursive: bool
    has_floats: bool


def read_avro_schema(text: str, references: tuple[str, ...] = ()) -> AvroSchema:
    """Return the schema of a text, and of those it refers to, in which order they must be read.

    Raises PoisonError ("bad_schema") for what is no Avro schema and for what is not safe to decode by.
    """
    reading = _Reading()
    types = [reading.node(_parsed(reference), "", 0) for reference in references]
    root = reading.node(_parsed(text), "", 0)
    measuring = _Measuring(reading.types)
    if measuring.measure(root, frozenset(), 0).levels > MOST_LEVELS:
        raise _too_deep()
    return AvroSchema(
        root=root,
        types=tuple(node for node in types if not isinstance(node, str)),
        is_recursive=measuring.is_recursive,
        has_floats=reading.has_floats,
    )


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad_schema(f"it is not JSON: {error}") from None


def bad_schema(why: str) -> PoisonError:
    """Return the error of a schema by which nothing can be read."""
    return PoisonError("bad_schema", f"the schema cannot be used: {why}")


@dataclass(slots=True)
class _Reading:
    """Makes a clean copy, node by node; `types` are the definitions met, by full name."""

    types: dict[str, dict[str, Any]] = field(default_factory=dict)
    has_floats: bool = False
    nodes: int = 0

    def node(self, node: Any, space: str, level: int) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES or level > MOST_TEXT_LEVELS:
            raise bad_schema(
                f"it has more than {MOST_NODES:,} types or {MOST_TEXT_LEVELS} levels of text"
            )
        match node:
            case str():
                return self._named(node, space)
            case list():
                return [self.node(branch, space, level + 1) for branch in node]
            case {"type": (dict() | list()) as inner}:
                return self.node(inner, space, level + 1)
            case {"type": str(kind)}:
                return self._complex(kind, node, space, level)
        raise bad_schema(f"expected a type, found {_cut(node)}")

    def _named(self, name: str, space: str) -> str:
        if name in PRIMITIVES:
            self.has_floats |= name in ("float", "double")
            return name
        for full in (name if "." in name or not space else f"{space}.{name}", name):
            if full in self.types:
                return full
        raise bad_schema(f"it names the type {_cut(name)}, which is defined nowhere before")

    def _complex(self, kind: str, node: dict[str, Any], space: str, level: int) -> Any:
        match kind:
            case "array":
                return {"type": kind, "items": self.node(node.get("items"), space, level + 1)}
            case "map":
                return {"type": kind, "values": self.node(node.get("values"), space, level + 1)}
            case "record" | "error":
                return self._record(node, space, level)
            case "enum":
                return self._enum(node, space)
            case "fixed":
                return self._fixed(node, space)
        name = self._named(kind, space)
        return {"type": name, **_logical(name, node)} if name in PRIMITIVES else name

    def _record(self, node: dict[str, Any], space: str, level: int) -> dict[str, Any]:
        made, space = self._define(node, space, "record")
        fields = node.get("fields")
        if not isinstance(fields, list):
            raise bad_schema(f"the record {made['name']} has no list of fields")
        made["fields"] = []
        for one in fields:
            match one:
                case {"name": str(name), "type": kind}:
                    read = self.node(kind, space, level + 1)
                    made["fields"].append({"name": name, "type": read})
                case _:
                    raise bad_schema(f"a field of {made['name']} has no name or no type")
        return made

    def _enum(self, node: dict[str, Any], space: str) -> dict[str, Any]:
        made, _ = self._define(node, space, "enum")
        symbols = node.get("symbols")
        if not isinstance(symbols, list) or not all(isinstance(one, str) for one in symbols):
            raise bad_schema(f"the enum {made['name']} has no list of symbols")
        self.nodes += len(symbols)
        made["symbols"] = symbols
        return made

    def _fixed(self, node: dict[str, Any], space: str) -> dict[str, Any]:
        made, _ = self._define(node, space, "fixed")
        size = node.get("size")
        if not isinstance(size, int) or not 0 <= size <= _LARGEST_FIXED:
            raise bad_schema(f"the fixed {made['name']} has no size from 0 to {_LARGEST_FIXED:,}")
        made["size"] = size
        made.update(_logical("fixed", node, size))
        return made

    def _define(self, node: dict[str, Any], space: str, kind: str) -> tuple[dict[str, Any], str]:
        name, own = node.get("name"), node.get("namespace", space)
        if not isinstance(name, str) or not isinstance(own, str):
            raise bad_schema(f"a {kind} has no name, or a namespace that is no text")
        full = name if "." in name or not own else f"{own}.{name}"
        if full in self.types or full in PRIMITIVES:
            raise bad_schema(f"the type {_cut(full)} is defined twice")
        made = self.types[full] = {"type": kind, "name": full}
        return made, full.rpartition(".")[0]


def _logical(kind: str, node: dict[str, Any], size: int = 0) -> dict[str, Any]:
    """Return what a logical type adds. One that is unknown or not valid is none, as the specification asks."""
    match node.get("logicalType"):
        case "decimal" if kind in ("bytes", "fixed"):
            precision, scale = node.get("precision"), node.get("scale", 0)
            if (
                isinstance(precision, int)
                and isinstance(scale, int)
                and 0 <= scale <= precision <= MOST_DIGITS
                and precision > 0
            ):
                return {"logicalType": "reactor-decimal", "precision": precision, "scale": scale}
        case "duration" if kind == "fixed" and size == _DURATION_SIZE:
            return {"logicalType": "reactor-duration"}
        case "uuid" if kind == "fixed" and size == _UUID_SIZE:
            return {"logicalType": "reactor-uuid"}
        case str(logical) if logical in _LOGICAL.get(kind, ()):
            return {"logicalType": logical}
    return {}


@dataclass(frozen=True, slots=True)
class _Size:
    """What a value takes at its shortest: how many values it holds that take no bytes, the bytes, and the levels."""

    free: int = 0
    least_bytes: int = 1
    levels: int = 0


_FLAT = {"null": _Size(1, 0), "float": _Size(0, 4), "double": _Size(0, 8)}


@dataclass(slots=True)
class _Measuring:
    """Finds out what decoding by a schema may cost, each type once."""

    types: dict[str, dict[str, Any]]
    is_recursive: bool = False
    done: dict[str, _Size] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)

    def measure(self, node: Any, unpaid: frozenset[str], level: int) -> _Size:
        """Return the size of a node; `unpaid` are the records around it since the last byte that is read before it."""
        if level > 2 * MOST_LEVELS:
            raise _too_deep()
        match node:
            case str(name) if name in PRIMITIVES:
                return _FLAT.get(name, _Size())
            case str(name) | {"type": "record" | "enum" | "fixed", "name": str(name)}:
                return self._type(name, unpaid, level)
            case list():
                sizes = [self.measure(branch, frozenset(), level + 1) for branch in node]
                return _Size(levels=max((size.levels for size in sizes), default=0) + 1)
            case {"type": "array", "items": items}:
                size = self.measure(items, frozenset(), level + 1)
                if not size.least_bytes:
                    raise bad_schema("an array's items take no bytes, so that it could be endless")
                return _Size(levels=size.levels + 1)
            case {"type": "map", "values": values}:
                return _Size(levels=self.measure(values, frozenset(), level + 1).levels + 1)
            case {"type": name}:
                return _FLAT.get(name, _Size())
        raise AssertionError(node)

    def _type(self, name: str, unpaid: frozenset[str], level: int) -> _Size:
        if name in self.done:
            return self.done[name]
        if name in unpaid:
            raise bad_schema(f"the record {_cut(name)} contains itself, always, without an end")
        if name in self.begun:
            self.is_recursive = True
            return _Size()
        self.begun.add(name)
        node = self.types[name]
        if node["type"] == "record":
            found = self._record(node, unpaid | {name}, level)
        else:
            least = node.get("size", 1)
            found = _Size(0 if least else 1, least)
        if found.free > MOST_FREE_VALUES + VALUES_PER_BYTE * found.least_bytes:
            raise bad_schema(
                f"{_cut(name)} holds {found.free:,} values in {found.least_bytes} bytes"
            )
        if found.levels > MOST_LEVELS:
            raise _too_deep()
        self.done[name] = found
        return found

    def _record(self, node: dict[str, Any], unpaid: frozenset[str], level: int) -> _Size:
        sizes = [self.measure(one["type"], unpaid, level + 1) for one in node["fields"]]
        return _Size(
            1 + sum(size.free for size in sizes),
            sum(size.least_bytes for size in sizes),
            1 + max((size.levels for size in sizes), default=0),
        )


def _too_deep() -> PoisonError:
    return bad_schema(f"its types are nested in more than {MOST_LEVELS} levels")


def _cut(text: object) -> str:
    return repr(text)[:100]
