"""A result page: one HTML file that needs nothing else, readable in light and dark, on a phone and on paper.

No outside resource: figures are inline SVG, photographs base64, and a content security policy forbids the rest, so
that a hostile label could do nothing even if it escaped the escaping. Only a page with a map to explore has a script,
the one that the policy names by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tubelet.artifacts import write_text
from tubelet.errors import UsageError
from tubelet.reporting.explorer import Explorer, explorer_script
from tubelet.reporting.figure import Figure
from tubelet.reporting.style import FONT_STACK, SERIF_STACK, variables
from tubelet.reporting.templating import environment
from tubelet.reporting.text import cell, column_cells, is_numeric, printable
from tubelet.version import __version__

Align = Literal["left", "right", "center"]
Form = Literal["report", "paper"]

_ALIGN: Mapping[str, Align] = {"l": "left", "r": "right", "c": "center"}


@dataclass(frozen=True)
class _Block:
    """One piece of the page; ``kind`` selects its form in the template."""

    kind: Literal[
        "section",
        "abstract",
        "text",
        "numbers",
        "facts",
        "figures",
        "explorer",
        "table",
        "code",
        "references",
        "details",
    ]
    data: dict[str, Any] = field(default_factory=dict)


class Page:
    """A page that is built from top to bottom; every ``add_…`` returns the page.

    Parameters
    ----------
    title
        What the page shows.
    subtitle
        One sentence under it; the same marks as in ``add_text`` are understood.
    language
        BCP 47 tag of the text.
    form
        ``"report"``, or ``"paper"``: set like a paper's results section, with numbered sections and ruled tables.

    Notes
    -----
    All text is taken as plain text and escaped. In prose, `` `code` ``, ``**strong**`` and
    ``[text](https://…)`` are understood, and blank lines part paragraphs.
    """

    def __init__(self, title: str, subtitle: str = "", *, language: str = "en", form: Form = "report") -> None:
        self.title = printable(title)
        self.subtitle = subtitle
        self.language = re.sub(r"[^A-Za-z0-9-]", "", language) or "en"
        self.form = form
        self._blocks: list[_Block] = []
        self._provenance: dict[str, Any] | None = None
        self._figures = 0
        self._tables = 0
        self._anchors: set[str] = set()

    def add_section(self, title: str, text: str = "", *, level: Literal[2, 3] = 2, numbered: bool = True) -> Page:
        """Begin a section, or a subsection at level 3; sections are listed as contents when there are three or more.

        A paper's sections have numbers, but for those that are not ``numbered``.
        """
        data = {"title": printable(title), "id": self._anchor(title), "level": level, "numbered": numbered}
        self._blocks.append(_Block("section", data))
        return self.add_text(text) if text else self

    def add_abstract(self, text: str) -> Page:
        """Add what stands for the whole, set apart."""
        self._blocks.append(_Block("abstract", {"text": text}))
        return self

    def add_text(self, text: str) -> Page:
        """Add paragraphs of prose."""
        self._blocks.append(_Block("text", {"text": text}))
        return self

    def add_numbers(self, *numbers: tuple[str, str] | tuple[str, str, str]) -> Page:
        """Add the few figures that matter most, large: (value, name) or (value, name, note)."""
        rows = [(printable(n[0]), printable(n[1]), printable(n[2]) if len(n) > 2 else "") for n in numbers]
        self._blocks.append(_Block("numbers", {"rows": rows}))
        return self

    def add_facts(self, facts: Mapping[str, Any]) -> Page:
        """Add a small list of names and values, such as settings."""
        rows = [(printable(name), _flat(value)) for name, value in facts.items()]
        self._blocks.append(_Block("facts", {"rows": rows}))
        return self

    def add_figure(self, *figures: Figure) -> Page:
        """Add a figure with its numbered caption; several stand side by side where there is room."""
        if not figures:
            raise UsageError("add_figure needs at least one figure")
        placed = []
        for figure in figures:
            self._figures += 1
            placed.append((self._figures, figure))
        # Figures side by side reach beyond the column as a wide figure does.
        wide = len(figures) > 1 or figures[0].wide
        self._blocks.append(_Block("figures", {"figures": placed, "wide": wide}))
        return self

    def add_explorer(self, explorer: Explorer) -> Page:
        """Add a map that can be explored; in print and without scripts its figure stands there."""
        self._figures += 1
        from markupsafe import Markup

        data = {"number": self._figures, "figure": explorer.figure, "json": Markup(explorer.data)}
        self._blocks.append(_Block("explorer", data))
        return self

    def add_table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        align: str | None = None,
        highlight: int | Sequence[int] = (),
        caption: str = "",
        groups: Mapping[int, str] | None = None,
        marks: Mapping[int, str] | None = None,
        notes: Sequence[tuple[str, str]] = (),
        wide: bool = False,
    ) -> Page:
        """Add a table.

        Parameters
        ----------
        columns
            Headings.
        rows
            Cells, as many per row as columns; numbers are formatted, None is a dash, `Marked` text keeps its marks.
        align
            One letter per column: ``l``, ``r`` or ``c``; default: columns of numbers right, others left.
        highlight
            Index or indices of rows to stress.
        caption
            Words above the table, which is then numbered.
        groups
            Headings between rows: each stands above the row of its index.
        marks
            Small letters after the first cell of the row of their index.
        notes
            What stands below the table: letter and words.
        wide
            Whether it may reach beyond the text column.

        Raises
        ------
        UsageError
            A row or ``align`` does not fit the columns.
        """
        for row in rows:
            if len(row) != len(columns):
                raise UsageError("a table row must have one cell per column", why=f"{len(row)}, {len(columns)}")
        formatted = [column_cells([row[index] for row in rows]) for index in range(len(columns))]
        cells = [list(row) for row in zip(*formatted, strict=True)]
        if align is None:
            numeric = [all(is_numeric(row[i]) for row in cells) and bool(cells) for i in range(len(columns))]
            align = "".join("r" if number else "l" for number in numeric)
        if len(align) != len(columns) or set(align) - set(_ALIGN):
            raise UsageError("align needs one of l, r, c per column", why=f"{align!r}, {len(columns)} columns")
        marked = {highlight} if isinstance(highlight, int) else set(highlight)
        if caption:
            self._tables += 1
        self._blocks.append(
            _Block(
                "table",
                {
                    "columns": [printable(name) for name in columns],
                    "rows": [(index in marked, row) for index, row in enumerate(cells)],
                    "align": [_ALIGN[letter] for letter in align],
                    "caption": caption,
                    "number": self._tables if caption else 0,
                    "groups": {index: printable(text) for index, text in (groups or {}).items()},
                    "marks": dict(marks or {}),
                    "notes": list(notes),
                    "wide": wide,
                },
            )
        )
        return self

    def add_code(self, code: str, *, caption: str = "") -> Page:
        """Add code or a command, as it is."""
        self._blocks.append(_Block("code", {"code": _lines(code), "caption": caption}))
        return self

    def add_references(self, works: Sequence[str]) -> Page:
        """Add a numbered list of sources; prose links to the n-th as ``[n](#ref-n)``."""
        self._blocks.append(_Block("references", {"works": list(works)}))
        return self

    def add_details(self, summary: str, text: str = "", facts: Mapping[str, Any] | None = None, code: str = "") -> Page:
        """Add something collapsed: its ``summary`` is seen; prose, facts and code on demand."""
        rows = [(printable(name), _flat(value)) for name, value in (facts or {}).items()]
        data = {"summary": printable(summary), "text": text, "rows": rows, "code": _lines(code)}
        self._blocks.append(_Block("details", data))
        return self

    def set_provenance(self, record: Mapping[str, Any]) -> Page:
        """Set the record that stands collapsed at the end: how, with what and from what this was made."""
        self._provenance = dict(record)
        return self

    def html(self) -> str:
        """The page; equal pages give equal text."""
        sections = [block.data for block in self._blocks if block.kind == "section" and block.data["level"] == 2]
        record = self._provenance
        script = explorer_script() if any(block.kind == "explorer" for block in self._blocks) else ""
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        return (
            environment()
            .get_template("report.html.j2")
            .render(
                title=self.title,
                subtitle=self.subtitle,
                language=self.language,
                form=self.form,
                blocks=self._blocks,
                contents=sections if len(sections) >= 3 else [],
                provenance=None if record is None else _lines(_json(record)),
                script=script,
                policy=f"; script-src 'sha256-{digest}'" if script else "",
                version=__version__,
                light=variables(dark=False),
                dark=variables(dark=True),
                sans=FONT_STACK,
                serif=SERIF_STACK,
            )
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page atomically as UTF-8 and return its path."""
        return write_text(path, self.html())

    def _anchor(self, title: str) -> str:
        plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
        stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "section"
        name, count = stem, 1
        while name in self._anchors:
            count += 1
            name = f"{stem}-{count}"
        self._anchors.add(name)
        return name


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{printable(name)} {_flat(inner)}" for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_flat(inner) for inner in value)
    return cell(value)


def _lines(text: str) -> str:
    """Printable text that keeps its lines and indentation."""
    kept = []
    for line in text.strip("\n").expandtabs(4).splitlines():
        body = line.lstrip(" ")
        kept.append(" " * (len(line) - len(body)) + re.sub(r"\S+", lambda m: printable(m.group()), body))
    return "\n".join(kept)


def _json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False, default=str)
