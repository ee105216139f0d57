"""Weather: a year of days in one CSV file. Two branches look at it at the same time."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, datetime

from faults import spell_fault
from pydantic import BaseModel, ConfigDict, ValidationError
from warehouse import replace_rows

from reactor import Event, Reject, Retry, Workflow
from reactor_sensors import FileArrived, Files

weather = Workflow(
    "weather",
    on=Files("inbox/weather/*.csv"),
    owner="weather@example.com",
    description="Load a year of weather and say how it was.",
)


class Day(BaseModel):
    """One day: precipitation in mm, temperatures in °C, wind in m/s."""

    model_config = ConfigDict(extra="forbid")

    date: date
    precipitation: float
    temp_max: float
    temp_min: float
    wind: float
    weather: str


@weather.step(timeout="10s")
def parse(event: Event[FileArrived]) -> list[Day]:
    with open(event.data.as_path(), newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            return [day_of(row) for row in reader]
        except (csv.Error, ValidationError, ValueError, KeyError) as error:
            raise Reject(f"line {reader.line_num}: {spell_fault(error)}") from error


@weather.step
async def rain(parse: list[Day]) -> float:
    return round(sum(day.precipitation for day in parse), 1)


@weather.step
async def skies(parse: list[Day]) -> dict[str, int]:
    return dict(Counter(day.weather for day in parse).most_common())


@weather.step(retry=Retry(attempts=5, first_delay="200ms", longest_delay="5s"), timeout="30s")
def load(parse: list[Day], event: Event[FileArrived]) -> int:
    types = dict.fromkeys(("precipitation", "temp_max", "temp_min", "wind"), "DOUBLE")
    return replace_rows(
        "weather",
        {"date": "DATE", **types, "weather": "VARCHAR"},
        [day.model_dump() for day in parse],
        file=event.data.name,
    )


@weather.step
async def report(load: int, rain: float, skies: dict[str, int]) -> str:
    return f"{load} days, {rain:g} mm of rain, {skies.get('sun', 0)} of them sunny"


def day_of(row: dict[str, str]) -> Day:
    """Return a line of the file as a day. Raises ValueError, KeyError or ValidationError."""
    day = datetime.strptime(row["date"], "%Y/%m/%d").date()  # noqa: DTZ007  # a day has no zone
    return Day.model_validate({**row, "date": day})
