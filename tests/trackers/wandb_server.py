"""A W&B server on the loopback interface: enough of one to keep runs, and to hang, fail or die when told to."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VIEWER = {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
PROJECT = {"id": "p", "name": "normscape", "entity": {"id": "e", "name": "me"}}


@dataclass
class Kept:
    """What the server keeps of one run, as W&B does: lines of each stream by their place, what comes again replaces."""

    settings: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    def stream(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of a stream in their order."""
        return [json.loads(line) for _, line in sorted(self.lines.get(name, {}).items())]

    @property
    def history(self) -> list[dict[str, Any]]:
        """Its rows."""
        return self.stream("wandb-history.jsonl")

    @property
    def summary(self) -> dict[str, Any]:
        """Its summary."""
        return (self.stream("wandb-summary.json") or [{}])[-1]

    @property
    def config(self) -> dict[str, Any]:
        """Its settings, without those of wandb itself."""
        config = json.loads(self.settings.get("config") or "{}")
        return {name: entry["value"] for name, entry in config.items() if name != "_wandb"}


class Server(ThreadingHTTPServer):
    """What the server was sent, and how it is to behave.

    Attributes
    ----------
    operations
        First line of every GraphQL document, e.g. ``mutation UpsertBucket(``.
    variables
        The variables of every GraphQL document, in the same order.
    runs
        What it keeps of each run, by its id.
    hanging
        While true a request is taken in and never answered.
    failing, losing
        While true every request, or what comes through file streams, is answered with status 500.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.operations: list[str] = []
        self.variables: list[dict[str, Any]] = []
        self.runs: dict[str, Kept] = {}
        self.hanging = self.failing = self.losing = False
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of all runs."""
        return [row for run in self.runs.values() for row in run.history]

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the data for a GraphQL document; wandb makes do with nothing for most of them."""
        if query.startswith("query Viewer"):
            return {"viewer": VIEWER}
        if query.startswith("query RunResumeStatus"):
            return {"model": {**PROJECT, "bucket": self._resumable(variables["name"])}}
        if query.startswith("mutation UpsertBucket"):
            inserted = variables["name"] not in self.runs
            run = self.runs.setdefault(variables["name"], Kept())
            run.settings.update({key: value for key, value in variables.items() if value is not None})
            bucket = {"id": "b", "name": variables["name"], "sweepName": None, "historyLineCount": 0}
            return {"upsertBucket": {"bucket": {**bucket, "project": PROJECT}, "inserted": inserted}}
        if query.startswith("mutation UpsertView2"):
            return {"upsertView": {"view": {"id": "v", "name": variables["name"]}, "inserted": True}}
        if re.match(r"mutation CreateArtifact\b", query):  # the answer for one that is there: no more of it is sent
            sequence = {"id": "s", "latestArtifact": {"id": "a", "versionIndex": 0}}
            return {"createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": sequence}}}
        if query.startswith("mutation CreateRunFiles"):
            place = f"{self.url}/storage/{variables['run']}"
            files = [{"name": name, "uploadUrl": f"{place}/{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
        return {}

    def _resumable(self, name: str) -> dict[str, Any] | None:
        """Return what W&B says of a run that is to be resumed; None if there is no such run."""
        if name not in self.runs:
            return None
        run = self.runs[name]
        streams = {"history": "wandb-history.jsonl", "events": "wandb-events.jsonl", "log": "output.log"}
        counts = {f"{key}LineCount": len(run.lines.get(stream, {})) for key, stream in streams.items()}
        tails = {f"{key}Tail": json.dumps([json.dumps(line) for line in run.stream(stream)[-1:]])
                 for key, stream in streams.items() if key != "log"}  # fmt: skip
        own = {"displayName": run.settings.get("displayName"), "tags": run.settings.get("tags"), "notes": ""}
        config = run.settings.get("config") or "{}"
        usual = {"id": "b", "name": name, "summaryMetrics": json.dumps(run.summary), "config": config}
        return {**usual, **own, **counts, **tails, "wandbConfig": '{"t": 1}'}

    def take_stream(self, name: str, content: dict[str, Any]) -> None:
        """Keep what a run's file stream sends."""
        run = self.runs.setdefault(name, Kept())
        for file, chunk in content.get("files", {}).items():
            kept = run.lines.setdefault(file, {})
            kept.update({chunk["offset"] + index: line for index, line in enumerate(chunk["content"])})
        if content.get("complete"):
            run.exit_code = content.get("exitcode")

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
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _, _, run, name = self.path.split("/", 3)
        self.server.runs.setdefault(run, Kept()).files[name] = body
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.server.hanging:
            self.server.closing.wait()
        elif self.server.failing or (self.server.losing and self.path.endswith("/file_stream")):
            self._answer({"error": "Internal Server Error"}, status=500)
        elif self.path.endswith("/file_stream"):
            self.server.take_stream(self.path.split("/")[-2], json.loads(body))
            self._answer({"exitcode": None, "limits": {}})
        elif self.path.endswith("/graphql"):
            document = json.loads(body)
            query, variables = document["query"].strip(), document.get("variables") or {}
            self.server.operations.append(query.splitlines()[0])
            self.server.variables.append(variables)
            self._answer({"data": self.server.answer(query, variables)})
        else:
            self._answer({})

    def _answer(self, content: dict[str, Any], status: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
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
