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

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def no_cache_pollution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Frame tables go to a folder of this session, not to the user's cache; child processes inherit it.

    ``XDG_CACHE_HOME`` stays: matplotlib would measure all fonts of the machine again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUBELET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the repository, or where ``TUBELET_DATA`` says; skips where they are absent."""
    folder = Path(os.environ.get("TUBELET_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "weizmann").is_dir():
        pytest.skip(f"the real data are not at {folder} (set TUBELET_DATA)")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """``made_once(name, make)``: a folder that ``make`` filled, in whichever test process came first."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def get(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return get


@pytest.fixture(scope="session")
def motion_folder(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """Synthetic motion: 20 videos to train on and 10 to test, of 24 frames, two and one of each class."""

    def make(folder: Path) -> None:
        from tubelet.video.synthetic import make_dataset

        make_dataset(folder / "motion", {"train": 20, "test": 10}, workers=1)

    return made_once("motion", make) / "motion"


@dataclass(frozen=True)
class TrainedRun:
    """A finished run of ``tubelet train``: its folder, its videos, the command, and what it printed."""

    folder: Path
    videos: Path
    command: tuple[str, ...]
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def trained_run(motion_folder: Path, made_once: Callable[[str, Callable[[Path], None]], Path]) -> TrainedRun:
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
