"""A saved model on videos: the same figures that its own run found for them, clip by clip with seconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import InputDataError, VideoError
from tubelet.models.registry import create_model
from tubelet.protocols.classifier import Classified, Classifier


@pytest.fixture(scope="module")
def classifier(trained_run: Any) -> Iterator[Classifier]:
    with Classifier(trained_run.folder / "model", device="cpu") as found:
        yield found


@pytest.fixture(scope="module")
def videos(trained_run: Any) -> Manifest:
    """Three test videos, and one that is none."""
    manifest = open_dataset("metadata", trained_run.videos).select(split="test").select(keep=[0, 4, 7])
    return replace(manifest, items=(*manifest.items[:1], Item("metadata.csv"), *manifest.items[1:]))


@pytest.fixture(scope="module")
def outcomes(classifier: Classifier, videos: Manifest) -> dict[str, Any]:
    return dict(classifier.classify(videos))


def test_figures_are_those_of_the_run(outcomes: dict[str, Any], trained_run: Any) -> None:
    scores = json.loads((trained_run.folder / "scores.json").read_text())
    wanted = {name: row for row, name in enumerate(scores["video_ids"])}
    found = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Classified)}
    assert len(found) == 3
    for name, outcome in found.items():
        assert outcome.head == "svm", "the SVM decides where there is one, as in the paper"
        assert outcome.other is not None
        np.testing.assert_allclose(outcome.other, scores["net"][wanted[name]], atol=1e-5)
        np.testing.assert_allclose(outcome.scores, scores["svm"][wanted[name]], atol=1e-4)
        assert outcome.predicted == outcome.classes[int(np.argmax(scores["svm"][wanted[name]]))]


def test_a_video_that_fails_is_told_and_the_rest_goes_on(outcomes: dict[str, Any], videos: Manifest) -> None:
    assert list(outcomes) == [item.path for item in videos.items]
    assert isinstance(outcomes["metadata.csv"], VideoError)


def test_the_record_of_a_video_is_json_with_seconds(outcomes: dict[str, Any]) -> None:
    name, outcome = next((name, found) for name, found in outcomes.items() if isinstance(found, Classified))
    record = json.loads(json.dumps(outcome.to_dict(top=3)))
    assert record["video_id"] == name
    assert record["label"] == name.split("/")[1]
    assert [len(record["heads"][head]) for head in ("svm", "net")] == [3, 3]
    assert record["top"] == record["heads"]["svm"]
    listed = [entry["score"] for entry in record["top"]]
    assert listed == sorted(listed, reverse=True)
    assert record["top"][0] == {"label": record["predicted"], "score": record["score"]}
    # 24 frames at 25 frames/s: clips of 16 frames start at frames 0 and 8.
    assert [(clip["start_s"], clip["end_s"]) for clip in record["clips"]] == [(0.0, 0.64), (0.32, 0.96)]
    assert (record["decode_status"], record["frames_declared"], record["frames_decoded"]) == ("ok", 24, 24)
    assert (record["fps"], record["fps_source"]) == (25.0, "container")


def test_the_net_can_be_asked_instead(trained_run: Any, videos: Manifest, outcomes: dict[str, Any]) -> None:
    with Classifier(trained_run.folder / "model", head="net", device="cpu") as net:
        name, outcome = next(iter(net.classify(videos.select(keep=[0]))))
    assert isinstance(outcome, Classified)
    assert outcome.head == "net"
    before = outcomes[name]
    np.testing.assert_allclose(outcome.scores, before.other, atol=1e-5)
    assert outcome.other is not None
    np.testing.assert_allclose(outcome.other, before.scores, atol=1e-4)
    assert outcome.scores.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(outcome.clip_scores.mean(axis=0), outcome.scores, atol=1e-6)


@pytest.fixture
def model(trained_run: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run.folder / "model", tmp_path / "model"))


def test_without_an_svm_the_net_decides(model: Path) -> None:
    shutil.rmtree(model / "svm")
    assert Classifier(model).head == "net"
    with pytest.raises(InputDataError, match=r"no SVM in this folder.*--head net"):
        Classifier(model, head="svm")


def test_a_damaged_svm_hurts_only_those_who_want_it(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    (model / "svm" / "svm.safetensors").write_bytes(b"damaged")
    for head in (None, "svm"):
        with pytest.raises(InputDataError, match="the saved SVM is damaged"):
            Classifier(model, head=head)  # type: ignore[arg-type]
    net = Classifier(model, head="net")
    assert (net.head, net.svm) == ("net", None)
    assert "the saved SVM is damaged" in caplog.text


def test_an_svm_of_other_weights_is_refused(model: Path) -> None:
    labels = json.loads((model / "labels.json").read_text())
    create_model("c3d_small", 10, seed=1).save(model, labels=labels)
    with pytest.raises(InputDataError, match="the SVM belongs to other weights"):
        Classifier(model)


def test_a_model_without_class_names_cannot_classify(tmp_path: Path) -> None:
    create_model("c3d_small", 3, seed=0).save(tmp_path / "model")
    with pytest.raises(InputDataError, match=r"no class names.*convert its weights again with --labels.*tubelet train"):
        Classifier(tmp_path / "model")
