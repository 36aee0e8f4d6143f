"""Entry point: gathers the verbs and turns every error into one sentence and an exit code."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from tubelet.allocator import set_allocator
from tubelet.cli import classify, data, doctor, evaluate, extract, models, search, train
from tubelet.errors import ExitCode, TubeletError
from tubelet.version import __version__

app = typer.Typer(
    name="tubelet",
    help="timm for video CNNs: train C3D and its family, turn videos into descriptors, classify and search them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 done, 1 unexpected error, 2 usage, 3 finished with failed items (failed.jsonl), "
        "4 bad input data, 5 missing extra, 130 interrupted with state saved."
    ),
)

app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("extract")(extract.extract)
app.command("classify")(classify.classify)
app.command("search")(search.search)
app.command("models")(models.models)
app.add_typer(data.app, name="data")
app.command("doctor")(doctor.doctor)

# Typer's usage errors, whether it brings its own Click (0.16 on) or imports the package.
_CommandLineError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.DEBUG if debug else logging.WARNING)
    for noisy in ("matplotlib", "PIL", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv
        Arguments without the program's name; ``sys.argv[1:]`` if None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    set_allocator()
    try:
        outcome = app(args=arguments, prog_name="tubelet", standalone_mode=False)
        return int(outcome) if isinstance(outcome, int) else ExitCode.DONE
    except TubeletError as error:
        _complain(str(error), "--debug" in arguments)
        return error.exit_code
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        _complain("interrupted; what was finished is saved, the same command goes on from there", False)
        return ExitCode.INTERRUPTED
    except _CommandLineError as error:
        error.show(file=sys.stderr)
        return ExitCode.USAGE
    except BrokenPipeError:
        return ExitCode.DONE  # `tubelet ... | head` is no error
    except Exception as error:
        _complain(f"unexpected error: {type(error).__name__}: {error}; run again with --debug and report it", True)
        return ExitCode.UNEXPECTED


def _complain(sentence: str, with_traceback: bool) -> None:
    if with_traceback:
        traceback.print_exc(file=sys.stderr)
    print(f"tubelet: {sentence}", file=sys.stderr)


def run() -> None:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
