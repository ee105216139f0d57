"""What the broker is made of: its jars come whole and pinned, and its process outlives nobody."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reactor.testing.java import JavaProcess, JavaProcessError, UnavailableError, find_java
from reactor.testing.kafka_broker import free_ports
from reactor.testing.kafka_jars import (
    CACHE_VARIABLE,
    KAFKA_VERSION,
    PinError,
    check,
    kafka_jars,
    pins,
    sums,
)

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20.0
# A parent that starts a program, tells its process id and waits to be killed.
PARENT = """
import sys, pathlib
from reactor.testing.java import JavaProcess
program = JavaProcess(["sh", "-c", "echo up; exec sleep 60"], log_file=pathlib.Path(sys.argv[1]), ready="up")
program.wait_until_ready(20)
print(program.pid, flush=True)
sys.stdin.read()
"""


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all there is in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def test_a_missing_java_is_told_with_the_way_to_get_it(only: Path) -> None:
    with pytest.raises(
        UnavailableError, match=r"Java 17 or later.*apt install default-jre-headless"
    ):
        find_java(oldest=17)


def test_an_old_java_is_told_with_its_version(only: Path) -> None:
    program(only, "java", """echo 'openjdk version "11.0.2"' >&2""")
    with pytest.raises(UnavailableError, match=r"11\.0\.2.*expected Java 17 or later"):
        find_java(oldest=17)


def test_java_home_goes_before_the_path(only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = only.parent / "home"
    (home / "bin").mkdir(parents=True)
    program(home / "bin", "java", """echo 'openjdk version "21"' >&2""")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert find_java(oldest=17) == str(home / "bin" / "java")


def test_a_missing_maven_is_told_with_the_way_to_get_it(only: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="apt install maven"):
        kafka_jars(tmp_path / "cache")


def test_a_maven_that_fails_is_quoted(only: Path, tmp_path: Path) -> None:
    program(only, "mvn", "echo repository unknown; exit 1")
    with pytest.raises(UnavailableError, match="repository unknown"):
        kafka_jars(tmp_path / "cache")


def test_jars_that_are_not_the_pinned_ones_are_not_kept(only: Path, tmp_path: Path) -> None:
    program(only, "mvn", """for last; do :; done; echo evil > "${last#*=}/kafka-clients.jar" """)
    with pytest.raises(PinError, match=r"not pinned: kafka-clients\.jar"):
        kafka_jars(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_changed_jar_is_told_with_both_sums(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"changed")
    with pytest.raises(PinError, match=r"a\.jar has sha256 \w{64}, pinned is 0000"):
        check(tmp_path, {"a.jar": "0000"})


def test_a_missing_jar_is_told(tmp_path: Path) -> None:
    with pytest.raises(PinError, match=r"missing: a\.jar"):
        check(tmp_path, {"a.jar": "0000"})


def test_jars_with_the_expected_sums_pass(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"as it was")
    check(tmp_path, sums(tmp_path))


def test_the_version_that_is_fetched_is_the_one_that_is_pinned() -> None:
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in pins()


def test_jars_in_the_cache_need_no_maven(
    only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / KAFKA_VERSION).mkdir()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert kafka_jars() == tmp_path / KAFKA_VERSION


@pytest.mark.real_time
def test_a_program_that_ends_before_it_is_ready_says_what_it_printed(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such thing; exit 3"]
    started = JavaProcess(command, log_file=tmp_path / "log", ready="up")
    with pytest.raises(JavaProcessError, match=r"(?s)exit code 3.*no such thing"):
        started.wait_until_ready(PATIENCE_SECONDS)


@pytest.mark.real_time
def test_a_program_that_keeps_silent_is_killed(tmp_path: Path) -> None:
    started = JavaProcess(["sleep", "60"], log_file=tmp_path / "log", ready="up")
    with pytest.raises(JavaProcessError, match="killed for its silence"):
        started.wait_until_ready(0.01)
    assert not started.is_running


@pytest.mark.real_time
def test_a_suspended_program_can_be_stopped(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo up; exec sleep 60"]
    started = JavaProcess(command, log_file=tmp_path / "log", ready="up")
    started.wait_until_ready(PATIENCE_SECONDS)
    started.suspend()
    assert started.stop() == -15


@pytest.mark.real_time
def test_a_program_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        end = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    # The descriptor of a process becomes readable when the process ends.
    assert select.select([end], [], [], PATIENCE_SECONDS)[0] == [end]
    os.close(end)


@pytest.mark.real_time
def test_make_kafka_serves_until_it_is_interrupted(
    broker: object, create_topic_at: Callable[..., str]
) -> None:
    """`broker` is asked for so that a machine without Java skips this test too."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tools.kafka", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline().endswith(f"is ready at 127.0.0.1:{port}\n")
        create_topic_at(f"127.0.0.1:{port}")
        folder = Path(tool.stdout.readline().split()[4].rstrip(","))
        tool.send_signal(signal.SIGINT)
        assert tool.wait(PATIENCE_SECONDS) == 0
    assert not folder.exists()
