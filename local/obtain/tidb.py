"""TiDB, built from its Go modules: there is no package of it in any registry, but its source is one.

The build module is generated: TiDB's own requirements and replacements, with the one relative replacement (its
parser) pointed at the published module of the same commit, and TiDB's own ``go.sum`` beside it, so that every byte
that is compiled is pinned. The result is cached under a key made of that ``go.sum`` and of what else decides it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError
from local.obtain.golang import go_program
from local.process import exclusive, reachable_cache, run
from upkeep import settings

MODULE = "github.com/pingcap/tidb"
COMMIT = "20260903095844-ac41d7e3c8fc"  # release-8.5
VERSION = f"v1.1.0-beta.0.{COMMIT}"
PARSER_VERSION = f"v0.0.0-{COMMIT}"
TOOLCHAIN = "go1.25.14"  # built with 1.26 the server panics at start ("hack package only supports go1.25")
REPORTED_VERSION = "v8.5.0-" + COMMIT.rpartition("-")[2]  # the branch, and the commit instead of a patch number
DUMPLING = "upkeep-dumpling"
PACKAGES = {"tidb-server": f"{MODULE}/cmd/tidb-server", "tidb-lightning": f"{MODULE}/lightning/cmd/tidb-lightning"}
OURS = {DUMPLING: Path(__file__).with_name("dumpling")}
"""Programs whose main is our own, over TiDB's packages: each in a folder named by its source beside the others."""
# Packages that a cold build of tidb-server compiles, standard library included: only the progress line uses it.
TOTAL_PACKAGES = 1900
LINES_BETWEEN_REPORTS = 5.0  # seconds


@dataclass(frozen=True)
class Source:
    """TiDB's own module files in the module cache."""

    go_mod: str
    go_sum: str


def installed(program: str = "tidb-server") -> Path | None:
    """Return ``program`` if nothing needs building: from PATH, or built before."""
    found = shutil.which(program)
    if found:
        return Path(found)
    pointer = settings.cache_dir() / "tidb" / "current"
    if not pointer.exists():
        return None
    built = _place(pointer.parent / pointer.read_text().strip(), program) / program
    return built if built.is_file() else None


def _place(folder: Path, program: str) -> Path:
    """Return where a program lies, or will lie, in the folder of the build module."""
    if program not in OURS:
        return folder
    return folder / f"{program}-{hashlib.sha256((OURS[program] / 'main.go').read_bytes()).hexdigest()[:8]}"


def obtain(program: str = "tidb-server") -> Path:
    """Return ``program``, building it if it is neither on PATH nor in the cache.

    The first build takes 8 to 12 minutes on two cores; progress goes to standard error. A second caller waits for
    the first.

    Parameters
    ----------
    program
        One of `PACKAGES` or `OURS`.

    Raises
    ------
    LocalError
        When the modules cannot be fetched or the build fails.
    """
    with exclusive(reachable_cache(settings.cache_dir() / "tidb") / ".lock"):
        found = installed(program)
        return found or _build(program)


def _build(program: str) -> Path:
    _require_compiler()
    go = go_program()
    environment = _environment()
    source = _source(go, environment)
    home = settings.cache_dir() / "tidb"
    folder = home / _key(source)
    folder.mkdir(exist_ok=True)
    (folder / "go.mod").write_text(build_module(source.go_mod))
    sums = folder / "go.sum"
    if not sums.exists():
        sums.write_text(source.go_sum)
    target = _place(folder, program) / program
    package = PACKAGES.get(program)
    if package is None:
        target.parent.mkdir(exist_ok=True)
        shutil.copy(OURS[program] / "main.go", target.parent)
        package = f"./{target.parent.name}"
    flags = f"-s -w -X {MODULE}/pkg/parser/mysql.TiDBReleaseVersion={REPORTED_VERSION}"
    flags += f" -X {MODULE}/dumpling/cli.ReleaseVersion={REPORTED_VERSION}" if program in OURS else ""
    command = [
        *("go", "build", "-v", "-trimpath", "-ldflags", flags),
        *("-o", f"{target}.partial", package),
    ]
    _run_visibly([str(go), *command[1:]], folder, environment, program)
    Path(f"{target}.partial").rename(target)
    (home / "current").write_text(folder.name)
    return target


def _require_compiler() -> None:
    """Find out now, not after minutes, that TiDB's compression library (C) cannot be compiled."""
    if any(map(shutil.which, ("gcc", "clang", "cc"))):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing gcc, which a part of TiDB is compiled with", file=sys.stderr, flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-qq"], env=environment)
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "gcc", "libc6-dev"], env=environment)
        return
    message = (
        "building TiDB needs a C compiler: as root, apt-get install gcc libc6-dev. Or put a tidb-server on PATH, or"
        " name a running server: UPKEEP_TIDB_URI=tidb://user:password@host:4000/"
    )
    raise LocalError(message)


def build_module(go_mod: str) -> str:
    """Return the ``go.mod`` of the build module, made from TiDB's own.

    Parameters
    ----------
    go_mod
        The text of TiDB's ``go.mod``.

    Raises
    ------
    LocalError
        When it does not have the shape that we know how to rewrite.
    """
    parser = f"{MODULE}/pkg/parser"
    text, modules = re.subn(r"^module \S+$", "module upkeep.invalid/tidb", go_mod, flags=re.MULTILINE)
    text, parsers = re.subn(rf"({re.escape(parser)} => )\./pkg/parser", rf"\g<1>{parser} {PARSER_VERSION}", text)
    if (modules, parsers) != (1, 1):
        message = f"the go.mod of TiDB {VERSION} is not as expected: local/obtain/tidb.py has to learn its new shape"
        raise LocalError(message)
    return f"{text}\nrequire {MODULE} {VERSION}\n"


def _key(source: Source) -> str:
    parts = (source.go_sum, VERSION, TOOLCHAIN, REPORTED_VERSION)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _environment() -> dict[str, str]:
    # -mod=mod: the sums of TiDB's own two modules are added to go.sum by the build (checked by the checksum database)
    return {**os.environ, "GOTOOLCHAIN": TOOLCHAIN, "GOFLAGS": "-mod=mod", "GOWORK": "off"}


def _source(go: Path, environment: dict[str, str]) -> Source:
    try:
        output = run([go, "mod", "download", "-json", f"{MODULE}@{VERSION}"], env=environment, cwd=Path("/"))
    except LocalError as error:
        message = (
            f"TiDB's source cannot be fetched: {error}\nIs the Go module proxy reachable? Else put a tidb-server on"
            " PATH, or name a running server: UPKEEP_TIDB_URI=tidb://user:password@host:4000/"
        )
        raise LocalError(message) from error
    folder = Path(json.loads(output)["Dir"])
    return Source((folder / "go.mod").read_text(), (folder / "go.sum").read_text())


def _run_visibly(command: list[str], folder: Path, environment: dict[str, str], program: str) -> None:
    minutes = "a minute, where tidb-server was built" if program in OURS else "8 to 12 minutes"
    print(f"building {program} {REPORTED_VERSION} from its Go modules: once, {minutes}", file=sys.stderr)
    log = folder / f"{program}.log"
    started = reported = time.monotonic()
    compiled = fetched = 0
    with log.open("w") as output:
        nice = ["nice", "-n", "10"] if shutil.which("nice") else []  # PostgreSQL's part of the tour goes first
        process = subprocess.Popen(
            [*nice, *command], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for line in process.stderr or ():
            output.write(line)
            if line.startswith("go: downloading"):
                fetched += 1
            else:
                compiled += 1
            now = time.monotonic()
            if now - reported >= LINES_BETWEEN_REPORTS:
                reported = now
                share = min(99, 100 * compiled // TOTAL_PACKAGES)
                print(
                    f"  {program}: {now - started:.0f} s, {fetched} modules fetched, {compiled} packages compiled"
                    f" (about {share} %)",
                    file=sys.stderr,
                    flush=True,
                )
    if process.wait():
        tail = "\n".join(log.read_text().splitlines()[-15:])
        message = f"{program} did not build (log: {log}):\n{tail}"
        raise LocalError(message)
