"""A small web server for pages of shops other than the sample one, under any name of this machine.

Every `*.localhost` leads here, so that one server has as many origins as a test needs.
"""

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>A shop</title><link rel="icon" href="data:,">{head}</head>
<body><main><h1>A shop</h1><p>With <a href="#more">a link</a>.</p></main>{body}</body>
</html>
"""

# What a page may write to be able to call before the loader is there, with an ear for every event.
STUB = """<script nonce="n0nce">
window.Parley = function () { (Parley.q = Parley.q || []).push(arguments) };
window.heard = [];
for (const name of ['ready', 'open', 'close', 'message', 'unread', 'handoff', 'error'])
  Parley('on', name, (detail) => heard.push([name, detail ?? null]));
</script>"""


class Pages:
    """`pages.add("/", body=…)` gives the address of a new page."""

    def __init__(self) -> None:
        self._pages: dict[str, tuple[bytes, Mapping[str, str]]] = {}
        pages = self._pages

        class Request(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content, headers = pages.get(self.path.partition("?")[0], (b"", {}))
                self.send_response(200 if content else 404)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(content)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> "Pages":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def clear(self) -> None:
        self._pages.clear()

    def add(
        self,
        path: str = "/",
        *,
        head: str = "",
        body: str = "",
        headers: Mapping[str, str] | None = None,
        host: str = "other.localhost",
    ) -> str:
        """Serve a page; its address under ``host``."""
        self._pages[path] = (PAGE.format(head=head, body=body).encode(), headers or {})
        return f"http://{host}:{self.port}{path}"
