"""The real data that the demo works with, cut into files and records as sources would deliver them.

It comes from the PyPI package vega_datasets: share prices, Seattle's weather, airports, cars, and
employment in the USA.
"""

from __future__ import annotations

import csv
import importlib.util
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reactor.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDED = ("duckdb", "vega_datasets")
DAMAGED_LINE = 60
INDUSTRIES = (
    "construction",
    "manufacturing",
    "retail_trade",
    "information",
    "financial_activities",
    "government",
)
MONTHS = 60
# Stands in the place of a sound record, which follows: no JSON, no number, no month.
POISON = {
    50: b'{"industry": "construction", "month": "2006-09',
    150: b'{"industry": "retail_trade", "month": "2008-01-01", "thousands": "many"}',
    250: b'{"industry": "government", "thousands": 22000}',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file to deliver: its place below the inbox, and the rows it adds to which table."""

    place: str
    content: bytes
    table: str
    rows: int

    @property
    def is_damaged(self) -> bool:
        return self.rows == 0

    @property
    def workflow(self) -> str:
        """The workflow that must fire: the project has one per folder of the inbox."""
        return self.place.split("/", 1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record to produce; a poisoned one can become no event."""

    key: bytes
    value: bytes
    is_poison: bool = False


def require_packages() -> None:
    """Raise SettingsError that says how to get them when the packages of the demo are missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"the demo needs {' and '.join(missing)}, which the core does not; "
            "run it with make demo, which installs them, or: pip install -e '.[demo]'"
        )


def data_folder() -> Path:
    """Return where vega_datasets keeps its files. It is not imported: that would import pandas."""
    spec = importlib.util.find_spec("vega_datasets")
    if spec is None or not spec.submodule_search_locations:
        require_packages()
        raise SettingsError("vega_datasets is not installed as a package; install it again")
    return Path(spec.submodule_search_locations[0]) / "_data"


def data_files(source: Path) -> dict[str, DataFile]:
    """Return every file of the demo by its place below the inbox."""
    files = [
        *_prices(source / "stocks.csv"),
        *_weather(source / "seattle-weather.csv"),
        _airports(source / "airports.csv"),
        *_cars(source / "cars.json"),
    ]
    return {file.place: file for file in files}


def job_records(source: Path) -> list[Record]:
    """Return every record of the topic: month by month, one of each industry, and the poison."""
    with (source / "us-employment.csv").open(newline="", encoding="utf-8") as file:
        months = list(csv.DictReader(file))[:MONTHS]
    records = [
        Record(key=industry.encode(), value=_jobs(industry, row))
        for row in months
        for industry in INDUSTRIES
    ]
    for place, value in sorted(POISON.items()):
        records.insert(place, Record(key=b"poison", value=value, is_poison=True))
    return records


def _jobs(industry: str, row: dict[str, str]) -> bytes:
    document = {"industry": industry, "month": row["month"], "thousands": float(row[industry])}
    return json.dumps(document).encode()


def _prices(source: Path) -> list[DataFile]:
    header, groups = _grouped(source, lambda line: line.split(",", 1)[0])
    files = [
        _csv(f"prices/{symbol}.csv", "prices", header, lines)
        for symbol, lines in groups.items()
        if symbol != "GOOG"
    ]
    # Into a directory that does not exist yet: the hard case for every file watcher.
    files.append(_csv("prices/new/GOOG.csv", "prices", header, groups["GOOG"]))
    return [*files, _damaged(header, groups["AMZN"])]


def _damaged(header: str, lines: list[str]) -> DataFile:
    """Return the file with one line cut off in the middle, as a full disk leaves it."""
    broken = [*lines]
    # Line 1 is the header, so line 60 of the file is the element before the one before.
    broken[DAMAGED_LINE - 2] = broken[DAMAGED_LINE - 2].rpartition(",")[0]
    content = "\n".join([header, *broken, ""]).encode()
    return DataFile(place="prices/damaged.csv", content=content, table="prices", rows=0)


def _weather(source: Path) -> list[DataFile]:
    header, groups = _grouped(source, lambda line: line[:4])
    return [_csv(f"weather/{year}.csv", "weather", header, lines) for year, lines in groups.items()]


def _airports(source: Path) -> DataFile:
    header, *lines = source.read_text(encoding="utf-8").splitlines()
    return _csv("airports/airports.csv", "airports", header, lines)


def _cars(source: Path) -> list[DataFile]:
    groups: dict[str, list[object]] = defaultdict(list)
    for car in json.loads(source.read_text(encoding="utf-8")):
        groups[car["Origin"].lower()].append(car)
    return [
        DataFile(
            place=f"cars/{origin}.json",
            content=json.dumps(cars, indent=1).encode(),
            table="cars",
            rows=len(cars),
        )
        for origin, cars in groups.items()
    ]


def _grouped(source: Path, key: Callable[[str], str]) -> tuple[str, dict[str, list[str]]]:
    header, *lines = source.read_text(encoding="utf-8").splitlines()
    groups: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        groups[key(line)].append(line)
    return header, groups


def _csv(place: str, table: str, header: str, lines: list[str]) -> DataFile:
    content = "\n".join([header, *lines, ""]).encode()
    return DataFile(place=place, content=content, table=table, rows=len(lines))
