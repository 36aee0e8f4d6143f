"""An error is one sentence with what, which file, why and what next; its class decides the exit code."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tubelet import errors
from tubelet.errors import ExitCode, InputDataError, TubeletError, UsageError, VideoError

# The table in docs/command-line.md.
CODES = {
    "TubeletError": 1,
    "NumericalError": 1,
    "UsageError": 2,
    "InputDataError": 4,
    "VideoError": 4,
    "RefusedVideoError": 4,
    "DecodeWorkerError": 4,
    "MissingExtraError": 5,
}


def test_every_class_has_the_documented_exit_code() -> None:
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TubeletError)]
    assert {kind.__name__: int(kind.exit_code) for kind in classes} == CODES


def test_exit_codes_are_those_of_the_command_line_reference() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "UNEXPECTED": 1,
        "USAGE": 2,
        "SOME_FAILED": 3,
        "BAD_DATA": 4,
        "MISSING_EXTRA": 5,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({}, "it broke"),
        ({"path": Path("a/b.mp4")}, "it broke: a/b.mp4"),
        ({"why": "the disk is full"}, "it broke (the disk is full)"),
        ({"remedy": "free some space"}, "it broke; free some space"),
        (
            {"path": "a.mp4", "why": "no frames", "remedy": "copy it again"},
            "it broke: a.mp4 (no frames); copy it again",
        ),
    ],
)
def test_the_sentence_has_what_which_file_why_and_what_next(parts: dict[str, str], sentence: str) -> None:
    error = TubeletError("it broke", **parts)
    assert str(error) == error.sentence() == sentence


def test_a_path_that_is_named_already_is_not_repeated() -> None:
    assert str(InputDataError("cannot open a.mp4", path="a.mp4", why="empty")) == "cannot open a.mp4 (empty)"


def test_an_error_keeps_its_parts_across_processes() -> None:
    error = VideoError("no frame", path=Path("a.mp4"), why="audio only", remedy="leave it out")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is VideoError
    assert (again.what, again.path, again.why, again.remedy) == ("no frame", "a.mp4", "audio only", "leave it out")
    assert str(again) == str(error)


def test_one_clause_catches_all() -> None:
    with pytest.raises(TubeletError):
        raise UsageError("there is no such option")
