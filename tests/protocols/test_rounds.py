"""One round: its figures are recomputed from its descriptor table by plain loops, and no stage is done twice."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pytest
from sklearn.svm import LinearSVC

from tubelet.artifacts import write_json
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.manifest import Item, Manifest
from tubelet.descriptors.store import DescriptorTable
from tubelet.errors import InputDataError, UsageError
from tubelet.models.folder import load_model
from tubelet.models.registry import create_model, model_info
from tubelet.models.spec import descriptor_layer
from tubelet.protocols.presets import SMALL, round_settings
from tubelet.protocols.rounds import RoundScores, RoundSettings, _scores, run_round

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def table(trained_run: Any) -> Rows:
    """Rows of the run's table by video, in time order, read by LanceDB alone."""
    rows: Rows = {}
    opened = lancedb.connect(trained_run.folder / "descriptors").open_table("descriptors")
    for row in opened.to_arrow().to_pylist():
        rows.setdefault(row["video_id"], []).append(row)
    return {video_id: sorted(found, key=lambda row: row["clip_index"]) for video_id, found in rows.items()}


@pytest.fixture(scope="module")
def scores(trained_run: Any) -> dict[str, Any]:
    return json.loads((trained_run.folder / "scores.json").read_text())


@pytest.fixture(scope="module")
def listed(trained_run: Any) -> dict[str, list[dict[str, str]]]:
    """The rows of the data set's own table, by split."""
    with (trained_run.videos / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {split: [row for row in rows if row["split"] == split] for split in ("train", "test")}


def test_the_test_videos_are_scored_each_once(scores: dict[str, Any], listed: dict[str, Any]) -> None:
    known = {row["file_name"]: row["label"] for row in listed["test"]}
    assert dict(zip(scores["video_ids"], scores["labels"], strict=True)) == known
    assert len(scores["video_ids"]) == 10
    assert scores["failed"] == []


def test_the_net_is_the_mean_of_its_clips_probabilities(table: Rows, scores: dict[str, Any]) -> None:
    for video_id, found in zip(scores["video_ids"], scores["net"], strict=True):
        clips = table[video_id]
        assert [clip["start_frame"] for clip in clips] == [0, 8]  # 24 frames, clips of 16, stride 8
        wanted = [sum(clip["vector_prob"][k] for clip in clips) / len(clips) for k in range(10)]
        np.testing.assert_allclose(found, wanted, atol=1e-7)
        assert sum(found) == pytest.approx(1, abs=1e-5)


def test_the_svm_is_scikit_learns_on_normalized_means(
    table: Rows, scores: dict[str, Any], listed: dict[str, Any]
) -> None:
    def descriptor(video_id: str) -> np.ndarray[Any, Any]:
        mean = np.zeros(512)
        for clip in table[video_id]:
            mean += np.array(clip["vector_fc6"], dtype=np.float64) / len(table[video_id])
        return mean / np.sqrt((mean**2).sum())

    solver = LinearSVC(C=1.0, loss="squared_hinge", dual=True, random_state=0, max_iter=20_000, tol=1e-4)
    solver.fit([descriptor(row["file_name"]) for row in listed["train"]], [row["label"] for row in listed["train"]])
    wanted = solver.decision_function([descriptor(video_id) for video_id in scores["video_ids"]])
    # The run lets scikit-learn choose the solver of the same convex problem: equal within its tolerance.
    np.testing.assert_allclose(np.array(scores["svm"]), wanted, atol=2e-3)
    assert (np.array(scores["svm"]).argmax(axis=1) == wanted.argmax(axis=1)).all()
    assert sorted(solver.classes_) == sorted({row["label"] for row in listed["train"]})


def test_the_run_folder_has_what_the_reference_promises(trained_run: Any) -> None:
    names = {path.name for path in trained_run.folder.iterdir()}
    assert names >= {
        "config.toml", "env.json", "log.txt", "metrics.csv", "timing.csv", "checkpoints", "model", "descriptors",
        "scores.json", "result.json", "report.html", "plots",
    }  # fmt: skip
    assert "failed.jsonl" not in names, "nothing failed"
    assert len((trained_run.folder / "metrics.csv").read_text().splitlines()) == 1 + 3


def test_weights_remember_what_they_were_trained_on(trained_run: Any) -> None:
    remembered = load_model(trained_run.folder / "model").provenance
    assert remembered is not None
    manifest = open_dataset("metadata", trained_run.videos).select(split="train")
    assert remembered["trained_on"]["videos"] == 20
    assert remembered["trained_on"]["manifest_hash"] == manifest.hash
    assert remembered["steps"] == 3
    assert remembered["trained_on"]["group_hashes"] == list(manifest.group_hashes)


@pytest.fixture
def parts(trained_run: Any) -> tuple[Manifest, Manifest, RoundSettings]:
    """What ``trained_run`` was trained with, put together anew."""
    manifest = open_dataset("folder", trained_run.videos)
    config = SMALL.changed(iterations=3, batch_size=4, precision="float32", workers=1)
    settings = round_settings("c3d_small", train=config, flip=manifest.flip)
    return manifest.select(split="train"), manifest.select(split="test"), settings


@pytest.fixture
def copy(trained_run: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run.folder, tmp_path / "run"))


def test_a_finished_round_is_read_and_not_run(
    parts: tuple[Manifest, Manifest, RoundSettings], copy: Path, scores: dict[str, Any]
) -> None:
    training, test, settings = parts
    write_json(copy / "scores.json", {**scores, "notes": ["read from here"]})
    found = run_round(training, test, settings, copy)
    assert found.notes == ("read from here",)
    assert found.to_dict() == {**scores, "notes": ["read from here"]}


def test_a_round_without_scores_repeats_neither_training_nor_extraction(
    parts: tuple[Manifest, Manifest, RoundSettings], copy: Path, scores: dict[str, Any]
) -> None:
    training, test, settings = parts
    (copy / "scores.json").unlink()
    shutil.rmtree(copy / "checkpoints")  # whoever trained again would have to start from nothing
    before = {path: path.stat().st_mtime_ns for path in (copy / "model").rglob("*") if path.is_file()}
    rows = len(DescriptorTable(copy / "descriptors"))
    found = run_round(training, test, settings, copy)
    assert found.to_dict() == scores
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(DescriptorTable(copy / "descriptors")) == rows == 60


def test_the_number_of_workers_is_no_setting_and_everything_else_is(
    parts: tuple[Manifest, Manifest, RoundSettings], copy: Path
) -> None:
    training, test, settings = parts
    more = replace(settings, train=settings.train.changed(workers=2, cache_mib=1))
    assert more.to_dict() == settings.to_dict()
    others = [
        replace(settings, svm_c=2.0),
        replace(settings, train=settings.train.changed(seed=1)),
        replace(settings, recipe=settings.recipe.with_flip(True)),
        replace(settings, stride_frames=4),
    ]
    for other in others:
        with pytest.raises(UsageError, match="other settings"):
            run_round(training, test, other, copy)
    with pytest.raises(UsageError, match="other settings"):
        run_round(training, test.select(keep=range(9)), settings, copy)
    assert (copy / "scores.json").exists()


def test_starting_weights_are_known_by_their_hash_not_by_their_folder(
    parts: tuple[Manifest, Manifest, RoundSettings], tmp_path: Path
) -> None:
    training, test, settings = parts
    for seed in (0, 1):
        create_model("c3d_small", 10, seed=seed, width=0.125).save(tmp_path / "weights")
        started = replace(settings, weights=str(tmp_path / "weights"))
        if seed == 0:
            # The run begins and is stopped at once: there is no video to decode any more.
            gone = replace(training, root=tmp_path)
            with pytest.raises(InputDataError, match="no video can be read"):
                run_round(gone, test, started, tmp_path / "run")
        else:
            with pytest.raises(UsageError, match="other settings"):
                run_round(gone, test, started, tmp_path / "run")


def test_one_class_is_refused_before_anything_is_done(
    parts: tuple[Manifest, Manifest, RoundSettings], tmp_path: Path
) -> None:
    training, test, settings = parts
    alone = training.select(keep=[index for index, item in enumerate(training.items) if item.label == "left"])
    with pytest.raises(InputDataError, match=r"at least two classes.*only 'left'"):
        run_round(alone, test, settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_scores_survive_json() -> None:
    made = RoundScores(
        ("a", "b"), ("x", "y"), ("g1", "g2"), np.array([[0.25, 0.75], [1.0, 0.0]]),
        np.array([[-1.0, 2.0], [0.5, -1e9]]), (("c", "broken"),), ("a note",),
    )  # fmt: skip
    again = RoundScores.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again.to_dict() == made.to_dict()
    assert again.net.dtype == np.float64
    nothing = RoundScores((), (), (), np.empty((0, 0)), None, (("c", "broken"),))
    assert RoundScores.from_dict(json.loads(json.dumps(nothing.to_dict()))).to_dict() == nothing.to_dict()


def test_a_class_without_training_videos_is_out_of_reach_and_noted(trained_run: Any) -> None:
    table = DescriptorTable(trained_run.folder / "descriptors")
    manifest = open_dataset("metadata", trained_run.videos)
    test = manifest.select(split="test")

    class Seen:
        classes_ = tuple(name for name in manifest.classes if name != "grow")

        def decision_function(self, vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return np.tile(np.arange(9.0), (len(vectors), 1))

    found = _scores(test, table, Seen(), "fc6", [], [])  # type: ignore[arg-type]
    assert found.svm is not None
    column = manifest.classes.index("grow")
    assert (found.svm[:, column] == -1e9).all()
    assert (np.delete(found.svm, column, axis=1) == np.arange(9.0)).all()
    assert found.notes == ("no training video shows grow: their test videos cannot be right",)


def test_test_videos_that_failed_are_noted_and_not_counted(trained_run: Any, tmp_path: Path) -> None:
    table = DescriptorTable(trained_run.folder / "descriptors")
    test = open_dataset("metadata", trained_run.videos).select(split="test")
    more = replace(test, items=(Item("test/left/absent.avi", "left"), *test.items))
    found = _scores(more, table, None, "fc6", [("test/left/absent.avi", "broken")], [])
    assert len(found.labels) == 10
    assert found.notes == ("1 of 11 test videos could not be read and are not counted",)
    nobody = replace(test, items=(Item("test/left/absent.avi", "left"),))
    assert _scores(nobody, table, None, "fc6", [], []).labels == ()


@pytest.mark.parametrize(("model", "layer"), [("c3d", "fc6"), ("c3d_small", "fc6"), ("res3d_18", "pool5")])
def test_the_layer_of_the_descriptor_is_the_papers(model: str, layer: str) -> None:
    assert descriptor_layer(model_info(model).layer_names) == layer
