"""A way to an encrypted server for ``redis-cli``, verified as the session's own.

The tool itself looks at the authority of a certificate and never at its name, takes no password of a key, and some
builds of it know no TLS at all. So it is given a socket in a folder of ours, and we encrypt what goes through it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from upkeep.engines import Address
from upkeep.errors import NotAvailableError
from upkeep.jobs.errors import ConnectionLostError
from upkeep.redis.connection import DEFAULT_PORT
from upkeep.redis.session import CONNECT_SECONDS
from upkeep.tls import Tls

_PIECE: Final = 1 << 18
_JOIN_SECONDS: Final = 5.0


@contextmanager
def relay(address: Address, how: Tls) -> Iterator[Path]:
    """Give the path of a socket that leads to the server, to one who connects, for as long as the block lasts.

    Raises
    ------
    ConnectionLostError
        The server does not answer, or is not the one that it should be.
    NotAvailableError
        No socket can be made in the folder for temporary files.
    """
    host = address.host or "localhost"
    try:
        plain = socket.create_connection((host, address.port or DEFAULT_PORT), CONNECT_SECONDS)
        with contextlib.ExitStack() as failed:
            failed.push(plain)
            server = how.context().wrap_socket(plain, server_hostname=host)
            failed.pop_all()
    except OSError as error:
        why = error.strerror or error  # a time-out has no number
        raise ConnectionLostError(f"the server did not answer a second connection ({why})") from None
    with server, tempfile.TemporaryDirectory(prefix="upkeep-") as folder, socket.socket(socket.AF_UNIX) as door:
        path = Path(folder) / "socket"
        try:
            door.bind(str(path))
        except OSError as error:  # of a path that is too long, for one
            message = f"no socket can be made at {path} ({error.strerror or error}); set TMPDIR to a shorter path"
            raise NotAvailableError(message) from None
        door.listen(1)
        thread = threading.Thread(target=_serve, args=(door, server), daemon=True)
        thread.start()
        try:
            yield path
        finally:
            for one in (door, server):  # closing alone would not wake a thread that waits
                with contextlib.suppress(OSError):
                    # one's own would end TLS first: what the thread still sends would go in plain
                    socket.socket.shutdown(one, socket.SHUT_RDWR)
            thread.join(_JOIN_SECONDS)


def _serve(door: socket.socket, server: ssl.SSLSocket) -> None:
    with contextlib.suppress(OSError, ValueError):  # the one or the other has hung up
        client, _ = door.accept()
        with client:
            while True:
                ready = [server] if server.pending() else select.select([client, server], [], [])[0]
                if server in ready and not _passed_on(server, client):
                    return
                if client in ready:
                    said = client.recv(_PIECE)
                    if not said:
                        return
                    server.settimeout(None)
                    server.sendall(said)


def _passed_on(server: ssl.SSLSocket, client: socket.socket) -> bool:
    """Hand on what the server has sent; False: it has hung up."""
    server.settimeout(0)  # what came may be of TLS alone: nothing to hand on, and nothing to wait for
    try:
        said = server.recv(_PIECE)
    except ssl.SSLWantReadError:
        return True
    client.sendall(said)
    return bool(said)
