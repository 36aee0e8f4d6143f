"""What many tests share: the real data where it is to be had, a tiny synthetic data set, and one run of `train` on it.

The session's fixtures are built once, also when pytest-xdist runs the tests in several processes. Whoever wants to
change what lies in them makes a copy.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

# No test depends on the clock: on a busy machine an example may take any time.
settings.register_profile("tubelet", deadline=None)
settings.load_profile("tubelet")

# Several test processes share the cores: with a thread for each core in each of them, they mostly wait for each other.
# Set before anything imports torch or numpy's BLAS; children inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

REPOSITORY = Path(__file__).parents[1]
MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the whole session, the same in all processes of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def no_cache_pollution(session_folder: Path) -> Iterator[None]:
    """Frame tables and gradient checks go to the session's folder, not to the user's cache; children inherit it.

    ``XDG_CACHE_HOME`` stays: matplotlib would measure all fonts of the machine again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUBELET_CACHE", str(session_folder / "tubelet-cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def kept_children() -> Iterator[None]:
    """Decoding processes stay for the next test: nearly every command starts one, which imports torch for seconds."""
    from kept_children import KeptChildren

    with pytest.MonkeyPatch.context() as patch:
        keeper = KeptChildren()
        patch.setattr("tubelet.video.guard.ChildProcess", keeper)
        yield
        keeper.close()


@pytest.fixture(scope="module")
def fresh_children() -> Iterator[None]:
    """Decoding processes start and end as they do outside of tests."""
    from tubelet.video.guard_process import ChildProcess

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tubelet.video.guard.ChildProcess", ChildProcess)
        yield


@pytest.fixture(autouse=True)
def ordinary_scheduling() -> Iterator[None]:
    """No test leaves its process at a real-time priority, as SVT-AV1 does: a child that hangs would starve all."""
    yield
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the repository, or where ``TUBELET_DATA`` says; skips where they are absent."""
    folder = Path(os.environ.get("TUBELET_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "weizmann").is_dir():
        pytest.skip(f"the real data are not at {folder} (set TUBELET_DATA)")
    return folder


@pytest.fixture(scope="session")
def made_once(session_folder: Path) -> MadeOnce:
    """``made_once(name, make)``: a folder that ``make`` filled, in whichever test process came first."""

    def get(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = session_folder / name, session_folder / f"{name}.done"
        with (session_folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return get


@pytest.fixture(scope="session")
def motion_folder(made_once: MadeOnce) -> Path:
    """Synthetic motion: 20 videos to train on and 10 to test, of 24 frames, two and one of each class."""

    def make(folder: Path) -> None:
        from tubelet.video.synthetic import make_dataset

        make_dataset(folder / "motion", {"train": 20, "test": 10}, workers=1)

    return made_once("motion", make) / "motion"


@pytest.fixture(scope="session")
def copies_folder(made_once: MadeOnce) -> Path:
    """Three videos to train on (``train/<class>/``), and of each a copy that neither name nor bytes betray, beside a
    near miss, to test on (``test/<class>/``). 80 frames of 96 x 128 at 25 frames/s.
    """

    def make(folder: Path) -> None:
        import numpy as np

        from tubelet.reporting.strips import resized
        from tubelet.video.encode import encode
        from tubelet.video.synthetic_files import write_video

        def film(scene: int, motion: int) -> np.ndarray:
            """Spots on their ways over a wall; (80, 96, 128, 3) uint8."""
            wall, way = np.random.default_rng([0, scene]), np.random.default_rng([1, motion])
            y, x = np.mgrid[:96, :128]
            stains = sum(
                40 * wall.normal() * np.cos(y * wall.uniform(0, 0.3) + x * wall.uniform(0, 0.3) + wall.uniform(0, 6))
                for _ in range(8)
            )
            frames = np.repeat(np.clip(128 + stains, 20, 235)[None], 80, axis=0)
            for _ in range(3):
                center, reach, speed, phase = (
                    way.uniform(20, 60, 2),
                    way.uniform(6, 20, 2),
                    way.uniform(2, 6, 2),
                    way.uniform(0, 6, 2),
                )
                at = center + reach * np.sin(np.arange(80)[:, None] / 25 * speed + phase)
                spot = np.hypot(y - at[:, :1, None], x - at[:, 1:, None]) < way.uniform(6, 12)
                frames[spot] = way.uniform(0, 255)
            return np.repeat(frames.astype(np.uint8)[..., None], 3, axis=3)

        one, two, three = film(1, 1), film(2, 2), film(3, 3)
        for name, frames in (("walk/one", one), ("walk/two", two), ("run/three", three)):
            write_video(folder / "train" / f"{name}.avi", frames)
        encode(folder / "test/walk/trimmed.mp4", one[22:71], options={"crf": "32"})
        quality = {"flags": "+qscale", "global_quality": str(6 * 118)}
        encode(folder / "test/run/small.avi", resized(two, max_width=64), codec="mpeg4", options=quality)
        encode(folder / "test/run/half_rate.mp4", three[::2], fps=12.5)
        write_video(folder / "test/walk/near_miss.avi", film(1, 4))

    return made_once("copies", make)


@dataclass(frozen=True)
class TrainedRun:
    """A finished run of ``tubelet train``: its folder, its videos, the command, and what it printed."""

    folder: Path
    videos: Path
    command: tuple[str, ...]
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def trained_run(motion_folder: Path, made_once: MadeOnce) -> TrainedRun:
    """Three steps of c3d_small on ``motion_folder``, with descriptors, SVM, scores and report."""

    def command(folder: Path) -> tuple[str, ...]:
        settings = "--iterations 3 --batch-size 4 --precision float32 --workers 1 --device cpu --json"
        return ("train", "folder", "--data", str(motion_folder), "-o", str(folder / "run"), *settings.split())

    def make(folder: Path) -> None:
        from tubelet.cli.main import main

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(command(folder))
        assert code == 0, err.getvalue()
        (folder / "stdout.txt").write_text(out.getvalue(), encoding="utf-8")
        (folder / "stderr.txt").write_text(err.getvalue(), encoding="utf-8")

    folder = made_once("trained", make)
    printed = [(folder / name).read_text(encoding="utf-8") for name in ("stdout.txt", "stderr.txt")]
    return TrainedRun(folder / "run", motion_folder, command(folder), *printed)


Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def python() -> Python:
    """``python(code, *arguments)`` runs code in a fresh interpreter, where what is imported can be seen."""

    def run(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload,no-any-return]

    return run
