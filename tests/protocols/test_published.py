"""The table of published figures against the specification that it was written from, number by number."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tubelet.models.registry import list_models
from tubelet.protocols.published import CONFIRMED, PublishedFigure, _parsed, all_figures, published
from tubelet.protocols.views import views_by_name

C3D, STREAMS = "c3d_res3d.md", "two_stream_tsn_p3d_t3d.md"
DECIMAL = r"\d+\.\d+"

# Table → where its numbers begin and end in the specification, and what counts as one of them.
PASSAGES = {
    "c3d_1": (C3D, "Table 1 [scribd, verbatim]:", "\n", DECIMAL),
    "two_stream_1a": (STREAMS, "T1a spatial, UCF-101 split 1 (dropout 0.5 | 0.9):", "\n", DECIMAL),
    "two_stream_1b": (STREAMS, "T1b temporal, split 1 (mean-sub off | on):", "\n", DECIMAL),
    "two_stream_2": (STREAMS, "T2 HMDB-51 split 1 temporal:", "\n", DECIMAL),
    "two_stream_3": (STREAMS, "T3 two-stream UCF split 1 (", "\n", DECIMAL),
    "two_stream_4": (STREAMS, "T4 (UCF | HMDB, 3 splits):", "\n", DECIMAL),
    "two_stream_text": (STREAMS, "Text: slow-fusion re-implementation,", "\n", DECIMAL),
    "tsn_1": (STREAMS, "ECCV T1 (UCF s1; spatial|temporal|two):", "\n", DECIMAL),
    "tsn_2": (STREAMS, "T2: RGB", "\n", DECIMAL),
    "tsn_3": (STREAMS, "T3 consensus:", "\n", DECIMAL),
    "tsn_4": (STREAMS, "T4: Clarifai", "\n", DECIMAL),
    "tsn_5": (STREAMS, "T5:", "\n", DECIMAL),
    "tsn_6": (STREAMS, "T6 (HMDB | UCF):", "\n", DECIMAL),
    "tsn_journal_modalities": (STREAMS, "Modalities (UCF; FPS):", "\n", DECIMAL + r"|(?<=\()\d+(?=\))"),
    "tsn_journal_segments": (STREAMS, "K (UCF s|t|2s 1:1 ‖ ActivityNet s|t|2s 1:.5):", "\n", DECIMAL),
    "tsn_journal_consensus": (STREAMS, "Consensus (same columns):", "\n", DECIMAL),
    "tsn_journal_networks": (STREAMS, "Nets:", "\n", DECIMAL),
    "tsn_journal_state": (STREAMS, "State: TSN", "\n", r"(?<!ANet)" + DECIMAL),
    "tsn_journal_activitynet13": (STREAMS, "ANet v1.3 val mAP (s|t|2s):", "\n", DECIMAL),
    "tsn_kinetics": (STREAMS, "Kinetics release [page", "\n", DECIMAL),
    "tsn_mmaction2": (STREAMS, "mmaction2 TSN (ResNet-50, K400, 25×10):", "; 24.33", DECIMAL),
    "p3d_figure_1": (STREAMS, "F1: C3D depth", "\n", DECIMAL + r"|\d+(?= MB)"),
    "p3d_2": (STREAMS, "T2 Sports-1M (pre-train,", "\n", DECIMAL),
    "p3d_3": (STREAMS, "T3 UCF101 (RGB, (with flow)):", "\n", DECIMAL),
    "p3d_4": (STREAMS, "T4 ActivityNet v1.3 (top-1|top-3|mAP):", " (10", DECIMAL),
    "p3d_5": (STREAMS, "T5 ASLAN (acc|AUC):", "\n", DECIMAL),
    "p3d_6": (STREAMS, "T6 Dynamic Scene|YUPENN:", "\n", DECIMAL),
    "p3d_pca": (STREAMS, "Fig PCA (read by eye ±1): P3D", " at ", r"[\d.]+"),
    "p3d_port": (STREAMS, "Port's own: UCF101 P3D199 Sports1M", "; THUMOS14", DECIMAL),
    "t3d_4": (STREAMS, "Confirmed: T4 UCF101 split 1 from scratch:", "[T3D-paper", DECIMAL),
    "t3d_memory": (STREAMS, "Unconfirmed [memory]", "; Kinetics val", DECIMAL),
    "t3d_kinetics": (STREAMS, "Kinetics val top-1 (avg test):", "; UCF|HMDB:", DECIMAL),
    "t3d_comparison": (STREAMS, "; UCF|HMDB:", ". Direction", DECIMAL),
}


@pytest.fixture(scope="module")
def specification(shared_data: Path) -> dict[str, str]:
    folder = shared_data.parent / "spec"
    if not (folder / C3D).is_file():
        pytest.skip(f"the specification is not at {folder}")
    return {name: (folder / name).read_text(encoding="utf-8") for name in (C3D, STREAMS)}


def table(name: str) -> list[PublishedFigure]:
    return [each for each in all_figures() if each.table == name]


@pytest.mark.parametrize("name", PASSAGES)
def test_a_table_has_the_specifications_numbers_in_their_order(specification: dict[str, str], name: str) -> None:
    file, start, end, pattern = PASSAGES[name]
    text = specification[file]
    assert text.count(start) >= 1, start
    begin = text.index(start) + len(start)
    numbers = [float(number) for number in re.findall(pattern, text[begin : text.index(end, begin)])]
    assert numbers, "the passage has numbers"
    assert [each.value for each in table(name)] == numbers


def rows_of(text: str, heading: str) -> list[list[str]]:
    """Cells of the Markdown table whose heading line begins so."""
    lines = text[text.index(heading) :].split("\n")
    rows = []
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_comparison_on_ucf101_has_numbers_and_tags_of_the_specification(specification: dict[str, str]) -> None:
    expected = []
    for _, accuracy, evidence in rows_of(specification[C3D], "| method | acc | evidence |"):
        computed = re.match(r"85\.2-", evidence) and "scribd" not in evidence
        tag = "memory" if "memory" in evidence else "computed" if computed else "paper"
        expected += [(float(number), tag) for number in re.findall(DECIMAL, accuracy)]
    assert len(expected) == 17
    assert [(each.value, each.tag) for each in table("c3d_3")] == expected
    for each in table("c3d_3"):
        assert (each.dataset, each.split, each.metric) == ("ucf101", "mean of 1-3", "accuracy")


def test_sports1m_has_three_figures_a_row(specification: dict[str, str]) -> None:
    found = iter(table("c3d_2"))
    for _, _, *cells in rows_of(specification[C3D], "| Table 2 | nets |"):
        for metric, cell in zip(("clip hit@1", "video hit@1", "video hit@5"), cells[:3], strict=True):
            each = next(found)
            assert (each.metric, each.value) == (metric, float(re.findall(DECIMAL, cell)[0]))
    assert next(found, None) is None


def test_scenes_mark_what_is_from_memory(specification: dict[str, str]) -> None:
    text = specification[C3D]
    for dataset, heading in (("yupenn", "| YUPENN |"), ("maryland", "| Maryland (UMD) |")):
        line = text[text.index(heading) :].split("\n")[0].split("|")[-2]
        expected = [(float(number), bool(memory)) for number, memory in re.findall(r"(\d+\.\d)( m\b)?", line)]
        found = [(each.value, not each.confirmed) for each in table("c3d_5") if each.dataset == dataset]
        assert found == expected


def test_aslan_has_the_specifications_figures_and_errors(specification: dict[str, str]) -> None:
    expected: Counter[tuple[str, float]] = Counter()
    for _, _, accuracy, area, _ in rows_of(specification[C3D], "| Table 4 | model | acc | AUC |"):
        expected.update(("accuracy", float(number)) for number in re.findall(DECIMAL, accuracy))
        expected.update(("AUC", float(number)) for number in re.findall(DECIMAL, area))
    assert Counter((each.metric, each.value) for each in table("c3d_4")) == expected
    errors = {each.value: each.plus_minus for each in table("c3d_4") if each.plus_minus}
    assert errors == {60.88: 0.77, 64.25: 0.70, 65.45: 0.80}


# Copied by hand: table, part of the row's name, what it was measured on and how, figure, tag.
BY_HAND = [
    ("c3d_3", "C3D (1 net)", "ucf101", "accuracy", 82.3, "paper"),
    ("c3d_3", "iDT + Fisher", "ucf101", "accuracy", 87.9, "memory"),
    ("c3d_3", "C3D (3 nets) + iDT", "ucf101", "accuracy", 90.4, "paper"),
    ("c3d_2", "C3D (fine-tuned", "sports1m", "video hit@5", 85.2, "paper"),
    ("c3d_2", "Convolution pooling", "sports1m", "video hit@1", 72.4, "memory"),
    ("c3d_pca", "C3D, 50 ", "ucf101", "accuracy", 72.6, "paper"),
    ("c3d_objects", "C3D", "egocentric", "clip accuracy", 22.3, "paper"),
    ("c3d_objects", "ImageNet", "egocentric", "clip accuracy", 25.7, "computed"),
    ("c3d_6", "C3D", "ucf101", "speed", 313, "paper"),
    ("c3d_6", "iDT", "ucf101", "times as long as C3D", 91, "paper"),
    ("c3d_6", "Brox flow, GPU", "ucf101", "time", 607.8, "memory"),
    ("c3d_a", "net-256", "ucf101", "time of an epoch", 1186, "paper"),
    ("c3d_released", "C3D fine-tuned, released", "ucf101", "clip accuracy", 80.19, "author's thread"),
    ("c3d_released_svm", "C3D released", "ucf101", "accuracy", 83.14, "author's thread"),
    ("aslan", "people", "aslan", "accuracy", 94.19, "paper"),
    ("aslan", "people", "aslan", "AUC", 97.86, "paper"),
    ("res3d", "Res3D fine-tuned", "ucf101", "accuracy", 85.8, "author's thread"),
    ("res3d", "Res3D pool5", "hmdb51", "accuracy", 51.3, "author's thread"),
    ("res3d", "Res3D", "sports1m", "video hit@5", 87.8, "memory"),
    ("res3d_search", "3D-R34", "ucf101", "clip accuracy", 45.9, "memory"),
    ("two_stream_4", "two streams, SVM", "hmdb51", "accuracy", 59.4, "paper"),
    ("tsn_6", "TSN (3 modalities)", "hmdb51", "mean class accuracy", 69.4, "paper"),
    ("tsn_journal_state", "TSN, 7 segments", "thumos14", "mAP", 80.1, "paper"),
    ("tsn_kinetics", "TSN, BN-Inception, flow", "kinetics400", "top-5", 83.9, "author's thread"),
    ("p3d_1", "P3D-B", "ucf101", "accuracy", 82.8, "paper"),
    ("p3d_1", "P3D-C", "ucf101", "speed", 8.6, "paper"),
    ("p3d_encoding", "P3D ResNet", "ucf101", "accuracy", 90.5, "paper"),
    ("p3d_3", "P3D ResNet + iDT", "ucf101", "accuracy", 93.7, "paper"),
    ("t3d_confirmed", "T3D-Transfer", "ucf101", "accuracy", 91.7, "paper"),
    ("t3d_confirmed", "T3D + TSN", "hmdb51", "accuracy", 63.5, "paper"),
    ("t3d_kinetics", "C3D*", "kinetics400", "top-1", 55.6, "paper"),
    ("t3d_comparison", "DenseNet3D", "hmdb51", "accuracy", 57.8, "memory"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "method", "dataset", "metric", "value", "tag"), BY_HAND)
def test_figures_belong_to_their_rows_and_columns(
    name: str, method: str, dataset: str, metric: str, value: float, tag: str
) -> None:
    rows = [each for each in table(name) if each.method.startswith(method)]
    found = [each for each in rows if (each.dataset, each.metric) == (dataset, metric)]
    assert (found[0].value, found[0].tag) == (value, tag)


def test_fields_are_filled_and_names_exist() -> None:
    networks, datasets = set(list_models()) | {"idt", "t3d"}, set()
    for each in all_figures():
        assert each.source, each
        assert each.method, each
        assert set(each.network.split(" + ")) <= networks | {""}, each
        assert each.protocol in ("", "network", "svm", "fusion"), each
        assert set(each.modality.split(" + ")) <= {"rgb", "flow", "warped_flow", "rgb_difference"}, each
        if each.views:
            views_by_name(each.views)
        datasets.add(each.dataset)
    assert datasets == {
        "activitynet", "activitynet12", "activitynet13", "aslan", "egocentric", "hmdb51", "kinetics400", "maryland",
        "sports1m", "thumos14", "ucf101", "yupenn",
    }  # fmt: skip


def test_figures_are_looked_up_by_their_fields() -> None:
    found = published(dataset="hmdb51", network="two_stream_spatial", protocol="network")
    assert [(each.value, each.split) for each in found] == [(40.5, "mean of 1-3")]
    both = published(dataset="ucf101", network="idt", protocol="svm")
    assert {each.network for each in both} == {"idt", "c3d + idt", "p3d_199 + idt"}, "one of several networks will do"
    assert {each.table for each in published(table="two_stream*")} == {
        "two_stream_1a", "two_stream_1b", "two_stream_2", "two_stream_3", "two_stream_4", "two_stream_text",
    }  # fmt: skip
    assert published(dataset="weizmann") == ()


def test_memory_is_marked_wherever_a_figure_is_shown() -> None:
    doubtful = published(tag="memory")
    assert len(doubtful) > 50
    assert all("from memory, not looked up" in str(each) for each in doubtful)
    assert not any("memory" in str(each) for each in all_figures() if each.confirmed and not each.note)
    assert {each.tag for each in all_figures() if each.confirmed} == set(CONFIRMED)
    json.dumps([each.to_dict() for each in all_figures()], allow_nan=False)


def test_figures_show_the_decimals_that_were_printed() -> None:
    assert table("c3d_2")[1].figure == "60.0 %"
    assert table("c3d_6")[0].figure == "313 frames/s"
    assert table("c3d_4")[0].figure == "60.88 ± 0.77 %"
    with pytest.raises(ValueError, match="a cell cannot be"):
        _parsed("about 40")
    with pytest.raises(ValueError, match="tag must be one of"):
        PublishedFigure("t", "s", "m", "ucf101", 1.0, tag="hearsay")
