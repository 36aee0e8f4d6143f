"""Runs over many videos: what is done, skipped, redone, listed as failed, and saved when interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.clips.recipe import Recipe
from tubelet.datasets.manifest import Item, Manifest
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.runner import extract, plan_run
from tubelet.descriptors.store import DescriptorTable, has_table
from tubelet.descriptors.summary import ExtractSummary
from tubelet.descriptors.writer import TableWriter
from tubelet.errors import ExitCode, UsageError
from tubelet.failures import FAILED_FILE
from tubelet.provenance import PROVENANCE_FILE

sys.path.insert(0, str(Path(__file__).parent))
from made_extractor import MadeExtractor
from made_rows import made_vectors

NAMES = ("a", "b", "sub/c")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_text(f"video {name[-1]}")  # 7 bytes, so 7 clips
    return folder


def run(
    data: Path, extractor: MadeExtractor | None = None, names: tuple[str, ...] = NAMES, **options: Any
) -> ExtractSummary:
    options = {"commit_every_s": 0.0, "root": data, **options}
    made: Any = extractor or MadeExtractor()
    return extract([data / name for name in names], made, data.parent / "out", **options)


def vectors(data: Path, layer: str = "fc6") -> dict[str, np.ndarray]:
    clips = DescriptorTable(data.parent / "out").clips(layer)
    return {name: clips.vectors[clips.video_id == name] for name in dict.fromkeys(clips.video_id.tolist())}


def test_a_first_run_and_a_second(data: Path) -> None:
    first = run(data)
    assert (first.videos, first.done, first.skipped, first.failed, first.partial, first.rows) == (3, 3, 0, 0, 0, 21)
    assert first.reasons == {"new": 3}
    assert first.exit_code is ExitCode.DONE
    assert "3 described, 0 already there, 0 failed; 21 rows written" in str(first)
    extractor = MadeExtractor()
    second = run(data, extractor)
    assert (second.done, second.skipped, second.rows) == (0, 3, 0)
    assert extractor.asked == []
    assert {name: rows.tolist() for name, rows in vectors(data).items()} == {
        name: made_vectors(f"video {name[-1]}", 7, "w1")["fc6"].tolist() for name in NAMES
    }
    json.dumps(second.to_dict())


def test_rows_carry_their_provenance(data: Path) -> None:
    manifest = Manifest("mine", data, (Item("a", "walk"), Item("sub/c", None)), ("walk",))
    made: Any = MadeExtractor(weights_id="untrained:3")
    extract(manifest, made, data.parent / "out")
    table = DescriptorTable(data.parent / "out")
    rows = table.rows(table.schema.names, "clip_index = 2 AND video_id = 'a'")
    stat = (data / "a").stat()
    expected = {
        "path": (data / "a").as_posix(), "start_frame": 16, "end_frame": 32, "start_s": 0.64, "end_s": 1.28,
        "fps": 25.0, "fps_source": "container", "padded": False, "model": "made",
        "weights_sha256": "untrained:3", "recipe_hash": made.recipe.hash, "precision": "float32",
        "decode_status": "ok", "frames_declared": 64, "frames_decoded": 64, "file_size": 7,
        "file_mtime_ns": stat.st_mtime_ns, "label": "walk",
        "content_sha256": hashlib.sha256(b"video a").hexdigest(),
    }  # fmt: skip
    assert {name: rows[name] for name in expected} == {name: [value] for name, value in expected.items()}
    assert json.loads(rows["sampling"][0])["stride_frames"] == 8
    assert table.rows(["label"], "video_id = 'sub/c' AND clip_index = 0")["label"] == [None]
    provenance = json.loads((data.parent / "out" / PROVENANCE_FILE).read_text())
    assert provenance["weights_sha256"] == "untrained:3"
    assert provenance["source"]["hash"] == manifest.hash


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (MadeExtractor(weights_id="w2"), "weights"),
        (MadeExtractor(recipe=Recipe("other", (3, 3), (2, 2))), "recipe"),
        (MadeExtractor(sampling_text='{"policy":"dense","clip_length":16,"stride_frames":16}'), "sampling"),
        (MadeExtractor(precision="bfloat16"), "precision"),
        (MadeExtractor(layers=("fc6", "pool5")), "layers"),
    ],
)
def test_what_is_made_otherwise_is_redone(data: Path, changed: MadeExtractor, reason: str) -> None:
    run(data)
    changed.asked.clear()
    summary = run(data, changed, ("a", "sub/c"))
    assert summary.reasons == {reason: 2}
    assert changed.asked == ["a", "sub/c"]
    assert len(DescriptorTable(data.parent / "out")) == 21  # replaced, not added
    for name in ("a", "sub/c"):
        for layer in changed.layers:
            expected = made_vectors(f"video {name[-1]}", 7, changed.weights_id, changed.dimensions)[layer]
            assert np.array_equal(vectors(data, layer)[name], expected)
    assert np.array_equal(vectors(data)["b"], made_vectors("video b", 7, "w1")["fc6"])


def test_fewer_layers_are_there_already(data: Path) -> None:
    run(data, MadeExtractor(layers=("fc6", "pool5")))
    assert run(data, MadeExtractor()).skipped == 3


def test_another_frame_rate_is_another_description(data: Path) -> None:
    run(data, fps=5.0)
    assert run(data, fps=5.0).skipped == 3
    assert run(data, fps=6.0).reasons == {"fps": 3}
    assert run(data).reasons == {"fps": 3}


def test_only_changed_files_are_redone(data: Path) -> None:
    run(data)
    (data / "b").write_text("longer video")
    os.utime(data / "a", ns=(5, 5))  # touched: the content decides
    extractor = MadeExtractor()
    assert run(data, extractor).reasons == {"file": 1}
    assert extractor.asked == ["b"]
    assert np.array_equal(vectors(data)["b"], made_vectors("longer video", 12, "w1")["fc6"])
    (data / "b").write_text("b")  # shorter: surplus rows go
    assert run(data).reasons == {"file": 1}
    assert len(vectors(data)["b"]) == 1


def test_same_size_and_other_content_is_noticed_by_its_time(data: Path) -> None:
    run(data)
    (data / "a").write_text("VIDEO A")
    os.utime(data / "a", ns=(7, 7))
    assert run(data).reasons == {"file": 1}


def test_a_video_with_missing_rows_is_redone(data: Path) -> None:
    run(data)
    with TableWriter(data.parent / "out", {"fc6": 8}) as writer:
        writer._table.delete("video_id = 'a' AND clip_index >= 4")  # as if killed between two commits
    assert run(data).reasons == {"incomplete": 1}
    assert len(vectors(data)["a"]) == 7


def test_failures_are_listed_and_tried_again(data: Path) -> None:
    (data / "b").write_text("broken")
    (data / "sub/c").write_text("cut")
    names = (*NAMES, "absent")
    summary = run(data, names=names)
    assert (summary.done, summary.partial, summary.failed) == (2, 1, 2)
    assert summary.exit_code is ExitCode.SOME_FAILED
    assert "2 described (1 of them lost frames), 0 already there, 2 failed, see " in str(summary)
    lines = [json.loads(line) for line in (data.parent / "out" / FAILED_FILE).read_text().splitlines()]
    assert [(line["video_id"], line["kind"]) for line in lines] == [("absent", "VideoError"), ("b", "VideoError")]
    assert lines[1]["error"] == f"no frame can be decoded: {data / 'b'}; copy it again"
    assert set(vectors(data)) == {"a", "sub/c"}
    assert DescriptorTable(data.parent / "out").states()["sub/c"]["decode_status"] == "partial"
    (data / "b").write_text("mended")
    (data / "absent").write_text("found")
    again = run(data, names=names)
    assert (again.done, again.skipped, again.failed) == (2, 2, 0)
    assert not (data.parent / "out" / FAILED_FILE).exists()


def test_a_failed_video_keeps_its_former_rows(data: Path) -> None:
    run(data)
    (data / "b").write_text("broken")
    assert run(data).failed == 1
    assert np.array_equal(vectors(data)["b"], made_vectors("video b", 7, "w1")["fc6"])


def test_a_video_without_clips_fails(data: Path) -> None:
    (data / "a").write_text("")
    (failure,) = run(data).failures
    assert failure.error.startswith("the video gave no clip")


def test_a_file_that_changes_while_it_is_read_fails(data: Path) -> None:
    def grow(request: Any) -> None:
        if request.video_id == "b":
            request.path.write_text("video b, longer")

    summary = run(data, MadeExtractor(before=grow))
    assert [failure.video_id for failure in summary.failures] == ["b"]
    assert "changed while it was read" in summary.failures[0].error
    assert run(data).done == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_saves_what_is_complete(data: Path, error: type[BaseException]) -> None:
    def stop(request: Any) -> None:
        if request.video_id == "sub/c":
            raise error

    with pytest.raises(error):
        run(data, MadeExtractor(before=stop), commit_every_s=1e9)
    assert set(vectors(data)) == {"a", "b"}
    extractor = MadeExtractor()
    assert run(data, extractor).skipped == 2
    assert extractor.asked == ["sub/c"]


def test_much_is_committed_before_the_end(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tubelet.descriptors.runner.COMMIT_BYTES", 7 * 8 * 4)  # one video of seven rows
    seen: list[int] = []

    def look(request: Any) -> None:
        seen.append(len(DescriptorTable(data.parent / "out")))

    run(data, MadeExtractor(before=look), commit_every_s=1e9)
    assert seen == [0, 7, 14]


def test_a_plan_writes_nothing(data: Path) -> None:
    made: Any = MadeExtractor()
    out = data.parent / "out"
    assert plan_run([data / "a"], made, out).reasons == {"a": "new"}
    assert not has_table(out)
    run(data, names=("a",))
    assert plan_run([data / "a", data / "b"], made, out, root=data).skipped == ["a"]


def test_limit_takes_the_first(data: Path) -> None:
    extractor = MadeExtractor()
    assert run(data, extractor, limit=2).videos == 2
    assert extractor.asked == ["a", "b"]


def test_paths_keep_the_names_of_the_last_run(data: Path) -> None:
    run(data, root=None)
    assert set(vectors(data)) == set(NAMES)
    assert run(data, names=("sub/c",), root=None).skipped == 1  # not "c"


def test_no_videos_is_an_empty_table(data: Path) -> None:
    assert run(data, names=()).videos == 0
    assert len(DescriptorTable(data.parent / "out")) == 0


def test_other_lengths_need_another_folder(data: Path) -> None:
    run(data)

    class Wider(MadeExtractor):
        @property
        def dimensions(self) -> dict[str, int]:
            return {"fc6": 16}

    with pytest.raises(UsageError, match="another folder"):
        run(data, Wider())


def test_real_videos_from_end_to_end(extractor: Extractor, videos: Path, tmp_path: Path) -> None:
    names = sorted(path.relative_to(videos).as_posix() for path in videos.rglob("*.mp4"))
    summary = extract([videos / name for name in names], extractor, tmp_path, root=videos)
    assert (summary.done, summary.failed) == (4, 0)
    table = DescriptorTable(tmp_path)
    assert set(table.layers) == {"fc6", "conv5a", "pool5", "prob"}
    for name in names:
        one = extractor.describe(videos / name)
        clips = table.clips("fc6", [name])
        assert np.array_equal(clips.start_s, one.start_s)
        assert clips.vectors == pytest.approx(one.vectors["fc6"], rel=1e-4, abs=1e-5)
        assert table.videos("fc6", [name]).vectors[0] == pytest.approx(one.video_vector("fc6"), abs=1e-5)
    assert extract([videos / name for name in names], extractor, tmp_path, root=videos).skipped == 4


KILLED = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
from made_extractor import MadeExtractor
from tubelet.descriptors.runner import extract
import time
slow = MadeExtractor(before=lambda request: time.sleep(0.05 if request.video_id < "v20" else 600))
extract(sorted(Path(sys.argv[2]).iterdir()), slow, sys.argv[3], commit_every_s=0.0)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_after_kill_9_the_run_goes_on_where_it_was(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for number in range(60):
        (data / f"v{number:02d}").write_text(f"video {number:02d}")
    here = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", KILLED, here, str(data), str(out)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not (has_table(out) and len(DescriptorTable(out)) >= 8 * 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = DescriptorTable(out).clip_counts()
    assert 3 <= len(kept) < 60
    assert set(kept.values()) == {8}
    made = MadeExtractor()
    extractor: Any = made
    summary = extract(sorted(data.iterdir()), extractor, out)
    assert (summary.skipped, summary.done) == (len(kept), 60 - len(kept))
    assert not set(made.asked) & set(kept)
    clips = DescriptorTable(out).clips("fc6")
    assert len(clips.vectors) == 60 * 8
    for number in range(60):
        expected = made_vectors(f"video {number:02d}", 8, "w1")["fc6"]
        assert np.array_equal(clips.vectors[8 * number : 8 * number + 8], expected)
