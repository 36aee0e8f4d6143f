"""Score files: read back as written, by plain NumPy too; everything that does not fit is refused with its reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tubelet.errors import InputDataError
from tubelet.protocols.score_file import ScoreFile, aligned, concatenated

CLASSES = ("bend", "jack", "run")


def made(seed: int = 0, n: int = 5, **changes: Any) -> ScoreFile:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 4, n)
    views = rng.normal(size=(counts.sum(), 3)).astype(np.float32)
    parts = np.split(views.astype(np.float64), np.cumsum(counts)[:-1])
    file = ScoreFile(
        tuple(f"c/v{i}.avi" for i in range(n)), CLASSES, np.arange(n) % 3, tuple(f"g{i // 2}" for i in range(n)),
        np.stack([part.mean(0) for part in parts]), np.stack([softmax(part, axis=1).mean(0) for part in parts]),
        counts, views, {"stream": "rgb", "weights_sha256": "w", "recipe_hash": "r", "views": {"n": 1}},
        {"command": ["x"]}, ("a note",),
    )  # fmt: skip
    return replace(file, **changes)


def test_a_file_comes_back_and_is_the_same_bytes_again(tmp_path: Path) -> None:
    file = made()
    path = file.save(tmp_path / "deep" / "a.npz")
    again = ScoreFile.load(path)
    assert (again.video_ids, again.classes, again.groups, again.notes) == (
        file.video_ids, file.classes, file.groups, ("a note",),
    )  # fmt: skip
    for name in ("labels", "scores", "probabilities", "view_counts", "view_scores"):
        assert np.array_equal(getattr(again, name), getattr(file, name)), name
    assert (again.settings, again.provenance, again.stream) == (file.settings, {"command": ["x"]}, "rgb")
    assert again.save(tmp_path / "b.npz").read_bytes() == path.read_bytes()
    assert len(list(tmp_path.rglob("*"))) == 3, "no temporary file stays"


def test_numpy_alone_reads_it(tmp_path: Path) -> None:
    with np.load(made(view_scores=None).save(tmp_path / "a.npz"), allow_pickle=False) as arrays:
        assert [arrays["classes"][label] for label in arrays["labels"]] == ["bend", "jack", "run", "bend", "jack"]
        assert "view_scores" not in arrays.files
        assert json.loads(arrays["record"].tobytes())["settings"]["stream"] == "rgb"


def test_the_hash_is_of_weights_recipe_and_views_alone() -> None:
    file = made()
    assert replace(file, settings={**file.settings, "stream": "other"}).hash == file.hash
    assert len({replace(file, settings={**file.settings, key: "x"}).hash for key in file.settings}) == 4


SEVERAL = np.array([[0, 2, -1], [1, -1, -1], [2, 1, 0], [0, -1, -1], [1, 0, -1]])


def test_further_labels_go_along(tmp_path: Path) -> None:
    file = made(targets=SEVERAL)
    again = ScoreFile.load(file.save(tmp_path / "a.npz"))
    assert again.targets is not None
    assert np.array_equal(again.targets, SEVERAL)
    assert again.every_label[:3] == [("bend", "run"), ("jack",), ("bend", "jack", "run")]
    assert made().targets is None
    assert made().every_target.tolist() == [[0], [1], [2], [0], [1]]
    other = file.take([4, 2], [2, 0, 1])  # run, bend, jack
    assert other.targets is not None
    assert other.targets.tolist() == [[2, 1, -1], [0, 2, 1]]
    assert other.every_label == [file.every_label[4], file.every_label[2]]
    whole = aligned([file, file.take([3, 0, 4, 1, 2], [2, 0, 1])], ["a", "b"])[1]
    assert np.array_equal(whole.every_target, SEVERAL)
    with pytest.raises(InputDataError, match=r"the further labels are not those of a \(3: c/v0.avi, c/v2.avi, "):
        aligned([file, made()], ["a", "b"])
    pooled = concatenated({"ann": made(1, 1, video_ids=("x",), groups=("x",)), "bob": file})
    assert pooled.every_target.tolist() == [[0, -1, -1], *SEVERAL.tolist()]


def not_finite(array: Any) -> Any:
    array = array.copy()
    array[1, 0] = np.nan
    return array


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"scores": not_finite(made().scores)}, "scores are not finite for c/v1.avi"),
        ({"probabilities": made().probabilities * 2}, "do not sum to 1"),
        ({"scores": np.zeros((5, 2))}, r"scores have the shape \(5, 2\), not \(5, 3\)"),
        ({"scores": made().scores + 0.1}, "scores are not the means of view_scores"),
        ({"labels": np.array([0, 1, 2, 3, 0])}, "a label lies outside the 3 classes"),
        ({"labels": np.zeros(4, dtype=np.int64)}, "5 videos, but labels of shape"),
        ({"video_ids": ("a", "b", "a", "c", "d")}, "a video occurs twice: a"),
        ({"classes": ("bend", "jack", "jack")}, "a class occurs twice: jack"),
        ({"view_counts": np.array([1, 1, 1, 1, 0])}, "view_counts are not one positive number"),
        ({"view_counts": made().view_counts + 1}, "not those of view_counts"),
        ({"targets": SEVERAL[:4]}, r"5 videos, but targets of shape \(4, 3\)"),
        ({"targets": SEVERAL[:, ::-1]}, "the first of the targets are not the labels"),
        ({"targets": np.where(SEVERAL < 0, 3, SEVERAL)}, "a target lies outside the 3 classes"),
        ({"targets": SEVERAL[:, [0, 2, 1]]}, "or behind the last of its video"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        made(**changes)


def rewritten(path: Path, **arrays: Any) -> Path:
    with np.load(path) as archive:
        kept = {name: archive[name] for name in archive.files} | arrays
    np.savez(path, **{name: array for name, array in kept.items() if array is not None})
    return path


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"scores": None}, "it has no scores"),
        ({"scores": np.zeros((5, 3), np.float32)}, "scores has the type float32"),
        ({"labels": np.zeros((5, 1), np.int64)}, r"labels has the type int64 and the shape \(5, 1\)"),
        ({"groups": np.arange(5)}, "groups has the type int64"),
        ({"record": np.frombuffer(b'{"format": "x", "version": 1}', np.uint8)}, "its format is 'x'"),
        ({"record": np.frombuffer(b"{", np.uint8)}, "Expecting property name"),
        ({"classes": np.array(["a", object()], dtype=object)}, "Object arrays cannot be loaded"),
    ],
)
def test_a_file_of_another_kind_names_itself_and_why(tmp_path: Path, arrays: dict[str, Any], why: str) -> None:
    path = rewritten(made().save(tmp_path / "a.npz"), **arrays)
    with pytest.raises(InputDataError, match=rf"the score file cannot be used: {path} \(.*{why}"):
        ScoreFile.load(path)


def test_damaged_absent_and_foreign_files(tmp_path: Path) -> None:
    path = made().save(tmp_path / "a.npz")
    whole = path.read_bytes()
    for part in (b"", b"no archive", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(part)
        with pytest.raises(InputDataError, match=r"cannot be used: .*a\.npz"):
            ScoreFile.load(path)
    middle = whole.index(made().scores.tobytes())
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(InputDataError, match="CRC"):
        ScoreFile.load(path)
    np.save(tmp_path / "b.npy", np.zeros(3))
    with pytest.raises(InputDataError, match="it is no npz archive"):
        ScoreFile.load(tmp_path / "b.npy")
    with pytest.raises(InputDataError, match="there is no such score file"):
        ScoreFile.load(tmp_path / "none.npz")
    with pytest.raises(InputDataError, match="cannot be used"):
        ScoreFile.load(tmp_path)


def test_files_are_put_into_the_order_of_the_first() -> None:
    first, other = made(), made().take([3, 0, 4, 1, 2], [2, 0, 1])
    assert other.classes == ("run", "bend", "jack")
    assert other.label_names == ["bend", "bend", "jack", "jack", "run"]
    back = aligned([first, other], ["a", "b"])[1]
    assert (back.video_ids, back.classes) == (first.video_ids, first.classes)
    for name in ("labels", "scores", "probabilities", "view_counts", "view_scores"):
        assert np.array_equal(getattr(back, name), getattr(first, name)), name


def test_files_of_other_videos_classes_labels_or_groups_are_named() -> None:
    first = made()
    shorter = first.take([0, 2, 3])
    for other, what in (
        (replace(first, classes=("bend", "jack", "fly")), r"the classes are not those of a.npz: b.npz \(2: fly, run\)"),
        (shorter, r"the videos are not those of a.npz: b.npz \(2: c/v1.avi, c/v4.avi\).*--common"),
        (replace(first, labels=(first.labels + 1) % 3), "the labels are not those"),
        (replace(first, groups=("x",) * 5), "the groups are not those"),
    ):
        with pytest.raises(InputDataError, match=what):
            aligned([first, other], ["a.npz", "b.npz"])
    kept = aligned([first, shorter], ["a", "b"], common=True)
    assert [file.video_ids for file in kept] == [shorter.video_ids] * 2
    assert np.array_equal(kept[0].scores, first.scores[[0, 2, 3]])
    apart = replace(first, video_ids=tuple(f"other{i}" for i in range(5)))
    with pytest.raises(InputDataError, match="the videos are not those of a"):
        aligned([first, apart], ["a", "b"], common=True)


def test_the_scores_of_folds_become_one_file(tmp_path: Path) -> None:
    one = made(0, 5, notes=("a note", "1 of 6 videos could not be scored"))
    two = made(1, 3, video_ids=("c/x.avi", "c/y.avi", "c/z.avi"), groups=("h0", "h1", "h1"))
    two = replace(two, settings={**two.settings, "weights_sha256": "v"})
    whole = concatenated({"ann": one, "bob": two})
    assert whole.video_ids == (*one.video_ids, *two.video_ids)
    assert whole.groups == ("g0", "g0", "g1", "g1", "g2", "h0", "h1", "h1")
    for name in ("labels", "scores", "probabilities", "view_counts", "view_scores"):
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(one, name), getattr(two, name)])), name
    assert {key: whole.settings[key] for key in ("stream", "recipe_hash", "views")} == {
        "stream": "rgb", "recipe_hash": "r", "views": {"n": 1},
    }  # fmt: skip
    assert whole.settings["folds"] == {"ann": {"weights_sha256": "w"}, "bob": {"weights_sha256": "v"}}
    assert whole.notes == ("a note", "ann: 1 of 6 videos could not be scored")
    assert set(whole.provenance["folds"]) == {"ann", "bob"}
    again = ScoreFile.load(whole.save(tmp_path / "all.npz"))
    assert (again.settings, again.hash, again.notes) == (whole.settings, whole.hash, whole.notes)
    other = replace(two, settings={**two.settings, "weights_sha256": "u"})
    assert len({whole.hash, one.hash, concatenated({"ann": one, "bob": other}).hash}) == 3
    assert concatenated({"ann": one, "bob": replace(two, view_scores=None)}).view_scores is None
    alone = concatenated({"ann": one})
    assert np.array_equal(alone.scores, one.scores)
    assert alone.settings["folds"] == {"ann": {"weights_sha256": "w"}}


def test_folds_that_do_not_fit_are_refused() -> None:
    one, two = made(0), made(1, 3, video_ids=("c/x.avi", "c/v1.avi", "c/z.avi"))
    with pytest.raises(InputDataError, match=r"c/v1\.avi is scored in ann and in bob"):
        concatenated({"ann": one, "bob": two})
    with pytest.raises(InputDataError, match=r"the classes are not those of ann.*bob"):
        concatenated({"ann": one, "bob": replace(two, classes=("bend", "jack", "skip"))})
