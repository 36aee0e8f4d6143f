"""``tubelet evaluate KIND --model DIR``: a trained model over test views, leaks, and the fusion of what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import top_k_accuracy_score

from tubelet.cli.score_model import names_a_model
from tubelet.clips.decode import ClipDecoder
from tubelet.protocols import score_stream
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.view_scores import ViewScorer

Tubelet = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def one_decoder() -> Any:
    """Decoding processes take seconds to start, so all runs here use the same."""
    with ClipDecoder(workers=1) as shared, pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_stream, "ClipDecoder", lambda workers: nullcontext(shared))
        yield


@pytest.fixture(scope="module")
def finished(tubelet: Tubelet, trained_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Test and training scores of the trained run's model: two outcomes and their folder."""
    root = tmp_path_factory.mktemp("scores")
    command = ("evaluate", "folder", "--data", trained_run.videos, "--model", trained_run.folder, "--device", "cpu")
    test = tubelet(*command, "--views", "2x3", "-o", root / "test", "--json", "--keep-views")
    train = tubelet(*command, "--views", "1x1", "-o", root / "train", "--part", "train")
    return test, train, root, command


def test_the_scores_and_the_figures_are_written(finished: Any) -> None:
    test, _, root, _ = finished
    assert test.code == 0, test.err
    file = ScoreFile.load(root / "test" / "scores.npz")
    assert all(video.startswith("test/") for video in file.video_ids)
    assert (len(file), set(file.view_counts)) == (10, {6})
    assert test.json["value"] == pytest.approx(float((file.probabilities.argmax(1) == file.labels).mean()))
    assert test.json["class_mean"] == test.json["value"], "one video of each class"
    assert test.json["scores"] == str(root / "test" / "scores.npz")
    assert {path.name for path in (root / "test").iterdir()} == {
        "config.toml", "env.json", "log.txt", "plots", "report.html", "result.json", "scores.npz",
    }  # fmt: skip
    assert json.loads((root / "test" / "result.json").read_text())["value"] == test.json["value"]
    assert "c3d_small from" in test.err
    assert "2 clips (uniform), crops: three" in test.err


def test_kept_views_give_the_clips_their_own_figures(finished: Any) -> None:
    test, _, root, _ = finished
    file = ScoreFile.load(root / "test" / "scores.npz")
    assert file.view_scores is not None
    # A clip's prediction is the mean softmax of its three crops.
    clips = softmax(file.view_scores.astype(float), axis=1).reshape(20, 3, -1).mean(axis=1)
    labels = np.repeat(file.labels, 2)
    shares = {hit["name"]: hit["value"] for hit in test.json["hits"]}
    assert shares["video hit@1"] == pytest.approx(top_k_accuracy_score(file.labels, file.probabilities, k=1))
    assert shares["video hit@5"] == pytest.approx(top_k_accuracy_score(file.labels, file.probabilities, k=5))
    assert shares["clip hit@1"] == pytest.approx(top_k_accuracy_score(labels, clips, k=1))
    assert shares["clip hit@5"] == pytest.approx(top_k_accuracy_score(labels, clips, k=5))
    assert "clip hit@5" in (root / "test" / "report.html").read_text(encoding="utf-8")


def test_training_scores_are_marked_and_fit_a_fusion(finished: Any, tubelet: Tubelet) -> None:
    _, train, root, _ = finished
    assert train.code == 0, train.err
    assert "note: these are training videos" in train.out
    file = ScoreFile.load(root / "train" / "scores.npz")
    assert (file.settings["part"], len(file)) == ("train", 20)
    fused = tubelet(
        "evaluate", "fuse", root / "test" / "scores.npz", "--by", "svm", "--train-scores", root / "train" / "scores.npz"
    )
    assert fused.code == 0, fused.err
    assert "linear SVM on softmax" in fused.out


def test_typed_again_nothing_is_scored(finished: Any, tubelet: Tubelet, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, root, command = finished

    def score(*arguments: Any) -> Any:
        raise AssertionError("it is in the file")

    monkeypatch.setattr(ViewScorer, "view_scores", score)
    monkeypatch.setattr("tubelet.protocols.stream_report.write_stream", lambda *arguments: root / "report.html")
    again = tubelet(*command, "--views", "2x3", "-o", root / "test", "--json", "--keep-views")
    assert again.code == 0, again.err
    assert again.json["value"] == finished[0].json["value"]
    other = tubelet(*command, "--views", "3x3", "-o", root / "test")
    assert (other.code, other.out) == (2, "")
    assert other.complaint.startswith("the output folder holds a run with other settings")


def test_groups_that_the_model_saw_are_refused_or_marked(finished: Any, tubelet: Tubelet, tmp_path: Path) -> None:
    command = (*finished[3], "--views", "1x1", "--part", "all", "--limit", 10, "-o", tmp_path / "out")
    refused = tubelet(*command)
    assert (refused.code, refused.out) == (2, "")
    assert refused.complaint.startswith("the weights were trained on ")
    assert "--allow-leak" in refused.complaint
    marked = tubelet(*command, "--allow-leak", "--json")
    assert marked.code == 0, marked.err
    assert marked.json["notes"][0].startswith("the weights were trained on ")
    assert len(marked.json["predictions"]) == 10


def test_a_dry_run_says_what_would_be_done(finished: Any, tubelet: Tubelet, tmp_path: Path) -> None:
    found = tubelet(*finished[3], "-o", tmp_path / "out", "--dry-run", "--json")
    assert found.json["views"]["name"] == "dense", "the clips of the descriptor, where --views says nothing"
    assert found.json["videos"] == 10
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["--views", "25x10"], 2, "the views 25x10 hold mirror images"),
        (["--views", "many"], 2, "there are no test views 'many'"),
        (["--part", "half"], 2, "--part cannot be 'half'; use one of test, train, all"),
        (["--iterations", 3], 2, "--iterations: these are for training, and --model is a model folder"),
        (["--seeds", "0-2"], 2, "several seeds: these are for training"),
        (["--test-fraction", 0], 2, "motion has no test videos; name test groups with --test-groups, or test on all"),
    ],
)
def test_what_does_not_fit_is_refused(
    finished: Any, tubelet: Tubelet, tmp_path: Path, options: list[Any], code: int, complaint: str
) -> None:
    found = tubelet(*finished[3], "-o", tmp_path / "out", *options)
    assert (found.code, found.out) == (code, "")
    assert found.complaint.startswith(complaint), found.complaint
    assert not (tmp_path / "out").exists(), "nothing is begun that the next command would be refused for"


def test_views_need_a_model_folder(tubelet: Tubelet, trained_run: Any, tmp_path: Path) -> None:
    found = tubelet("evaluate", "folder", "--data", trained_run.videos, "--views", "25x10", "--part", "train")
    assert found.complaint.startswith("--views, --part: these test a trained model, and --model is none; give a model")
    nothing = tubelet("evaluate", "folder", "--data", trained_run.videos, "--model", tmp_path / "none")
    assert nothing.code == 4
    assert nothing.complaint.startswith("this is no model folder")


def test_a_name_means_the_network_and_a_path_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c3d").mkdir()
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    meant = {name: names_a_model(name) for name in ("c3d", "./c3d", "mine", "c3d_smal", "runs/none")}
    assert meant == {"c3d": False, "./c3d": True, "mine": True, "c3d_smal": False, "runs/none": True}
    assert not names_a_model(None)
    assert np.all([not names_a_model(name) for name in ("p3d_199", "tsn_bn_inception")])
