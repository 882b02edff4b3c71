"""Real small programs: what they leave behind, what we hear of them, and how they end with us."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from upkeep import programs
from upkeep.errors import NotAvailableError, ProgramError

SH = Path("/bin/sh")


def nothing() -> None:
    """Go on."""


def gone(pid: int, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def wait_for(path: Path) -> int:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text().strip()):
            return int(text)
        time.sleep(0.02)
    raise AssertionError(f"{path} was not written")


def test_status_lines_environment_and_cleaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "postgresql://a:secret@b/c")
    script = (
        'echo "got $WORD"; echo "conn=$AIRFLOW_CONN_OTHER" >&2; echo postgresql://u:pw@h/d; echo DETAIL row; exit 3'
    )
    output = programs.run(
        [SH, "-c", script],
        checkpoint=nothing,
        environment={"WORD": "it"},
        clean=lambda line: "" if line.startswith("DETAIL") else line,
    )
    assert output.status == 3
    assert sorted(output.lines) == ["conn=", "got it", "postgresql://u:***@h/d"]
    with pytest.raises(ProgramError, match=r"sh failed \(3\): .*got it"):
        output.fine()


def test_output_is_bounded_and_never_blocks() -> None:
    code = "import sys\nfor i in range(20000): print('x' * 1000)\nsys.stderr.write('y' * 200000 + '\\nend\\n')"
    output = programs.run([sys.executable, "-c", code], checkpoint=nothing).fine()
    assert len(output.lines) <= programs.KEPT_LINES
    assert all(len(line) <= programs.LONGEST_LINE for line in output.lines)


def test_a_missing_program_says_how_to_get_it() -> None:
    with pytest.raises(NotAvailableError, match="UPKEEP_TOOLS"):
        programs.run(["/nowhere/pg_dump"], checkpoint=nothing)
    with pytest.raises(NotAvailableError, match="no_such_program is not on this machine"):
        programs.find("no_such_program")


def test_the_tools_folder_comes_first_and_a_major_version_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    for number in (15, 17):
        folder = tmp_path / str(number)
        folder.mkdir()
        tool = folder / "dumper"
        tool.write_text(f"#!/bin/sh\necho 'dumper (Some SQL) {number}.2 (Debian {number}.2-1)'\n")
        tool.chmod(0o755)
        folders.append(str(folder))
    monkeypatch.setenv("UPKEEP_TOOLS", os.pathsep.join(folders))
    assert programs.find("dumper") == tmp_path / "15" / "dumper"
    assert programs.find("dumper", major=17) == tmp_path / "17" / "dumper"
    assert programs.version(tmp_path / "17" / "dumper") == "dumper (Some SQL) 17.2 (Debian 17.2-1)"
    with pytest.raises(NotAvailableError, match="dumper of version 18"):
        programs.find("dumper", major=18)


def test_a_broken_one_is_passed_over_and_not_asked_again_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tool(folder: str, script: str) -> Path:
        path = tmp_path / folder / "dumper"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\necho >> {tmp_path / folder}.asked\n{script}\n")
        path.chmod(0o755)
        return path

    def asked(*folders: str) -> list[int]:
        return [(tmp_path / f"{folder}.asked").read_text().count("\n") for folder in folders]

    monkeypatch.setattr(programs, "VERSION_SECONDS", 0.2)
    tool("hangs", "exec sleep 10")
    tool("fails", "echo a library is missing >&2; exit 1")
    good = tool("good", "echo dumper 17.2")
    folders = ("hangs", "fails", "good")
    monkeypatch.setenv("UPKEEP_TOOLS", os.pathsep.join(str(tmp_path / folder) for folder in folders))
    assert programs.find("dumper", major=17) == good
    with pytest.raises(
        NotAvailableError, match=r"dumper of version 18 is not .* a library is missing; install it anew"
    ):
        programs.find("dumper", major=18)
    assert asked(*folders) == [1, 1, 1]
    monkeypatch.setattr(programs, "FAILED_SECONDS", -1.0)
    programs._failed.clear()
    assert [programs.find("dumper", major=17) for _ in folders] == [good] * 3
    assert asked(*folders) == [4, 4, 1]


def test_who_has_no_patience_is_told_and_asks_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = tmp_path / "held"
    held.touch()
    slow, other = tmp_path / "slow", tmp_path / "other"
    slow.write_text(f"#!/bin/sh\n[ ! -e {held} ] || exec sleep 100\necho slow 3.1\n")
    other.write_text("#!/bin/sh\necho other 2.1\n")
    for tool in (slow, other):
        tool.chmod(0o755)
    with programs.patience(0.3):
        for tool, why in ((slow, "did not answer"), (other, "was not asked")):
            with pytest.raises(ProgramError, match=f"{tool} --version {why}"):
                programs.version(tool)
    held.unlink()
    with programs.patience(10):
        assert programs.version(other) == "other 2.1"
        with pytest.raises(ProgramError, match="did not answer"):  # remembered, so that no page waits again
            programs.version(slow)
        monkeypatch.setattr(programs, "_failed", {})  # a minute later
        assert programs.version(slow) == "slow 3.1"
    with programs.patience(0):
        assert programs.version(slow) == "slow 3.1"


@pytest.mark.parametrize(
    ("said", "major"),
    [("pg_dump (PostgreSQL) 15.18", 15), ("Redis server v=7.0.15 sha=0", 7), ("db version v6.0.5", 6), ("none", 0)],
)
def test_major_version(said: str, major: int) -> None:
    assert programs.major_of(said) == major


def test_a_checkpoint_that_raises_ends_the_program_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    # The child of the child goes into a session of its own, and does not listen to SIGTERM.
    child = "import os, signal, time; os.setsid(); signal.signal(15, signal.SIG_IGN)\n"
    child += f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(100)"

    def checkpoint() -> None:
        if pid_file.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        programs.run([SH, "-c", f'"{sys.executable}" -c "{child}" & sleep 100'], checkpoint=checkpoint)
    assert gone(wait_for(pid_file), seconds=1)


def test_one_that_does_not_listen_is_killed_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "GRACE_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(ProgramError, match="took longer than it may"):
        programs.run([SH, "-c", "trap '' TERM; sleep 50; sleep 50"], checkpoint=nothing, seconds=0.1)
    assert time.monotonic() - started < 5


def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f'setsid sh -c "echo \\$\\$ > {pid_file}; sleep 100" & while [ ! -s {pid_file} ]; do sleep 0.02; done'
    assert programs.run([SH, "-c", script], checkpoint=nothing).status == 0
    assert gone(wait_for(pid_file), seconds=1)


@pytest.mark.parametrize("who", ["us", "the guard"])
def test_kill_9_ends_the_program(tmp_path: Path, who: str) -> None:
    """Also when a thread started it that is not the main one."""
    pid_file = tmp_path / "pid"
    code = textwrap.dedent(f"""
        import threading
        from upkeep import programs
        run = lambda: programs.run(["/bin/sh", "-c", "echo $$ > {pid_file}; exec sleep 100"], checkpoint=lambda: None)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    """)
    environment = {**os.environ, "PYTHONPATH": str(Path(programs.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as starter:
        program = wait_for(pid_file)
        guard = psutil.Process(program).parent()
        assert guard is not None
        assert guard.ppid() == starter.pid
        (starter if who == "us" else guard).send_signal(signal.SIGKILL)
        assert gone(program, seconds=3)
        assert gone(guard.pid, seconds=3)
        starter.wait(10)
