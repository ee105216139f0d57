"""Share prices: each CSV file that lands below inbox/prices/ is parsed, checked and loaded.

A damaged file ends its run as failed, at the step that found the damage and with its line.
"""

from __future__ import annotations

import csv
from datetime import date, datetime

from faults import spell_fault
from pydantic import BaseModel, Field, ValidationError
from warehouse import replace_rows

from reactor import Context, Event, Reject, Retry, Workflow
from reactor_sensors import FileArrived, Files

COLUMNS = ["symbol", "date", "price"]

prices = Workflow(
    "prices",
    on=Files("inbox/prices/**/*.csv"),
    owner="market-data@example.com",
    description="Load every price file that lands below inbox/prices/.",
    concurrency=4,
)


class Price(BaseModel):
    """What a share cost on the first trading day of a month, in dollars."""

    symbol: str = Field(pattern=r"^[A-Z]{1,5}$")
    date: date
    price: float = Field(gt=0)


class Row(BaseModel):
    """A line of the file, as it stands there."""

    line: int
    cells: list[str]


@prices.step(timeout="10s")
def parse(event: Event[FileArrived]) -> list[Row]:
    with open(event.data.as_path(), newline="", encoding="utf-8") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, None)
            rows = [Row(line=reader.line_num, cells=cells) for cells in reader]
        except (csv.Error, UnicodeDecodeError) as error:
            raise Reject(f"line {reader.line_num}: {error}") from error
    if header != COLUMNS:
        raise Reject(f"line 1: expected the columns {', '.join(COLUMNS)}, found {header}")
    if not rows:
        raise Reject("line 2: expected a price, found the end of the file")
    return rows


@prices.step
def validate(parse: list[Row]) -> list[Price]:
    return [price_of(row) for row in parse]


# The folder may be busy (a backup, a shell someone left open): that passes, so try again.
@prices.step(retry=Retry(attempts=5, first_delay="200ms", longest_delay="5s"), timeout="30s")
def load(validate: list[Price], event: Event[FileArrived]) -> int:
    return replace_rows(
        "prices",
        {"symbol": "VARCHAR", "date": "DATE", "price": "DOUBLE"},
        [price.model_dump() for price in validate],
        file=event.data.name,
    )


@prices.step
async def report(load: int, validate: list[Price], ctx: Context) -> str:
    first, last = validate[0], validate[-1]
    text = (
        f"{first.symbol}: {load} prices, "
        f"{first.price:.2f} in {first.date:%Y-%m}, {last.price:.2f} in {last.date:%Y-%m}"
    )
    ctx.log.info("prices loaded: %s", text)
    return text


def price_of(row: Row) -> Price:
    """Return the price on a line, or refuse the file with the line that is wrong."""
    if len(row.cells) != len(COLUMNS):
        raise Reject(f"line {row.line}: expected {', '.join(COLUMNS)}, found {row.cells}")
    symbol, day, price = row.cells
    try:
        when = datetime.strptime(day, "%b %d %Y").date()  # noqa: DTZ007  # a day has no zone
        return Price(symbol=symbol, date=when, price=float(price))
    except ValidationError as error:
        raise Reject(f"line {row.line}: {spell_fault(error)}") from error
    except ValueError as error:
        raise Reject(f"line {row.line}: {error}") from error
