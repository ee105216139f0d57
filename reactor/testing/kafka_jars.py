"""Apache Kafka itself: fetched once through Maven, checked against pinned sha256 sums, kept outside the checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from reactor.testing.java import UnavailableError

KAFKA_VERSION = "4.3.0"
# Kafka logs through SLF4J 1.7; this is its smallest back end, and it writes to standard error.
SLF4J_VERSION = "1.7.36"
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
CACHE_VARIABLE = "REACTOR_TEST_KAFKA_CACHE"
PINS = "kafka_jars.txt"
FETCH_TIMEOUT_SECONDS = 600.0
OUTPUT_TAIL_CHARACTERS = 2_000

POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>reactor</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
      <version>{SLF4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


class PinError(RuntimeError):
    """The jars are not the ones that were pinned."""


def kafka_jars(cache: Path | None = None) -> Path:
    """Return a folder with the jars of Apache Kafka and nothing else; fetch them when it is missing.

    The folder is below `cache`, else below $REACTOR_TEST_KAFKA_CACHE, else below the user's cache
    directory ($XDG_CACHE_HOME or ~/.cache) in `reactor/kafka`. It appears whole or not at all, so
    that several processes may call this at once. Fetching takes about 10 seconds and 45 MB.

    Raises UnavailableError when Maven is missing or fails, PinError when a jar differs from its
    pinned sum, is missing, or was not expected.
    """
    complete = (cache or default_cache()) / KAFKA_VERSION
    if complete.is_dir():
        return complete
    complete.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=complete.parent) as scratch:
        jars = Path(scratch) / "jars"
        fetch(jars)
        check(jars, pins())
        _move(jars, complete)
    return complete


def default_cache() -> Path:
    """Return the folder that holds one folder of jars for each version of Kafka."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "reactor" / "kafka"


def fetch(jars: Path) -> None:
    """Let Maven copy Kafka and all that it needs into the folder `jars`.

    Maven's own settings, mirrors and local repository are used. Raises UnavailableError.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError(
            f"there is no `mvn` in PATH; expected Maven, which fetches Kafka {KAFKA_VERSION} once. "
            "On Debian and Ubuntu: apt install maven. "
            f"Or name a folder that has {KAFKA_VERSION}/*.jar already: {CACHE_VARIABLE}=FOLDER"
        )
    jars.mkdir()
    pom = jars.with_name("pom.xml")
    pom.write_text(POM, encoding="utf-8")
    goal = f"{DEPENDENCY_PLUGIN}:copy-dependencies"
    command = [
        *(maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(pom), goal),
        *("-DincludeScope=runtime", f"-DoutputDirectory={jars}"),
    ]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"Maven did not fetch Kafka {KAFKA_VERSION} within {FETCH_TIMEOUT_SECONDS:g} s; expected "
            "about ten. See whether it reaches its repository, and try again"
        ) from error
    if answer.returncode != 0:
        raise UnavailableError(
            f"Maven could not fetch Kafka {KAFKA_VERSION} (exit code {answer.returncode}); expected "
            "it to reach its repository. See to its network or settings.xml, and try again. It said:"
            f"\n{(answer.stdout + answer.stderr)[-OUTPUT_TAIL_CHARACTERS:]}"
        )


def pins() -> dict[str, str]:
    """Return the pinned sha256 sum of each jar by its file name."""
    text = (files("reactor.testing") / PINS).read_text(encoding="ascii")
    pairs = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {name: digest for digest, name in pairs}


def sums(jars: Path) -> dict[str, str]:
    """Return the sha256 sum of each file in a folder by its name, in the order of the names."""
    return {path.name: _sum(path) for path in sorted(jars.iterdir())}


def check(jars: Path, expected: dict[str, str]) -> None:
    """Raise PinError unless the folder holds exactly the files that `expected` has sums of."""
    found = sums(jars)
    wrong = [
        *(f"missing: {name}" for name in expected.keys() - found.keys()),
        *(f"not pinned: {name}" for name in found.keys() - expected.keys()),
        *(
            f"{name} has sha256 {found[name]}, pinned is {expected[name]}"
            for name in expected.keys() & found.keys()
            if found[name] != expected[name]
        ),
    ]
    if wrong:
        raise PinError(
            f"the jars of Kafka {KAFKA_VERSION} are not the pinned ones; nothing was started. "
            "Delete them from Maven's local repository and try again; if they still differ, find out "
            "who changed them.\n" + "\n".join(sorted(wrong))
        )


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move(jars: Path, complete: Path) -> None:
    try:
        jars.rename(complete)
    except OSError:
        # Another process was faster, and its jars have passed the same check.
        if not complete.is_dir():
            raise
