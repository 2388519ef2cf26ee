"""A W&B server on the loopback interface: enough of one to accept runs, and to hang or to die when told to."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VIEWER = {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}


def answer(query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Return the data for a GraphQL document; wandb makes do with nothing for most of them."""
    if query.startswith("query Viewer"):
        return {"viewer": VIEWER}
    if query.startswith("mutation UpsertBucket"):
        project = {"id": "p", "name": "normscape", "entity": {"id": "e", "name": "me"}}
        bucket = {"id": "b", "name": variables["name"], "sweepName": None, "historyLineCount": 0, "project": project}
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}
    if query.startswith("mutation CreateRunFiles"):
        return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}}
    return {}


class Server(ThreadingHTTPServer):
    """What the server was sent, and how it is to behave.

    Attributes
    ----------
    operations
        First line of every GraphQL document, e.g. ``mutation UpsertBucket(``.
    variables
        The variables of every GraphQL document, in the same order.
    history
        Every row that came through the file stream.
    hanging
        While true a request is taken in and never answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.operations: list[str] = []
        self.variables: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.hanging = False
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def die(self) -> None:
        """Stop answering; later connections are refused."""
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are part of the game."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.server.hanging:
            self.server.closing.wait()
        elif self.path.endswith("/file_stream"):
            files = json.loads(body).get("files", {})
            lines = files.get("wandb-history.jsonl", {}).get("content", [])
            self.server.history.extend(json.loads(line) for line in lines)
            self._answer({"exitcode": None, "limits": {}})
        elif self.path.endswith("/graphql"):
            document = json.loads(body)
            query, variables = document["query"].strip(), document.get("variables") or {}
            self.server.operations.append(query.splitlines()[0])
            self.server.variables.append(variables)
            self._answer({"data": answer(query, variables)})
        else:
            self._answer({})

    def _answer(self, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serve() -> Iterator[Server]:
    """Run a server for the length of a ``with`` block."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.die()
        thread.join()
