"""Decoding in children: exact frames and times, one verdict a file, whatever happens to the children."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tubelet.clips import decode as decode_module
from tubelet.clips import decode_task
from tubelet.clips.decode import ClipDecoder, FrameBlock
from tubelet.errors import DecodeWorkerError, RefusedVideoError, TubeletError, UsageError, VideoError
from tubelet.video.limits import Limits
from tubelet.video.report import DecodeReport

pytestmark = pytest.mark.usefixtures("fresh_children")

FRAMES, HEIGHT, WIDTH = 20, 48, 64


def color(index: int) -> tuple[int, int, int]:
    return (index * 12, 255 - index * 12, 7)


def image(index: int) -> np.ndarray:
    """Frame ``index`` of the test video: one color, with the number as a bright column."""
    picture = np.full((HEIGHT, WIDTH, 3), color(index), np.uint8)
    picture[:, index] = 255
    return picture


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Uncompressed AVI, 25 frames/s: its pixels are known without asking a decoder."""
    path = tmp_path_factory.mktemp("decode") / "good.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr24"
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(image(index), format="rgb24").reformat(format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def decoder() -> Iterator[ClipDecoder]:
    with ClipDecoder() as made:
        yield made


def request(path: Path, operation: str, **more: Any) -> dict[str, Any]:
    return {"operation": operation, "path": str(path), "fps": None, "size": None, "limits": {}, **more}


def test_a_stream_gives_every_frame_and_then_the_verdict(decoder: ClipDecoder, video: Path) -> None:
    *blocks, report = decoder.stream(video, None, block_frames=7)
    assert [(block.first_index, len(block)) for block in blocks] == [(0, 7), (7, 7), (14, 6)]
    np.testing.assert_array_equal(
        np.concatenate([block.images for block in blocks]), [image(index) for index in range(FRAMES)]
    )
    times = np.concatenate([block.times_s for block in blocks])
    np.testing.assert_allclose(times, np.arange(FRAMES) / 25, atol=1e-12)
    np.testing.assert_allclose(np.concatenate([block.ends_s for block in blocks]), times + 0.04, atol=1e-12)
    assert times.dtype == np.float64
    assert isinstance(report, DecodeReport)
    assert (report.status, report.frames_decoded, report.problems) == ("ok", FRAMES, ())
    assert (report.width, report.height, report.fps) == (WIDTH, HEIGHT, 25)


def test_frames_are_resized_in_the_child(decoder: ClipDecoder, video: Path) -> None:
    frames, report = decoder.whole(video, (24, 32))
    assert frames.shape == (FRAMES, 24, 32, 3)
    assert (report.width, report.height) == (WIDTH, HEIGHT)
    for index in range(FRAMES):  # away from the bright column a frame has one color, at every size
        far = frames[index, :, :8] if index > 18 else frames[index, :, 12:]
        assert (far == color(index)).all()
    # At half size an output pixel is the mean of two by two, of the white column and of its frame's color.
    half = (np.array(color(3)) + 255) / 2
    assert np.abs(frames[3, :, 1] - half).max() <= 1


def test_a_shorter_side_keeps_the_aspect_in_the_child(decoder: ClipDecoder, video: Path) -> None:
    frames, _ = decoder.whole(video, 24)  # of 48 x 64
    assert frames.shape == (FRAMES, 24, 32, 3)
    np.testing.assert_array_equal(frames, decoder.whole(video, (24, 32))[0])
    np.testing.assert_array_equal(decoder.clip(video, [7, 2], 24), frames[[7, 2]])


def test_frames_too_long_for_a_shorter_side_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "strip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 4000, 2, "bgr24"
        frame = av.VideoFrame.from_ndarray(np.zeros((2, 4000, 3), np.uint8), format="bgr24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    strip = request(path, "stream", block_frames=32) | {"size": 224}  # 224 x 448,000 would be 300 MB a frame
    with pytest.raises(RefusedVideoError, match=r"too long to be resized.*recipe of a fixed size"):
        list(decode_task.decode(strip))
    assert len(list(decode_task.decode(strip | {"size": [24, 24]}))) == 2


def test_fps_and_warnings_cross_the_border(
    decoder: ClipDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        with av.open(str(folder / f"{index + 1:06d}.jpg"), "w", format="mjpeg") as container:
            stream = container.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
            gray = np.full((32, 32, 3), 60 * index + 30, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="rgb24")))
            container.mux(stream.encode(None))
    frames, report = decoder.whole(folder, None, fps=5)
    assert np.abs(frames.astype(int) - (60 * np.arange(3) + 30)[:, None, None, None]).max() <= 2
    assert (report.fps, report.fps_source, report.duration_s) == (5, "given", 0.6)
    with pytest.warns(UserWarning, match="25 frames/s is assumed"):
        report = decoder.measure(folder)
    assert report.fps_source == "assumed"
    table = decoder.measure(folder, fps=5, full=False)
    assert (table.frames_decoded, table.codec, table.container) == (3, "mjpeg", "folder")


def test_measuring_in_full_and_by_the_table(decoder: ClipDecoder, video: Path) -> None:
    full = decoder.measure(video)
    assert decoder.measure(video, full=False) == full
    assert (full.frames_decoded, full.codec, full.container) == (FRAMES, "rawvideo", "avi")
    assert full.duration_s == pytest.approx(0.8)


def test_single_frames_in_any_order(decoder: ClipDecoder, video: Path) -> None:
    wanted = [19, 0, 7, 7, 3]
    np.testing.assert_array_equal(decoder.clip(video, wanted, None), [image(index) for index in wanted])
    np.testing.assert_array_equal(decoder.clip(video, np.arange(2, 5), None), [image(i) for i in (2, 3, 4)])
    assert decoder.clip(video, [], None).shape == (0, HEIGHT, WIDTH, 3)
    with pytest.raises(UsageError, match="frame 20 does not exist"):
        decoder.clip(video, [20], None)


def test_a_relative_path_is_the_parents(decoder: ClipDecoder, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder.measure(video)  # its child stays in the folder in which it started
    monkeypatch.chdir(video.parent)
    assert decoder.measure("good.avi").frames_decoded == FRAMES


def test_the_parent_needs_no_torch() -> None:
    code = "import sys, tubelet.clips.decode; sys.exit('torch' in sys.modules)"
    source = Path(sys.modules["tubelet"].__path__[0]).parent
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(source)}).returncode == 0


def test_errors_of_a_file(decoder: ClipDecoder, video: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no such video"):
        decoder.measure(tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("no video" * 99)
    with pytest.raises(VideoError):
        list(decoder.stream(tmp_path / "text.mp4", None))
    with ClipDecoder(limits=Limits(max_frames=5)) as strict, pytest.raises(RefusedVideoError):
        strict.whole(video, None)
    decoder.measure(video)


def test_the_task_holds_little(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = HEIGHT * WIDTH * 3
    monkeypatch.setattr(decode_task, "_BLOCK_BYTES", 3 * size + 1)
    lengths, pixels = [], []
    for _, block in decode_task.decode(request(video, "stream", block_frames=32)):
        if block is not None:
            lengths.append(len(block))
            pixels.append(block.copy())  # its memory is used again
    assert lengths == [3] * 6 + [2]
    np.testing.assert_array_equal(np.concatenate(pixels), [image(index) for index in range(FRAMES)])
    monkeypatch.setattr(decode_task, "_BLOCK_BYTES", 1)
    assert len(list(decode_task.decode(request(video, "stream", block_frames=32)))) == FRAMES + 1

    monkeypatch.setattr(decode_task, "_GROUP_BYTES", 1)  # every frame is a large one
    resized = request(video, "stream", block_frames=32) | {"size": [12, 16]}
    alone = [block.copy() for _, block in decode_task.decode(resized) if block is not None]
    monkeypatch.undo()
    ((_, together), _) = decode_task.decode(resized)
    np.testing.assert_array_equal(np.concatenate(alone), together)

    monkeypatch.setattr(decode_task, "_FRAMES_BYTES", 2 * size)
    wanted = [9, 1, 1, 15, 4, 0]
    ((_, frames),) = decode_task.decode(request(video, "clip", indices=wanted))
    np.testing.assert_array_equal(frames, [image(index) for index in wanted])


def test_the_task_measures(video: Path) -> None:
    ((full, _),) = decode_task.decode(request(video, "measure", full=True))
    ((table, _),) = decode_task.decode(request(video, "measure", full=False))
    assert full == table
    with pytest.raises(UsageError, match="no such decoding operation: dance"):
        list(decode_task.decode(request(video, "dance")))


FAULTS = {
    "crash": "SIGSEGV",
    "hog": "out of memory",
    "leave": "exit code 0",
    "silent": "without a verdict",
}


@pytest.fixture(scope="module")
def folder(video: Path) -> Path:
    for name in ("good2", "good3", *FAULTS):
        shutil.copy(video, video.with_stem(name))
    return video.parent


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(decode_module.ClipDecoder, "task", "decode_faults:decode")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux enforces the memory limit")
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_run_over_fatal_files_completes_the_same_with_any_number_of_children(
    folder: Path, faulty: None, workers: int
) -> None:
    names = ["good", "crash", "good2", "missing", "hog", "leave", "silent", "good3"]
    paths = [folder / f"{name}.avi" for name in names]
    seen: dict[str, list[Any]] = {}
    order = []
    with ClipDecoder(workers, memory_bytes=300 << 20) as decoder:
        for path, item in decoder.prefetch(paths, None, 3, block_frames=8):
            order.append(Path(path).stem)
            seen.setdefault(order[-1], []).append(item)
    assert [a for a, b in pairwise([*order, ""]) if a != b] == names
    for name in names:
        *blocks, last = seen[name]
        if name.startswith("good"):
            assert isinstance(last, DecodeReport)
            assert [block.first_index for block in blocks] == [0, 8, 16]
            np.testing.assert_array_equal(
                np.concatenate([block.images for block in blocks]), [image(index) for index in range(FRAMES)]
            )
        elif name == "missing":
            assert type(last) is VideoError
            assert not blocks
        else:
            assert isinstance(last, DecodeWorkerError)
            assert FAULTS[name] in str(last)
            assert f"{name}.avi" in str(last)
            assert [type(block) for block in blocks] == [FrameBlock]


def test_a_file_that_hangs_the_decoder(folder: Path, faulty: None) -> None:
    shutil.copy(folder / "good.avi", folder / "hang.avi")
    with ClipDecoder(stall_timeout_s=2) as decoder:
        with pytest.raises(DecodeWorkerError, match=r"hung: .*hang\.avi \(no answer for 2 s\)"):
            decoder.whole(folder / "hang.avi", None)
        assert len(decoder.whole(folder / "good.avi", None)[0]) == FRAMES


def test_a_verdict_that_never_comes(folder: Path, faulty: None) -> None:
    with ClipDecoder() as decoder:
        with pytest.raises(DecodeWorkerError, match="without a verdict"):
            decoder.whole(folder / "silent.avi", None)
        assert len(decoder.whole(folder / "good.avi", None)[0]) == FRAMES


def test_prefetching_does_not_wait_for_its_own_consumer(decoder: ClipDecoder, folder: Path) -> None:
    paths = [folder / "good.avi", folder / "good2.avi"]
    one = decoder.prefetch(paths, None, 1, block_frames=4)
    other = decoder.prefetch(paths, None, 1, block_frames=4)
    count = 0
    for (path_a, item_a), (path_b, item_b) in zip(one, other, strict=True):
        assert path_a == path_b
        assert type(item_a) is type(item_b)
        np.testing.assert_array_equal(decoder.clip(path_a, [5], None), [image(5)])
        count += 1
    assert count == 2 * (FRAMES // 4 + 1)


def test_prefetching_reuses_its_children_and_can_be_left_early(decoder: ClipDecoder, folder: Path) -> None:
    paths = [folder / "good.avi"] * 3
    whole = list(decoder.prefetch(paths, None))
    assert [type(item) for _, item in whole] == [FrameBlock, DecodeReport] * 3
    idle = len(decoder._ahead)
    ahead = decoder.prefetch(paths, None, 2, block_frames=2)
    next(ahead)
    ahead.close()
    assert len(decoder._ahead) == idle - 1  # its children were killed in the middle of their work
    assert len(list(decoder.prefetch(paths, None))) == len(whole)
    assert list(decoder.prefetch([], None)) == []


def test_a_stream_left_early_frees_its_child(decoder: ClipDecoder, video: Path) -> None:
    stream = decoder.stream(video, None, block_frames=2)
    assert next(stream).first_index == 0
    with pytest.raises(UsageError, match="unfinished requests"):
        decoder.measure(video)
    stream.close()
    assert decoder.measure(video).status == "ok"


def test_threads_share_a_decoder(decoder: ClipDecoder, video: Path) -> None:
    def first_pixel(index: int) -> list[int]:
        return decoder.clip(video, [index], None)[0, 0, 40].tolist()

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(first_pixel, range(12))) == [list(color(index)) for index in range(12)]


def test_an_installation_that_does_not_work_is_not_a_failed_video(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module.ClipDecoder, "task", "no_such_module:decode")
    with ClipDecoder() as broken, pytest.raises(TubeletError) as caught:
        list(broken.prefetch([video, video], None))
    assert type(caught.value) is TubeletError


def test_a_closed_decoder_says_so(video: Path) -> None:
    decoder = ClipDecoder()
    ahead = decoder.prefetch([video], None, block_frames=2)
    next(ahead)
    decoder.close()
    list(ahead)  # what a prefetch has begun it may finish
    assert decoder._ahead == []
    with pytest.raises(UsageError, match="closed"):
        decoder.measure(video)
