"""The Jinja environment of the pages: everything is escaped, a missing name is an error."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tubelet.reporting.text import Marked, inline, printable, prose

if TYPE_CHECKING:
    from jinja2 import Environment


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates from the installed package, with the filters ``prose``, ``inline`` and ``printable``."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("tubelet.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(prose=prose, inline=inline, printable=printable)
    made.tests["marked_text"] = lambda value: isinstance(value, Marked)
    return made
