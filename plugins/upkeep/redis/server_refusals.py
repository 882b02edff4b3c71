"""When the server as a whole refuses, whatever the key: said once, of the server, with what mends it. Pure."""

from __future__ import annotations

from typing import Final

import redis

from upkeep.jobs.data_retention.refusal import Refusal

CHECK: Final = "server_refuses"
_REPLICAS: Final = Refusal(
    CHECK,
    "the server takes no changes: fewer replicas are connected, or near enough, than min-replicas-to-write wants",
    "bring the replicas back (INFO replication), or lower min-replicas-to-write",
)
_DISK: Final = Refusal(
    CHECK,
    "the server takes no changes: it could not write its snapshot or its append-only file to disk (MISCONF)",
    "see the server's log and the space on its disk; the next BGSAVE that succeeds ends it",
)
_MEMORY: Final = Refusal(
    CHECK,
    "the server takes no changes: its memory is full, and maxmemory-policy lets nothing go",
    "raise maxmemory, or delete what is not needed (UNLINK, XTRIM by hand)",
)
_REPLICA: Final = Refusal(CHECK, "the server is a replica: it refuses changes", "point the connection at the primary")
_NO_MASTER: Final = Refusal(
    CHECK,
    "the server is a replica that has lost its primary, and answers nothing (replica-serve-stale-data no)",
    "point the connection at the primary",
)
_LOADING: Final = Refusal(
    CHECK,
    "the server still loads its data: it answers nothing yet",
    "wait until INFO persistence says loading:0, run again",
)
_CLUSTER: Final = Refusal(
    CHECK,
    "the server is a node of a Redis cluster, which has only some of the keys, or is down",
    "point the connection at a primary that is no cluster's",
)
_BUSY: Final = Refusal(
    CHECK, "the server is busy with somebody's script", "wait, or end the script: SCRIPT KILL; run again"
)
_BY_CLASS: Final = (
    (redis.exceptions.ReadOnlyError, _REPLICA),
    (redis.exceptions.MasterDownError, _NO_MASTER),
    (redis.exceptions.ClusterError, _CLUSTER),
    (redis.exceptions.MovedError, _CLUSTER),
    (redis.exceptions.AskError, _CLUSTER),
    (redis.exceptions.BusyLoadingError, _LOADING),
    (redis.exceptions.OutOfMemoryError, _MEMORY),
)
"""In this order: some are kinds of others."""
_BY_WORD: Final = {
    "NOREPLICAS": _REPLICAS,
    "MISCONF": _DISK,
    "OOM": _MEMORY,
    "READONLY": _REPLICA,
    "MASTERDOWN": _NO_MASTER,
    "LOADING": _LOADING,
    "CLUSTERDOWN": _CLUSTER,
    "BUSY": _BUSY,
}


OVERLOADED: Final = (_REPLICAS, _BUSY)
"""Those that pass: replicas follow again, a script ends."""


def of(error: Exception) -> Refusal | None:
    """Return why the server as a whole refuses; ``None``: it is about the key, our user, or something else."""
    for kind, refusal in _BY_CLASS:
        if isinstance(error, kind):
            return refusal
    return _BY_WORD.get(str(error).partition(" ")[0]) if isinstance(error, redis.exceptions.ResponseError) else None
