"""A loopback web server that misbehaves on request: stalls, cuts, lies, redirects."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ETAG = '"v1"'


@dataclass
class Site:
    """What the server says. Each request takes the next of `faults`; when none is left it behaves.

    Faults: "stall", "cut", "500", "429", "401", "404", "no-range", "shift", "gzip", "no-length", "longer",
    "416", "redirect:URL".
    """

    content: bytes
    etag: str | None = ETAG
    faults: list[str] = field(default_factory=list)
    chunk_pause_s: float = 0.0
    stall_s: float = 5.0
    url: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        site.requests.append({k.lower(): v for k, v in self.headers.items()} | {"path": self.path})
        fault = site.faults.pop(0) if site.faults else ""
        if fault.startswith("redirect:"):
            return self.answer(302, {"Location": fault[9:], "Content-Length": "0"})
        if fault.isdecimal():
            extra = {"Content-Range": f"bytes */{len(site.content)}"} if fault == "416" else {}
            return self.answer(int(fault), {"Content-Length": "0", "Retry-After": "0"} | extra)
        start, total = 0, len(site.content)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range") in (None, site.etag)
        if wanted and fresh and fault != "no-range":
            start = int(wanted[1])
            if start >= total:
                return self.answer(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
        body, headers = site.content[start:], {}
        if site.etag:
            headers["ETag"] = site.etag
        if start:
            first = start + (fault == "shift")
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
        if fault == "gzip":
            headers["Content-Encoding"] = "gzip"
        if fault == "longer":
            body += b"more"
        headers |= {"Connection": "close"} if fault == "no-length" else {"Content-Length": str(len(body))}
        self.answer(206 if start else 200, headers)
        half = len(body) // 2 if fault in ("stall", "cut") else len(body)
        for at in range(0, half, 1 << 14):
            self.wfile.write(body[at : min(at + (1 << 14), half)])
            time.sleep(site.chunk_pause_s)
        if fault == "stall":
            time.sleep(site.stall_s)
        self.close_connection = True

    def answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed is part of the test."""


@contextmanager
def serve(site: Site, host: str = "127.0.0.1") -> Iterator[Site]:
    server = _Server((host, 0), type("Handler", (_Handler,), {"site": site}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    site.url = f"http://{host}:{server.server_address[1]}/model.gguf"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
