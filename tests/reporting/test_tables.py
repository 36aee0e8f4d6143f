"""Tables for GitHub and LaTeX: a Markdown parser reads the cells back, and LaTeX's rules hold for hostile names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tubelet.errors import UsageError
from tubelet.reporting.tables import latex_table, latex_text, markdown_table, markdown_text

# What LaTeX's manual gives for the characters that it does not print as they are.
_SHOWN = {
    r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<",
    r"\textgreater{}": ">", r"\textbar{}": "|", r"\textasciigrave{}": "`", r"\{": "{", r"\}": "}", r"\$": "$",
    r"\&": "&", r"\%": "%", r"\#": "#", r"\_": "_",
}  # fmt: skip
ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"'), max_size=30)


def as_set(latex: str) -> str:
    """What TeX prints: a command's character, nothing for an empty group, and no other special character."""
    commands = "|".join(re.escape(each) for each in sorted(_SHOWN, key=len, reverse=True))
    out, at = [], 0
    for match in re.finditer(rf"{commands}|\{{\}}", latex):
        plain = latex[at : match.start()]
        assert not re.search(r"[\\{}$&%#_~^]", plain), f"{plain!r} in {latex!r} means something to TeX"
        assert "--" not in plain, "two hyphens become a dash"
        out += [plain, _SHOWN.get(match.group(), "")]
        at = match.end()
    assert not re.search(r"[\\{}$&%#_~^]", latex[at:])
    assert "--" not in latex[at:]
    return "".join([*out, latex[at:]])


@given(ascii_text)
def test_latex_prints_every_character_and_obeys_none(text: str) -> None:
    assert as_set(latex_text(text)) == " ".join(text.split())


def test_signs_of_tables_have_their_commands() -> None:
    assert latex_text("95\u00a0% ± 1, 86.7–98.3, 3×16, a → b…") == (
        r"95~\% $\pm$ 1, 86.7--98.3, 3$\times$16, a $\rightarrow$ b\ldots{}"
    )
    assert latex_text('say "x"\n\tnow') == "say ''x'' now"


def cells_of(markdown: str) -> list[list[str]]:
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            children = token.children or []
            assert {child.type for child in children} <= {"text", "text_special", "strong_open", "strong_close"}
            rows[-1].append("".join(child.content for child in children))
    return rows


@given(st.lists(ascii_text.filter(lambda text: bool(text.strip())), min_size=2, max_size=2))
def test_markdown_gives_the_cells_back(cells: list[str]) -> None:
    rows = cells_of(markdown_table(["name", "value"], [cells], align="lr"))
    assert rows == [["name", "value"], [" ".join(cell.split()) for cell in cells]]


def test_markdown_marks_the_best_and_says_more_around_the_table() -> None:
    text = markdown_table(
        ["a", "b"], [["x|y", "1"], ["z", "2"]], align="lr", strong=[1], caption="All_of 90 %.", notes=["a: so."]
    )
    lines = text.splitlines()
    assert lines[0] == r"**All\_of 90 %.**"
    assert lines[2:6] == ["| a | b |", "| :-- | --: |", r"| x\|y | 1 |", "| **z** | **2** |"]
    assert lines[-1] == "a: so."
    assert markdown_text("<b>") == r"\<b\>"


def test_latex_tables_are_whole() -> None:
    text = latex_table(
        ["system", "accuracy, %"],
        [["a & b", "51.7"], ["c_d", "95.0"]],
        align="lr",
        strong=[1],
        groups={0: "first run", 1: "second_run"},
        caption="50 % of it",
        label="tab:frames_5fps (2 classes)",
        notes=["a: 100 %."],
    )
    assert re.findall(r"\\(begin|end)\{(\w+)\}", text) == [
        ("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table"),
    ]  # fmt: skip
    assert r"\begin{tabular}{lr}" in text
    rules = re.findall(r"\\(toprule|midrule|bottomrule|addlinespace)", text)
    assert rules == ["toprule", "midrule", "addlinespace", "bottomrule"]
    rows = [line.strip() for line in text.splitlines() if line.endswith(r"\\")]
    assert rows == [
        r"system & accuracy, \% \\",
        r"\multicolumn{2}{l}{\emph{first run}} \\",
        r"a \& b & 51.7 \\",
        r"\multicolumn{2}{l}{\emph{second\_run}} \\",
        r"\textbf{c\_d} & \textbf{95.0} \\",
    ]
    assert r"\label{tab:frames-5fps-2-classes-}" in text
    assert r"\caption{50 \% of it}" in text
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")


def test_rows_that_do_not_fit_are_refused() -> None:
    for make in (markdown_table, latex_table):
        with pytest.raises(UsageError, match="as many cells"):
            make(["a", "b"], [["1"]])
        with pytest.raises(UsageError, match="as many letters"):
            make(["a", "b"], [["1", "2"]], align="lx")
