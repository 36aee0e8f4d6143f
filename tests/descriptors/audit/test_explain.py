"""Two tables: every planted setting is named, measured as arithmetic says, and found to account for the difference."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tubelet.descriptors.audit.attribution import AGAIN, TOGETHER, Attribution, Effect, _concluded
from tubelet.descriptors.audit.explain import Explanation, explain
from tubelet.descriptors.audit.explain_report import explanation_lines, write_explanation
from tubelet.descriptors.audit.recorded import RecordedTable
from tubelet.descriptors.audit.ways import Side
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.pooling import video_vector
from tubelet.descriptors.runner import extract
from tubelet.descriptors.store import open_lance
from tubelet.errors import InputDataError, UsageError
from tubelet.training.precision import has_fast_bfloat16
from tubelet.video.encode import encode

sys.path.insert(0, str(Path(__file__).parent))
from toy import RECIPE, HandMade, Toy, all_clips, share_gone

Pixels = dict[str, NDArray[np.uint8]]
NAMES = ("run/c.mp4", "run/it's ü.mp4", "walk/a.mp4", "walk/b.mp4")


def sides(first: Path, second: Path, toy: HandMade, other: HandMade | None = None) -> tuple[Side, Side]:
    model = None if other is None else other.model
    return Side(RecordedTable(first), toy.model), Side(RecordedTable(second), model)


def compared(first: Path, second: Path, toy: HandMade, other: HandMade | None = None, **options: Any) -> Explanation:
    return explain(*sides(first, second, toy, other), device="cpu", **options)


def effects(found: Explanation) -> dict[str, Effect]:
    assert isinstance(found.attribution, Attribution), found.why_not
    return {effect.setting: effect for effect in found.attribution.effects}


def video_rows(made: HandMade, pixels: Pixels) -> NDArray[np.float64]:
    return np.float64([video_vector(made.clips(pixels[name])[1]) for name in NAMES])


def test_equal_tables_leave_nothing_to_explain(table: Path, toy: HandMade) -> None:
    found = compared(table, table, toy)
    assert found.differences == ()
    assert found.clips is not None
    assert (found.clips.kind, found.clips.rows, found.cka) == ("equal", 9, pytest.approx(1.0))
    assert found.verdict() == "the vectors are equal bit by bit; no recorded setting that matters differs"
    assert (found.attribution, found.why_not) == (None, "no recorded setting that can move vectors differs")


# The mean's three levels belong to channels: turned around with the color, they are the same mean.
PLANTED: list[tuple[str, dict[str, Any], str]] = [
    ("color", {"color": "bgr", "mean": (90.0, 100.0, 110.0)}, "other"),
    ("mean", {"mean": (104.0, 117.0, 123.0)}, "shifted"),
    ("scale", {"scale": 1 / 58}, "scaled and shifted"),
    ("stride", {"stride_frames": 16}, "equal"),
    ("clip length", {"clip_length": 12}, "-"),
    ("step", {"step_frames": 2}, "-"),
    ("short videos", {"short": "repeat-last"}, "other"),
    ("weights", {"model": Toy(seed=7)}, "other"),
]


@pytest.mark.parametrize(("setting", "change", "kind"), PLANTED, ids=[name for name, *_ in PLANTED])
def test_a_planted_setting_is_named_and_accounts_for_all(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path, setting: str, change: Any, kind: str
) -> None:
    planted = toy.planted(**change)
    found = compared(table, planted.table(tmp_path / "other", videos, pixels), toy, planted)
    assert [each.setting for each in found.differences] == [setting]
    assert found.clips is not None
    assert kind in ("-", found.clips.kind)
    measured = effects(found)
    assert list(measured) == [AGAIN, setting]
    assert found.attribution is not None
    assert found.attribution.chief == setting
    assert measured[AGAIN].accounts_for == pytest.approx(0.0, abs=1e-3)
    assert measured[AGAIN].cosine_to_first == pytest.approx(1.0, abs=1e-6)
    assert measured[setting].accounts_for == pytest.approx(1.0, abs=1e-3)
    assert f"they differ in {setting}; {setting} accounts for most: " in found.verdict()


def test_bfloat16_accounts_for_its_rounding(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    if not has_fast_bfloat16():
        pytest.skip("this machine has no bfloat16 arithmetic")
    with Extractor(toy.model, recipe=RECIPE, precision="bfloat16") as half:
        extract([videos / name for name in pixels], half, tmp_path / "other", root=videos)
    found = compared(table, tmp_path / "other", toy)
    assert "precision" in {each.setting for each in found.differences}
    assert found.attribution is not None
    assert found.attribution.chief == "precision"
    assert effects(found)["precision"].accounts_for == pytest.approx(1.0, abs=1e-3)
    assert found.clips is not None
    # Numbers, weights and result are rounded to 8 bits: half a unit each, of numbers that partly cancel.
    assert 1e-4 < found.clips.relative.median < 2e-2


def test_shares_of_two_settings_are_those_of_arithmetic(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    planted = toy.planted(color="bgr", mean=(120.0, 104.0, 117.0))
    found = compared(table, planted.table(tmp_path / "other", videos, pixels), toy, planted)
    assert {each.setting: (each.first, each.second) for each in found.differences} == {
        "color": ("RGB", "BGR"), "mean": ("110, 100, 90 (RGB)", "117, 104, 120 (RGB)"),
    }  # fmt: skip
    rows = [all_clips(made, pixels, NAMES) for made in (toy, planted)]
    # The color alone, every channel with its own mean; and the mean alone, in A's order.
    alone = {
        "color": toy.planted(color="bgr", mean=(90.0, 100.0, 110.0)),
        "mean": toy.planted(mean=(117.0, 104.0, 120.0)),
    }
    measured = effects(found)
    for setting, made in alone.items():
        changed = all_clips(made, pixels, NAMES)
        assert measured[setting].accounts_for == pytest.approx(share_gone(rows[0], changed, rows[1]), abs=1e-4)
        moved = np.linalg.norm(changed - rows[0], axis=1)
        longer = np.maximum(np.linalg.norm(changed, axis=1), np.linalg.norm(rows[0], axis=1))
        assert measured[setting].moved == pytest.approx(np.median(moved / longer), rel=1e-4)
    assert measured[TOGETHER].accounts_for == pytest.approx(1.0, abs=1e-6)
    assert found.attribution is not None
    assert found.attribution.chief == max(alone, key=lambda s: measured[s].accounts_for or 0)
    assert (found.attribution.level, found.attribution.items, found.attribution.videos) == ("clip", 9, 4)


def test_levels_written_alike_are_one_change_of_order(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    planted = toy.planted(color="bgr")  # as if somebody had only forgotten to turn the frames around
    found = compared(table, planted.table(tmp_path / "other", videos, pixels), toy, planted)
    assert [each.setting for each in found.differences] == ["color"]
    assert effects(found)["color"].accounts_for == pytest.approx(1.0, abs=1e-6)


def test_whole_videos_are_compared_where_clips_are_cut_otherwise(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    planted = toy.planted(stride_frames=5, scale=1 / 60)
    found = compared(table, planted.table(tmp_path / "other", videos, pixels), toy, planted)
    assert found.attribution is not None
    assert (found.attribution.level, found.attribution.items) == ("video", 4)
    target = video_rows(planted, pixels)
    for setting, made in (("stride", toy.planted(stride_frames=5)), ("scale", toy.planted(scale=1 / 60))):
        share = share_gone(video_rows(toy, pixels), video_rows(made, pixels), target)
        assert effects(found)[setting].accounts_for == pytest.approx(share, abs=1e-3)
    assert found.coverage.rows == 4  # each video's first clip


def test_equal_clips_do_not_make_equal_videos_where_further_clips_are_cut(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    planted = toy.planted(stride_frames=16)  # instead of 8: every other clip
    found = compared(table, planted.table(tmp_path / "other", videos, pixels), toy, planted, videos=0)
    common = sum(len(planted.clips(frames)[1]) for frames in pixels.values())
    one, other = video_rows(toy, pixels), video_rows(planted, pixels)
    cosine = np.median((one * other).sum(axis=1))
    assert found.verdict() == (
        f"over {common} clips that both have the vectors are equal bit by bit ({9 - common} are only in A), but the "
        f"videos' vectors differ: median cosine {cosine:.4f} over 4 videos; they differ in stride"
    )


def test_a_setting_that_accounts_for_little_is_not_said_to_account_for_most() -> None:
    effects = [
        Effect("scale", accounts_for=0.07),
        Effect("mean", accounts_for=0.02),
        Effect(TOGETHER, accounts_for=1.0),
    ]
    found = _concluded("clip", 9, 4, effects, differ=True, comparable=True)
    assert found.sentence == (
        "no single setting accounts for much of the squared difference (scale most: 7%); together they account for 100%"
    )
    half = _concluded("clip", 9, 4, [Effect("scale", accounts_for=0.6)], differ=True, comparable=True)
    assert half.sentence == "scale accounts for most: 60% of the squared difference"


def test_other_files_under_the_same_names(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    copied = shutil.copytree(videos, tmp_path / "videos")
    changed = {**pixels, "walk/a.mp4": 255 - pixels["walk/a.mp4"]}
    encode(copied / "walk/a.mp4", changed["walk/a.mp4"], codec="libx264rgb", options={"qp": "0"})
    found = compared(table, toy.table(tmp_path / "other", copied, changed), toy)
    (difference,) = found.differences
    assert (difference.setting, difference.second) == ("video files", "1 have other content, such as walk/a.mp4")
    assert (found.coverage.by, found.coverage.rows) == ("seconds", 9)
    assert found.attribution is not None
    assert found.attribution.chief == "video files"
    assert effects(found)["video files"].accounts_for == pytest.approx(1.0, abs=1e-6)


def test_a_frame_rate_told_otherwise_moves_no_vector(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    other = toy.table(tmp_path / "other", videos, pixels)
    open_lance(other).update(values={"fps": 5.0, "fps_source": "given"})
    open_lance(other).update(values_sql={"start_s": "start_s * 5", "end_s": "end_s * 5"})
    found = compared(table, other, toy)
    (difference,) = found.differences
    assert (difference.setting, difference.first, difference.second, difference.weight) == (
        "frame rate", "the videos' own", "5", "places",
    )  # fmt: skip
    assert (found.coverage.by, found.coverage.rows) == ("frames", 9)
    assert found.clips is not None
    assert found.clips.kind == "equal"


def test_a_table_that_does_not_come_out_again_is_told_so(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    rows = {(name, i): row * np.float32(3) for name in NAMES for i, row in enumerate(toy.clips(pixels[name])[1])}
    wrong = toy.table(tmp_path / "wrong", videos, pixels, rows)
    planted = toy.planted(mean=(111.0, 100.0, 90.0))
    found = compared(wrong, planted.table(tmp_path / "other", videos, pixels), toy, planted)
    assert found.attribution is not None
    assert found.attribution.chief == AGAIN
    assert "A does not come out again here" in found.attribution.sentence


def test_vectors_of_two_lengths_are_compared_by_what_is_near(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    wide = HandMade(Toy(seed=3, width=9))
    planted = wide.planted(mean=(100.0, 100.0, 100.0))
    found = compared(table, planted.table(tmp_path / "other", videos, pixels), toy, planted)
    assert (found.dimensions, found.clips, found.videos) == ((6, 9), None, None)
    assert found.neighbors is not None
    assert found.cka is not None
    assert {each.setting for each in found.differences} == {"weights", "mean"}
    measured = effects(found)
    assert measured["mean"].moved is not None
    assert (measured["weights"].moved, measured["weights"].accounts_for) == (None, None)
    assert "different lengths" in found.verdict()
    assert any("of 6 and 9 numbers: no cosine" in line for line in explanation_lines(found))


def test_a_file_without_provenance_is_measured_all_the_same(table: Path, toy: HandMade, tmp_path: Path) -> None:
    source = RecordedTable(table)
    places, vectors = source.vectors("fc6", list(source.videos))
    np.savez(
        tmp_path / "theirs.npz",
        video_id=source.places.video_id[places],
        clip_index=source.places.clip_index[places],
        start_s=source.places.start_s[places],
        end_s=source.places.end_s[places],
        vector_fc6=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
    )
    found = compared(table, tmp_path / "theirs.npz", toy)
    assert found.clips is not None
    assert found.clips.sentence == "B is A with every vector scaled to length one"
    assert {each.second for each in found.differences} == {"not recorded"}
    assert "weights" in {each.setting for each in found.differences}
    assert "does not say how it was made" in found.why_not


def test_what_is_not_at_hand_is_said(table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path) -> None:
    planted = toy.planted(model=Toy(seed=7), scale=1 / 58)
    other = planted.table(tmp_path / "other", videos, pixels)
    found = compared(table, other, toy)
    measured = effects(found)
    assert measured["weights"].why_not == "B's model is not at hand; name it with --model-b"
    assert measured["scale"].accounts_for is not None
    without = explain(Side(RecordedTable(table)), Side(RecordedTable(other)), device="cpu")
    assert without.why_not.endswith("name it with --model")
    assert without.clips is not None
    away = Side(RecordedTable(table), toy.model, data=tmp_path)
    assert "--data" in explain(away, Side(RecordedTable(other), planted.model), device="cpu").why_not
    assert compared(table, other, toy, planted, videos=0).why_not == "no videos were to be described anew"


def test_layers_are_chosen_and_named(table: Path, toy: HandMade, tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", video_id=np.array(["a"]), vector_x=np.ones((1, 2)), vector_y=np.ones((1, 2)))
    two = Side(RecordedTable(tmp_path / "two.npz"))
    here = Side(RecordedTable(table))
    with pytest.raises(UsageError, match=r"no layer in common.*--layer for A, --layer-b for B"):
        explain(here, two, videos=0)
    found = explain(here, two, layers=("fc6", "y"), videos=0)
    assert found.layers == ("fc6", "y")
    assert found.verdict().startswith("the vectors have 6 and 2 numbers")
    assert (found.coverage.videos, found.coverage.videos_only_second) == (0, 1)
    with pytest.raises(UsageError, match="no layer 'z'"):
        explain(here, two, layers=("fc6", "z"), videos=0)


def test_a_number_that_is_not_finite_is_refused(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    bad = {("walk/b.mp4", 0): np.full(6, np.inf, dtype=np.float32)}
    with pytest.raises(InputDataError, match=r"not finite.*walk/b\.mp4"):
        compared(table, toy.table(tmp_path / "other", videos, pixels, bad), toy)


def test_the_report_and_the_lines_say_it(
    table: Path, toy: HandMade, videos: Path, pixels: Pixels, tmp_path: Path
) -> None:
    planted = toy.planted(scale=1 / 32, color="bgr", mean=RECIPE.mean[::-1] if RECIPE.mean else None)
    found = compared(table, planted.table(tmp_path / "other", videos, pixels, packages={"torch": "1.0"}), toy, planted)
    lines = "\n".join(explanation_lines(found))
    assert "RGB" in lines
    assert "accounts for" in lines
    assert "perhaps the vectors, by rounding or decoding" in lines
    page = write_explanation(tmp_path / "out", found).read_text(encoding="utf-8")
    assert "What accounts for it" in page
    assert page.count("<svg") >= 3
    stored = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert stored["attribution"]["chief"] == found.attribution.chief  # type: ignore[union-attr]
    assert {path.name for path in (tmp_path / "out" / "plots").iterdir()} == {
        "cosines.png",
        "settings.png",
        "moves.png",
    }
