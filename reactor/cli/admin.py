"""`reactor redrive` and `reactor emit`: what only the running daemon can do, asked of its admin API."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reactor.cli.options import JsonOption, StateOption, state_directory
from reactor.cli.output import NO, NotFoundError, console, count, print_json, text
from reactor.errors import ReactorError, SettingsError, StoreError
from reactor.model.trigger import spell_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Redriving many takes the daemon a while; it answers when all are durable.
ANSWER_WITHIN_SECONDS = 600
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # where to call, not to bind


def redrive(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids as `dead` shows them.", metavar="ID")
    ] = None,
    *,
    reason: Annotated[str | None, typer.Option(help="All with this reason.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    state: StateOption = None,
    as_document: JsonOption = False,
) -> None:
    """Accept dead letters again.

    The daemon must be running. Exit code 1: it refused some.
    """
    if [bool(ids), reason is not None, everything].count(True) != 1:
        raise SettingsError("name what to redrive by one of: ID…, --reason REASON, --all")
    body: dict[str, Any] = {"all": True}
    if ids:
        body = {"ids": ids}
    elif reason is not None:
        body = {"reason": reason}
    answer = RunningDaemon.of(state_directory(state)).post("/api/redrive", body)
    refused = answer.get("refused", [])
    if as_document:
        print_json(answer)
    else:
        out = console()
        out.print(f"{count(answer['redriven'], 'dead letter')} redriven")
        for letter in refused:
            out.print(text(f"{letter['id']} refused: {letter['why']}", "red"))
    if refused:
        raise typer.Exit(NO)


def emit(
    *,
    sensor: Annotated[str, typer.Option(help="The sensor that shall seem to have seen it.")],
    data: Annotated[str, typer.Option(help="The event's data, as JSON.")],
    event_id: Annotated[
        str | None, typer.Option("--id", help="Its identity: the same id again fires nothing.")
    ] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Its CloudEvents type.")] = None,
    subject: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    state: StateOption = None,
    as_document: JsonOption = False,
) -> None:
    """Give an event to a sensor's workflows.

    It is accepted as if the sensor had seen it, and fires what its triggers let through.
    The daemon must be running.
    """
    try:
        body: dict[str, Any] = {"sensor": sensor, "data": json.loads(data)}
    except ValueError as error:
        raise SettingsError(
            f"--data is not JSON: {error}; text is written with quotes: --data '\"text\"'"
        ) from None
    given = {"id": event_id, "type": event_type, "subject": subject}
    body |= {name: value for name, value in given.items() if value is not None}
    answer = RunningDaemon.of(state_directory(state)).post("/api/emit", body)
    if as_document:
        print_json(answer)
        return
    duplicate = "; it was known and fired nothing" if answer.get("duplicate") else ""
    console().print(text(f"accepted {answer['id']}{duplicate}"))


@dataclass(frozen=True, slots=True)
class RunningDaemon:
    """The daemon of a state directory, as its own files there tell how to reach it."""

    directory: Path
    address: str
    token: str

    @classmethod
    def of(cls, directory: Path) -> RunningDaemon:
        """Return the daemon that runs on `directory`. Raises SettingsError where none does."""
        try:
            told = json.loads((directory / "daemon.json").read_bytes())
            pid, address = int(told["pid"]), str(told["admin"])
        except FileNotFoundError:
            raise _not_running(directory) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"{directory / 'daemon.json'} cannot be read: {error}") from None
        if not _is_alive(pid):
            raise _not_running(directory)
        try:
            token = (directory / "admin-token").read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"the admin token cannot be read ({error}); run this as the daemon's user"
            ) from None
        return cls(directory, address, token)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the daemon's answer. Raises ReactorError with its words where it says no."""
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(
            f"{_ANY_ADDRESS.get(host, host)}:{port}", timeout=ANSWER_WITHIN_SECONDS
        )
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "X-Reactor": "cli",
            # A daemon on 0.0.0.0 is called on loopback, and answers to the name it was given.
            "Host": self.address,
        }
        try:
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            status, raw = response.status, response.read()
        except ConnectionRefusedError:
            raise _not_running(self.directory) from None
        except (OSError, http.client.HTTPException) as error:
            raise SettingsError(
                f"the daemon at {self.address} did not answer ({spell_error(error)}); "
                "it may have stopped in between: look at its log, then ask again"
            ) from None
        finally:
            connection.close()
        return _answer(status, raw)


def _answer(status: int, raw: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise SettingsError(
            f"something else than Reactor answered (HTTP {status}); is the daemon still the one "
            "that wrote daemon.json?"
        )
    if 200 <= status < 300:
        return answer
    message = str(answer.get("error", f"HTTP {status}"))
    if status == http.HTTPStatus.NOT_FOUND:
        raise NotFoundError(message)
    if status == http.HTTPStatus.INSUFFICIENT_STORAGE:
        raise StoreError(message)
    if status >= 500:
        raise ReactorError(message)
    raise SettingsError(message)


def _not_running(directory: Path) -> SettingsError:
    return SettingsError(
        f"no daemon runs on {directory}; start it with: reactor run PATH --state {directory}"
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
