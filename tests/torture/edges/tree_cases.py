"""G10, G11, G13: races, names, storms and slow writers, each against a daemon of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from functools import partial
from typing import TYPE_CHECKING

from tests.torture.edges.overload import TRIES
from tests.torture.edges.own_delay import ProcessorWait
from tests.torture.edges.tree import SECRET, FileStage, Version, hostile_name, racing

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.torture.edges.catalogue import Outcome

RACED_FOLDERS = 6
MOST_PAUSE_SECONDS = 0.001
# The queue of an inotify instance holds 16 384 hints unless the machine's administrator says otherwise.
OVERFLOW_FILES = 17_000
WRITERS_AT_ONCE = 40
PROBES = 10
# G10: a complete file has its event within 2 s.
PROMISED_SECONDS = 2.0


def races(folder: Path, size: int, luck: Random) -> Outcome:
    """Folders and files are swapped for symlinks to secrets, and back, while files land in them."""
    with FileStage(folder) as stage:
        swaps = _race(stage, size, luck)
        leaf = {os.fsencode(folder / "tree" / f"leaf{number}") for number in range(RACED_FOLDERS)}
        lasting = [version for version in stage.published.contents if version[0] not in leaf]
        stage.until(lambda: stage.all_arrived(lasting), "every file that landed arrived")
        stage.settle()
        stage.judge(optional=lambda version: version[0] in leaf)
    return stage.findings, {"races": swaps, "files": len(lasting), "events": len(stage.rows())}


def _race(stage: FileStage, size: int, luck: Random) -> int:
    tree, secret, aside = (stage.folder / name for name in ("tree", "secret", "staging"))
    for number in range(RACED_FOLDERS):
        (tree / f"sub{number}").mkdir()
        (secret / f"sub{number}").mkdir()
        (aside / f"link{number}").symlink_to(secret / f"sub{number}")
    (secret / "leaf").write_bytes(SECRET)
    handles = [os.open(tree / f"sub{number}", os.O_RDONLY) for number in range(RACED_FOLDERS)]

    def land(is_over: threading.Event) -> None:
        fate = luck.randrange(2**32)
        for number in range(size // 4):
            _land(stage, number, handles[(fate + number) % RACED_FOLDERS])
            if is_over.wait(MOST_PAUSE_SECONDS):
                return

    pauses = [luck.uniform(0, MOST_PAUSE_SECONDS) for _ in range(size)]
    try:
        with racing(land) as lander:
            for number, pause in enumerate(pauses):
                _swap_folder(tree, aside, number % RACED_FOLDERS, lander.is_over, pause)
                _swap_leaf(stage, number)
            lander.join()
    finally:
        for handle in handles:
            os.close(handle)
    return size


def _land(stage: FileStage, number: int, handle: int) -> None:
    """Land a file in a folder wherever that is now, with a twin of its name among the secrets."""
    name, content = f"f{number}", b"good %d" % number
    folder = os.path.basename(os.readlink(f"/proc/self/fd/{handle}")).replace("aside", "sub")
    (stage.folder / "secret" / folder / name).write_bytes(SECRET + content)
    draft = stage.folder / "staging" / "landing"
    draft.write_bytes(content)
    status = draft.stat()
    os.rename(draft, name, dst_dir_fd=handle)
    stage.published.add(os.fsencode(stage.folder / "tree" / folder / name), status, content)


def _swap_folder(
    tree: Path, aside: Path, number: int, is_over: threading.Event, pause: float
) -> None:
    real, link, parked = tree / f"sub{number}", aside / f"link{number}", aside / f"aside{number}"
    real.rename(parked)
    link.rename(real)
    is_over.wait(pause)
    real.rename(link)
    parked.rename(real)


def _swap_leaf(stage: FileStage, number: int) -> None:
    """Put a symlink or a FIFO in a file's place, and then another version of the file."""
    leaf = stage.folder / "tree" / f"leaf{number % RACED_FOLDERS}"
    draft = stage.folder / "staging" / "leaf"
    if number % 3:
        draft.symlink_to(stage.folder / "secret" / "leaf")
    else:
        os.mkfifo(draft)
    draft.rename(leaf)
    stage.publish(leaf, b"leaf %d" % number)


def names(folder: Path, size: int, luck: Random) -> Outcome:
    """Files and folders of hostile names arrive; what is no file is left alone; no output shows a raw control."""
    with FileStage(folder) as stage:
        tree = os.fsencode(folder / "tree")
        places = [tree, *(_hostile_folder(tree, luck) for _ in range(max(size // 50, 2)))]
        for number in range(size):
            path = os.path.join(luck.choice(places), hostile_name(luck))
            if not os.path.lexists(path):
                _publish_bytes(stage, path, b"%d" % number)
        odd = _no_files(folder / "tree", folder / "secret")
        stage.until(stage.all_arrived, "every file of a hostile name arrived")
        stage.settle()
        stage.judge()
        _look_at_output(stage)
    return stage.findings, {"names": len(stage.published.contents), "no files": odd}


def _hostile_folder(tree: bytes, luck: Random) -> bytes:
    place = tree
    for _ in range(luck.randint(1, 4)):
        place = os.path.join(place, hostile_name(luck))
        os.makedirs(place, exist_ok=True)
    return place


def _publish_bytes(stage: FileStage, path: bytes, content: bytes) -> None:
    draft = os.fsencode(stage.folder / "staging" / "draft")
    with open(draft, "wb") as file:
        file.write(content)
    status = os.stat(draft)
    os.rename(draft, path)
    stage.published.add(path, status, content)


def _no_files(tree: Path, secret: Path) -> int:
    """Put everything into the tree that is no regular file; return how much that was."""
    (secret / "s").write_bytes(SECRET)
    os.mkfifo(tree / "fifo")
    handle = os.open(tree, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{handle}/socket")
    finally:
        os.close(handle)
    links = {"link": secret / "s", "dangling": secret / "nothing", "loop": tree / "loop"}
    links |= {"folder": secret, "cycle": tree, "zero": tree.__class__("/dev/zero")}
    for name, target in links.items():
        (tree / name).symlink_to(target)
    made = 2 + len(links)
    with contextlib.suppress(PermissionError):
        # Only root may; where a container forbids it even to root there is one odd thing less.
        os.mknod(tree / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        made += 1
    return made


def _look_at_output(stage: FileStage) -> None:
    """No command and no line of the log shows a control character of a name as it is."""
    shown = {"the log": stage.daemon.log.encode()}
    for arguments in (("events", "--limit", "500"), ("events", "--json", "--limit", "500")):
        done = stage.reactor(*arguments)
        stage.expect(done.returncode == 0, f"reactor {arguments}: {done.stderr!r}")
        shown[f"reactor {' '.join(arguments)}"] = done.stdout
    for place, output in shown.items():
        controls = {byte for byte in output if byte < 32} - set(b"\n")
        stage.expect(not controls, f"{place} shows the control characters {sorted(controls)}")


def storms(folder: Path, size: int, luck: Random) -> Outcome:
    """Folders made and filled, moved in, files replaced by older ones, files while the daemon is down or paused."""
    with FileStage(folder) as stage:
        tree = folder / "tree"
        longest = _judge_bursts(stage, size, luck)
        _replace_by_older(stage, size // 10, luck)
        _while_paused(stage, max(size // 2, OVERFLOW_FILES if size >= OVERFLOW_FILES // 4 else 0))
        stage.stop()
        for number in range(2 * size):
            stage.publish(tree / f"down{number}", b"%d" % luck.randrange(size))
        stage.daemon.start()
        stage.until(stage.all_arrived, "files that came while the daemon was down")
        _probe(stage)
        stage.settle()
        stage.judge()
    return stage.findings, {
        "files": len(stage.published.contents),
        "longest delay of a burst ms": round(1000 * longest),
    }


def _judge_bursts(stage: FileStage, size: int, luck: Random) -> float:
    """A burst, and others where it was late: noise makes one late, a slow daemon all. Return the longest delay."""
    late: list[str] = []
    while len(late) < TRIES:
        waits = ProcessorWait(stage.daemon.pid)
        burst = _burst(stage, f"burst{len(late)}", size, luck)
        stage.until(partial(stage.all_arrived, burst), "files in folders just made or moved in")
        delay, waited = stage.longest_delay(burst), waits.seconds()
        if delay <= PROMISED_SECONDS + waited:
            return delay
        late.append(f"{delay:.1f} s, of which it waited {waited:.1f} s for a processor")
    stage.findings.append(f"G10: files of a burst took {'; '.join(late)}")
    return 0.0


def _burst(stage: FileStage, name: str, size: int, luck: Random) -> list[Version]:
    """Make folders as quickly as can be, with a file in each, and move a tree of them in."""
    place = stage.folder / "tree" / name
    place.mkdir()
    burst = []
    for number in range(size):
        (place / f"made{number}").mkdir()
        burst.append(stage.publish(place / f"made{number}" / "f", b"%d" % luck.randrange(size)))
    return [*burst, *_move_in(stage, place / "moved", size // 10)]


def _move_in(stage: FileStage, target: Path, size: int) -> list[Version]:
    prepared = stage.folder / "staging" / "prepared"
    for number in range(size):
        (prepared / f"deep{number}").mkdir(parents=True)
        (prepared / f"deep{number}" / "f").write_bytes(b"moved %d" % number)
    prepared.rename(target)
    paths = [target / f"deep{number}" / "f" for number in range(size)]
    return [
        stage.published.add(os.fsencode(path), path.stat(), b"moved %d" % number)
        for number, path in enumerate(paths)
    ]


def _replace_by_older(stage: FileStage, size: int, luck: Random) -> None:
    paths = [stage.folder / "tree" / f"old{number}" for number in range(size)]
    for path in paths:
        stage.publish(path, b"newer")
    stage.until(stage.all_arrived, "the newer versions")
    for path in paths:
        stage.publish(path, b"older", times=luck.randrange(10**18))
    stage.until(stage.all_arrived, "versions with an older mtime")


def _probe(stage: FileStage) -> None:
    """One file at a time: each arrives within the promised time, the folder being as large as it is."""
    for number in range(PROBES):
        waits = ProcessorWait(stage.daemon.pid)
        version = stage.publish(stage.folder / "tree" / f"probe{number}", b"probe")
        stage.until(partial(stage.all_arrived, [version]), "a single file")
        delay, waited = stage.longest_delay([version]), waits.seconds()
        stage.expect(
            delay <= PROMISED_SECONDS + waited,
            f"G10: a single file took {delay:.1f} s, of which the daemon waited {waited:.1f} s for a processor",
        )


def _while_paused(stage: FileStage, size: int) -> None:
    stage.pause()
    try:
        for number in range(size):
            stage.publish(stage.folder / "tree" / f"paused{number}", b"%d" % number)
    finally:
        stage.go_on()
    stage.until(stage.all_arrived, "files that came while the daemon was paused")


def writers(folder: Path, size: int, luck: Random) -> Outcome:
    """Slow writers with pauses longer than the time to settle, in the modes closed, renamed and marker."""
    with FileStage(folder) as stage:
        jobs = [(("closed", "renamed", "marked")[number % 3], number) for number in range(size)]
        seeds = [luck.randrange(2**32) for _ in jobs]
        lock = threading.Lock()

        def write(is_over: threading.Event) -> None:
            while True:
                with lock:
                    if not jobs:
                        return
                    (mode, number), seed = jobs.pop(), seeds.pop()
                _write_slowly(stage, mode, number, seed, is_over)

        with contextlib.ExitStack() as stack:
            for racer in [
                stack.enter_context(racing(write)) for _ in range(min(WRITERS_AT_ONCE, size))
            ]:
                racer.join()
        stage.until(stage.all_arrived, "every file that was written slowly arrived")
        stage.settle()
        delay = stage.judge()
    return stage.findings, {"files": len(stage.published.contents), "longest delay ms": delay}


def _write_slowly(
    stage: FileStage, mode: str, number: int, seed: int, is_over: threading.Event
) -> Version:
    """Write a file in pieces; a marked one is closed between them, one to be renamed may lie there as a draft."""
    path = stage.folder / mode / f"{number}.dat"
    pieces = [b"%d:%d;" % (seed, piece) * 50 for piece in range(3 + seed % 3)]
    draft = path.with_suffix(".part") if mode == "renamed" and seed % 2 else path
    pause = 0.05 + (seed % 250) / 1000
    if mode == "marked":
        for piece in pieces:
            with path.open("ab") as file:
                file.write(piece)
            is_over.wait(pause)
    else:
        with draft.open("wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)
                is_over.wait(pause)
    version = stage.published.add(os.fsencode(path), draft.stat(), b"".join(pieces))
    if draft != path:
        draft.rename(path)
    if mode == "marked":
        path.with_name(path.name + ".done").touch()
    return version
