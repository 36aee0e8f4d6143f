"""A run folder belongs to one set of settings."""

from __future__ import annotations

import json
import logging
import tomllib
from pathlib import Path

import pytest

from tubelet.errors import UsageError
from tubelet.training.run_folder import RunFolder

SETTINGS = {"model": "c3d_small", "train": {"seed": 3, "learning_rate": 0.1}}


def test_it_says_what_ran_and_is_taken_up_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", SETTINGS)
    assert not run.resumed
    assert tomllib.loads((run.path / "config.toml").read_text()) == SETTINGS
    environment = json.loads((run.path / "env.json").read_text())
    assert environment["seed"] == 3
    assert environment["packages"]["torch"]
    assert RunFolder(tmp_path / "run", dict(reversed(SETTINGS.items()))).resumed


def test_a_run_that_was_killed_at_its_first_file_is_taken_up(tmp_path: Path) -> None:
    RunFolder(tmp_path, SETTINGS)
    (tmp_path / "config.toml").unlink()
    assert RunFolder(tmp_path, SETTINGS).resumed
    assert tomllib.loads((tmp_path / "config.toml").read_text()) == SETTINGS


def test_other_settings_are_refused_unless_told(tmp_path: Path) -> None:
    RunFolder(tmp_path, SETTINGS)
    (tmp_path / "metrics.csv").write_text("old")
    with pytest.raises(UsageError, match="other settings"):
        RunFolder(tmp_path, {**SETTINGS, "model": "c3d"})
    run = RunFolder(tmp_path, {**SETTINGS, "model": "c3d"}, overwrite=True)
    assert not (run.path / "metrics.csv").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_somebody_elses_folder_is_never_touched(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="holds no run"):
        RunFolder(tmp_path, SETTINGS, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_failures_and_log(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, SETTINGS)
    run.write_failures("failed.jsonl", [("a.avi", "no frame")])
    assert json.loads((tmp_path / "failed.jsonl").read_text()) == {"path": "a.avi", "error": "no frame"}
    run.write_failures("failed.jsonl", [])
    assert not (tmp_path / "failed.jsonl").exists()
    with run.logging():
        logging.getLogger("tubelet.training").info("it began")
    logging.getLogger("tubelet.training").info("too late")
    text = (tmp_path / "log.txt").read_text()
    assert "it began" in text
    assert "too late" not in text
