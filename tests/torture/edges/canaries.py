"""G30: secrets that are given to the daemon in every way, and looked for in everything that it writes or says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.torture.edges.stage import MOST_SECONDS, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from random import Random

    from tests.torture.edges.catalogue import Outcome

STYLES = ("json", "text")
# What a person would look at, and a machine.
READING = (("events",), ("runs",), ("dead",), ("audit",), ("graph",), ("check",))
# Those read the project and not the database.
DEFINING = ("graph", "check")
# Where a secret may be: the operator's own file of the admin token.
HOME_OF_TOKEN = "admin-token"
BODY = json.dumps({"n": 1}).encode()


class Canaries:
    """Secrets that can be found again, however they are spelled."""

    def __init__(self, luck: Random) -> None:
        self._luck = luck
        self.texts: dict[str, str] = {}

    def new(self, name: str) -> str:
        """Return the secret of that name."""
        text = f"canary{self._luck.randbytes(12).hex()}"
        self.texts[name] = text
        return text

    def learn(self, name: str, text: str) -> str:
        """Look for something secret that others have made."""
        self.texts[name] = text
        return text

    def found_in(self, content: bytes) -> list[str]:
        """Return the names of the secrets in `content`, plain, in base64 or in hexadecimal."""
        return [
            name
            for name, text in self.texts.items()
            if any(spelled in content for spelled in _spellings(text.encode()))
        ]


def _spellings(secret: bytes) -> tuple[bytes, ...]:
    return secret, base64.b64encode(secret).rstrip(b"=")[:-1], secret.hex().encode()


def canaries(folder: Path, size: int, luck: Random) -> Outcome:
    """Secrets in environment, files, headers, queries and errors; `size` rounds, in the styles of log in turn."""
    findings: list[str] = []
    searched = 0
    for number in range(size):
        place = folder / f"{number}"
        place.mkdir(parents=True)
        style = STYLES[number % len(STYLES)]
        stage, kept = _play(place, style, Canaries(luck), with_commands=number == 0)
        findings += stage.findings
        searched += kept
    return findings, {"rounds": size, "places searched": searched}


def _play(folder: Path, style: str, birds: Canaries, *, with_commands: bool) -> tuple[Stage, int]:
    environment = {f"CANARY_{name}": birds.new(name) for name in ("ENVIRONMENT", "GITHUB")}
    (folder / "github.secret").write_text(birds.new("secret file") + "\n")
    said: dict[str, bytes] = {}
    stage = _SecretStage(folder, environment, style)
    with stage:
        birds.learn("admin token", (stage.state / HOME_OF_TOKEN).read_text().strip())
        _post_all(stage, birds)
        stage.until(lambda: _is_done(stage), "each step was tried to its end")
        for path in ("/metrics", "/healthz", "/readyz"):
            said[path] = stage.daemon.get(path).content
        said |= _files(stage.state, "running")
        if with_commands:
            # They read the database, which is searched in every round.
            said |= _outputs(stage)
    said |= _files(stage.state, "ended")
    said |= {"the log": stage.daemon.log.encode(), "notices": stage.notices()}
    if with_commands:
        said |= _mistakes(folder, environment, birds)
    for place, content in said.items():
        stage.expect_none(birds.found_in(content), f"secrets in {place}")
    log = said["the log"]
    stage.expect(
        b"refused the login" in log, "the step's error is not in the log: nothing is proved"
    )
    return stage, len(said)


class _SecretStage(Stage):
    errors_are_meant = True

    def __init__(self, folder: Path, environment: Mapping[str, str], style: str) -> None:
        super().__init__(
            folder,
            "secrets_project.py",
            environment=environment,
            arguments=["--log-style", style, "--log-level", "DEBUG"],
        )

    def notices(self) -> bytes:
        """Return all that was told to the service manager."""
        return "\n".join(self.daemon.heard()).encode()


def _post_all(stage: Stage, birds: Canaries) -> None:
    """Send genuine and refused requests with secrets in every header and in the query, to both listeners."""
    carried = {
        "authorization": f"Bearer {birds.new('authorization')}",
        "proxy-authorization": f"Basic {birds.new('proxy authorization')}",
        "x-api-key": birds.new("api key"),
        "cookie": f"session={birds.new('cookie')}",
        "content-type": "application/json",
    }
    query = f"?token={birds.new('query')}"
    hooks = stage.daemon.hooks.removeprefix("http://")
    admin = stage.daemon.admin.removeprefix("http://")
    for path, name in (("/github", "GITHUB"), ("/filed", "secret file")):
        right = hmac.new(birds.texts[name].encode(), BODY, hashlib.sha256).hexdigest()
        wrong = hmac.new(b"another", BODY, hashlib.sha256).hexdigest()
        for kind, signature in (("right", right), ("wrong", wrong)):
            birds.learn(f"{kind} signature of {path}", signature)
            headers = {**carried, "x-hub-signature-256": f"sha256={signature}"}
            status = _post(hooks, path + query, BODY, headers)
            expected = 202 if kind == "right" else 401
            stage.expect(status == expected, f"{path}, {kind} signature: {status}")
    for path in ("/open", "/nowhere"):
        for body in (BODY, b'{"n": 13}', b'{"n": "x"}', b"\xff", b""):
            _post(hooks, path + query, body, carried)
    for path in ("/api/emit", "/api/redrive", "/api/seek", "/metrics", "/nowhere"):
        _post(admin, path + query, BODY, carried)
        _post(admin, path + query, BODY, {**carried, "host": birds.new(f"host of {path}")})


def _post(address: str, path: str, body: bytes, headers: Mapping[str, str]) -> int:
    connection = http.client.HTTPConnection(address, timeout=MOST_SECONDS)
    try:
        connection.request("POST", path, body, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()


def _is_done(stage: Stage) -> bool:
    return (
        stage.count(
            "SELECT count(*) FROM run WHERE workflow IN ('loud', 'apart') AND state = 'finished'"
        )
        == 2
    )


def _files(folder: Path, when: str) -> dict[str, bytes]:
    """Return what every file of the state directory holds: database, write-ahead log, index, addresses."""
    return {
        f"{path.relative_to(folder)}, {when}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != HOME_OF_TOKEN
    }


def _outputs(stage: Stage) -> dict[str, bytes]:
    """Return what every command that reads says, for people and as JSON."""
    ((run,),) = stage.select("SELECT id FROM run WHERE workflow = 'loud'")
    shown = json.loads(stage.reactor("runs", "--workflow", "loud", "--json").stdout)
    spelled = shown[0]["id"] if isinstance(shown, list) else shown["runs"][0]["id"]
    event = stage.select(
        "SELECT event.id FROM event JOIN run ON run.event = event.seq WHERE run.id = ?", run
    )[0][0]
    said: dict[str, bytes] = {}
    for command in (*READING, ("show", spelled), ("explain", event)):
        if command[0] in DEFINING:
            line = (*command, "project.py")
            done = _command(stage.folder, *line)
            said[f"reactor {' '.join(line)}"] = done.stdout + done.stderr
            continue
        for line in (command, (*command, "--json")):
            done = stage.reactor(*line)
            said[f"reactor {' '.join(line)}"] = done.stdout + done.stderr
    return said


def _mistakes(folder: Path, environment: Mapping[str, str], birds: Canaries) -> dict[str, bytes]:
    """Return what is said to an operator who has put a secret where none belongs."""
    settings = folder / "mistake.toml"
    settings.write_text(f'passwort = "{birds.new("settings")}"\n')
    module = folder / "mistake.py"
    module.write_text(
        "from reactor_sensors import Webhook\n"
        f'hook = Webhook("/x", scheme="github", secret="{birds.new("definition")}")\n'
    )
    strange = {"REACTOR_PASSWORD": birds.new("variable")}
    unset = {name: text for name, text in environment.items() if name != "CANARY_GITHUB"}
    said = {
        "an unknown setting": _command(folder, "run", "project.py", "--config", settings.name),
        "a secret in a definition": _command(folder, "check", module.name),
        "an unknown variable": _command(folder, "run", "project.py", extra=strange),
        "a variable that is not set": _command(folder, "check", "project.py", extra=unset),
    }
    return {place: done.stdout + done.stderr for place, done in said.items()}


def _command(
    folder: Path, *arguments: str, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "reactor", *arguments],
        capture_output=True,
        timeout=MOST_SECONDS,
        check=False,
        cwd=folder,
        env={**os.environ, **(extra or {})},
    )
