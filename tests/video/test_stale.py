"""Which videos have to be computed again, and why."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tubelet.errors import UsageError, VideoError
from tubelet.video.stale import plan_store, same_source


@dataclass
class Source:
    source_size: int
    source_mtime_ns: int
    source_sha256: str


def test_a_video_is_the_same_by_size_and_time_or_else_by_content(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"frames")
    made = Source(6, video.stat().st_mtime_ns, hashlib.sha256(b"frames").hexdigest())
    assert same_source(video, made)
    os.utime(video, ns=(5, 5))
    assert same_source(video, made), "touched, the same content"
    video.write_bytes(b"others")
    os.utime(video, ns=(5, 5))
    assert not same_source(video, made)
    made.source_mtime_ns = 5
    assert same_source(video, made), "nothing is read where size and time are those of then"
    video.write_bytes(b"longer than then")
    assert not same_source(video, made)
    with pytest.raises(VideoError, match="cannot read the video"):
        same_source(tmp_path / "gone.mp4", made)


def test_a_plan_sorts_videos_by_what_is_to_be_done(tmp_path: Path) -> None:
    videos = {name: tmp_path / name for name in ("new", "right", "stale", "gone", "refused")}
    for name, path in videos.items():
        if name != "gone":
            path.write_bytes(b"frames")
    targets = {name: tmp_path / "out" / name for name in videos}
    asked: list[tuple[Path, Path]] = []

    def why(path: Path, target: Path) -> str | None:
        asked.append((path, target))
        if path.name == "refused":
            raise UsageError("no place for it")
        return {"new": "new", "right": None, "stale": "settings"}[path.name]

    plan = plan_store(videos, targets, why)
    assert (plan.todo, plan.skipped) == (["new", "stale"], ["right"])
    assert plan.reasons == {"new": "new", "stale": "settings"}
    assert [(name, type(error)) for name, error in plan.missing] == [("gone", VideoError), ("refused", UsageError)]
    assert plan.targets == targets
    assert (videos["new"], targets["new"]) in asked
    assert not (tmp_path / "out").exists()
