"""A run over videos, with a pool whose answers are given: order, counts, failures, and what is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tubelet.errors import NumericalError, UsageError, VideoError
from tubelet.video.guard import Message
from tubelet.video.limits import Limits
from tubelet.video.many import StoreJob, StoreRun, storing_in
from tubelet.video.stale import StorePlan, plan_store


@dataclass(frozen=True)
class Stored:
    video_id: str
    frames: int
    nbytes: int
    decode_status: str


class Pool:
    """Answers by a video's name: ``ok`` and ``partial`` are stored, ``silent`` ends without a word, others raise."""

    workers = 1

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def run(self, request: dict[str, Any]) -> Iterator[Message]:
        self.requests.append(request)
        name = request["video_id"]
        yield Message({"frames": 3, "declared": 8, "nbytes": 10}, None)
        if name.startswith(("ok", "partial")):
            record = {"video_id": name, "frames": 9, "nbytes": 40, "decode_status": name.split("-")[0]}
            yield Message({"record": record}, None)
        elif name == "broken":
            raise VideoError("cannot be decoded", path=request["path"])
        elif name == "wild":
            raise NumericalError("a vector is not finite")
        elif name == "fatal":
            raise RuntimeError("not an error of a video")

    def close(self) -> None:
        pass


def run_over(folder: Path, sizes: dict[str, int]) -> tuple[StoreRun[Stored], Pool, list[str], StorePlan]:
    videos = {name: folder / name for name in sizes}
    for name, size in sizes.items():
        if size:
            videos[name].write_bytes(bytes(size))
    plan = plan_store(videos, {name: folder / f"{name}.out" for name in sizes}, lambda path, target: "new")
    told: list[str] = []
    job = StoreJob("testing", {"bound": 3}, lambda values, path: Stored(**values), told.append)
    return StoreRun(videos, folder, plan, job, Limits()), Pool(), told, plan


def test_the_largest_goes_first_and_every_video_ends_as_stored_or_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"ok-1": 20, "broken": 30, "silent": 5, "partial-2": 70, "wild": 50, "gone": 0}
    run, pool, told, _ = run_over(tmp_path, sizes)
    (tmp_path / ".ok-1.out.abc.tmp").write_bytes(b"left by a killed worker")
    run.all(pool)  # type: ignore[arg-type]
    assert [request["video_id"] for request in pool.requests] == ["partial-2", "wild", "broken", "ok-1", "silent"]
    assert pool.requests[0]["target"] == str(tmp_path / "partial-2.out")
    assert (pool.requests[0]["operation"], pool.requests[0]["settings"]) == ("store", {"bound": 3})
    assert told == ["partial-2", "ok-1"]
    listed = {row["video_id"]: row for row in map(json.loads, (tmp_path / "failed.jsonl").read_text().splitlines())}
    assert {name: row["kind"] for name, row in listed.items()} == {
        "gone": "VideoError", "wild": "NumericalError", "broken": "VideoError", "silent": "DecodeWorkerError",
    }  # fmt: skip
    assert "ended without a result" in listed["silent"]["error"]
    counts = run.counts()
    del counts["failures"]
    assert counts == {
        "folder": str(tmp_path), "videos": 6, "done": 2, "skipped": 0, "failed": 4, "partial": 1, "nbytes": 80,
        "reasons": {"new": 2},
    }  # fmt: skip
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp"))
    # Frames of the two stored, and the three that each of the others got to.
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("testing 27/27 frames")
    assert "video 6 of 6 · failed 4" in last


def test_what_is_no_error_of_a_video_ends_the_run_and_the_list_is_written(tmp_path: Path) -> None:
    run, pool, _, _ = run_over(tmp_path, {"broken": 30, "fatal": 20, "ok-1": 10})
    with pytest.raises(RuntimeError, match="not an error of a video"):
        run.all(pool)  # type: ignore[arg-type]
    assert [json.loads(line)["video_id"] for line in (tmp_path / "failed.jsonl").read_text().splitlines()] == ["broken"]


def test_a_folder_belongs_to_one_run(tmp_path: Path) -> None:
    with storing_in(tmp_path / "new", "pictures") as folder:
        assert folder.is_dir()
        with (
            pytest.raises(UsageError, match="another process is storing pictures in this folder"),
            storing_in(folder, "pictures"),
        ):
            pass
    with storing_in(tmp_path / "new", "pictures"):
        pass
