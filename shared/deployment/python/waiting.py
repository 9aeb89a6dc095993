"""Waiting for what the stack does in its own time: looks again and again until a deadline, never just sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

WAIT_SECONDS_MAX = 60
LOOK_AGAIN_SECONDS = 0.2


def eventually(
    look: Callable[[], Seen],
    holds: Callable[[Seen], bool],
    what: str,
    seconds: float = WAIT_SECONDS_MAX,
    pause: float = LOOK_AGAIN_SECONDS,
) -> Seen:
    """Looks until what is seen holds, with a pause in seconds before each other look, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}; last seen: {seen!r}")
        time.sleep(pause)
