"""The entry point: help without torch, one sentence per error, exit codes, and clean standard output."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import tubelet as package
from tubelet.cli import doctor, main, models
from tubelet.errors import MissingExtraError

VERBS = ("demo", "train", "evaluate", "extract", "classify", "search", "models", "data", "doctor")


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the verb ``doctor`` end with an error."""

    def checks() -> None:
        raise error

    monkeypatch.setattr(doctor, "_installed", dict)
    monkeypatch.setattr(doctor, "_machine", dict)
    monkeypatch.setattr(doctor, "_golden_clip", checks)


def test_help_of_every_verb_needs_nothing_heavy(python: Callable[..., Any]) -> None:
    # DESIGN: "--help without importing torch (< 0.3 s)". What makes it slow is what it imports; no clock is asked.
    code = (
        "import sys\nfrom tubelet.cli.main import main\n"
        f"verbs = {[[], *([verb] for verb in VERBS), ['data', 'check']]!r}\n"
        "assert all(main([*verb, '--help']) == 0 for verb in verbs)\n"
        "heavy = {'torch', 'av', 'numpy', 'matplotlib', 'lancedb', 'pyarrow', 'sklearn', 'rich', 'jinja2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert not [name for name in sys.modules if name.startswith('tubelet.') and name.split('.')[1] in\n"
        "            ('video', 'clips', 'datasets', 'models', 'training', 'descriptors', 'protocols', 'search')]\n"
    )
    done = python(code, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for verb in VERBS:
        assert f"tubelet {verb}" in done.stdout
    # What stands in brackets is no markup to be swallowed.
    assert "runs/train/<dataset>" in done.stdout
    assert "the network's own" in done.stdout


def test_a_second_model_is_refused_where_one_is_taken(tubelet: Callable[..., Any]) -> None:
    """Click would take the last without a word."""
    for verb in (["evaluate", "descriptors", "--data", "."], ["extract", "."], ["verify", "t"], ["bench", "runtime"]):
        for given in (["--model", "a", "--model", "b"], ["--model=a", "--seed", "1", "--model=a"]):
            ended = tubelet(*verb, *given)
            assert ended.code == 2
            assert "--model is given more than once, and this verb takes one; run it for each" in ended.err
    main.refuse_repeated_model(["extract", "videos", "--model", "a"])
    main.refuse_repeated_model(["explain", "a", "b", "--model", "a", "--model-b", "b"])
    main.refuse_repeated_model(["extract", "--model", "a", "--", "--model"])


def test_the_verbs_are_those_of_the_issue(tubelet: Callable[..., Any]) -> None:
    listed = tubelet("--help").out
    assert all(f" {verb} " in listed for verb in VERBS)
    assert "..." not in listed.partition("Commands:")[2], "no verb's line is cut short"
    assert "130 interrupted" in " ".join(listed.split())


def test_version(tubelet: Callable[..., Any]) -> None:
    found = tubelet("--version")
    assert (found.code, found.out) == (0, f"{package.__version__}\n")


def test_no_arguments_show_the_help(tubelet: Callable[..., Any]) -> None:
    found = tubelet()
    assert found.code == 2
    assert "Usage" in found.out + found.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["trian"], "no such command 'trian'; did you mean 'train'?"),
        (["train", "folder", "--dta", "x"], "no such option: --dta (Possible options: --data"),
        (["train", "folder"], "missing option '--data'; see tubelet train --help"),
        (["models", "--classes", "0"], "invalid value for '--classes'"),
        (["models", "c3d_smal"], "there is no model 'c3d_smal'; did you mean 'c3d_small'?"),
    ],
)
def test_a_usage_error_is_one_sentence_and_code_2(
    tubelet: Callable[..., Any], arguments: list[str], complaint: str
) -> None:
    found = tubelet(*arguments)
    assert found.code == 2
    assert found.out == ""
    assert found.complaint.startswith(complaint)
    assert len(found.err.strip().splitlines()) == 1


def test_debug_shows_the_traceback_wherever_it_stands(tubelet: Callable[..., Any]) -> None:
    for arguments in (["--debug", "models", "nope"], ["models", "nope", "--debug"]):
        found = tubelet(*arguments)
        assert found.code == 2
        assert "Traceback" in found.err
        assert found.err.strip().splitlines()[-1].startswith("tubelet: there is no model 'nope'")


def test_an_unexpected_error_is_a_sentence_too(tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError("by zero"))
    found = tubelet("doctor")
    assert found.code == 1
    assert found.complaint == (
        "unexpected error: ZeroDivisionError: by zero; run it again with --debug and report what it prints"
    )
    assert "Traceback" in tubelet("doctor", "--debug").err


def test_the_systems_refusal_names_the_file(tubelet: Callable[..., Any], trained_run: Any) -> None:
    found = tubelet("extract", trained_run.videos, "--model", trained_run.folder, "-o", "/dev/null/table")
    assert found.code == 1
    assert found.complaint.startswith("the system refuses to work with /dev/null/table (Not a directory); check")


def test_a_missing_extra_has_code_5(tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    # No verb needs an extra yet, so the error is made to come out of one.
    fail_with(monkeypatch, MissingExtraError("the map needs openTSNE", remedy="pip install 'tubelet[map]'"))
    found = tubelet("doctor")
    assert (found.code, found.complaint) == (5, "the map needs openTSNE; pip install 'tubelet[map]'")


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_interruption_is_code_130_and_says_what_to_do(
    tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, debug: list[str]
) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    found = tubelet(*debug, "doctor")
    assert (found.code, found.out) == (130, "")
    assert found.complaint == "interrupted; what was finished is saved, the same command goes on from there"


def test_the_end_of_a_file_is_no_interruption(tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, EOFError("no data left"))
    found = tubelet("doctor")
    assert found.code == 1
    assert found.complaint.startswith("unexpected error: EOFError: no data left")


def test_a_library_that_exits_keeps_its_code(tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for ends, code in ((SystemExit(7), 7), (SystemExit("broken"), 1)):
        fail_with(monkeypatch, ends)
        assert tubelet("doctor").code == code


def test_a_closed_pipe_is_no_error() -> None:
    # `tubelet --help | head -1`, with a reader that is gone before the first byte.
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "tubelet.cli.main", "--help"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def warn_and_log(as_json: bool = False) -> None:
    for name in ("a", "b", "c"):
        warnings.warn(f"this folder has no frame rate: /videos/{name}", UserWarning, stacklevel=1)
    warnings.warn("something else", UserWarning, stacklevel=1)
    logging.getLogger("tubelet.somewhere").warning("%d videos are %s", 2, "broken")
    logging.getLogger("tubelet.somewhere").info("a detail")


def test_a_warning_is_told_once_as_a_sentence(tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "print_json", lambda value: warn_and_log())
    filters, shown, handlers = list(warnings.filters), warnings.showwarning, list(logging.getLogger("tubelet").handlers)
    found = tubelet("models", "c3d_small", "--json")
    assert found.err.splitlines() == [
        "tubelet: this folder has no frame rate: /videos/a",
        "tubelet: something else",
        "tubelet: 2 videos are broken",
        "tubelet: 2 more: this folder has no frame rate",
    ]
    assert (list(warnings.filters), warnings.showwarning) == (filters, shown)
    assert logging.getLogger("tubelet").handlers == handlers, "calling it twice tells nothing twice"


def test_the_console_script_ends_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tubelet", "models", "nope"])
    with pytest.raises(SystemExit) as end:
        main.run()
    assert end.value.code == 2
