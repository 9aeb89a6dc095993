"""Servers that the tests start: each in a process group of its own, stopped as a group."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 5


class Server:
    """A running server and everything that it has started."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], log: Path):
        self.name = name
        self.log = log
        with log.open("wb") as output:
            # Its own session: the functions that the emulator keeps warm are in the group, and end with it.
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def wait_until_ready(self, url: str) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(url, timeout=1):
                    return
            except urllib.error.HTTPError:
                return  # It answers.
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} did not get ready:\n{self.log.read_text(errors='replace')[-4000:]}")

    def stop(self) -> None:
        group = self.process.pid
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(group, kind)
            except ProcessLookupError:
                break
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
