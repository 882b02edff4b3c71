"""A connection pooler as small as can be, with the two modes of PgBouncer: for tests of what must not run through one.

It answers clients itself, with a made-up process id, and lends them real sessions: one for as long as the
client stays (``session``) or one per transaction (``transaction``).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from typing import Literal, Self

import psycopg

_SSL, _GSS = 80877103, 80877104
_MADE_UP_PID = 999_999_999
_REPORTED = (
    "server_version",
    "client_encoding",
    "standard_conforming_strings",
    "DateStyle",
    "TimeZone",
    "integer_datetimes",
)


class Pooler:
    """Listens on ``port`` of 127.0.0.1 until closed.

    Parameters
    ----------
    fifo
        Lend the session that was idle longest (``server_round_robin``) instead of the one used last.
    """

    def __init__(self, uri: str, mode: Literal["session", "transaction"], *, size: int = 4, fifo: bool = False) -> None:
        self._mode = mode
        self._fifo = fifo
        self._sessions = [psycopg.connect(uri, autocommit=True) for _ in range(size)]
        self._idle = deque(self._sessions)
        self._freed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for session in self._sessions:
            session.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            self._greet(client)
            self._relay(client)

    def _greet(self, client: socket.socket) -> None:
        while True:
            (length,) = struct.unpack("!i", _exactly(client, 4))
            (code,) = struct.unpack("!i", _exactly(client, length - 4)[:4])
            if code not in (_SSL, _GSS):
                break
            client.sendall(b"N")
        client.sendall(_message(b"R", struct.pack("!i", 0)))
        for name in _REPORTED:
            value = self._sessions[0].pgconn.parameter_status(name.encode()) or b""
            client.sendall(_message(b"S", name.encode() + b"\0" + value + b"\0"))
        client.sendall(_message(b"K", struct.pack("!ii", _MADE_UP_PID, 1)) + _message(b"Z", b"I"))

    def _relay(self, client: socket.socket) -> None:
        lent: psycopg.Connection | None = None
        try:
            while True:
                kind, message = _read(client)
                if kind == b"X":
                    return
                lent = lent or self._lend()
                server = socket.socket(fileno=lent.fileno())
                server.setblocking(True)
                try:
                    server.sendall(message)
                    state = b""
                    while kind in b"QS" and not state:  # a query or a sync is answered up to "ready"
                        answer, reply = _read(server)
                        client.sendall(reply)
                        state = reply[-1:] if answer == b"Z" else b""
                finally:
                    server.detach()
                if state == b"I" and self._mode == "transaction":
                    lent = self._take_back(lent)
        finally:
            if lent is not None:
                self._take_back(lent)

    def _lend(self) -> psycopg.Connection:
        with self._freed:
            self._freed.wait_for(lambda: self._idle, timeout=10)
            return self._idle.popleft() if self._fifo else self._idle.pop()

    def _take_back(self, session: psycopg.Connection) -> None:
        with self._freed:
            self._idle.append(session)
            self._freed.notify()


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _read(source: socket.socket) -> tuple[bytes, bytes]:
    kind, length = _exactly(source, 1), _exactly(source, 4)
    return kind, kind + length + _exactly(source, struct.unpack("!i", length)[0] - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = source.recv(count - len(received))
        if not part:
            raise EOFError
        received += part
    return received
