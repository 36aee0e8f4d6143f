"""``tubelet bench runtime``: four methods on a tiny video, each in its own process; what is kept, said and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tubelet.errors import MissingExtraError

if TYPE_CHECKING:
    from cli.conftest import Tubelet  # type: ignore[import-not-found]

SMALL = ("--model", "untrained:c3d_small", "--most-frames", "20", "--rounds", "1")


@pytest.fixture(scope="module")
def videos(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic video of 24 frames, and one that is none; by their names the bad one's turn comes first."""
    folder = tmp_path_factory.mktemp("bench")
    shutil.copy(motion_folder / "test/left/left_00000.avi", folder / "b.avi")
    (folder / "a.avi").write_text("no video", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def measured(tubelet: Tubelet, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """One round of the four methods: the outcome, and the run folder."""
    folder = tmp_path_factory.mktemp("runtime") / "run"
    methods = ("--methods", "c3d,idt,tvl1,dis")
    return tubelet("bench", "runtime", videos, *SMALL, *methods, "-o", folder, "--json"), folder


def test_all_four_methods_measure_the_same_clip(measured: tuple[Any, Path]) -> None:
    outcome, _ = measured
    assert outcome.code == 3, outcome.err  # of the two videos one is none
    found = outcome.json
    assert [row["method"]["name"] for row in found["rows"]] == ["c3d", "idt", "tvl1", "dis"]
    turns = found["rounds"][0]["turns"]
    assert {turn["frames"] for turn in turns.values()} == {20}
    # Clips of 16 frames every 8: one of 20 frames; a field between every two frames.
    assert (turns["c3d"]["made"], turns["tvl1"]["made"], turns["dis"]["made"]) == (1, 19, 19)
    for name, turn in turns.items():
        assert turn["seconds"] > 0, name
        assert turn["nbytes"] > 0, name
        assert turn["processor_s"] >= 0, name
    assert found["rows"][0]["times_as_long"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert all(row["method"]["start_s"] > 0 for row in found["rows"])
    assert found["settings"]["threads"] == 1
    assert "c3d_small fc6, float32: ready after" in outcome.err
    assert "[1/1] b.avi" in outcome.err


def test_a_bad_video_is_named_and_left_out_of_all(measured: tuple[Any, Path]) -> None:
    outcome, folder = measured
    assert [each["video"] for each in outcome.json["failed"]] == ["a.avi"]
    assert json.loads((folder / "failed.jsonl").read_text(encoding="utf-8"))["video_id"] == "a.avi"
    assert {one["video_id"] for one in outcome.json["rounds"]} == {"b.avi"}


def test_what_was_written_is_deleted_and_the_table_stays(measured: tuple[Any, Path]) -> None:
    _, folder = measured
    kept = {
        "config.toml",
        "env.json",
        "failed.jsonl",
        "plots",
        "report.html",
        "result.json",
        "rounds.jsonl",
        "runtime.csv",
    }
    assert {path.name for path in folder.iterdir()} - {".lock"} == kept


def test_the_same_command_measures_nothing_again(tubelet: Tubelet, measured: tuple[Any, Path], videos: Path) -> None:
    before, folder = measured
    again = tubelet("bench", "runtime", videos, *SMALL, "--methods", "c3d,idt,tvl1,dis", "-o", folder)
    assert again.code == 3
    assert "1 of 1 rounds are there already" in again.err
    assert "ready after" not in again.err
    assert "4 methods in turns on the same 1 clip (20 frames in 1 round," in again.out
    assert "c3d_small fc6, float32" in again.out
    assert json.loads((folder / "result.json").read_text(encoding="utf-8"))["rows"] == before.json["rows"]


def test_other_settings_are_refused_in_the_same_folder(
    tubelet: Tubelet, measured: tuple[Any, Path], videos: Path
) -> None:
    refused = tubelet("bench", "runtime", videos, *SMALL, "--methods", "dis", "-o", measured[1])
    assert refused.code == 2
    assert "other settings" in refused.complaint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--methods", "brox"), "there is no method 'brox'"),
        (("--most-frames", "5"), "--most-frames cannot be 5"),
        (("--model", "untrained:two_stream_temporal"), "reads optical flow"),
        (("--model", "untrained:nothing"), "nothing"),
        (("--threads", "4096"), "--threads cannot be 4096"),
    ],
)
def test_refusals(tubelet: Tubelet, videos: Path, tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    refused = tubelet("bench", "runtime", videos, *options, "-o", tmp_path / "run")
    assert refused.code == 2
    assert words in refused.complaint
    assert not (tmp_path / "run").exists()


def test_without_opencv_the_extra_is_named_and_what_is_left(
    tubelet: Tubelet, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingExtraError("optical flow needs OpenCV", remedy="install it with: pip install 'tubelet[flow]'")

    monkeypatch.setattr("tubelet.flow.opencv.opencv", missing)
    call: Callable[..., Any] = tubelet
    refused = call("bench", "runtime", videos, *SMALL, "--methods", "c3d,idt", "-o", tmp_path / "run")
    assert refused.code == 5
    assert "idt cannot be measured" in refused.complaint
    assert "tubelet[flow]" in refused.complaint
    assert "--methods c3d" in refused.complaint


def test_no_such_folder(tubelet: Tubelet, tmp_path: Path) -> None:
    assert tubelet("bench", "runtime", tmp_path / "none", *SMALL, "-o", tmp_path / "run").code == 4


def test_help_needs_no_torch(python: Callable[..., Any]) -> None:
    code = "import sys; from tubelet.cli.main import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    done = python(code, "bench", "runtime", "--help")
    assert done.stdout.splitlines()[-1] == "False"
    assert "--most-frames" in done.stdout
