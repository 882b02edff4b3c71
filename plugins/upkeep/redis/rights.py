"""Which of the rights in the role files our user lacks, asked of the server without using them.

Within MULTI the server looks at the rights of a command and only puts it into a queue, which DISCARD empties.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import redis

from upkeep import rolefiles
from upkeep.fleet import Target
from upkeep.fleet.policies.warm import OWN, WarmPolicy
from upkeep.jobs import rights
from upkeep.jobs.spec import JobSpec
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.redis import streams
from upkeep.redis.session import RedisSession

FILES: Final = {"enforce": "redis/roles/target.acl", "observe": "redis/roles/observer.acl"}
_KEY: Final = "\0"
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "eval": ("return 1", "0"),
    "eval_ro": ("return 1", "0"),
    "exists": (_KEY,),
    "function|list": (),
    "get": (_KEY,),
    "hdel": (_KEY, "f"),
    "hget": (_KEY, "f"),
    "hlen": (_KEY,),
    "hscan": (_KEY, "0"),
    "hset": (_KEY, "f", "v"),
    "cluster|info": (),
    "config|get": ("save",),
    "pexpire": (_KEY, "1"),
    "pttl": (_KEY,),
    "replconf": ("capa", "eof"),
    "scan": ("0",),
    "set": (_KEY, "v"),
    "slowlog|get": ("1",),
    "sync": (),
    "type": (_KEY,),
    "unlink": (_KEY,),
    "psync": ("?", "-1"),
    "acl|dryrun": ("default", "ping"),
    "xdel": (_KEY, "0-0"),
    "xinfo": ("stream", _KEY),
    "xlen": (_KEY,),
    "xpending": (_KEY, "g"),
    "xrange": (_KEY, "-", "+"),
    "xtrim": (_KEY, "maxlen", "0"),
}
"""What follows each command of the role files, so that the server takes it into its queue; nothing of it is done."""


def of(job: str, major: int, mode: str) -> list[str]:
    """Return the commands that a job needs, as ``ACL SETUSER`` calls them, without ``+``."""
    held = (s for s in rolefiles.sections("redis", FILES[mode]) if s.job == job and s.holds(major))
    return [word for section in held for word in re.findall(r" \+(\S+)", section.text)]


def findings(session: RedisSession, target: Target) -> Iterator[Finding]:
    """Yield a finding for each job that the target declares and for which our user lacks a right."""
    user, major = session.address.user or "default", session.numbers[0]
    for job, what in rights.declared(target):
        commands = of(job.name, major, target.mode)
        try:
            missing, gone = _missing(session, commands, _patterns(target, job.name, what.objects))
        except redis.exceptions.NoPermissionError:
            text = "which rights our user has could not be asked: it may not use MULTI and DISCARD"
            remedy, unseen = f"ACL SETUSER {user} +multi +discard", FindingStatus.NOT_AVAILABLE
            looks = all(one.looks_only for one, _ in rights.declared(target))
            severity = Severity.INFO if looks else Severity.WARNING  # what it may do it can do all the same
            yield Finding.of("rights", target.name, severity, text, remedy, status=unseen)
            return
        if missing:
            severity = rights.severity(job, target, what)
            words = " ".join(_typed(word) for word in missing)
            yield rights.lacking(job.name, severity, missing, f"ACL SETUSER {user} {words}")
        if gone:
            severity, unseen = _needs(job, target, what), FindingStatus.NOT_AVAILABLE
            would = "look at" if job.looks_only else "look at and do"
            text = f"the server has no {', '.join(gone)}: what {job.name} would {would} by them is not available"
            remedy = "nothing, where the service has taken them away; else look for rename-command"
            if not job.looks_only:
                remedy = "look for rename-command; where the service has taken them away, leave out what needs them"
            yield Finding.of("commands", job.name, severity, text, remedy, status=unseen)


def _needs(job: JobSpec, target: Target, what: rights.Declared) -> Severity:
    """Return how bad it is that a job's commands are not there."""
    return Severity.INFO if job.looks_only else rights.severity(job, target, what)


def _patterns(target: Target, job: str, objects: Sequence[str]) -> list[str]:
    """Return the patterns of the keys that a job touches; none: it touches none."""
    warm = WarmPolicy.of(target)
    if objects:
        return [*objects]
    if warm is None or not any(s.job == job and OWN in s.text for s in rolefiles.sections("redis", FILES["enforce"])):
        return []
    rows = (re.sub(r"\{[^}]*\}", "*", entry.key) for entry in warm.entries.values())
    return [*(rows if target.mode == "enforce" else ()), f"{OWN}warm:*"]


def _missing(session: RedisSession, commands: Sequence[str], patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words of ``ACL SETUSER`` that our user lacks, and the commands that the server does not know.

    Raises `redis.exceptions.NoPermissionError` when our user may not ask.
    """
    asked = [
        (command, pattern, [*command.split("|"), *(_key(pattern) if word == _KEY else word for word in words)])
        for command in commands
        for words in [_WORDS.get(command)]
        if words is not None
        for pattern in (patterns or [""] if _KEY in words else [""])
    ]
    found: dict[str, None] = {}
    gone: dict[str, None] = {}
    for (command, pattern, words), answer in zip(asked, _queued(session, [a[2] for a in asked]), strict=True):
        said = _dry(session, words) if "inside a transaction" in str(answer) else answer
        if isinstance(said, redis.exceptions.NoPermissionError):
            found[f"+{command}" if " run the " in str(said) else f"~{pattern}"] = None
        elif re.match(r"unknown (sub)?command", str(said), re.IGNORECASE):
            gone[command] = None
    return [*found], [*gone]


def _queued(session: RedisSession, commands: Sequence[Sequence[str]]) -> list[Any]:
    """Return what the server says to each command as it puts it into a queue, and empty the queue."""
    answers: list[Any] = []
    client: Any = session.client
    with client.client() as alone:
        connection = alone.connection
        connection.send_command("MULTI")
        connection.read_response()
        try:
            for words in commands:
                connection.send_command(*words)
                try:
                    answers.append(connection.read_response())
                except redis.exceptions.ResponseError as error:
                    answers.append(error)
            connection.send_command("DISCARD")
            connection.read_response()
        except BaseException:
            connection.disconnect()  # or the next who gets it from the pool is within MULTI yet
            raise
    return answers


def _dry(session: RedisSession, words: Sequence[str]) -> Any:
    """Return what the server would say to a command that cannot be put into a queue; it may refuse to tell."""
    try:
        said = session.command("ACL", "DRYRUN", session.address.user or "default", *words)
    except redis.exceptions.ResponseError:
        return None
    return None if said == "OK" else redis.exceptions.NoPermissionError(str(said))


def _typed(word: str) -> str:
    """Return a word of ``ACL SETUSER`` as redis-cli takes it; a pattern there has no blanks, and `?` is one too."""
    word = re.sub(r"\s", "?", word)
    return streams.quoted(word) if re.search(r"[\"']", word) else word


def _key(pattern: str) -> str:
    """Return a key that a pattern stands for."""
    if not streams.is_pattern(pattern):
        return streams.literal(pattern)
    return streams.literal(re.sub(r"(?<!\\)\[\^?(.)[^]]*\]", r"\1", pattern).replace("*", "x").replace("?", "x"))
