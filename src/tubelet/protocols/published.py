"""The figures that papers print, from ``published.toml`` and its companions, and how to look them up.

Nothing here decides what a figure of ours is compared with: `tubelet.protocols.comparable` does.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

MEMORY = "memory"
CONFIRMED = ("paper", "author's thread", "computed")
"""The tags of figures that someone has seen in print, or that follow from such, from best to worst."""
TAGS = (*CONFIRMED, MEMORY)

_FILES = ("published.toml", "published_p3d_t3d.toml", "published_streams.toml")
_CELL = re.compile(r"(?P<value>[0-9.]+)(?: ± (?P<error>[0-9.]+))?(?: (?P<tag>.+))?")
_NONE = "-"


@dataclass(frozen=True)
class PublishedFigure:
    """One cell of a table in print; the head of ``published.toml`` says more of each field.

    Attributes
    ----------
    table
        Name of the table in this project, such as ``c3d_3``.
    source
        Paper and table.
    method
        The row, as printed.
    dataset, split, metric
        What it was measured on and how; ``split`` is empty where it has none or is not stated.
    value, unit, plus_minus
        The figure in its unit (``%``, ``frames/s`` ...), and what the paper gives as its error.
    tag
        One of `TAGS`. ``memory``: nobody has looked it up.
    protocol
        ``network``, ``svm``, ``fusion``, or empty.
    network
        A network of the registry (several joined with " + "), or its family where the paper does not say which.
    modality
        ``rgb``, ``flow``, ``rgb + flow`` ...
    options
        Options of the network, or of the protocol (``by`` of a fusion, ``pca``), that the row is about.
    weights
        What the network had seen before, ``none`` where it was trained from nothing; empty where not known.
    views, recipe
        Names of the test views and of the recipe; empty where not known.
    tables
        Descriptors side by side (three nets: 3).
    note
        What else a reader should know.
    """

    table: str
    source: str
    method: str
    dataset: str
    value: float
    metric: str = "accuracy"
    unit: str = "%"
    split: str = ""
    tag: str = "paper"
    protocol: str = ""
    network: str = ""
    modality: str = "rgb"
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    views: str = ""
    recipe: str = ""
    tables: int = 1
    plus_minus: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.tag not in TAGS:
            raise ValueError(f"{self.table}: tag must be one of {TAGS}, not {self.tag!r}")

    @property
    def confirmed(self) -> bool:
        """Whether someone has seen it in print, or it follows from what was."""
        return self.tag != MEMORY

    @property
    def figure(self) -> str:
        """Value, error and unit as text."""
        error = "" if self.plus_minus is None else f" ± {self.plus_minus:g}"
        return f"{self.value}{error} {self.unit}"  # with as many decimals as printed: 60.0, but 313

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def __str__(self) -> str:
        mark = "from memory, not looked up" if self.tag == MEMORY else self.tag
        return f"{self.method}: {self.metric} {self.figure} on {self.dataset} ({mark}: {self.source})"


def published(
    *,
    dataset: str | None = None,
    network: str | None = None,
    protocol: str | None = None,
    metric: str | None = None,
    split: str | None = None,
    modality: str | None = None,
    table: str | None = None,
    tag: str | None = None,
) -> tuple[PublishedFigure, ...]:
    """The figures that fit all that is given, in the order of the tables.

    Those from memory are among them and say so (``tag``, ``confirmed``, and when printed).

    Parameters
    ----------
    dataset, network, protocol, metric, split, modality, table, tag
        A value of that field, or a pattern such as ``c3d*``. Where a figure belongs to several networks, one will do.
    """
    wanted = {
        "dataset": dataset, "protocol": protocol, "metric": metric, "split": split, "modality": modality,
        "table": table, "tag": tag,
    }  # fmt: skip
    return tuple(
        each
        for each in all_figures()
        if all(pattern is None or fnmatchcase(getattr(each, name), pattern) for name, pattern in wanted.items())
        and (network is None or any(fnmatchcase(name, network) for name in (each.network, *each.network.split(" + "))))
    )


@cache
def all_figures() -> tuple[PublishedFigure, ...]:
    """Every figure of the files, in their order."""
    tables: dict[str, Any] = {}
    examples: dict[str, Any] = {}
    for name in _FILES:
        found = tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
        examples |= found.pop("like", {})
        tables |= found
    return tuple(figure for name, table in tables.items() for figure in _cells(name, table, examples))


def _cells(name: str, table: dict[str, Any], examples: Mapping[str, Any]) -> Iterator[PublishedFigure]:
    """The cells of a table; each inherits from its table, its column and its row, the last having the last word.

    What one of them says itself goes before its example (``like``).
    """
    known = {each.name for each in fields(PublishedFigure)}
    rows, columns = table.pop("rows"), table.pop("columns", [{}])
    for row in rows:
        cells = row.pop("values")
        if len(cells) > len(columns):
            raise ValueError(f"{name}: {row['method']} has more cells than there are columns")
        for cell, column in zip(cells, columns, strict=False):
            if cell == _NONE:
                continue
            merged: dict[str, Any] = {}
            for level in (table, column, row):
                merged |= examples[level["like"]] if "like" in level else {}
                for key, value in level.items():
                    merged[key] = {**merged.get(key, {}), **value} if key == "options" else value
            merged.pop("like", None)
            if odd := set(merged) - known:
                raise ValueError(f"{name}: nothing is called {', '.join(sorted(odd))}")
            yield PublishedFigure(table=name, **{**merged, **_parsed(cell)})


def _parsed(cell: float | str) -> dict[str, Any]:
    if not isinstance(cell, str):
        return {"value": cell}
    match = _CELL.fullmatch(cell)
    if match is None:
        raise ValueError(f"a cell cannot be {cell!r}")
    found: dict[str, Any] = {"value": float(match["value"])}
    if match["error"]:
        found["plus_minus"] = float(match["error"])
    if match["tag"]:
        found["tag"] = match["tag"]
    return found
