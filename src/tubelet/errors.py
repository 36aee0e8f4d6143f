"""Every error that a user can meet.

An error is one sentence: what went wrong, in which file, why, and what to do next. The command line prints
that sentence and leaves with the class's ``exit_code``; a traceback appears only with ``--debug``.
"""

from __future__ import annotations

import os
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line (the table in the command-line reference)."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    SOME_FAILED = 3
    BAD_DATA = 4
    MISSING_EXTRA = 5
    INTERRUPTED = 130


class TubeletError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    what
        What went wrong, without a trailing period.
    path
        The file or folder it happened to, if one is at fault.
    why
        The cause, if known.
    remedy
        What the user should do next.
    """

    exit_code: ExitCode = ExitCode.UNEXPECTED

    def __init__(
        self,
        what: str,
        *,
        path: str | os.PathLike[str] | None = None,
        why: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.path = None if path is None else os.fspath(path)
        self.why = why
        self.remedy = remedy
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """One line: what, which file, why, what to do next."""
        parts = [self.what]
        if self.path is not None and self.path not in self.what:
            parts.append(f": {self.path}")
        if self.why:
            parts.append(f" ({self.why})")
        if self.remedy:
            parts.append(f"; {self.remedy}")
        return "".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders; Exception's own pickling knows nothing of keyword arguments.
        return (_rebuild, (type(self), self.what, self.path, self.why, self.remedy))


def _rebuild(
    kind: type[TubeletError], what: str, path: str | None, why: str | None, remedy: str | None
) -> TubeletError:
    return kind(what, path=path, why=why, remedy=remedy)


class UsageError(TubeletError):
    """The call or the command line asks for something that does not exist or does not fit together."""

    exit_code = ExitCode.USAGE


class InputDataError(TubeletError):
    """A file or folder that was given cannot be used."""

    exit_code = ExitCode.BAD_DATA


class VideoError(InputDataError):
    """A video cannot be opened or yields no frame."""


class RefusedVideoError(VideoError):
    """A video is refused before decoding: a limit, a container or codec off the allow-list, a playlist, a URL."""


class DecodeWorkerError(VideoError):
    """The decoding process died, hung or ran out of memory on this file."""


class MissingExtraError(TubeletError):
    """An optional dependency is not installed; the message names the extra."""

    exit_code = ExitCode.MISSING_EXTRA


class NumericalError(TubeletError):
    """A loss or gradient is not finite, or a precision path does not agree with float64."""
