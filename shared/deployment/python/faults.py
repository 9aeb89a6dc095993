"""What goes wrong between the functions and AWS: calls are throttled, refused, cut off, or lose their answers after they
have taken effect; and functions are killed in the middle of their work."""

import json
import os
import signal
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deployment import SCRATCH, client, environment
from processes import Server, free_port
from stack import Stack
from waiting import eventually

# As microburst writes rules.
Rule = dict[str, Any]

# The connection is closed instead of an answer; what was asked for has been done.
REPLY_LOST = {"response": {"abort_frac": 0}}


class Faults:
    """A proxy before a service that breaks calls by rules. What it has really done is in its log."""

    def __init__(self, name: str, upstream: str):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.fired: Counter[str] = Counter()
        self._server = Server(
            f"the proxy before {name}",
            [
                str(Path(sys.executable).parent / "microburst"),
                "--upstream", upstream,
                "--host", "127.0.0.1",
                "--port", str(port),
            ],
            environment(),
            SCRATCH / f"faults-{name}.log",
        )
        self._server.wait_until_ready(f"{self.url}/_microburst/health")
        self._names: dict[int, str] = {}

    def stop(self) -> None:
        self._server.stop()

    def warm_up(self, *services: str) -> None:
        """At the first call of a service the proxy reads its model, which takes longer than a function waits."""
        calls = {"dynamodb": "list_tables", "sqs": "list_queues", "ecs": "list_clusters"}
        for service in services:
            eventually(
                lambda service=service: _answers(client(service, self.url), calls[service]),
                bool,
                f"the proxy answers for {service}",
            )

    def set(self, rules: dict[str, Rule]) -> None:
        """From now on these rules, by name, and no others."""
        self._count()
        names = list(rules)
        answer = self._call("POST", "rules", [rules[name] for name in names])
        self._names |= {rule["id"]: name for name, rule in zip(names, answer, strict=True)}

    def end(self) -> None:
        self.set({})

    def counted(self) -> Counter[str]:
        """How often each rule has broken a call so far."""
        self._count()
        return self.fired

    def _count(self) -> None:
        by_rule = self._call("GET", "stats")["by_rule"]
        # By names, because a rule that is set again gets a new number.
        self.fired = Counter()
        for rule in by_rule:
            if rule["id"] in self._names:
                self.fired[self._names[rule["id"]]] += rule["fired"]

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/_microburst/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def _answers(service: Any, call: str) -> bool:
    try:
        getattr(service, call)()
    except (BotoCoreError, ClientError):
        return False
    return True


@dataclass(frozen=True)
class Faulty:
    """A deployed stack that things can be done to."""

    stack: Stack
    aws: Faults
    ecs: Faults
    emulator: Server

    def kill_functions(self) -> int:
        """SIGKILL for every function that runs now, as when its host is lost; answers how many there were."""
        killed = 0
        for process in functions_of(self.emulator.process.pid):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed += 1
        return killed


def functions_of(group: int) -> list[int]:
    """The processes of functions that an emulator has started: those named `bootstrap` in its process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            content = stat.read_text()
        except OSError:
            continue  # It has ended meanwhile.
        # PID (NAME) STATE PARENT GROUP ...
        name = content[content.index("(") + 1 : content.rindex(")")]
        state, _parent, process_group = content[content.rindex(")") + 2 :].split()[:3]
        if name == "bootstrap" and state != "Z" and int(process_group) == group:
            found.append(int(stat.parent.name))
    return found
