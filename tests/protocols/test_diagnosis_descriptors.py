"""Each of the five suspects planted in an SVM on descriptors: the diagnosis names it, or that it is none of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from protocols.made_diagnosis import CLASSES, LENGTH, RGB_MINUS_128, Frames, HandMade, Made, colored, gray, made, plain
from tubelet.clips.sampling import Sampling
from tubelet.clips.transforms import to_input
from tubelet.datasets.manifest import Item, Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.schema import ClipSpan, VideoRecord
from tubelet.descriptors.spool import RowSpool
from tubelet.descriptors.video_vectors import VideoVectors, open_vectors
from tubelet.descriptors.writer import FinishedVideo, TableWriter
from tubelet.errors import UsageError
from tubelet.protocols import diagnosis_again
from tubelet.protocols.descriptor_svm import SvmSettings, evaluate_descriptors
from tubelet.protocols.diagnosis import Diagnosis, Expected
from tubelet.protocols.diagnosis_descriptors import DescriptorTest, diagnose_descriptors
from tubelet.protocols.diagnosis_splits import other_folds

Rows = Mapping[str, NDArray[np.float32]]
Diagnose = Callable[..., Diagnosis]


def write_table(folder: Path, rows: Rows, sampling: Sampling) -> VideoVectors:
    """A table as ``tubelet extract`` writes it, of a network that is not there."""
    length = next(iter(rows.values())).shape[1]
    finished = []
    for path, vectors in rows.items():
        record = VideoRecord(
            path, f"/videos/{path}", None, 25.0, "container", "hand_made", "none", "none",
            json.dumps(sampling.to_dict()), "float32", "ok", 12, 12, 1, 1, "none", "0",
        )  # fmt: skip
        spool = RowSpool({"fc6": length})
        spool.append([ClipSpan(i, i, i + 1, float(i), i + 1.0, False) for i in range(len(vectors))], {"fc6": vectors})
        finished.append(FinishedVideo(record, spool))
    with TableWriter(folder, {"fc6": length}) as writer:
        writer.commit(finished)
    return open_vectors(folder)


def described(videos: Made, model: HandMade, sampling: Sampling) -> Rows:
    """What a network says of every clip."""
    assert model.recipe is not None
    found = {}
    for path, frames in videos.frames.items():
        clips = torch.stack([to_input(frames[row], model.recipe) for row in sampling.indices(len(frames)).frames])
        found[path] = model.features(clips, ["fc6"])["fc6"].numpy().astype(np.float32)
    return found


def folds_of(manifest: Manifest) -> list[Fold]:
    """Half of the videos, those of which number modulo 4 is 2 or 3, are tested on."""
    number = [int(Path(item.path).stem) for item in manifest.items]
    train = [index for index, n in enumerate(number) if n % 4 < 2]
    test = [index for index, n in enumerate(number) if n % 4 >= 2]
    return [Fold("half", manifest.select(keep=train), manifest.select(keep=test))]


@pytest.fixture
def diagnosed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diagnose:
    """Evaluate a table and diagnose its figure; with a network, its videos lie in memory."""

    def run(
        folds: Sequence[Fold],
        rows: Rows,
        expected: float,
        *,
        videos: Made | None = None,
        model: HandMade | None = None,
        sampling: Sampling | None = None,
        **options: Any,
    ) -> Diagnosis:
        sampling = sampling or Sampling("dense", LENGTH, 4)
        table = write_table(tmp_path / "table", rows, sampling)
        if videos is not None and model is not None:
            monkeypatch.setattr(diagnosis_again, "decode_videos", videos.decoded)
            monkeypatch.setattr(diagnosis_again, "_model_of", lambda table: model)
        settings = SvmSettings()
        result = evaluate_descriptors(folds, [table], settings, tmp_path / "run").result
        test = DescriptorTest(table, folds, settings, result, other_folds(folds), device="cpu")
        return diagnose_descriptors(test, Expected(expected, "planted"), tmp_path / "run" / "diagnosis", **options)

    return run


def seen(model: HandMade, video: Callable[[str, int], Frames], sampling: Sampling) -> dict[str, Any]:
    """Forty videos, their folds and what a network says of them."""
    videos = made(video, count=40, wrong=0)
    return {
        "folds": folds_of(videos.manifest),
        "rows": described(videos, model, sampling),
        "videos": videos,
        "model": model,
        "sampling": sampling,
    }


FOUR = Sampling("dense", LENGTH, 4)


def surplus_of_red(x: Tensor) -> Tensor:
    """Red minus blue where there is more red, and a constant: blue and no color look the same."""
    more = (x[:, 0] - x[:, 2]).mean(dim=(1, 2, 3)).clamp(min=0)
    return torch.stack([more, torch.full_like(more, 30.0)], dim=1)


def red_or_gray(shown: str, number: int) -> Frames:
    return colored("a", number) if shown == "a" else gray("a", number)


def test_the_wrong_color_order_is_found(diagnosed: Diagnose) -> None:
    model = HandMade(surplus_of_red, replace(RGB_MINUS_128, color="bgr"))
    found = diagnosed(**seen(model, red_or_gray, FOUR), expected=1.0)
    assert (found.value, found.culprit) == (0.5, "color order"), found.sentence()
    assert (found.explaining[0].name, found.explaining[0].value) == ("RGB", 1.0)
    assert found.notes == (), "described again unchanged, the videos have the table's descriptors"


def test_the_wrong_mean_is_found(diagnosed: Diagnose) -> None:
    def bright(x: Tensor) -> Tensor:
        """What is brighter than the mean, and a constant."""
        more = x.mean(dim=(1, 2, 3, 4)).clamp(min=0)
        return torch.stack([more, torch.full_like(more, 30.0)], dim=1)

    model = HandMade(bright, replace(RGB_MINUS_128, mean=(250.0, 250.0, 250.0)))
    found = diagnosed(**seen(model, gray, FOUR), expected=1.0)
    assert (found.value, found.culprit) == (0.5, "mean"), found.sentence()
    assert found.explaining[0].value == 1.0


def test_the_wrong_step_is_found(diagnosed: Diagnose) -> None:
    def change(x: Tensor) -> Tensor:
        """How much a frame differs from the next, and a constant."""
        found = (x[:, :, 1:] - x[:, :, :-1]).abs().mean(dim=(1, 2, 3, 4))
        return torch.stack([found, torch.full_like(found, 30.0)], dim=1)

    def flickering(shown: str, number: int) -> Frames:
        """Two bright frames and two dark ones in turn, or gray: whoever takes every fourth frame sees no difference."""
        return plain([((178 if frame // 2 % 2 else 78) if shown == "a" else 128,) * 3 for frame in range(24)])

    found = diagnosed(**seen(HandMade(change, RGB_MINUS_128), flickering, replace(FOUR, step_frames=4)), expected=1.0)
    assert (found.value, found.culprit) == (0.5, "stride"), found.sentence()
    right = {one.name: one.value for one in found.tried if one.suspect == "stride"}
    assert right["neighboring frames"] == right["every 2nd frame"] == 1.0


def made_rows(clips: Callable[[str, int, np.random.Generator], NDArray[np.float64]]) -> tuple[Manifest, Rows]:
    """Eighty videos of ten groups, and what ``clips`` says of each."""
    rng = np.random.default_rng(0)
    items, rows = [], {}
    for number in range(80):
        label, group = CLASSES[number % 2], f"g{number // 8}"
        path = f"{number:03d}.avi"
        items.append(Item(path, label, group=group))
        rows[path] = clips(label, number // 8, rng).astype(np.float32)
    return Manifest("m", Path("videos"), tuple(items), CLASSES), rows


def test_normalization_after_pooling_instead_of_before_is_found(diagnosed: Diagnose) -> None:
    """Four clips say the class in a low voice, one says anything in a loud one: as the mean does."""

    def clips(label: str, group: int, rng: np.random.Generator) -> NDArray[np.float64]:
        soft = np.tile(np.eye(2)[CLASSES.index(label)], (4, 1))
        return np.concatenate([soft, 1000 * np.eye(2)[rng.integers(2)][None]])

    manifest, rows = made_rows(clips)
    found = diagnosed(folds_of(manifest), rows, expected=0.95)
    assert found.value < 0.75
    assert found.culprit == "normalization", found.sentence()
    assert found.explaining[0].name.startswith("each clip of length one")
    assert {suspect for suspect, _ in found.untried} >= {"color order", "mean", "stride"}, "its network is not there"


def test_a_split_that_ignored_groups_is_found(diagnosed: Diagnose) -> None:
    """Every group has a direction of its own, by class: what was not learned of a group cannot be told."""

    def clips(label: str, group: int, rng: np.random.Generator) -> NDArray[np.float64]:
        return np.eye(20)[[2 * group + CLASSES.index(label)]] + 0.05 * rng.normal(size=(3, 20))

    manifest, rows = made_rows(clips)
    later = [item.group in ("g5", "g6", "g7", "g8", "g9") for item in manifest.items]
    halves = [manifest.select(keep=np.array(later) == which) for which in (False, True)]
    found = diagnosed([Fold("groups", *halves)], rows, expected=0.98)
    assert found.value < 0.8
    assert found.culprit == "split", found.sentence()
    assert found.explaining[0].name == "a random split that ignores groups"


def test_training_and_test_part_in_each_others_place_are_found(diagnosed: Diagnose) -> None:
    """Learned from the many the few are recognized; learned from the few, which show one class well, the many not."""

    def clips(label: str, group: int, rng: np.random.Generator) -> NDArray[np.float64]:
        # The first two groups show only one of each class's two looks.
        look = 0 if group < 2 else rng.integers(2)
        return np.eye(4)[[2 * CLASSES.index(label) + look]] + 0.02 * rng.normal(size=(2, 4))

    manifest, rows = made_rows(clips)
    few = np.array([item.group in ("g0", "g1") for item in manifest.items])
    folds = [Fold("swapped", manifest.select(keep=few), manifest.select(keep=~few))]
    found = diagnosed(folds, rows, expected=1.0)
    assert found.value < 0.9
    assert found.culprit == "split", found.sentence()
    assert "training and test part exchanged" in {one.name for one in found.tried if one.explains}


def test_none_of_the_five_is_named_where_it_is_none_of_them(diagnosed: Diagnose) -> None:
    def clips(label: str, group: int, rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.normal(size=(2, 4))

    manifest, rows = made_rows(clips)
    found = diagnosed(folds_of(manifest), rows, expected=0.95)
    assert found.is_off
    assert found.culprit is None
    assert found.sentence().startswith("None of the five explains it")


def test_finished_variants_are_not_described_again(diagnosed: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    case = seen(HandMade(surplus_of_red, replace(RGB_MINUS_128, color="bgr")), red_or_gray, FOUR)
    told: list[str] = []
    first = diagnosed(**case, expected=1.0, tell=told.append)
    described_again = [one for one in first.tried if one.suspect in ("color order", "mean", "stride")]
    assert told[0].startswith(f"diagnosis: {len(described_again)} variants on 40 videos, about ")
    assert len(told) == 1 + len(described_again)
    told.clear()
    monkeypatch.setattr("tubelet.protocols.diagnosis_again.ClipNetwork", None)
    monkeypatch.setattr(f"{__name__}.write_table", lambda folder, rows, sampling: open_vectors(folder))
    again = diagnosed(**case, expected=1.0, tell=told.append)
    assert told == []
    assert again.to_dict() == first.to_dict()


def test_a_part_of_the_videos_is_compared_with_the_same_part(diagnosed: Diagnose) -> None:
    case = seen(HandMade(surplus_of_red, replace(RGB_MINUS_128, color="bgr")), red_or_gray, FOUR)
    found = diagnosed(**case, expected=1.0, most=20)
    assert (found.n, found.used) == (20, 10)
    assert found.notes[0].startswith("variants were fitted and tested on 20 of 40 videos")
    assert found.tried[0].name == "RGB"
    assert found.tried[0].moves == 1


def test_a_table_of_another_tool_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "idt.npz", video_id=np.array(["a"]), vectors=np.ones((1, 2)))
    table = open_vectors(tmp_path / "idt.npz")
    test = DescriptorTest(table, [], SvmSettings(), None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="this table's clips are not known"):
        diagnose_descriptors(test, Expected(0.5, "nobody"), tmp_path)
