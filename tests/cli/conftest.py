"""The command line, called in the test's own process, and small folders of videos for it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tubelet.cli.main import main
from tubelet.models.precision import PrecisionReport


@dataclass(frozen=True)
class Outcome:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON value and nothing else."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one sentence of an error: the last line of standard error, and there is no traceback before it."""
        assert "Traceback" not in self.err
        last = self.err.strip().splitlines()[-1]
        assert last.startswith("tubelet: "), self.err
        return last.removeprefix("tubelet: ")


Tubelet = Callable[..., Outcome]


@pytest.fixture(scope="session")
def tubelet() -> Tubelet:
    """``tubelet("train", "folder", "--data", path)``: exit code, standard output, standard error."""

    def call(*arguments: object) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
        assert type(code) is int
        return Outcome(code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture(scope="session")
def weizmann_folder(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """Two actors and two actions as Weizmann's files are named; the actions are synthetic motions."""

    def make(folder: Path) -> None:
        from tubelet.video.synthetic import make_video

        for seed, (actor, action, motion) in enumerate(
            [("ann", "run", "left"), ("ann", "walk", "grow"), ("bob", "run", "left"), ("bob", "walk", "grow")]
        ):
            make_video(folder / f"{actor}_{action}.avi", motion, seed)

    return made_once("weizmann", make)


@pytest.fixture(autouse=True)
def gradients_taken_for_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the proof of each network's gradients: it takes seconds and has tests of its own.

    ``trained_run``, which is made before, has had it, and so have the commands that tests start as processes.
    """
    monkeypatch.setattr(
        "tubelet.training.precision.check_gradients",
        lambda model, dtype, memory_format: PrecisionReport(dtype, memory_format, 1, ()),
    )


def files_of(folder: Path) -> dict[str, int]:
    """Every file below a folder with the time of its last change."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(name="files_of", scope="session")
def _files_of() -> Callable[[Path], dict[str, int]]:
    return files_of
