"""Pushes: GitHub calls /github for each push; those to main are seen from two sides at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Webhook

pushes = Workflow(
    "pushes",
    on=Webhook("/github", scheme="github", secret="env:GITHUB_SECRET").where(
        lambda e: e.data["ref"] == "refs/heads/main"
    ),
    owner="platform@example.com",
    description="Summarise every push to main.",
)


@pushes.step
async def authors(event: Event[Any]) -> dict[str, int]:
    return dict(Counter(commit["author"]["username"] for commit in event.data["commits"]))


@pushes.step
async def files(event: Event[Any]) -> list[str]:
    commits = event.data["commits"]
    return sorted({file for commit in commits for file in commit["added"] + commit["modified"]})


@pushes.step
async def announce(authors: dict[str, int], files: list[str], event: Event[Any]) -> str:
    repository = event.data["repository"]["full_name"]
    return f"{repository}: {len(files)} files changed by {', '.join(sorted(authors))}"
