"""Pages stand alone, escape everything, and are sound HTML."""

from __future__ import annotations

import base64
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tubelet.errors import UsageError
from tubelet.reporting import Figure, Page
from tubelet.reporting.text import Marked

_VOID = {"meta", "img", "br", "hr", "link", "input"}


class Reader(HTMLParser):
    """Collects tags, attributes and visible text, and insists that every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html(page: Page) -> str:
    return page.html()


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    return Reader(html)


def test_needs_nothing_from_outside(html: str, read: Reader) -> None:
    for tag, attributes in read.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on"), f"event handler on <{tag}>"
            if name in {"src", "href", "xlink:href", "srcset", "data", "action"}:
                assert value is not None
                assert value.startswith(("#", "data:image/")), f"<{tag} {name}={value[:60]}>"
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    assert "@import" not in style.group(1)
    assert "url(" not in style.group(1)
    # The only address left is nothing that a browser would fetch.
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", html)


def test_policy_forbids_scripts_and_outside_resources(read: Reader) -> None:
    policies = [m["content"] for m in read.named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_hostile_names_are_shown_as_text(html: str, read: Reader, evil: str) -> None:
    assert "<script" not in html
    assert evil in read.text
    # In attributes too: a quote must not end the attribute.
    alts = [attributes.get("aria-label") or "" for attributes in read.named("svg")]
    assert any(evil in alt for alt in alts)


def test_links_in_prose_are_plain_anchors_and_nothing_else() -> None:
    text = "See [C3D](https://arxiv.org/abs/1412.0767), [bad](javascript:alert(1)), `[code](https://x.y)`, **so**."
    read = Reader(Page("t").add_text(text).html())
    assert [a["href"] for a in read.named("a")] == ["https://arxiv.org/abs/1412.0767"]
    assert "[bad](javascript:alert(1))" in read.text
    assert "[code](https://x.y)" in read.text
    assert read.words.count("so") == 1


def test_every_picture_has_words(read: Reader) -> None:
    pictures = [a for a in read.named("svg") if a.get("class") in {"chart", "strip"}]
    assert len(pictures) >= 10
    assert all(a.get("role") == "img" and (a.get("aria-label") or "").strip() for a in pictures)
    assert all(image.get("alt") for image in read.named("img"))
    assert all(a.get("aria-label") for a in read.named("div") if a.get("role") == "group")


def test_ids_are_unique_and_references_resolve(html: str, read: Reader) -> None:
    ids = Counter(a["id"] for _, a in read.tags if a.get("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    wanted = {a["href"][1:] for _, a in read.tags if (a.get("href") or "").startswith("#") and a["href"]}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", html))
    assert wanted <= set(ids)


def test_colors_follow_the_scheme(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    body = html[html.index("<body>") :]
    drawn = re.findall(r'style="[^"]*?(?:fill|stroke): ([^;"]+)', body)
    assert len(drawn) > 50
    assert {color for color in drawn if not color.startswith("var(--")} <= {"none"}


def test_equal_pages_give_equal_bytes(page: Page, tmp_path: Path) -> None:
    assert page.html() == page.html()
    saved = page.save(tmp_path / "deep" / "report.html")
    assert saved.read_text(encoding="utf-8") == page.html()


def test_figures_and_tables_are_numbered_in_order(read: Reader) -> None:
    numbers = [int(n) for n in re.findall(r"Figure (\d+)\.", read.text)]
    assert numbers == list(range(1, 11))
    assert "Table 1." in read.text


def test_provenance_is_collapsed_at_the_end(html: str) -> None:
    assert html.index('class="provenance"') > html.index("Table 1.")
    assert "<details open" not in html
    assert "provenance" not in Page("t").html().split("</style>")[1]


def test_contents_are_listed_from_three_sections_on() -> None:
    two = Page("t").add_section("One").add_section("Two")
    assert "<nav" not in two.html()
    read = Reader(two.add_section("Two").html())
    assert [a["href"] for a in read.named("a")] == ["#one", "#two", "#two-2"]


def test_section_without_latin_letters_has_an_anchor() -> None:
    assert 'id="section"' in Page("t").add_section("結果").html()


def cells(html: str, tag: str = "td") -> list[tuple[str, str]]:
    return re.findall(rf'<{tag}[^>]*class="(\w+)">(.*?)</{tag}>', html)


def test_table_aligns_numbers_right_with_equal_decimals() -> None:
    html = Page("t").add_table(["net", "n", "seconds"], [["a", 1234567, 182.4], ["b", 3, 151.0]]).html()
    assert cells(html) == [
        ("left", "a"),
        ("right", "1\u2009234\u2009567"),
        ("right", "182.4"),
        ("left", "b"),
        ("right", "3"),
        ("right", "151.0"),
    ]


def test_table_align_highlight_and_missing_values() -> None:
    rows = [["x", None, float("nan"), True], ["y", 2, 1e-7, False]]
    html = Page("t").add_table(list("abcd"), rows, align="lcrr", highlight=[1]).html()
    assert [c[0] for c in cells(html)][:4] == ["left", "center", "right", "right"]
    assert [c[1] for c in cells(html)] == ["x", "–", "–", "yes", "y", "2", "1e-07", "no"]
    assert html.index('class="marked"') > html.index(">yes<")


@pytest.mark.parametrize(
    ("rows", "align"), [([["a"]], None), ([["a", "b"]], "l"), ([["a", "b"]], "lx"), ([["a", "b", "c"]], "ll")]
)
def test_table_that_does_not_fit_is_refused(rows: list[list[str]], align: str | None) -> None:
    with pytest.raises(UsageError):
        Page("t").add_table(["a", "b"], rows, align=align)


def test_figure_needed() -> None:
    with pytest.raises(UsageError):
        Page("t").add_figure()


def test_code_keeps_its_lines_but_no_control_characters() -> None:
    html = Page("t").add_code("if x:\n    y\x1b[31m\n").html()
    assert "<code>if x:\n    y\ufffd[31m</code>" in html


def test_title_that_is_not_utf8_can_be_written(tmp_path: Path) -> None:
    name = b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    saved = Page(name, name).add_section(name, name).add_facts({name: name}).save(tmp_path / "r.html")
    assert "caf\ufffd.mp4" in saved.read_text(encoding="utf-8")


def test_picture_without_vector_form_is_embedded() -> None:
    png = b"\x89PNG not read here"
    read = Reader(Page("t").add_figure(Figure("Title?", "", 'a "quoted" alt', png=png, width_px=300)).html())
    (image,) = read.named("img")
    assert image["alt"] == 'a "quoted" alt'
    assert image["src"] == "data:image/png;base64," + base64.b64encode(png).decode()
    assert "Figure 1. Title?" in read.text


def test_page_of_a_hundred_strips_stays_small() -> None:
    # The promise is for frames as videos have them; noise is the worst case and is not promised.
    from tubelet.reporting import Strip, neighbor_strips

    ramp = np.linspace(0, 255, 112).astype(np.uint8)
    frame = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], ramp[:, None]), -1)
    clip = np.stack([np.roll(frame, 3 * t, axis=1) for t in range(16)])
    figure = neighbor_strips([Strip(clip)] * 10, [[Strip(clip)] * 5] * 10)
    assert len(Page("t").add_figure(figure).html().encode()) < 2_000_000


def test_a_paper_has_an_abstract_numbers_notes_and_references() -> None:
    evil = "<b>`x`</b> [y](#z)"
    page = Page("Results", form="paper").add_abstract("We **see**.\n\nMore.")
    page.add_section("First").add_section("Inside", level=3)
    page.add_table(
        ["system", "source"],
        [[evil, Marked("[[1](#ref-1)]")], ["b", None]],
        caption="Figures.",
        groups={0: evil},
        marks={1: "a"},
        notes=[("a", "a remark"), ("", "for all")],
        wide=True,
    )
    page.add_section("References", numbered=False).add_references(["C3D, table 3", "[P3D](https://arxiv.org/abs/1)"])
    html = page.add_details("run", code="tubelet evaluate").html()
    read = Reader(html)
    assert '<body class="paper">' in html
    assert '<body class="paper">' not in Page("t").html()
    assert [a["href"] for a in read.named("a")] == ["#ref-1", "https://arxiv.org/abs/1"], "names make no links"
    assert [a["id"] for a in read.named("li") if a.get("id")] == ["ref-1", "ref-2"]
    assert evil in read.text, "a name is shown as it is"
    assert read.text.count(evil) == 2
    assert [a.get("class") for a in read.named("h2")] == [None, "unnumbered"]
    assert len(read.named("h3")) == 1
    assert "a a remark" in read.text
    assert "for all" in read.text
    assert "tubelet evaluate" in read.text
    assert [a["id"] for a in read.named("div") if "table-frame" in (a.get("class") or "")] == ["table-1"]
