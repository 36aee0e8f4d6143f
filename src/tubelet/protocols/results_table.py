"""All systems of one data set as a table, the same on the page and as Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tubelet.errors import UsageError
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.leaked import MARK, is_leaked
from tubelet.protocols.result import Published
from tubelet.protocols.runs import Run
from tubelet.protocols.systems import System
from tubelet.reporting.tables import latex_table, markdown_table
from tubelet.reporting.text import aligned, engineering, first_few, times

Sort = Literal["given", "accuracy", "name", "parameters", "macs"]
SORTS: tuple[Sort, ...] = ("given", "accuracy", "name", "parameters", "macs")

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PROPER = {
    "aslan": "ASLAN", "hmdb51": "HMDB51", "kinetics400": "Kinetics-400", "kth": "KTH", "sports1m": "Sports-1M",
    "ucf101": "UCF101", "weizmann": "Weizmann", "yupenn": "YUPENN", "maryland": "Maryland",
}  # fmt: skip
_LEFT = {"run", "system", "network", "input", "source"}


@dataclass(frozen=True)
class Sources:
    """The works that a report refers to, numbered as they come up."""

    works: list[str] = field(default_factory=list)

    def number(self, work: str) -> int:
        """Of this work, from 1; a new one is added."""
        if work not in self.works:
            self.works.append(work)
        return self.works.index(work) + 1


@dataclass(frozen=True, eq=False)
class ResultsTable:
    """The systems that were tested on one data set.

    Attributes
    ----------
    dataset
        Its name.
    systems
        The rows, in order.
    runs
        Whether rows of several runs are told apart.
    sources
        Where published figures are from; shared by all tables of a report.
    """

    dataset: str
    systems: tuple[System, ...]
    runs: bool
    sources: Sources

    @property
    def ranked(self) -> tuple[System, ...]:
        """The rows that did not see test videos in training; all where each one did."""
        return tuple(system for system in self.systems if not leaked(system)) or self.systems

    @property
    def best(self) -> System:
        """Of the `ranked` rows the one with the highest accuracy; of equal ones the first."""
        return max(self.ranked, key=lambda system: system.result.value)

    @property
    def strong(self) -> list[int]:
        """Indices of the `ranked` rows with the highest accuracy; none where there is but one."""
        ranked = self.ranked
        if len(ranked) < 2:
            return []
        top = self.best.result.value
        return [
            index
            for index, system in enumerate(self.systems)
            if system in ranked and abs(system.result.value - top) < 1e-9
        ]

    def called(self, system: System) -> str:
        """A system in running text: by its name, with the run's where another run has one of that name; † if leaked."""
        alone = sum(other.name == system.name for other in self.systems) == 1
        name = system.name if alone else f"{system.name} ({system.run})"
        return f"{name} {MARK}" if leaked(system) else name

    @cached_property
    def columns(self) -> list[str]:
        """Headings: those of columns that say something."""
        found = ["system", *dict.fromkeys(name for row in self.cells for name in row)]
        order = [name for name in _ORDER if name in found]
        facts = [name for name in found if name not in _ORDER]
        at = order.index("95 % interval") + 1 if "95 % interval" in order else len(order)
        order[at:at] = facts
        values = [(row.get("accuracy, %"), row.get("mean over classes, %")) for row in self.cells]
        if all(mean in (None, value) for value, mean in values):
            order = [name for name in order if name != "mean over classes, %"]
        if len({row["videos"] for row in self.cells}) == 1:
            order.remove("videos")
        return order

    @property
    def align(self) -> str:
        """``l`` or ``r`` for every column."""
        return "".join("l" if name in _LEFT else "r" for name in self.columns)

    @property
    def rows(self) -> list[list[str]]:
        """The cells; empty where there is nothing to say."""
        return [[row.get(name, "") for name in self.columns] for row in self.cells]

    @cached_property
    def cells(self) -> list[dict[str, str]]:
        """What is known of each row, by heading."""
        return [_cells(system, self.sources) for system in self.systems]

    @property
    def groups(self) -> dict[int, str]:
        """Names of the runs above their rows, where there are several."""
        found: dict[int, str] = {}
        last = None
        for index, system in enumerate(self.systems if self.runs else ()):
            if system.run != last:
                found[index] = system.run
            last = system.run
        return found

    @cached_property
    def remarks(self) -> list[tuple[str, str, list[int]]]:
        """What stands below the table: letter, words, and the rows that it is about."""
        said: dict[str, list[int]] = {}
        for index, system in enumerate(self.systems):
            for words in _remarks(system, self.sources):
                said.setdefault(words, []).append(index)
        # A remark on every row needs no letter.
        every = [(words, rows) for words, rows in said.items() if len(rows) == len(self.systems)]
        some = [(words, rows) for words, rows in said.items() if len(rows) < len(self.systems)]
        lettered = [(_letter(place), words, rows) for place, (words, rows) in enumerate(some)]
        return [("", words, rows) for words, rows in every] + lettered

    @property
    def marks(self) -> dict[int, str]:
        """Letters of each row's remarks."""
        found: dict[int, list[str]] = {}
        for letter, _, rows in self.remarks:
            for index in rows if letter else ():
                found.setdefault(index, []).append(letter)
        return {index: ",".join(letters) for index, letters in found.items()}

    def caption(self) -> str:
        """What the figures are, in a few sentences."""
        first = self.systems[0].result
        units = {system.result.n for system in self.systems}
        count = str(first.n) if len(units) == 1 else f"{min(units)} to {max(units)}"
        classes = f" of {len(first.classes)} classes" if first.classes else ""
        parts = [f"Accuracy on {self.dataset}: {count} {first.unit}s{classes}."]
        ways = dict.fromkeys(interval_words(each.result.interval) for each in self.systems)
        ways.pop("", None)
        if ways:
            parts.append(f"Intervals: {' or '.join(ways)}.")
        if "mean over classes, %" not in self.columns and first.class_mean is not None:
            parts.append("The mean over classes is the same.")
        if self.strong:
            parts.append("Bold: the highest." if len(self.strong) == 1 else "Bold: the highest ones.")
        if any(leaked(system) for system in self.systems):
            ranked = "; leaked rows are not ranked" if len(self.ranked) < len(self.systems) else ""
            parts.append(f"{MARK}: leaked, test videos were seen in training{ranked}.")
        return " ".join(parts)

    def __str__(self) -> str:
        columns, shown = self._flat()
        right = [index for index, name in enumerate(columns) if name not in _LEFT]
        return "\n".join([self.caption(), *(f"  {line}" for line in aligned([columns, *shown], right)), *self._notes()])

    def markdown(self) -> str:
        """For GitHub."""
        columns, rows = self._flat()
        align = "".join("l" if name in _LEFT else "r" for name in columns)
        return markdown_table(
            columns, rows, align=align, strong=self.strong, caption=self.caption(), notes=self._notes()
        )

    def _flat(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows for plain text: letters in the name, and a column for the run where there are several."""
        rows = [[_marked(row[0], self.marks.get(i)), *row[1:]] for i, row in enumerate(self.rows)]
        if not self.runs:
            return self.columns, rows
        return ["run", *self.columns], [[system.run, *row] for system, row in zip(self.systems, rows, strict=True)]

    def latex(self) -> str:
        """A ``table`` environment with booktabs' rules."""
        rows = [[_marked(row[0], self.marks.get(i)), *row[1:]] for i, row in enumerate(self.rows)]
        return latex_table(
            self.columns, rows, align=self.align, strong=self.strong, groups=self.groups, caption=self.caption(),
            label=f"tab:{self.dataset}", notes=self._notes(),
        )  # fmt: skip

    def _notes(self) -> list[str]:
        """Remarks and sources in plain words, for text that has no list of references of its own."""
        used = {cells["source"] for cells in self.cells if "source" in cells}
        works = [f"[{n}] {work}." for n, work in enumerate(self.sources.works, 1) if f"[{n}]" in used]
        return [f"{letter + ': ' if letter else ''}{words}." for letter, words, _ in self.remarks] + works


_ORDER = (
    "system", "network", "input", "parameters", "MACs", "videos", "accuracy, %", "95 % interval",
    "mean over classes, %", "published, %", "source",
)  # fmt: skip


def results_tables(runs: Sequence[Run], sort: Sort = "given") -> list[ResultsTable]:
    """A table for each data set: by its name and its classes, in the order of the runs."""
    grouped: dict[tuple[str, frozenset[str]], list[System]] = {}
    for run in runs:
        for system in run.systems:
            grouped.setdefault((system.dataset, frozenset(system.result.classes)), []).append(system)
    names = [name for name, _ in grouped]
    sources = Sources()
    tables = []
    for (given, classes), systems in grouped.items():
        name = _PROPER.get(given, given)
        title = name if names.count(given) == 1 else f"{name} ({len(classes)} classes)"
        several = len({system.run for system in systems}) > 1
        table = ResultsTable(title, tuple(_sorted(systems, sort)), several, sources)
        assert table.cells  # made here, so that sources are numbered in the order of the rows
        tables.append(table)
    return tables


def _sorted(systems: Sequence[System], sort: Sort) -> list[System]:
    if sort not in SORTS:
        raise UsageError(f"rows cannot be sorted by {sort!r}", remedy=f"use one of {', '.join(SORTS)}")
    if sort == "given":
        return list(systems)
    if sort == "name":
        return sorted(systems, key=lambda system: (system.name, system.run))
    if sort == "accuracy":
        return sorted(systems, key=lambda system: (leaked(system), -system.result.value))
    found = [(system.parameters if sort == "parameters" else system.macs, system) for system in systems]
    return [system for _, system in sorted(found, key=lambda pair: (pair[0] is None, pair[0] or 0))]


def _cells(system: System, sources: Sources) -> dict[str, str]:
    result = system.result
    inputs = {network.input for network in system.networks}
    shape = inputs.pop() if len(inputs) == 1 else None
    line = result.published
    cells = {
        "system": f"{system.name} {MARK}" if leaked(system) else system.name,
        "network": system.model,
        "input": "" if shape is None else times(shape),
        "parameters": "" if system.parameters is None else engineering(system.parameters),
        "MACs": "" if system.macs is None else engineering(system.macs),
        "videos": str(result.n),
        "accuracy, %": _points(result.value),
        "95 % interval": "" if result.interval is None else ends(result.interval),
        "mean over classes, %": "" if result.class_mean is None else _points(result.class_mean),
        **system.facts,
        "published, %": "" if line is None else _points(line.value),
        "source": "" if line is None else f"[{sources.number(work_of(line))}]",
    }
    return {name: text for name, text in cells.items() if text}


def leaked(system: System) -> bool:
    """Whether it saw test videos in training, by its notes."""
    return is_leaked(system.result.notes)


def work_of(line: Published) -> str:
    """A published line as a reference: where it stands, and how sure that is."""
    return f"{line.source}" + ("" if line.tag == "paper" else f" ({line.tag})")


def _remarks(system: System, sources: Sources) -> list[str]:
    result = system.result
    said = list(result.notes)
    if system.fused_as and system.fused_as.partition(",")[0] != system.name:
        said.append(f"the sum {system.fused_as}")
    if system.seeds > 1 and len(system.splits) == 1:
        each = ", ".join(_points(one.value) for one in system.splits[0])
        said.append(f"mean of {system.seeds} seeds, which have {each} %")
    splits = result.settings.get("splits")
    if isinstance(splits, Mapping):
        each = ", ".join(f"split {number} {_points(value)} %" for number, value in splits.items())
        said.append(f"each: {each}")
    line = result.published
    if line is not None:
        number = sources.number(work_of(line))
        of = ", mean over classes" if line.metric == "mean class accuracy" else ""
        unlike = "; ".join(filter(None, (line.note or "", *line.differences))) or "nothing that is known"
        row = f": {line.method}{of}" if line.method else of
        said.append(f"published [{number}]{row}; unlike it: {unlike}")
    return said


def interval_words(interval: Interval | None) -> str:
    """How an interval was made: ``percentile bootstrap over 60 videos``; empty where there is none."""
    return "" if interval is None else f"{interval.method} over {interval.n_units} {interval.unit}s"


def ends(interval: Interval) -> str:
    """``86.7–98.3``: the ends of an interval of shares, in percent."""
    return f"{_points(interval.low)}–{_points(interval.high)}"


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _letter(place: int) -> str:
    return _LETTERS[place % 26] * (1 + place // 26)


def _marked(name: str, letters: str | None) -> str:
    return name if letters is None else f"{name} ({letters})"


def listed(names: Sequence[str], shown: int = 6) -> str:
    """``a, b and c``; of many the first few and how many more."""
    if len(names) > shown:
        return first_few(names, shown=shown)
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
