"""The table of results: what stands in it, what is left out, its remarks, and its other forms."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from protocols.made_results import LINE, first, made
from tubelet.errors import UsageError
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.result import Result
from tubelet.protocols.results_records import csv_text, records
from tubelet.protocols.results_table import ResultsTable, results_tables
from tubelet.protocols.runs import Run
from tubelet.protocols.systems import Network, System, system_of

SMALL, LARGE = Network("c3d_small", {}, 691_450, 350_753_792, (3, 16, 56, 56)), Network("c3d", {}, 78_000_000)


def run(name: str, *systems: System) -> Run:
    return Run(Path(name), name, systems, {}, {})


def row(result: Result, run_name: str = "one", *networks: Network) -> System:
    return system_of(run_name, [(result,)], networks)


def tables(*systems: System, sort: str = "given") -> list[ResultsTable]:
    names = list(dict.fromkeys(system.run for system in systems))
    runs = [run(name, *(each for each in systems if each.run == name)) for name in names]
    return results_tables(runs, sort)  # type: ignore[arg-type]


def test_columns_that_say_nothing_are_left_out() -> None:
    (table,) = tables(row(made(first(9)), "one", SMALL), row(made(first(6), name="svm")))
    assert table.columns == ["system", "network", "input", "parameters", "MACs", "accuracy, %", "95 % interval"]
    assert table.rows[0][:6] == ["network", "c3d_small", "3×16×56×56", "691 k", "351 M", "75.0"]
    assert table.rows[1][:6] == ["svm", "", "", "", "", "50.0"]
    assert table.align == "lllrrrr"
    assert "The mean over classes is the same." in table.caption()
    assert "12 videos of 3 classes" in table.caption()
    uneven = made([True, False, True, True])  # jump 2 of 2, run 0 of 1, walk 1 of 1
    (table,) = tables(row(uneven))
    assert table.rows == [["network", "75.0", table.rows[0][2], "66.7"]]
    assert table.columns[-1] == "mean over classes, %"
    (table,) = tables(row(made(first(9))), row(made(first(6, 9)), "two"))
    assert "videos" in table.columns
    assert "9 to 12 videos" in table.caption()


def test_data_sets_have_tables_of_their_own() -> None:
    found = tables(
        row(made(first(9), dataset="ucf101-split1")), row(made(first(6), dataset="weizmann"), "two"),
        row(made(first(3), dataset="ucf101-split2"), "two"),
        row(made(first(3), dataset="weizmann", classes=("a", "b")), "three"),
    )  # fmt: skip
    assert [(table.dataset, len(table.systems)) for table in found] == [
        ("UCF101", 2), ("Weizmann (3 classes)", 1), ("Weizmann (2 classes)", 1),
    ]  # fmt: skip


def test_the_best_are_bold_and_ties_all_of_them() -> None:
    (table,) = tables(row(made(first(9))), row(made(first(6), name="b")), row(made(first(9), name="c"), "two"))
    assert table.strong == [0, 2]
    assert table.best is table.systems[0]
    assert table.groups == {0: "one", 2: "two"}
    assert tables(row(made(first(9))))[0].strong == [], "one row is no best"


@pytest.mark.parametrize(
    ("sort", "order"),
    [("given", "bac"), ("accuracy", "abc"), ("name", "abc"), ("parameters", "acb"), ("macs", "abc")],
)
def test_rows_are_sorted_as_asked(sort: str, order: str) -> None:
    systems = [
        row(made(first(6), name="b"), "one", Network("x", {}, None, 9)),
        row(made(first(9), name="a"), "one", Network("x", {}, 5, 3)),
        row(made(first(3), name="c"), "one", Network("x", {}, 7)),
    ]
    assert "".join(each.name for each in tables(*systems, sort=sort)[0].systems) == order


def test_another_order_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be sorted by 'beauty'; use one of given, accuracy"):
        tables(row(made(first(6))), sort="beauty")


def test_remarks_have_letters_unless_they_are_on_all_rows() -> None:
    noted = made(first(9), notes=["old flow", "leaks"])
    (table,) = tables(row(noted), row(made(first(6), name="b", notes=["leaks"])))
    assert [(letter, words, rows) for letter, words, rows in table.remarks] == [
        ("", "leaks", [0, 1]), ("a", "old flow", [0]),
    ]  # fmt: skip
    assert table.marks == {0: "a"}
    seeds = system_of("one", [(made(first(9)), made(first(6)))], [])
    assert tables(seeds)[0].remarks[0][1] == "mean of 2 seeds, which have 75.0, 50.0 %"
    fusion = replace(row(made(first(9), name="both")), made_of=("a", "b"), fused_as="a + 2 b, softmax")
    assert tables(fusion)[0].remarks[0][1] == "the sum a + 2 b, softmax"


def test_a_published_line_stands_beside_with_its_source_and_what_differs() -> None:
    (table,) = tables(row(replace(made(first(9)), published=LINE)), row(made(first(6), name="b")))
    assert table.columns[-2:] == ["published, %", "source"]
    assert table.rows[0][-2:] == ["82.3", "[1]"]
    assert table.rows[1][-2:] == ["", ""]
    assert table.sources.works == ["C3D (Tran et al., ICCV 2015), table 3"]
    (letter, words, rows) = table.remarks[0]
    assert (letter, rows) == ("a", [0])
    assert words == (
        "published [1]: C3D (1 net) + linear SVM; unlike it: split 1 here, the mean of splits 1 to 3 there"
    )
    guessed = replace(LINE, tag="computed", source="arithmetic")
    assert tables(row(replace(made(first(9)), published=guessed)))[0].sources.works == ["arithmetic (computed)"]


def test_further_figures_have_columns() -> None:
    result = replace(made(first(9)), classes=(), class_mean=None, unit="pair")
    system = replace(row(result), facts={"standard error": "± 5.4", "AUC": "81.1"})
    (table,) = tables(system)
    assert table.columns == ["system", "accuracy, %", "95 % interval", "standard error", "AUC"]
    assert "12 pairs." in table.caption()


def test_text_forms_have_the_same_figures() -> None:
    interval = Interval(0.5, 0.9167, 0.95, "percentile bootstrap", "video", 12, 2000)
    best = replace(made(first(9), notes=["a_remark"]), interval=interval, published=LINE)
    (table,) = tables(row(best), row(made(first(6), name="b & c"), "two"))
    plain, markdown, latex = str(table), table.markdown(), table.latex()
    for text in (plain, markdown, latex):
        for figure in ("75.0", "82.3", "[1]" if text is not markdown else r"\[1\]"):
            assert figure in text
    assert "run  system" in plain
    assert "50.0–91.7" in plain
    assert "| one | **network" not in markdown
    assert "| **one** | **network (a,b)** |" in markdown
    assert "50.0--91.7" in latex
    assert r"b \& c" in latex
    assert r"\emph{two}" in latex
    assert r"\textbf{network (a,b)}" in latex
    assert r"a\_remark" in latex
    assert r"[1] C3D (Tran et al., ICCV 2015), table 3." in latex


def read_csv(text: str) -> Sequence[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_records_are_numbers() -> None:
    system = row(replace(made(first(9)), published=LINE), "one", SMALL)
    found = tables(system, row(made(first(6), name='with "quotes", and commas')))
    (one, other) = records(found)
    assert (one["value"], one["n"], one["parameters"], one["published"]) == (0.75, 12, 691_450, 0.823)
    assert (other["published"], other["parameters"], other["network"]) == (None, None, None)
    rows = read_csv(csv_text(found))
    assert float(rows[0]["low"]) == one["low"]
    assert rows[0]["unlike_it"] == "split 1 here, the mean of splits 1 to 3 there"
    assert (rows[1]["system"], rows[1]["published"]) == ('with "quotes", and commas', "")


def test_leaked_rows_are_marked_and_not_the_best() -> None:
    note = "3 of the 12 test videos show what the weights were trained on too: a, b"
    (table,) = tables(
        row(made(first(12), name="seen", notes=[note])), row(made(first(9), name="good")),
        row(made(first(6), name="b")), sort="accuracy",
    )  # fmt: skip
    assert [cells[0] for cells in table.rows] == ["good", "b", "seen †"]
    assert (table.best.name, table.strong) == ("good", [0])
    assert "†: leaked, test videos were seen in training; leaked rows are not ranked." in table.caption()
    (alone,) = tables(row(made(first(12), name="seen", notes=[note])))
    assert (alone.called(alone.best), alone.strong) == ("seen †", [])
    assert alone.caption().endswith("†: leaked, test videos were seen in training.")
