"""What the code calls of AWS, read from its source: from the functions through the flows and ports to the SDK.

It knows no Rust, only names: a function's body is what stands between its braces, and it calls whatever it names in
front of a parenthesis. The flows reach AWS through the ports alone, and the ports have no namesakes; that is what
makes so little enough.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import botocore.session
from botocore import xform_name

from template import ROOT

FLOWS = [
    *["intake", "submit", "obey", "follow_up", "requirements", "status", "publish", "wake"],
    *["track", "learn", "reconcile", "cycle", "orphan"],
]
# How the adapters name what the template names otherwise.
RESOURCES = {
    "tables.capacity": "CapacityTable",
    "tables.tasks": "TasksTable",
    "wake_queue_url": "WakeQueue",
    "refusals_queue_url": "RefusalsQueue",
    "dead_letter_queue_url": "SubmissionDeadLetterQueue",
}
# TransactWriteItems is no permission: its parts are.
TRANSACTION = "dynamodb:TransactWriteItems"
PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}

# An action, and the resource of this template that it is for; None for what is not in this template.
Call = tuple[str, str | None]


def calls_of(function: str) -> set[Call]:
    """What the function in `functions/<function>` calls."""
    flows, adapters, ports = _flows(), _functions(ROOT / "shared" / "aws" / "src"), _port_methods()
    entry = "\n".join(_plain(path) for path in _sources(ROOT / "functions" / function / "src"))
    reached = [entry, *(body for name in _closure(entry, flows) for body in flows[name])]
    used = {name for body in reached for name in _method_calls(body) if name in ports}
    calls: set[Call] = set()
    for name in used:
        assert name in adapters, f"no adapter has the port method `{name}`"
        done = _calls_of_adapter(name, adapters)
        calls |= done.bound | {(action, None) for action in done.open}
    return calls


def actions_in_adapters() -> set[str]:
    """Everything that the adapters call, whether or not a function gets there."""
    bodies = [_plain(path) for path in _sources(ROOT / "shared" / "aws" / "src")]
    return {action for body in bodies for action in _actions(body)}


@dataclass
class _Done:
    """What a body does: calls on resources that it names, and calls on what its caller gives it."""

    bound: set[Call] = field(default_factory=set)
    open: set[str] = field(default_factory=set)


def _calls_of_adapter(name: str, adapters: dict[str, list[str]], above: tuple[str, ...] = ()) -> _Done:
    done = _Done()
    if name in above:
        return done
    for body in adapters[name]:
        resources = {resource for word, resource in RESOURCES.items() if word in body}
        unbound = _actions(body)
        for callee in sorted(_own_calls(body) & adapters.keys()):
            below = _calls_of_adapter(callee, adapters, (*above, name))
            done.bound |= below.bound
            unbound |= below.open
        if resources:
            done.bound |= {(action, resource) for action in unbound for resource in resources}
        else:
            done.open |= unbound
    return done


def _actions(body: str) -> set[str]:
    # `client.put_item()`, or the call's input built by itself: `RunTaskInput::builder()`.
    names = re.findall(r"\.(\w+)\(\)", body)
    names += [xform_name(operation) for operation in re.findall(r"\b(\w+)Input::builder\(", body)]
    named = {_OPERATIONS[name] for name in names if name in _OPERATIONS}
    parts = {f"dynamodb:{PARTS[part]}" for part in re.findall(r"\b(\w+)::builder\(", body) if part in PARTS}
    return (named | parts) - {TRANSACTION}


def _operations() -> dict[str, str]:
    """The methods of the SDK's clients, and the permission that each needs."""
    session = botocore.session.get_session()
    return {
        xform_name(operation): f"{service}:{operation}"
        for service in ("dynamodb", "ecs", "events", "sqs")
        for operation in session.get_service_model(service).operation_names
    }


_OPERATIONS = _operations()


def _flows() -> dict[str, list[str]]:
    folder = ROOT / "shared" / "control" / "src"
    flows: dict[str, list[str]] = {}
    for flow in FLOWS:
        assert (folder / f"{flow}.rs").exists(), f"the flow `{flow}` is gone: say here which flows there are"
        _functions_in([folder / f"{flow}.rs", *_sources(folder / flow)], flows, _name_by_kind)
    return flows


def _name_by_kind(name: str, text: str, start: int) -> str:
    """Tells methods, which get a dot, from free functions: `messenger.refuse(...)` does not call `fn refuse`."""
    is_method = re.compile(r"(?:<[^(]*>)?\(\s*&?(?:mut )?self\b").match(text, start)
    return f".{name}" if is_method else name


def _port_methods() -> set[str]:
    ports = _plain(ROOT / "shared" / "control" / "src" / "ports.rs")
    traits = re.findall(r"pub trait (\w+)[^{]*\{(.*?)^\}", ports, re.DOTALL | re.MULTILINE)
    return {name for trait, body in traits if trait != "Clock" for name in re.findall(r"\bfn (\w+)", body)}


def _closure(entry: str, functions: dict[str, list[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [entry]
    while waiting:
        new = (_all_calls(waiting.pop()) & functions.keys()) - reached
        reached |= new
        waiting += [body for name in new for body in functions[name]]
    return reached


def _all_calls(body: str) -> set[str]:
    """Free functions and, with a dot, methods that a body names."""
    of_types = set(re.findall(r"\b[A-Z]\w*::(\w+)\b", body))
    of_modules = set(re.findall(r"\b[a-z]\w*::(\w+)\b", body))
    methods = {f".{name}" for name in _method_calls(body) | of_types}
    return set(re.findall(r"(?<![\w.])(\w+)\(", body)) | of_types | of_modules | methods


def _own_calls(body: str) -> set[str]:
    """Calls of functions and of methods of `self`, but not of methods of other values."""
    return set(re.findall(r"(?<![\w.:])(?:self\s*\.\s*|Self::|super::)?(\w+)\(", body))


def _method_calls(body: str) -> set[str]:
    return set(re.findall(r"\.\s*(\w+)\(", body))


def _functions(folder: Path) -> dict[str, list[str]]:
    functions: dict[str, list[str]] = {}
    _functions_in(_sources(folder), functions)
    return functions


def _functions_in(
    paths: Iterable[Path],
    functions: dict[str, list[str]],
    name_of: Callable[[str, str, int], str] = lambda name, _text, _start: name,
) -> None:
    for path in paths:
        text = _plain(path)
        for start in re.finditer(r"\bfn (\w+)", text):
            body = _body(text, start.end())
            if body:
                functions.setdefault(name_of(start[1], text, start.end()), []).append(body)


def _body(text: str, start: int) -> str:
    """What stands between the braces that follow; nothing when there are none, as in a trait."""
    opening = re.compile(r"[{;]").search(text, start)
    if opening is None or opening[0] == ";":
        return ""
    depth = 0
    for brace in re.compile(r"[{}]").finditer(text, opening.start()):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[opening.start() : brace.end()]
    raise AssertionError(f"braces do not match after {text[start - 40 : start]!r}")


def _sources(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.rs")) if not {"tests", "tests.rs"} & set(path.parts)]


def _plain(path: Path) -> str:
    """The source without tests, comments and the insides of strings and characters."""
    text = path.read_text().partition("#[cfg(test)]")[0]
    text = re.sub(r'//[^\n]*|"(?:\\[\s\S]|[^"\\])*"|\'(?:\\.|[^\'\\])\'', lambda match: '""' if match[0][0] == '"' else " ", text)
    return text
