"""A backup of a real server, step by step as the job does it: taken, published, damaged on purpose, verified."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.harness import jobs, scratching
from tests.harness.contract import Case
from upkeep import fleet, programs
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup import publish
from upkeep.jobs.backup.copier import Bench, Copier, Order, Survey
from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.backup.verify import Verdict, verify
from upkeep.jobs.contract import Ask, Work, go_on
from upkeep.model import NOTHING_ASKED, Action, Artefact, Backup, Memory, Observation

_ROOT = Path(programs.__file__).parents[2]
_KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from tests.harness.copying import Copying
    from upkeep import programs
    from upkeep.jobs.backup.copier import Bench

    engine, uri, into, stage, later = sys.argv[1:]
    said = [] if stage else [""]
    def checkpoint(*_, **__):
        if any(stage in text for text in said):
            os.kill(os.getpid(), signal.SIGKILL)
    def tell(text):
        said.append(text)
        if not later:
            checkpoint()
    programs.CHECK_SECONDS = 0.02
    copying = Copying(engine, uri, Path(into), bench=Bench(checkpoint, tell, 60))
    copying.verify(copying.take())
""")


@dataclass
class Copying:
    """One engine's backups of one address, into a directory of the test's."""

    engine: str
    uri: str
    into: Path
    policy: str = ""
    compared: Mapping[str, datetime] = field(default_factory=dict)
    bench: Bench = field(default_factory=lambda: Bench(go_on, lambda _: None, 60))

    @property
    def copier(self) -> Copier[Any]:
        found: Copier[Any] = importlib.import_module(f"upkeep.{self.engine}.backup").COPIER
        return found

    @property
    def target(self) -> fleet.Target:
        policy = f"{{into: {self.into}{', ' + self.policy if self.policy else ''}}}"
        text = f"version: 1\ntargets:\n  t:\n    engine: {self.engine}\n    connection: c\n    backup: {policy}\n"
        return fleet.parse(text).targets["t"]

    def survey(self) -> Survey:
        with jobs.session(self.engine, self.uri) as session:
            server = session.facts()
            ask = Ask("backup", session, self.target, server.clock, Memory(), NOTHING_ASKED, server)
            return self.copier.survey(ask)

    def take(self) -> publish.Found:
        policy = BackupPolicy.of(self.target)
        assert policy is not None
        with jobs.session(self.engine, self.uri) as session:
            seen = Observation(
                target="t",
                engine=self.engine,
                job="backup",
                at=session.now(),
                server=session.facts(),
                frames={},
            )
            work = Work(
                session, self.target, Action.model_construct(), seen, self.bench.checkpoint, time.sleep, lambda _: None
            )
            name = f"b{time.monotonic_ns()}"
            with publish.making(str(self.into), "t", session.identity, name) as place:
                order = Order(
                    work=work,
                    policy=policy,
                    place=place / manifests.DATA,
                    bench=self.bench,
                    compared=self.compared,
                )
                taken = self.copier.take(order)
                of = (name, "t", self.engine, session.identity)
                return publish.publish(place, of, taken, self.copier.instructions, self.bench.checkpoint)

    def verify(self, found: publish.Found, manifest: Manifest | None = None) -> Verdict:
        return verify(self.copier, found.place, manifest or found.manifest, self.bench)

    def signed(self, found: publish.Found) -> Manifest:
        """Return the manifest with the digests of the files as they are now: what differs must be found otherwise."""
        files = manifests.files(found.place, go_on)
        return found.manifest.model_copy(update={"files": files})

    def killed(self, stage: str, *, later: bool = False) -> list[Path]:
        """Take and prove in a process that kills itself once it says so (empty: at its first checkpoint).

        Returns what is published then; whatever it had started has ended.

        Parameters
        ----------
        later
            At the next checkpoint from there: while a program runs that it has started.
        """
        environment = {**os.environ, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'plugins'}"}
        command = [sys.executable, "-c", _KILLED, self.engine, self.uri, str(self.into), stage, "later" * later]
        assert subprocess.run(command, env=environment, check=False).returncode == -9
        assert scratching.gone(str(self.into))
        assert scratching.gone(scratching.mark(self.engine))
        return [path for path in self.into.glob("t/*") if not path.name.startswith(".")]

    def killed_at(self, stages: Mapping[str, int], level: str, *, later: bool = False) -> None:
        """Kill a run at each stage, by when so many backups are published: the next one is proven, all else is gone."""
        published = list[Path]()
        for stage, count in stages.items():
            published = self.killed(stage, later=later)
            assert len(published) == count, stage
        found = self.take()
        verdict = self.verify(found)
        assert (verdict.level, words(verdict)) == (level, [])
        assert sorted(self.left()) == sorted([*published, found.place])

    def left(self) -> list[Path]:
        """Return what lies there, hidden or not, and what a scratch server left."""
        return [*self.into.glob("t/*"), *self.into.glob("t/.*"), *scratching.places(self.engine)]

    @contextmanager
    def restored(self, found: publish.Found) -> Iterator[Any]:
        with self.copier.restored(found.place / manifests.DATA, found.manifest, self.bench) as address:
            yield address


def words(verdict: Verdict) -> list[str]:
    """Return what was found, each as ``subject: summary``."""
    return [f"{finding.subject}: {finding.summary}" for finding in verdict.findings]


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def beside(engine: str) -> Path:
    """Return an empty directory for the backups of a contract case, which is gone when the tests are over."""
    into = Path(tempfile.gettempdir()) / f"upkeep-backups-{engine}-{os.getpid()}"
    atexit.register(shutil.rmtree, into, ignore_errors=True)
    return into


def contract_case(engine: str, make: Callable[[Any], None]) -> Case:
    """Return the case of an engine's backups: one is due; with ``wrong``, one that the ledger knows is gone."""
    into, now = beside(engine), datetime.now(UTC)
    lost = Artefact(
        id="lost",
        location=str(into / "lost"),
        sha256="0",
        bytes=1,
        snapshot_at=now - timedelta(days=2),
        identity="another",
    )

    def fresh(db: Any) -> None:
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        make(db)

    return Case(
        make=fresh,
        right=f"backup: {{into: {into}}}",
        wrong="",
        kinds=frozenset({"take_backup"}),
        undone=frozenset(),
        at=now,
        remembered=(Backup("t", lost, "run"),),
        beside=into,
    )


class Watch:
    """A checkpoint that does something at its nth call."""

    def __init__(self, do: Any, at: int = 1) -> None:
        self.do, self.at, self.calls = do, at, 0

    def __call__(self, _message: str = "", *, rows: int = 0) -> None:
        self.calls += 1
        if self.calls == self.at:
            self.do()
