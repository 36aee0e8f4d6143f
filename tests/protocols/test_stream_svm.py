"""SVMs of a comparison of streams: fold by fold against scikit-learn, kept, refused, and with what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import Fold, leave_one_group_out
from tubelet.descriptors.video_vectors import VideoVectors
from tubelet.errors import InputDataError, UsageError
from tubelet.protocols import stream_svm
from tubelet.protocols.descriptor_svm import SvmSettings
from tubelet.protocols.fusion import fuse
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.stream_experiment import SvmRow
from tubelet.protocols.stream_svm import Described, is_described, svm_scores

CLASSES = ("run", "sit", "walk")
NAMES = [f"{label}/{group}_{take}.avi" for label in CLASSES for group in ("ann", "bob", "cyd") for take in (1, 2)]
VIDEOS = Manifest(
    "mine", Path("videos"), tuple(Item(n, n.partition("/")[0], group=n.split("/")[1][:3]) for n in NAMES), CLASSES
)
FOLDS = tuple(leave_one_group_out(VIDEOS))
FACTS = {"model": "c3d", "weights_sha256": "untrained:0", "recipe_hash": "r", "sampling": "{}"}


def vectors(name: str, seed: int, dimension: int = 6, without: tuple[str, ...] = ()) -> VideoVectors:
    rng = np.random.default_rng(seed)
    mean = {label: rng.normal(size=dimension) for label in CLASSES}
    rows = normalize([mean[path.partition("/")[0]] + rng.normal(size=dimension) for path in NAMES])
    kept = sorted(set(NAMES) - set(without))
    taken = rows[[NAMES.index(path) for path in kept]].astype(np.float32)
    return VideoVectors(name, Path(name), "fc6", np.array(kept), taken, dict(FACTS))


class Tables(Described):
    """Made-up vectors in place of opened ones: a stream has others for every fold."""

    def __init__(self, **tables: VideoVectors | list[VideoVectors | None]) -> None:
        self.tables = tables

    def of(self, name: str, fold: Fold) -> VideoVectors | None:
        found = self.tables[name]
        return found[[one.name for one in FOLDS].index(fold.name)] if isinstance(found, list) else found


NET: list[VideoVectors | None] = [vectors("net", seed) for seed in (1, 2, 3)]
IMAGE = vectors("image", 4, 4)
ROWS = (SvmRow("net fc6 + SVM", ("net",)), SvmRow("image", ("image",)), SvmRow("joined", ("net", "image")))


def scores(tables: Tables, folder: Path, rows: Any = ROWS, c: float = 0.5, **more: Any) -> dict[str, ScoreFile]:
    return svm_scores(rows, FOLDS, tables, SvmSettings(c), VIDEOS, folder, **more)


def test_every_fold_is_scikit_learns_on_its_own_vectors(tmp_path: Path) -> None:
    found = scores(Tables(net=NET, image=IMAGE), tmp_path)
    assert list(found) == ["net fc6 + SVM", "image", "joined"]
    for row in ROWS:
        file = found[row.name]
        expected, ids = [], []
        for index, fold in enumerate(FOLDS):
            tables = [cast(VideoVectors, NET[index]) if name == "net" else IMAGE for name in row.of]
            x = {part: np.hstack([table.take([item.path for item in part.items]) for table in tables])
                 for part in (fold.train, fold.test)}  # fmt: skip
            reference = LinearSVC(C=0.5, random_state=0).fit(x[fold.train], [item.label for item in fold.train.items])
            expected.append(reference.decision_function(x[fold.test]))
            ids += [item.path for item in fold.test.items]
        assert file.video_ids == tuple(ids), "every video once"
        assert file.scores == pytest.approx(np.concatenate(expected), abs=2e-3)
        assert file.probabilities == pytest.approx(softmax(file.scores, axis=1))
        assert [file.classes[label] for label in file.labels] == [path.partition("/")[0] for path in ids]
        assert file.groups == tuple(path.split("/")[1][:3] for path in ids)
        assert (file.stream, file.settings["head"], file.settings["part"]) == (row.name, "linear SVM", "test")
    assert [found[row.name].settings["numbers"] for row in ROWS] == [6, 4, 10]
    assert found["joined"].settings["layers"] == ["fc6", "fc6"]


def test_what_was_fitted_on_the_same_vectors_is_not_fitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[str] = []
    real = stream_svm.fold_decisions

    def noted(fold: Fold, tables: Any, settings: SvmSettings) -> Any:
        fitted.append("+".join(table.name for table in tables))
        return real(fold, tables, settings)

    monkeypatch.setattr(stream_svm, "fold_decisions", noted)
    first = scores(Tables(net=NET, image=IMAGE), tmp_path)
    assert len(fitted) == 9
    fitted.clear()
    again = scores(Tables(net=NET, image=IMAGE), tmp_path)
    assert fitted == []
    assert np.array_equal(again["joined"].scores, first["joined"].scores)
    scores(Tables(net=NET, image=vectors("image", 5, 4)), tmp_path)
    assert fitted == ["image"] * 3 + ["net+image"] * 3, "where the vectors are others"
    fitted.clear()
    scores(Tables(net=NET, image=IMAGE), tmp_path, ROWS[:1], c=2.0)
    assert fitted == ["net"] * 3, "or C"


def test_videos_and_folds_that_are_missing(tmp_path: Path) -> None:
    lost = "run/bob_1.avi"
    found = scores(Tables(net=[NET[0], None, NET[2]], image=vectors("image", 4, 4, (lost,))), tmp_path)
    assert {path.split("/")[1][:3] for path in found["net fc6 + SVM"].video_ids} == {"ann", "cyd"}
    assert len(found["image"]) == 17
    assert lost not in found["image"].video_ids
    assert len(found["joined"]) == 12
    with pytest.raises(InputDataError, match=r"not one video of net fc6 \+ SVM could be described"):
        scores(Tables(net=[None] * 3), tmp_path / "none", ROWS[:1])
    unseen = vectors("image", 4, 4, tuple(path for path in NAMES if path.startswith("sit") and "ann" not in path))
    notes = scores(Tables(image=unseen), tmp_path / "unseen", ROWS[1:2])["image"].notes
    assert notes == ("ann: no training video shows sit: its test videos cannot be right",)


def test_a_network_that_saw_a_test_group_is_refused_or_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leak(folds: Any, tables: Any, *, allow: bool) -> list[str]:
        if not allow:
            raise UsageError("the weights were trained on it")
        return [f"{tables[0].name}: trained on {folds[0].name}"]

    monkeypatch.setattr(stream_svm, "table_notes", leak)
    with pytest.raises(UsageError, match="were trained on it"):
        scores(Tables(image=IMAGE), tmp_path, ROWS[1:2])
    marked = scores(Tables(image=IMAGE), tmp_path, ROWS[1:2], allow_leak=True)
    assert marked["image"].notes == tuple(f"{name}: image: trained on {name}" for name in ("ann", "bob", "cyd"))
    with pytest.raises(UsageError, match="were trained on it"):
        scores(Tables(image=IMAGE), tmp_path, ROWS[1:2])


def test_decision_values_are_no_stream_of_the_papers_and_fusing_them_is_told(tmp_path: Path) -> None:
    found = scores(Tables(net=NET, image=IMAGE), tmp_path)
    both = fuse([found["net fc6 + SVM"], found["image"]], ["net", "image"])
    assert both.notes[-1] == "net, image: decision values of an SVM, whose scale is not that of a network's scores"
    assert fuse([found["image"]], ["image"]).notes == ()


def test_what_was_described(tmp_path: Path) -> None:
    stream: Any = type("Stream", (), {"svm": "fc6"})
    plain: Any = type("Stream", (), {"svm": None})
    fold = FOLDS[0]
    assert is_described(plain, fold, tmp_path)
    assert not is_described(stream, fold, tmp_path)
    for record, expected in (
        ({"layer": "fc6", "failed": []}, True),
        ({"layer": "fc6", "failed": [["run/bob_1.avi", "a training video"]]}, True),
        ({"layer": "fc6", "failed": [["run/ann_1.avi", "a test video"]]}, False),
        ({"layer": "fc7", "failed": []}, False),
        ({"layer": "fc6"}, False),
    ):
        (tmp_path / "described.json").write_text(json.dumps(record))
        assert is_described(stream, fold, tmp_path) is expected
