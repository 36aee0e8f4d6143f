"""``tubelet evaluate aslan`` and ``tubelet compare``, from videos to a decision, on synthetic pairs of known answer."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.artifacts import write_json
from tubelet.descriptors.store import DescriptorTable
from tubelet.models.registry import create_model
from tubelet.protocols.aslan_run import samples_of_table
from tubelet.protocols.leak import trained_on
from tubelet.protocols.result import Result

sys.path.insert(0, str(Path(__file__).parents[1] / "protocols"))
from made_pairs import action_folds, make_videos, write_view2

Tubelet = Callable[..., Any]
PER_ACTION = 4


@pytest.fixture(scope="module")
def aslan(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """80 synthetic videos of 20 actions as ASLAN names them, View2.mat, and a network of random weights."""

    def make(folder: Path) -> None:
        make_videos(folder / "ASLAN_AVI", PER_ACTION)
        write_view2(folder / "Views", action_folds(PER_ACTION))
        create_model("c3d_small", num_classes=10, seed=1, width=0.125).save(folder / "net")

    return made_once("aslan", make)


@pytest.fixture(scope="module")
def run(aslan: Path, tubelet: Tubelet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The whole command once."""
    folder = tmp_path_factory.mktemp("aslan") / "run"
    found = tubelet(
        "evaluate", "aslan", "--data", aslan / "ASLAN_AVI", "--model", aslan / "net", "-o", folder, "--workers", 1,
        "--no-parts", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    return folder, found


def test_videos_become_figures_well_above_chance(run: tuple[Path, Any]) -> None:
    folder, found = run
    figures = found.json
    assert (figures["n"], figures["unit"], len(figures["similarity"]["folds"])) == (240, "pair", 10)
    # Guessing 240 pairs, 0.64 is 4.3 standard errors above a half.
    assert figures["value"] > 0.64
    assert figures["similarity"]["auc"] > 0.68
    assert figures["similarity"]["standard_error"] > 0
    assert "ours are 10 folds of 24 pairs" in figures["published"]["note"]
    assert "what our network was trained on is not known" in figures["published"]["note"]
    assert figures["settings"]["layers"] == ["prob", "fc7", "fc6", "pool5"]
    assert {path.name for path in folder.iterdir()} >= {"report.html", "result.json", "roc.txt", "margins.csv"}
    assert Result.from_dict(json.loads((folder / "result.json").read_text())).value == figures["value"]
    text = (folder / "report.html").read_text()
    assert "Most wrong pairs" in text, "with film strips"
    assert "data:image/jpeg" in text


def test_the_same_command_goes_on_and_its_table_serves_again(
    aslan: Path, run: tuple[Path, Any], tubelet: Tubelet
) -> None:
    folder, found = run
    again = tubelet(
        "evaluate", "aslan", "--data", aslan / "ASLAN_AVI", "--model", aslan / "net", "-o", folder, "--workers", 1,
        "--no-parts",
    )  # fmt: skip
    assert again.code == 0, again.err
    assert "0 described, 80 already there" in again.err
    assert f"accuracy {found.json['value']:.1%}" in again.out
    table = tubelet(
        "evaluate", "aslan", "--table", folder / "descriptors", "--annotations", aslan / "Views",
        "-o", folder.parent / "table", "--no-parts", "--json",
    )  # fmt: skip
    assert table.code == 0, table.err
    assert table.json["value"] == found.json["value"], "all the layers that the table has"


def test_shuffled_labels_and_planted_ones(aslan: Path, run: tuple[Path, Any], tubelet: Tubelet, tmp_path: Path) -> None:
    """The same descriptors with labels that they say nothing about, then with labels that they say everything about."""
    rng = np.random.default_rng(0)
    pairs = action_folds(PER_ACTION)
    pairs[:, 3:] = 0  # the actions would contradict
    shuffled = pairs.copy()
    for fold in range(10):
        shuffled[:, 2, fold] = rng.permutation(pairs[:, 2, fold])
    planted = pairs.copy()
    same = pairs[:, 2] == 1
    planted[:, 1][same] = planted[:, 0][same]  # a video is like itself
    shares = {}
    for name, chosen in (("shuffled", shuffled), ("planted", planted)):
        lists = write_view2(tmp_path / name, chosen)
        found = tubelet(
            "evaluate", "aslan", "--table", run[0] / "descriptors", "--annotations", lists,
            "-o", tmp_path / f"{name}-run", "--no-parts", "--json",
        )  # fmt: skip
        assert found.code == 0, found.err
        assert "not all actions are known" in " ".join(found.json["notes"])
        shares[name] = found.json["value"], found.json["similarity"]["auc"]
    assert shares["planted"] == (1.0, pytest.approx(1.0))
    assert shares["shuffled"][0] == pytest.approx(0.5, abs=0.1)  # 3.1 standard errors of 240 guesses


def test_a_table_of_a_network_that_saw_the_samples(
    aslan: Path, run: tuple[Path, Any], tubelet: Tubelet, tmp_path: Path
) -> None:
    """The table alone, without --data and --model, tells that its network was trained on what is tested on."""
    shutil.copytree(aslan / "net", tmp_path / "net")
    shutil.copytree(run[0] / "descriptors", tmp_path / "table")
    record = json.loads((tmp_path / "table" / "provenance.json").read_text())
    assert record["model_source"] == str(aslan / "net")
    write_json(tmp_path / "table" / "provenance.json", {**record, "model_source": str(tmp_path / "net")})
    seen = samples_of_table(DescriptorTable(tmp_path / "table")).select(keep=[0, 1, 2])
    renamed = replace(seen, name="others", items=tuple(replace(item, group=f"x{item.path}") for item in seen.items))
    command = (
        "evaluate", "aslan", "--table", tmp_path / "table", "--annotations", aslan / "Views", "-o", tmp_path / "out",
        "--no-parts",
    )  # fmt: skip
    for memory in (seen, renamed):  # known by their names, and by their contents alone
        write_json(tmp_path / "net" / "provenance.json", {"trained_on": trained_on(memory)})
        refused = tubelet(*command)
        assert (refused.code, refused.out) == (2, "")
        assert refused.complaint.startswith("the weights were trained on 3 of the 80 test groups: ")
        assert not (tmp_path / "out").exists()
    marked = tubelet(*command, "--allow-leak", "--json")
    assert marked.code == 0, marked.err
    assert marked.json["notes"] == ["the weights were trained on 3 of the 80 test groups"]
    assert "Note: the weights were trained on 3 of the 80 test groups" in (tmp_path / "out/report.html").read_text()


def test_what_is_missing_is_said(aslan: Path, run: tuple[Path, Any], tubelet: Tubelet, tmp_path: Path) -> None:
    shutil.copytree(aslan / "ASLAN_AVI", tmp_path / "videos")
    (tmp_path / "videos" / "0002.avi").unlink()
    (tmp_path / "videos" / "0009.avi").write_bytes(b"no video")
    shutil.copytree(run[0] / "descriptors", tmp_path / "out" / "descriptors")
    for name in ("env.json", "config.toml"):
        shutil.copy(run[0] / name, tmp_path / "out" / name)
    command = (
        "evaluate", "aslan", "--data", tmp_path / "videos", "--annotations", aslan / "Views", "--model", aslan / "net",
        "-o", tmp_path / "out", "--workers", 1, "--no-parts",
    )  # fmt: skip
    other = tubelet(*command)
    assert other.code == 2
    assert "holds a run with other settings" in other.complaint, "not all the videos of that one"
    dry = tubelet(*command, "--dry-run", "--json")
    assert dry.json == {
        "folder": str(tmp_path / "out"), "pairs": 240, "samples": 80, "layers": ["prob", "fc7", "fc6", "pool5"],
    }  # fmt: skip
    assert "80 samples, 79 of them there" in dry.err


def test_a_table_that_lacks_samples(aslan: Path, run: tuple[Path, Any], tubelet: Tubelet, tmp_path: Path) -> None:
    pairs = action_folds(PER_ACTION)
    pairs[0, :2, 0] = 3001, 3002
    found = tubelet(
        "evaluate", "aslan", "--table", run[0] / "descriptors", "--annotations", write_view2(tmp_path / "views", pairs),
        "-o", tmp_path / "out", "--no-parts", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert found.json["n"] == 239
    note = "1 of 240 pairs is left out, because 2 of its samples have no descriptors (3001, 3002)"
    assert note in found.json["notes"]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ((), 2, "either a model or a table"),
        (("--model", "untrained:c3d_small", "--table", "x"), 2, "either a model or a table"),
        (("--model", "untrained:c3d_small"), 2, "needs the videos"),
        (("--model", "untrained:c3d_small", "--data", "VIDEOS", "--view", "1"), 4, "View 1 of ASLAN is not found"),
        (("--model", "untrained:c3d_small", "--data", "VIDEOS", "--view", "1", "--search-C"), 2, "View 1 has only one"),
        (("--table", "absent", "--annotations", "VIEWS"), 4, "no descriptor table"),
        (("--table", "TABLE", "--annotations", "VIEWS", "--layers", "fc9", "-o", "OUT"), 2, "no layer 'fc9'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    aslan: Path, run: tuple[Path, Any], tubelet: Tubelet, tmp_path: Path, options: tuple[str, ...], code: int, says: str
) -> None:
    places = {
        "VIDEOS": aslan / "ASLAN_AVI",
        "VIEWS": aslan / "Views",
        "TABLE": run[0] / "descriptors",
        "OUT": tmp_path / "o",
    }
    found = tubelet("evaluate", "aslan", *(places.get(word, word) for word in options))
    assert (found.code, says in found.complaint) == (code, True), found.err


def test_folds_that_share_an_action_stop_the_command(
    aslan: Path, run: tuple[Path, Any], tubelet: Tubelet, tmp_path: Path
) -> None:
    pairs = action_folds(PER_ACTION)
    pairs[:, 3:, 6][pairs[:, 3:, 6] == 13] = 2
    found = tubelet(
        "evaluate", "aslan", "--table", run[0] / "descriptors", "--annotations", write_view2(tmp_path / "views", pairs),
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert found.code == 4
    assert "split 1 and split 7 are not disjoint: both hold action 2" in found.complaint
    assert not (tmp_path / "out").exists()


def test_compare_decides_with_the_classifier(
    aslan: Path, run: tuple[Path, Any], tubelet: Tubelet, tmp_path: Path
) -> None:
    videos = aslan / "ASLAN_AVI"
    found = tubelet(
        "compare", videos / "0001.avi", videos / "0005.avi", "--table", run[0] / "descriptors", "--pairs-svm", run[0],
        "--reasons", 3, "-o", tmp_path,
    )  # fmt: skip
    assert found.code == 0, found.err
    saved = json.loads((tmp_path / "comparison.json").read_text())
    decision = saved["decision"]
    margin = decision["start"] + sum(reason["contribution"] for reason in saved["reasons"])
    assert decision["margin"] == pytest.approx(margin)
    assert saved["same"] is (margin > 0)
    assert saved["layers"] == ["prob", "fc7", "fc6", "pool5"]
    assert saved["classes"] == [], "a network that was never trained knows none"
    lines = found.out.splitlines()
    assert lines[0] == saved["verdict"]
    assert f"margin {margin:+.2f} = {decision['start']:+.2f} (mean pair), prob " in lines[1]
    assert len(lines) == 2 + 3 + 2
    assert all("adds " in line and "of one class" in line for line in lines[2:5])
    assert lines[5] == f"  note: {saved['notes'][0]}"
    assert [note.partition(str(videos))[0] for note in saved["notes"]] == 2 * [
        "the classifier of pairs was fitted on "
    ], "it saw both videos; nothing says so of the network"
    assert "data:image/jpeg" in (tmp_path / "report.html").read_text()


def test_compare_without_a_classifier_does_not_decide(aslan: Path, run: tuple[Path, Any], tubelet: Tubelet) -> None:
    pair = (aslan / "ASLAN_AVI" / "0001.avi", aslan / "ASLAN_AVI" / "0002.avi")
    found = tubelet("compare", *pair, "--table", run[0] / "descriptors", "--layers", "fc6", "--json")
    assert found.code == 0, found.err
    assert found.json["same"] is None
    assert found.json["verdict"].startswith("no decision without --pairs-svm")
    # 78 other videos: 2 of action 1, 4 of each of the others; at most 2000 pairs of two actions are drawn
    assert "2000 pairs of two classes and 115 pairs of one" in found.json["verdict"]


def test_a_table_of_a_network_with_other_layers(aslan: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    """A layer that the paper's networks do not have, alone: the table's own are compared, by both commands."""
    videos = aslan / "ASLAN_AVI"
    (tmp_path / "few").mkdir()
    for number in ("0005", "0009", "0013"):
        shutil.copy(videos / f"{number}.avi", tmp_path / "few")
    made = tubelet(
        "extract", tmp_path / "few", "--model", aslan / "net", "--layers", "pool2", "-o", tmp_path / "table",
        "--workers", 1,
    )  # fmt: skip
    assert made.code == 0, made.err
    dry = tubelet(
        "evaluate", "aslan", "--table", tmp_path / "table", "--annotations", aslan / "Views", "--dry-run", "--json"
    )
    assert (dry.code, dry.json["layers"]) == (0, ["pool2"]), dry.err
    found = tubelet("compare", videos / "0001.avi", videos / "0002.avi", "--table", tmp_path / "table", "--json")
    assert found.code == 0, found.err
    assert found.json["layers"] == ["pool2"]


def test_compare_refuses_what_does_not_fit(
    aslan: Path, run: tuple[Path, Any], tubelet: Tubelet, tmp_path: Path
) -> None:
    one = aslan / "ASLAN_AVI" / "0001.avi"
    create_model("c3d_small", num_classes=10, seed=2, width=0.125).save(tmp_path / "other")
    for options, code, says in (
        ((one, one), 2, "compare needs a model"),
        ((one, tmp_path / "absent.avi", "--model", aslan / "net"), 4, "no such video"),
        ((one, one, "--model", tmp_path / "other", "--pairs-svm", run[0]), 4, "other weights"),
        ((one, one, "--model", tmp_path / "other", "--table", run[0] / "descriptors"), 4, "made by other weights"),
        ((one, one, "--model", aslan / "net", "--pairs-svm", tmp_path), 4, "no classifier of pairs"),
        ((one, one, "--model", aslan / "net", "--pairs-svm", run[0], "--layers", "fc6"), 2, "brings its own layers"),
        ((one, one, "--table", run[0] / "descriptors", "--layers", "conv5a"), 2, "the table has no conv5a"),
    ):
        found = tubelet("compare", *options)
        assert (found.code, says in found.complaint) == (code, True), found.err
