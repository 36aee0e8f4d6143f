"""Verifying a table: rows computed by hand in NumPy come out of the network; every planted fault is found."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tubelet.descriptors.audit.closeness import ANOTHER_PLACE, BFLOAT16, SAME_PLACE
from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.audit.verification import Verification
from tubelet.descriptors.audit.verify import verify
from tubelet.descriptors.audit.verify_report import verification_lines, write_verification
from tubelet.descriptors.export import export
from tubelet.descriptors.store import open_lance
from tubelet.descriptors.writer import TableWriter
from tubelet.errors import ExitCode, InputDataError
from tubelet.video.encode import encode

sys.path.insert(0, str(Path(__file__).parent))
from toy import HandMade, Toy, touch

Pixels = dict[str, NDArray[np.uint8]]


def all_rows(table: Path, toy: HandMade, **options: Any) -> Verification:
    return verify(RecordedTable(table), toy.model, clips=100, device="cpu", **options)


@pytest.fixture
def copied(videos: Path, tmp_path: Path) -> Path:
    return shutil.copytree(videos, tmp_path / "videos")


def test_what_was_computed_by_hand_comes_out_again(table: Path, toy: HandMade) -> None:
    found = all_rows(table, toy)
    assert (found.rows, found.rows_total, found.videos, found.off, found.bad_videos) == (9, 9, 4, (), ())
    assert (found.exit_code, found.detectable, found.allowance.relative) == (ExitCode.DONE, 1, SAME_PLACE)
    (layer,) = found.layers
    assert (layer.layer, layer.rows, layer.off) == ("fc6", 9, 0)
    assert layer.least_cosine is not None
    assert layer.worst_relative is not None
    assert layer.least_cosine > 1 - 1e-10
    assert layer.worst_relative < 1e-5
    assert found.verdict() == "as recorded: 9 of 9 rows, from 4 of 4 videos, came out again"
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["as_recorded"] is True


def test_a_part_is_spread_over_videos_and_says_what_it_can_tell(table: Path, toy: HandMade) -> None:
    found = verify(RecordedTable(table), toy.model, clips=3, seed=4, device="cpu")
    assert (found.rows, found.videos) == (3, 3)
    assert len({check.video_id for check in found.checks}) == 3
    # Of 4 videos 3 are looked at: one bad one is missed with probability 1/4, two never.
    assert found.detectable == 2
    assert "2 bad ones or more among the 4 videos would have shown in 95 of 100 such samples" in found.verdict()
    again = verify(RecordedTable(table), toy.model, clips=3, seed=4, device="cpu")
    assert [(c.video_id, c.clip_index) for c in again.checks] == [(c.video_id, c.clip_index) for c in found.checks]


def test_a_corrupted_row_is_found_with_its_place(toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path) -> None:
    right = toy.clips(pixels["walk/a.mp4"])[1]
    changed = {("walk/a.mp4", 2): right[2] * np.float32(1.001), ("walk/b.mp4", 0): right[0]}
    table = toy.table(tmp_path / "table", videos, pixels, changed)
    found = all_rows(table, toy)
    assert {(c.video_id, c.clip_index, c.start_s, c.end_s) for c in found.off} == {
        ("walk/a.mp4", 2, 0.64, 1.28), ("walk/b.mp4", 0, 0.0, 0.64),
    }  # fmt: skip
    scaled = next(c for c in found.off if c.clip_index == 2)
    # 0.1 % longer: the direction is right, the length is not, and 0.001/1.001 of the longer row is the difference.
    assert scaled.relative == pytest.approx(0.001 / 1.001, rel=1e-3)
    assert scaled.cosine == pytest.approx(1.0, abs=1e-9)
    other = next(c for c in found.off if c.clip_index == 0)
    new = toy.clips(pixels["walk/b.mp4"])[1][0].astype(np.float64)
    cosine = float(right[0] @ new / np.linalg.norm(right[0]) / np.linalg.norm(new))
    assert other.cosine == pytest.approx(cosine, abs=1e-6)
    assert found.exit_code is ExitCode.SOME_FAILED
    assert "2 of 9 rows computed again are off, in 2 of 4 videos" in found.verdict()
    lines = verification_lines(found)
    assert any("off: walk/a.mp4 clip 2 (0.64–1.28 s), fc6: the vector is another" in line for line in lines)
    report = write_verification(tmp_path / "out", found)
    assert "walk/a.mp4" in report.read_text(encoding="utf-8")
    listed = [json.loads(line) for line in (tmp_path / "out" / "failed.jsonl").read_text().splitlines()]
    assert {entry["video_id"] for entry in listed} == {"walk/a.mp4", "walk/b.mp4"}


def test_a_row_that_is_no_number_and_one_at_a_wrong_time(
    toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    bad = np.full(6, np.inf, dtype=np.float32)  # NaN is refused by LanceDB itself
    table = toy.table(tmp_path / "table", videos, pixels, {("run/c.mp4", 0): bad})
    open_lance(table).update("video_id = 'walk/a.mp4' AND clip_index = 1", values={"start_s": 0.4, "end_s": 1.04})
    reasons = {(c.video_id, c.clip_index): (c.reason, c.cosine is None) for c in all_rows(table, toy).off}
    assert reasons == {
        ("run/c.mp4", 0): ("a stored number is not finite", True),
        ("walk/a.mp4", 1): ("it lies at 0.32–0.96 s now", False),
    }


def test_missing_and_repeated_rows_are_counted(toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path) -> None:
    table = toy.table(tmp_path / "table", videos, pixels)
    lance = open_lance(table)
    lance.delete("video_id = 'walk/a.mp4' AND clip_index = 3")
    lance.add(lance.search().where("video_id = 'walk/b.mp4'").to_arrow())
    found = all_rows(table, toy)
    states = {check.video_id: (check.state, check.detail) for check in found.bad_videos}
    assert states == {
        "walk/a.mp4": ("incomplete", "3 rows, and 40 frames give 4"),
        "walk/b.mp4": ("repeated", "clip 0 has more than one row"),
    }
    assert not found.off
    assert found.exit_code is ExitCode.SOME_FAILED


def test_a_replaced_video_is_found_and_a_touched_one_is_no_fault(
    toy: HandMade, copied: Path, pixels: Pixels, tmp_path: Path
) -> None:
    table = toy.table(tmp_path / "table", copied, pixels)
    touch(copied / "walk/b.mp4")
    time = (copied / "walk/a.mp4").stat()
    encode(copied / "walk/a.mp4", 255 - pixels["walk/a.mp4"], codec="libx264rgb", options={"qp": "0"})
    found = all_rows(table, toy)
    assert [(check.video_id, check.state) for check in found.bad_videos] == [("walk/a.mp4", "changed")]
    assert {check.video_id for check in found.off} == {"walk/a.mp4"}
    assert f"{time.st_size:,} bytes" in found.bad_videos[0].detail
    assert found.notes == ("walk/b.mp4 has another time of change and the same content",)
    assert "1 video changed since" in found.verdict()


def test_a_shorter_video_lacks_the_clips_of_then(toy: HandMade, copied: Path, pixels: Pixels, tmp_path: Path) -> None:
    table = toy.table(tmp_path / "table", copied, pixels)
    cut = pixels["walk/a.mp4"][:33]  # clips begin at 0, 8 and 16; that at 24 is gone
    encode(copied / "walk/a.mp4", cut, codec="libx264rgb", options={"qp": "0"})
    assert {(c.video_id, c.clip_index, c.reason) for c in all_rows(table, toy).off} == {
        ("walk/a.mp4", 3, "the video has no such clip")
    }


def test_other_weights_are_named_and_their_rows_are_off(table: Path) -> None:
    other = Toy(seed=9)
    found = verify(RecordedTable(table), other, clips=100, device="cpu")
    assert len(found.off) == 9
    assert found.changed == (
        f"the weights are others: {Toy().weights_id[:12]} made the rows, {other.weights_id[:12]} are at hand",
    )


def test_a_model_that_preprocesses_otherwise_now_is_told_and_rows_still_agree(table: Path) -> None:
    model = Toy()
    model.recipe = dataclasses.replace(HandMade(model).recipe, color="bgr")
    found = verify(RecordedTable(table), model, clips=100, device="cpu")
    assert not found.off
    (changed,) = found.changed
    assert "the model's recipe is another" in changed
    assert "color rgb, not bgr" in changed
    assert found.exit_code is ExitCode.SOME_FAILED


@pytest.mark.parametrize("change", [{"color": "bgr"}, {"mean": (110.0, 100.0, 91.0)}, {"scale": 1 / 63}])
def test_rows_made_with_another_recipe_than_recorded_are_off(
    toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path, change: dict[str, Any]
) -> None:
    wrong = toy.planted(**change)
    rows = {(name, i): row for name in pixels for i, row in enumerate(wrong.clips(pixels[name])[1])}
    found = all_rows(toy.table(tmp_path / "table", videos, pixels, rows), toy)
    assert len(found.off) == 9
    assert not found.changed


def test_other_versions_are_told_and_allowed_for(toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path) -> None:
    right = toy.clips(pixels["walk/b.mp4"])[1][0]
    near = {("walk/b.mp4", 0): right * np.float32(1.002)}
    table = toy.table(tmp_path / "table", videos, pixels, near)
    assert len(all_rows(table, toy).off) == 1
    record = json.loads((table / "provenance.json").read_text())
    record["packages"]["torch"] = "1.0"
    (table / "provenance.json").write_text(json.dumps(record))
    found = all_rows(table, toy)
    assert (found.off, found.allowance.relative) == ((), ANOTHER_PLACE)
    assert any(note.startswith("torch 1.0 there, ") for note in found.notes)


def test_a_table_of_bfloat16_may_be_off_by_its_rounding(
    toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    half = toy.planted(precision="bfloat16")
    assert np.abs(half.clips(pixels["walk/a.mp4"])[1] - toy.clips(pixels["walk/a.mp4"])[1]).max() > 1e-3
    table = half.table(tmp_path / "table", videos, pixels)
    found = all_rows(table, toy, precision="float32")
    assert (found.off, found.allowance.relative, found.precision) == ((), BFLOAT16, "float32")
    assert "made in bfloat16, computed again in float32" in found.notes


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_an_export_is_verified_by_what_lies_beside_it(table: Path, toy: HandMade, tmp_path: Path, suffix: Any) -> None:
    (path,) = export(table, tmp_path / f"descriptors.{suffix}", suffix)
    if suffix == "npz":
        with pytest.raises(InputDataError, match=r"does not say how it was made.*no model, precision, recipe_hash"):
            all_rows(path, toy)
    shutil.copy(table / "provenance.json", tmp_path)
    found = all_rows(path, toy)
    assert (found.rows, found.off, found.bad_videos, found.changed) == (9, (), (), ())


def test_descriptors_of_whole_videos_are_verified_too(table: Path, toy: HandMade, tmp_path: Path) -> None:
    (path,) = export(table, tmp_path / "videos.npz", "npz", level="video")
    shutil.copy(table / "provenance.json", tmp_path)
    assert all_rows(path, toy).verdict() == "as recorded: 4 of 4 rows, from 4 of 4 videos, came out again"
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["vector_fc6"][1] = arrays["vector_fc6"][0]
    np.savez(path, allow_pickle=False, **arrays)
    (off,) = all_rows(path, toy).off
    assert (off.video_id, off.clip_index) == (str(arrays["video_id"][1]), None)


def test_missing_videos_name_the_option(toy: HandMade, copied: Path, pixels: Pixels, tmp_path: Path) -> None:
    table = toy.table(tmp_path / "table", copied, pixels)
    moved = copied.rename(tmp_path / "moved")
    with pytest.raises(InputDataError, match=r"not where it was.*none of the 4 videos.*say with --data"):
        all_rows(table, toy)
    assert all_rows(table, toy, data=moved).as_recorded
    (moved / "run/c.mp4").unlink()
    found = all_rows(table, toy, data=moved)
    assert [(check.video_id, check.state) for check in found.bad_videos] == [("run/c.mp4", "missing")]
    assert (found.rows, found.off) == (8, ())


def test_an_unreadable_video_does_not_hide_the_others(
    toy: HandMade, copied: Path, pixels: Pixels, tmp_path: Path
) -> None:
    table = toy.table(tmp_path / "table", copied, pixels)
    (copied / "walk/a.mp4").write_bytes(b"no video at all")
    found = all_rows(table, toy)
    assert {(check.video_id, check.state) for check in found.bad_videos} == {
        ("walk/a.mp4", "changed"), ("walk/a.mp4", "unreadable"),
    }  # fmt: skip
    assert (found.rows, found.off) == (5, ())


def test_rows_made_in_two_ways_are_each_computed_in_theirs(
    toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    table = toy.table(tmp_path / "table", videos, {"walk/a.mp4": pixels["walk/a.mp4"]})
    wider = toy.planted(stride_frames=16)
    wider.table(tmp_path / "other", videos, {"run/it's ü.mp4": pixels["run/it's ü.mp4"]})
    with TableWriter(table, {"fc6": 6}) as writer:
        writer._table.add(open_lance(tmp_path / "other").to_arrow())
    found = all_rows(table, toy)
    assert (found.rows, found.as_recorded) == (4 + 2, True)
