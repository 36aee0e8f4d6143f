"""The most confused classes, and film strips of those videos where they are to be had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.made_results import first, made
from tubelet.clips.decode import ClipDecoder
from tubelet.errors import VideoError
from tubelet.protocols.results_mistakes import data_roots, film_of, frame_rate, mistakes_of
from tubelet.protocols.runs import Run
from tubelet.protocols.systems import system_of
from tubelet.video.report import DecodeReport


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """No child process: every file is eight gray frames, but one whose name ends in 4.avi is damaged."""
    read: list[Path] = []

    def measure(self: object, path: Path, fps: float | None = None) -> DecodeReport:
        read.append(path)
        if path.name.endswith("4.avi"):
            raise VideoError("no frame can be decoded", path=path)
        return DecodeReport("ok", 8, 8, fps or 25.0, "container", 0.32, 24, 32, "mjpeg", "avi")

    def clip(self: object, path: Path, indices: Any, size: tuple[int, int], fps: float) -> Any:
        return np.full((len(indices), *size, 3), 128, dtype=np.uint8)

    monkeypatch.setattr(ClipDecoder, "measure", measure)
    monkeypatch.setattr(ClipDecoder, "clip", clip)
    return read


def test_pairs_and_their_videos() -> None:
    result = made(first(6))  # six wrong: two of each class, each taken for the next class
    mistakes = mistakes_of(system_of("r", [(result,)], []))
    assert [(pair.true, pair.predicted, pair.count) for pair in mistakes.pairs] == [
        ("jump", "run", 2), ("run", "walk", 2), ("walk", "jump", 2),
    ]  # fmt: skip
    assert [[video.video_id for video in videos] for videos in mistakes.videos] == [
        ["jump/6.avi", "jump/9.avi"], ["run/10.avi", "run/7.avi"], ["walk/11.avi", "walk/8.avi"],
    ]  # fmt: skip
    assert mistakes_of(system_of("r", [(made(first(12)),)], [])).pairs == ()
    assert mistakes_of(system_of("r", [(replace(result, confusion=()),)], [])).pairs == ()


def test_strips_are_read_below_the_roots_alone(tmp_path: Path, decoder: list[Path]) -> None:
    result = made(first(0, 6))
    hostile = ["../outside.avi", "/etc/hostname", "run/1.avi", "run/4.avi", "walk/2.avi#t=1,2", "gone.avi"]
    ids = dict(zip((each.video_id for each in result.predictions), hostile, strict=True))
    renamed = tuple(replace(each, video_id=ids[each.video_id]) for each in result.predictions)
    (tmp_path / "outside.avi").write_bytes(b"")
    for name in ("run/1.avi", "run/4.avi", "walk/2.avi"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(b"")
    system = system_of("r", [(replace(result, predictions=renamed),)], [])
    figure, left_out = film_of(mistakes_of(system), [tmp_path / "none", tmp_path / "data"], 5.0, "Mistakes")
    assert {path.relative_to(tmp_path / "data").as_posix() for path in decoder} == {
        "run/1.avi", "run/4.avi", "walk/2.avi",
    }  # fmt: skip
    assert figure is not None
    assert figure.alt == "Film strips of 2 clips."
    assert left_out == "4 of 6 videos could not be read and have no strip."


def test_without_videos_it_says_why(tmp_path: Path, decoder: list[Path]) -> None:
    mistakes = mistakes_of(system_of("r", [(made(first(6)),)], []))
    assert film_of(mistakes, [], None, "")[1].startswith(
        "Film strips are left out: where the videos lie is not recorded"
    )
    figure, why = film_of(mistakes, [tmp_path], None, "")
    assert (figure, why) == (
        None, f"Film strips are left out: the videos are not at `{tmp_path}`; name their folder with `--data`."
    )  # fmt: skip
    assert film_of(mistakes_of(system_of("r", [(made(first(12)),)], [])), [], None, "") == (None, "")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "4.avi").write_bytes(b"")
    only = mistakes_of(system_of("r", [(made([True, True, True, True, False, True]),)], []))
    assert film_of(only, [tmp_path], None, "")[1] == "Film strips are left out: not one of 1 videos could be read."


def test_where_videos_are_looked_for() -> None:
    run = Run(Path("r"), "r", (), {"command": ["tubelet", "evaluate", "kth", "--data=videos/kth"]}, {})
    assert data_roots(run, []) == [Path("videos/kth")]
    assert data_roots(run, [Path("mine")]) == [Path("mine")]
    assert data_roots(None, []) == []
    assert frame_rate({"fps": 5}) == 5.0
    assert frame_rate({"fps": None}) is None
