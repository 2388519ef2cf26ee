"""A headless Chromium, spoken to over pipes in its DevTools protocol: no driver and no package is needed.

On Debian: ``apt-get install chromium``. Tests that need it are skipped where there is none.
"""

import base64
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-extensions "
    "--disable-background-networking --disable-component-update --disable-sync --remote-debugging-pipe"
)
PATIENCE_SECONDS = 120


class Browser:
    """One tab: what it says on its console, and what it asks the network for, is kept."""

    def __init__(self, profile):
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()

        def connect():  # the browser reads file 3 and writes file 4
            os.dup2(os.dup(to_browser), 103)
            os.dup2(os.dup(from_browser), 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={profile}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, preexec_fn=connect, close_fds=False, start_new_session=True, **quiet)
        os.close(to_browser)
        os.close(from_browser)
        self._left, self._sent, self._session = b"", 0, None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """Send a command, and return its result once the browser answers."""
        self._sent += 1
        session = {"sessionId": self._session} if self._session else {}
        os.write(
            self._to, json.dumps({"id": self._sent, "method": method, "params": params, **session}).encode() + b"\0"
        )
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            message = self._read()
            if message.get("id") == self._sent:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.events.append(message)
        raise TimeoutError(method)

    def _read(self):
        while b"\0" not in self._left:
            part = os.read(self._from, 2**20)
            assert part, "the browser is gone"
            self._left += part
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def open(self, page, width, height=900, scripts=True):
        """Open a file at a width, with or without JavaScript, and wait until it is loaded."""
        self.events.clear()
        mobile = width < 800
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def run(self, script):
        """Return the value of an expression of JavaScript in the page; a promise is waited for."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, condition):
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.run(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.1)

    def picture(self, path, whole=False):
        """Write what the tab shows, or the whole page, to a PNG file."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole))
        path.write_bytes(base64.b64decode(shot["data"]))

    def _clip(self, whole):
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    @property
    def complaints(self):
        """Errors and warnings of the page since it was opened."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["text"])
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                found.append(str([argument.get("value") for argument in params["args"]]))
        return found

    @property
    def requests(self):
        """The addresses that the page asked for since it was opened, but itself and what it contains."""
        events = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        asked = [event["request"]["url"] for event in events if event["type"] != "Document"]
        return [address for address in asked if not address.startswith(("data:", "blob:"))]

    def close(self):
        """End the browser."""
        for end in (self._to, self._from):
            os.close(end)
        self.process.kill()
        self.process.wait()


@contextmanager
def browser(profile):
    """Start a browser, and end it."""
    opened = Browser(profile)
    try:
        yield opened
    finally:
        opened.close()
