"""Cars: JSON files. The annotation of `parse` is the schema; what does not fit is refused."""

from __future__ import annotations

from datetime import date
from statistics import fmean
from typing import Annotated

from faults import spell_fault
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from warehouse import replace_rows

from reactor import Event, Reject, Retry, Workflow
from reactor_sensors import FileArrived, Files

cars = Workflow(
    "cars",
    on=Files("inbox/**/*.json"),
    owner="fleet@example.com",
    description="Load lists of cars and work out how far they go on a gallon.",
)


class Car(BaseModel):
    """A model of car; None where nobody measured."""

    Name: str
    Miles_per_Gallon: float | None
    Weight_in_lbs: int
    Year: date
    Origin: str


FILE = TypeAdapter(Annotated[list[Car], Field(min_length=1)])


@cars.step(timeout="10s")
def parse(event: Event[FileArrived]) -> list[Car]:
    try:
        return FILE.validate_json(event.data.as_path().read_bytes())
    except ValidationError as error:
        raise Reject(spell_fault(error)) from error


@cars.step(retry=Retry(attempts=5, first_delay="200ms", longest_delay="5s"), timeout="30s")
def load(parse: list[Car], event: Event[FileArrived]) -> int:
    types = {
        "Name": "VARCHAR",
        "Miles_per_Gallon": "DOUBLE",
        "Weight_in_lbs": "INTEGER",
        "Year": "DATE",
        "Origin": "VARCHAR",
    }
    rows = [car.model_dump() for car in parse]
    return replace_rows("cars", types, rows, file=event.data.name)


@cars.step
async def report(load: int, parse: list[Car]) -> str:
    measured = [car.Miles_per_Gallon for car in parse if car.Miles_per_Gallon is not None]
    return f"{load} cars from {parse[0].Origin}, {fmean(measured):.1f} miles per gallon"
