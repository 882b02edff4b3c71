"""Scratch places: closed to others, gone at the end, and found by the next run when their owner was killed."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.servers import temporary_directory
from upkeep import programs, scratch
from upkeep.errors import NotAvailableError, ProgramError


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = temporary_directory()
    path.chmod(0o711)
    monkeypatch.setenv("UPKEEP_SCRATCH", str(path))
    yield path
    shutil.rmtree(path)


def nothing() -> None:
    """Go on."""


def answers(place: scratch.Place) -> int:
    return int((place.path / "up").read_text())  # raises while it is empty, too


SERVER = ["/bin/sh", "-c", "id -u > up; exec sleep 100"]


def test_a_server_runs_as_its_own_user_in_a_closed_directory_and_both_are_gone_after(base: Path) -> None:
    with scratch.place("some", reserve=1) as place:
        status = place.path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o700
        assert status.st_uid == scratch.account().pw_uid
        assert place.write("secret", "x").stat().st_mode & 0o077 == 0
        assert scratch.sweep() == []
        with place.server(SERVER, ready=lambda: answers(place), checkpoint=nothing) as server:
            assert answers(place) == scratch.account().pw_uid
            assert server.pid is not None
            pid = server.pid
        assert not psutil.pid_exists(pid)
    assert list(base.iterdir()) == []


def test_one_that_does_not_start_says_why(base: Path) -> None:
    command = ["/bin/sh", "-c", "echo no such option; exit 1"]
    with (
        scratch.place("some", reserve=1) as place,
        pytest.raises(ProgramError, match="no such option"),
        place.server(command, ready=lambda: answers(place), checkpoint=nothing),
    ):
        pass
    assert list(base.iterdir()) == []


def test_one_that_somebody_kills_is_no_sign_of_what_it_was_given(base: Path) -> None:
    del base
    with (
        scratch.place("x", reserve=1) as place,
        pytest.raises(NotAvailableError, match="was ended by signal 9"),
        place.server(["/bin/sh", "-c", "kill -9 $$"], ready=lambda: 1 / 0, checkpoint=nothing),
    ):
        pass


def test_without_room_nothing_begins_and_reservations_add_up(base: Path) -> None:
    free = psutil.disk_usage(str(base)).free
    with pytest.raises(NotAvailableError, match="UPKEEP_SCRATCH"), scratch.place("some", reserve=free * 2):
        pass
    with (
        scratch.place("some", reserve=free * 2 // 3),
        pytest.raises(NotAvailableError, match="reserved by others"),
        scratch.place("some", reserve=free * 2 // 3),
    ):
        pass
    assert list(base.iterdir()) == []


def test_what_a_killed_owner_left_is_swept(base: Path) -> None:
    code = textwrap.dedent("""
        import sys
        from upkeep import scratch
        with scratch.place("some", reserve=1) as place:
            def ready():
                assert (place.path / "up").read_text()
            command = ["/bin/sh", "-c", "id -u > up; exec sleep 100"]
            with place.server(command, ready=ready, checkpoint=lambda: None) as s:
                print(s.pid, flush=True)
                sys.stdin.read()
    """)
    environment = {**os.environ, "PYTHONPATH": str(Path(programs.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        guard = psutil.Process(pid).parent()
        assert guard is not None
        # The worst case: the guard cannot do its work either, and the kernel's word does not reach the server.
        guard.send_signal(signal.SIGSTOP)
        owner.kill()
        owner.wait()
        (orphan,) = base.glob("upkeep-scratch-*")
        assert psutil.pid_exists(pid)
        assert scratch.sweep() == [orphan]
        assert not orphan.exists()
        guard.send_signal(signal.SIGCONT)
        until = time.monotonic() + 5
        while psutil.pid_exists(pid) and time.monotonic() < until:
            time.sleep(0.02)
        assert not psutil.pid_exists(pid)
