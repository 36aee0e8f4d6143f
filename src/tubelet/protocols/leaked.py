"""How notes say that test videos were seen in training, in one form, so that leaked figures are known by it."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FORM = re.compile(r"\b\d+ of the \d+ test (groups|videos)\b")

MARK = "†"
"""Stands behind the name of a row whose figures are leaked."""


def of_test(seen: int, every: int, what: str) -> str:
    """``3 of the 25 test groups``: the share that was seen; whoever notes a leak says it so, and nobody else does."""
    return f"{seen} of the {every} test {what}"


def is_leaked(notes: Iterable[str]) -> bool:
    """Whether one of a result's notes says that some of its test videos were seen in training, see `of_test`."""
    return any(_FORM.search(note) for note in notes)
