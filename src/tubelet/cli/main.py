"""Entry point: gathers the verbs and turns every error into one sentence and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer

from tubelet.allocator import set_allocator
from tubelet.cli import (
    bench,
    classify,
    compare,
    convert_weights,
    data,
    demo,
    doctor,
    duplicates,
    evaluate,
    explain,
    extract,
    flow,
    models,
    report,
    search,
    train,
    verify,
    visualize,
)
from tubelet.errors import ExitCode, TubeletError, UsageError
from tubelet.version import __version__

app = typer.Typer(
    name="tubelet",
    help="timm for video CNNs: train C3D and its family, turn videos into descriptors, classify and search them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: a third faster, and no column squeezed between frames
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 done, 1 unexpected error, 2 usage, 3 finished with failed items (failed.jsonl), "
        "4 bad input data, 5 missing extra, 130 interrupted with state saved."
    ),
)

app.command("demo", short_help="The main job from nothing: videos, training, report.")(demo.demo)
app.command("train", short_help="Train a network and its SVM on labeled videos.")(train.train)
app.add_typer(evaluate.app, name="evaluate")
app.command("extract", short_help="Turn videos into a table of descriptors.")(extract.extract)
app.command("verify", short_help="Compute a random part of a table again.")(verify.verify)
app.command("explain", short_help="In what two tables differ, and what that does.")(explain.explain)
app.command("flow", short_help="Optical flow of videos, stored for two-stream networks.")(flow.flow)
app.command("classify", short_help="The top classes of videos, and along their time.")(classify.classify)
app.command("search", short_help="The nearest clips or videos of a table.")(search.search)
app.command("compare", short_help="Two videos: the same action or not, and why.")(compare.compare)
app.add_typer(visualize.app, name="visualize")
app.command("report", short_help="Runs as a page like a paper's results section, and as rows for papers.")(
    report.report
)
app.command("convert-weights", short_help="Weights of Caffe or PyTorch into a model folder.")(
    convert_weights.convert_weights
)
app.command("models", short_help="The networks, or everything about one of them.")(models.models)
app.add_typer(data.app, name="data")
app.command("duplicates", short_help="Videos that show the same, however they were encoded.")(duplicates.duplicates)
app.add_typer(bench.app, name="bench")
app.command("doctor", short_help="What is installed; a golden clip run through.")(doctor.doctor)

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
    pass  # both are dealt with before a verb is called


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; no warning filter or log handler of it stays behind.

    Parameters
    ----------
    argv
        Arguments without the program's name; ``sys.argv[1:]`` if None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    if debug:
        # Whoever is told to run the command again with --debug adds it at the end.
        arguments = ["--debug", *(argument for argument in arguments if argument != "--debug")]
    set_allocator()
    with _messages(debug):
        return int(_outcome(arguments, debug))


def _outcome(arguments: list[str], debug: bool) -> int:
    try:
        refuse_repeated_model(arguments)
        code = app(args=arguments, prog_name="tubelet", standalone_mode=False)
        sys.stdout.flush()  # here a reader that has gone is no error; at the interpreter's end it would be one
    except TubeletError as error:
        _complain(str(error), debug)
        return error.exit_code
    except _CommandLineError as error:
        return _usage_error(error, debug)
    except BrokenPipeError:
        return _reader_gone()
    except SystemExit as error:  # Typer and Rich end so when they write into a closed pipe
        if isinstance(error.__context__, BrokenPipeError):
            return _reader_gone()
        return error.code if isinstance(error.code, int) else ExitCode.UNEXPECTED
    except typer.Abort as error:
        if isinstance(error.__cause__, EOFError):  # Typer takes it for Ctrl-D at a prompt, and there is none
            return _unexpected(error.__cause__, debug)
        code = ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except OSError as error:
        if error.filename is None:
            return _unexpected(error, debug)
        _complain(
            f"the system refuses to work with {error.filename} ({error.strerror}); "
            "check the path, its permissions and the space on the disk",
            debug,
        )
        return ExitCode.UNEXPECTED
    except Exception as error:
        return _unexpected(error, debug)
    if code == ExitCode.INTERRUPTED:  # which newer versions of Typer return instead of raising
        _complain("interrupted; what was finished is saved, the same command goes on from there", False)
    return code if isinstance(code, int) else ExitCode.DONE


def refuse_repeated_model(arguments: Sequence[str]) -> None:
    """Refuse ``--model A --model B`` of a verb that takes one: Click would take the last without a word.

    Raises
    ------
    UsageError
        If it is so.
    """
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if sum(word == "--model" or word.startswith("--model=") for word in words) < 2:
        return
    command: Any = typer.main.get_command(app)
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    if any("--model" in parameter.opts and not parameter.multiple for parameter in command.params):
        raise UsageError(
            "--model is given more than once, and this verb takes one",
            remedy="run it for each; tables of several networks are judged together by evaluate descriptors (--table "
            "twice), and side by side by evaluate streams",
        )


def _usage_error(error: Any, debug: bool) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        said = str(error.format_message()).strip().rstrip(".").replace(". Did you mean", "; did you mean")
        command = error.ctx.command_path if getattr(error, "ctx", None) is not None else "tubelet"
        remedy = "" if said.endswith("?") else f"; see {command} --help"
        _complain(f"{said[:1].lower()}{said[1:]}{remedy}", debug)
    return ExitCode.USAGE


def _unexpected(error: BaseException, debug: bool) -> int:
    what = f"unexpected error: {type(error).__name__}: {error}"
    _complain(what if debug else f"{what}; run it again with --debug and report what it prints", debug)
    return ExitCode.UNEXPECTED


def _reader_gone() -> int:
    """`tubelet ... | head` is no error; what is still buffered must not be written at the interpreter's end."""
    with suppress(OSError, ValueError):  # not a file of the system's: a test, a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE


def _complain(sentence: str, with_traceback: bool) -> None:
    if with_traceback:
        traceback.print_exc(file=sys.stderr)
    print(f"tubelet: {sentence}", file=sys.stderr)


@contextmanager
def _messages(debug: bool) -> Iterator[None]:
    """Warnings and log messages as sentences on standard error, while a verb runs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("tubelet: %(message)s"))
    handler.setLevel(logging.DEBUG if debug else logging.WARNING)
    logger = logging.getLogger("tubelet")
    logger.addHandler(handler)
    counts: Counter[str] = Counter()

    def show(message: Warning | str, *where: object, **more: object) -> None:
        # The sentence, not the line of code that said it; and once, not once per video.
        kind = str(message).rpartition(": ")[0] or str(message)
        counts[kind] += 1
        if counts[kind] == 1:
            print(f"tubelet: {message}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    finally:
        logger.removeHandler(handler)
        for kind, count in counts.items():
            if count > 1:
                print(f"tubelet: {count - 1} more: {kind}", file=sys.stderr)


def run() -> None:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
