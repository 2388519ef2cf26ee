"""A CIFAR-10 of 20 images per batch in all three published forms, and a web server with bad habits."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from normscape.data.cifar.archive import BATCHES, RECORD_BYTES, Fingerprint, Records
from patience import PATIENCE_SECONDS

BATCH_IMAGES = 20


def fake_records(seed: int = 0) -> Records:
    draw = np.random.default_rng(seed)
    records = draw.integers(0, 256, (6 * BATCH_IMAGES, RECORD_BYTES), dtype=np.uint8)
    records[:, 0] %= 10
    return records


def fingerprint(records: Records, pickles: Path | None = None) -> Fingerprint:
    md5s = tuple(hashlib.md5(batch.tobytes()).hexdigest() for batch in np.split(records, 6))
    return Fingerprint(BATCH_IMAGES, md5s, hashlib.md5(pickles.read_bytes()).hexdigest() if pickles else "0" * 32)


def write_binary(path: Path, records: Records) -> Path:
    return _write(path, {f"{n}.bin": b.tobytes() for n, b in zip(BATCHES, np.split(records, 6), strict=True)})


def write_pickles(path: Path, records: Records) -> Path:
    return _write(path, {n: _python2_pickle(b) for n, b in zip(BATCHES, np.split(records, 6), strict=True)})


def write_pngs(path: Path, records: Records) -> Path:
    files = {}
    for name, batch in zip(BATCHES, np.split(records, 6), strict=True):
        pixels = batch[:, 1:].reshape(-1, 3, 1024).transpose(0, 2, 1)
        content = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(content, "PNG")
        files[f"{name}.png"] = content.getvalue()
    labels = records[:, 0].tolist()
    files["train_lables.json"] = json.dumps(labels[: 5 * BATCH_IMAGES]).encode()
    files["test_lables.json"] = json.dumps(labels[5 * BATCH_IMAGES :]).encode()
    return _write(path, files)


def copy_but(archive: Path, path: Path, name: str, change: Callable[[bytes], bytes | None]) -> Path:
    """Write the archive anew with one file changed, or without it where ``change`` gives None."""
    with tarfile.open(archive) as original:
        files = {Path(entry.name).name: original.extractfile(entry).read() for entry in original}
    changed = change(files.pop(name))
    return _write(path, files if changed is None else files | {name: changed})


def _write(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"folder/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def _python2_pickle(batch: Records) -> bytes:
    """Return the opcodes that Python 2 wrote: byte strings for text, ``numpy.core``, a dtype of arguments 0, 1."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    labels = b"](" + b"".join(b"K" + bytes([label]) for label in batch[:, 0].tolist()) + b"e"
    rows, columns = len(batch), batch.shape[1] - 1
    shape = b"K" + bytes([rows]) + b"M" + columns.to_bytes(2, "little") + b"\x86"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN"
    dtype += b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    pixels = b"T" + (rows * columns).to_bytes(4, "little") + batch[:, 1:].tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    array += b"(K\x01" + shape + dtype + b"\x89" + pixels + b"tb"
    return b"\x80\x02}(" + text(b"labels") + labels + text(b"data") + array + b"u."


@contextmanager
def web_server(archive: Path) -> Iterator[tuple[str, list[str], threading.Event]]:
    """Serve ``archive`` at ``/good.tar.gz`` and worse things elsewhere.

    Gives the URL, the paths asked for, and the event that ``/held.tar.gz`` waits for.
    """
    asked: list[str] = []
    over, released = threading.Event(), threading.Event()
    body = archive.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            page = b"<!DOCTYPE html><title>Sign in to the network</title>"
            content = {"/html.tar.gz": page, "/altered.tar.gz": body[:5000] + bytes(40) + body[5040:]}.get(
                self.path, body
            )
            if self.path == "/absent.tar.gz":
                self.send_error(404)
                return
            if self.path == "/silent.tar.gz":
                over.wait(PATIENCE_SECONDS)
                return
            if self.path == "/held.tar.gz":
                released.wait(PATIENCE_SECONDS)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if self.path == "/truncated.tar.gz" else content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked, released
        finally:
            over.set()
            released.set()
            server.shutdown()
            thread.join()
