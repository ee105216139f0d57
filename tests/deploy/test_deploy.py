"""What lies in deploy/ speaks of the product as it is."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reactor.daemon.settings import Settings
from reactor.telemetry import Metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
HOW_TO_GET = "promtool is not installed; on Debian and Ubuntu: apt install prometheus"


def test_the_alerts_name_metrics_that_exist() -> None:
    page, _ = Metrics().render()
    families = set(re.findall(rb"^# TYPE (\w+)", page, re.MULTILINE))
    named = set(re.findall(rb"reactor_\w+", (DEPLOY / "prometheus" / "alerts.yml").read_bytes()))
    assert named
    for name in named:
        base = re.sub(rb"_(bucket|sum|count)$", b"", name)
        assert base in families, name


def test_prometheus_understands_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail(HOW_TO_GET)
        pytest.skip(HOW_TO_GET)
    for command, name in (("rules", "alerts.yml"), ("config", "scrape.yml")):
        done = subprocess.run(
            [promtool, "check", command, name],
            cwd=DEPLOY / "prometheus",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_container_is_set_up_by_settings_that_exist() -> None:
    text = (DEPLOY / "container" / "Dockerfile").read_text()
    variables = re.findall(r"REACTOR_(\w+)=", text)
    assert variables
    assert {name.lower() for name in variables} <= Settings.model_fields.keys()


def test_the_service_starts_a_command_that_exists() -> None:
    text = (DEPLOY / "systemd" / "reactor.service").read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    _, command, *arguments = shlex.split(line)
    help_text = subprocess.run(
        [sys.executable, "-m", "reactor", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    flags = [argument for argument in arguments if argument.startswith("--")]
    assert flags
    assert all(flag in help_text for flag in flags)


def test_the_service_is_not_restarted_for_what_does_not_mend_itself() -> None:
    text = (DEPLOY / "systemd" / "reactor.service").read_text()
    assert re.search(r"^RestartPreventExitStatus=2 3 4$", text, re.MULTILINE)
