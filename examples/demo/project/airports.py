"""Airports: one larger CSV file. What needs a processor for long runs in a process of its own."""

from __future__ import annotations

import csv
import math
from bisect import bisect_left, bisect_right

from faults import spell_fault
from pydantic import BaseModel, Field, ValidationError
from warehouse import replace_rows

from reactor import Event, Reject, Retry, Workflow
from reactor_sensors import FileArrived, Files

NEAR_KM = 50.0
KM_PER_DEGREE = 111.2

airports = Workflow(
    "airports",
    on=Files("inbox/airports/*.csv"),
    owner="geo@example.com",
    description="Load a list of airports and find where they lie closest together.",
    concurrency=2,
)


class Airport(BaseModel):
    """Where an airport is, in degrees."""

    iata: str = Field(min_length=3, max_length=4)
    name: str
    state: str
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class Crowd(BaseModel):
    """The airport with the most others near it."""

    name: str
    others: int


@airports.step(timeout="10s")
def validate(event: Event[FileArrived]) -> list[Airport]:
    with open(event.data.as_path(), newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            found = [Airport.model_validate(row) for row in reader]
        except (csv.Error, ValidationError, ValueError) as error:
            raise Reject(f"line {reader.line_num}: {spell_fault(error)}") from error
    if not found:
        raise Reject("line 2: expected an airport, found the end of the file")
    return found


@airports.step(retry=Retry(attempts=5, first_delay="200ms", longest_delay="5s"), timeout="30s")
def load(validate: list[Airport], event: Event[FileArrived]) -> int:
    names = dict.fromkeys(("iata", "name", "state"), "VARCHAR")
    return replace_rows(
        "airports",
        {**names, "latitude": "DOUBLE", "longitude": "DOUBLE"},
        [airport.model_dump() for airport in validate],
        file=event.data.name,
    )


@airports.step(executor="process", timeout="1m")
def crowded(validate: list[Airport]) -> Crowd:
    ordered = sorted(validate, key=lambda airport: airport.latitude)
    latitudes = [airport.latitude for airport in ordered]
    reach = NEAR_KM / KM_PER_DEGREE
    best, most = ordered[0], -1
    for airport in ordered:
        low = bisect_left(latitudes, airport.latitude - reach)
        high = bisect_right(latitudes, airport.latitude + reach)
        near = sum(distance_km(airport, other) <= NEAR_KM for other in ordered[low:high]) - 1
        if near > most:
            best, most = airport, near
    return Crowd(name=best.name, others=most)


@airports.step
async def report(load: int, crowded: Crowd) -> str:
    return f"{load} airports; {crowded.name} has {crowded.others} others within {NEAR_KM:g} km"


def distance_km(one: Airport, other: Airport) -> float:
    """Return the great-circle distance (haversine formula)."""
    north, north_of_other = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(other.longitude - one.longitude)
    half = (
        math.sin((north_of_other - north) / 2) ** 2
        + math.cos(north) * math.cos(north_of_other) * math.sin(east / 2) ** 2
    )
    return 2 * 6371.0 * math.asin(math.sqrt(half))
