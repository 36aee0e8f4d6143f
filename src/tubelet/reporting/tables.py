"""Tables as text for other documents: GitHub's Markdown, and LaTeX with the rules of booktabs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tubelet.errors import UsageError
from tubelet.reporting.text import printable

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    "\u00a0": "~",
    "\u2009": r"\,",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "…": r"\ldots{}",
    "†": r"\dag{}",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
_ALIGN = {"l": ":--", "r": "--:", "c": ":-:"}
_KEPT_SPACES = re.compile("([\u00a0\u2009])")


def latex_text(text: object) -> str:
    """Plain text as LaTeX shows it; nothing in it is a command any more."""
    line = re.sub("-(?=-)", "-\x00", _one_line(text))  # two hyphens in a row would become a dash
    return "".join(_LATEX.get(character, character) for character in line).replace("\x00", "{}")


def markdown_text(text: object) -> str:
    """Plain text as GitHub's Markdown shows it, also in a table's cell."""
    return _MARKDOWN.sub(r"\\\1", _one_line(text).replace("\u00a0", " "))


def markdown_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    align: str | None = None,
    strong: Sequence[int] = (),
    caption: str = "",
    notes: Sequence[str] = (),
) -> str:
    """A table in GitHub's Markdown, its caption above and its notes below as paragraphs.

    Parameters
    ----------
    columns, rows
        Headings and cells, plain text.
    align
        One letter per column: ``l``, ``r``, ``c``; default: all left.
    strong
        Indices of rows in bold.
    caption, notes
        Plain text.

    Raises
    ------
    UsageError
        A row or ``align`` does not fit the columns.
    """
    letters = _checked(columns, rows, align)
    lines = [f"**{markdown_text(caption)}**", ""] if caption else []
    lines += [_bar([markdown_text(name) for name in columns]), _bar([_ALIGN[letter] for letter in letters])]
    for index, row in enumerate(rows):
        cells = [markdown_text(cell) for cell in row]
        lines.append(_bar([f"**{cell}**" if index in strong and cell else cell for cell in cells]))
    for note in notes:
        lines += ["", markdown_text(note)]
    return "\n".join(lines) + "\n"


def latex_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    align: str | None = None,
    strong: Sequence[int] = (),
    groups: Mapping[int, str] | None = None,
    caption: str = "",
    label: str = "",
    notes: Sequence[str] = (),
) -> str:
    r"""A ``table`` environment with booktabs' rules; the document needs ``\usepackage{booktabs}``.

    Parameters
    ----------
    columns, rows, align, strong, caption, notes
        As of `markdown_table`.
    groups
        Headings between rows, by the index of the row below them.
    label
        For ``\ref``; letters, digits, ``:`` and ``-``.

    Raises
    ------
    UsageError
        A row or ``align`` does not fit the columns.
    """
    letters = _checked(columns, rows, align)
    lines = [r"\begin{table}", r"  \centering"]
    if caption:
        lines.append(rf"  \caption{{{latex_text(caption)}}}")
    if label:
        lines.append(rf"  \label{{{re.sub(r'[^A-Za-z0-9:-]+', '-', label)}}}")
    lines += [rf"  \begin{{tabular}}{{{letters}}}", r"    \toprule"]
    lines += [_latex_row([latex_text(name) for name in columns]), r"    \midrule"]
    for index, row in enumerate(rows):
        if groups and index in groups:
            if index:
                lines.append(r"    \addlinespace")
            lines.append(rf"    \multicolumn{{{len(columns)}}}{{l}}{{\emph{{{latex_text(groups[index])}}}}} \\")
        cells = [latex_text(cell) for cell in row]
        lines.append(_latex_row([rf"\textbf{{{cell}}}" if index in strong and cell else cell for cell in cells]))
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    lines += [rf"  \par\smallskip\raggedright\footnotesize {latex_text(note)}" for note in notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _checked(columns: Sequence[str], rows: Sequence[Sequence[str]], align: str | None) -> str:
    letters = "l" * len(columns) if align is None else align
    if len(letters) != len(columns) or set(letters) - set(_ALIGN) or any(len(row) != len(columns) for row in rows):
        raise UsageError("a table needs as many cells in each row, and as many letters, as it has columns")
    return letters


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _latex_row(cells: Sequence[str]) -> str:
    return "    " + " & ".join(cells) + r" \\"


def _one_line(text: object) -> str:
    """Printable, on one line; no-break and thin spaces stay what they are."""
    parts = _KEPT_SPACES.split(str(text))
    return "".join(part if _KEPT_SPACES.fullmatch(part) else printable(part) for part in parts)
