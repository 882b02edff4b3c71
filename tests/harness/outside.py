"""Servers that Upkeep calls: one that speaks HTTP, one that takes mail; both keep what came."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """What came: of HTTP method, path and document, of a mail its lines; ``status`` is what HTTP answers."""

    port: int = 0
    status: int = 200
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    mails: list[list[str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def documents(self) -> list[Any]:
        """Return the documents that were sent, and forget them."""
        found = [document for method, _, document in self.requests if method == "POST"]
        self.requests = [one for one in self.requests if one[0] != "POST"]
        return found


@contextmanager
def http_server() -> Iterator[Received]:
    got = Received()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            got.requests.append((self.command, self.path, json.loads(body) if body else None))
            self.send_response(got.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = _answer  # noqa: N815 - so they are called

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as got.port:
        yield got


@contextmanager
def mail_server() -> Iterator[Received]:
    got = Received()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 ready\r\n")
            for raw in self.rfile:
                word = raw.decode().strip().upper()
                if word.startswith("DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                    got.mails.append(list(lines))
                self.wfile.write(b"221 bye\r\n" if word == "QUIT" else b"250 ok\r\n")

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as got.port:
        yield got


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
