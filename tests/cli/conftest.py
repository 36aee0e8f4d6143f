"""The command line, called in the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tubelet.cli.main import main


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


@pytest.fixture
def tubelet(capsys: pytest.CaptureFixture[str]) -> Tubelet:
    """``tubelet("train", "folder", "--data", path)``: exit code, standard output, standard error."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert type(code) is int
        return Outcome(code, captured.out, captured.err)

    return call
