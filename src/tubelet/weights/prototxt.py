"""Protobuf's text format, as much of it as Caffe's network definitions use: names, numbers, words, nested messages."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from tubelet.errors import InputDataError

Scalar = str | int | float | bool

_MAX_BYTES = 16 << 20
_MAX_DEPTH = 64
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?)(?![\w.]))
      | (?P<word>-?[A-Za-z_]\w*)
      | (?P<mark>[{}<>:\[\],;])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(n|r|t|[0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_CLOSING = {"{": "}", "<": ">"}


@dataclass
class Message:
    """Fields in the file's order; a name may occur many times.

    Attributes
    ----------
    entries
        ``(name, value)``; a value is text, a whole number, a fraction, a truth value or a `Message`. Words, such
        as enumerated constants, are text.
    """

    entries: list[tuple[str, Scalar | Message]] = field(default_factory=list)

    def messages(self, *names: str) -> list[Message]:
        """The nested messages called one of ``names``, in order."""
        return [value for name, value in self.entries if name in names and isinstance(value, Message)]

    def scalars(self, name: str) -> list[Scalar]:
        """All plain values called ``name``, in order."""
        return [value for found, value in self.entries if found == name and not isinstance(value, Message)]

    def texts(self, name: str) -> list[str]:
        """All texts and words called ``name``."""
        return [value for value in self.scalars(name) if isinstance(value, str)]

    def text(self, name: str) -> str:
        """The last text called ``name``, as protobuf does; empty where there is none."""
        return (self.texts(name) or [""])[-1]

    def integers(self, name: str) -> list[int]:
        """All whole numbers called ``name``."""
        return [value for value in self.scalars(name) if isinstance(value, int) and not isinstance(value, bool)]

    def flag(self, name: str, default: bool) -> bool:
        """The last truth value called ``name``."""
        found = [value for value in self.scalars(name) if isinstance(value, bool)]
        return found[-1] if found else default


def read_prototxt(path: str | os.PathLike[str]) -> Message:
    """Read a definition.

    Raises
    ------
    InputDataError
        Missing, no text, too large, or not of this format; the sentence says which line.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES >> 20} MiB")
        return parse_prototxt(data.decode())
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputDataError(
            "the network definition cannot be read", path=path, why=why, remedy="give a Caffe .prototxt"
        ) from error


def parse_prototxt(text: str) -> Message:
    """Read a definition from text; ``ValueError`` with the line where it is not of this format."""
    reader = _Tokens(text)
    root = Message()
    stack, closers = [root], [""]
    while (token := reader.take()) is not None:
        kind, word = token
        if kind == "mark" and word == closers[-1]:
            stack.pop()
            closers.pop()
            reader.skip_separator()
        elif kind == "word":
            name = word
            colon = reader.skip(":")
            if opened := reader.skip(*_CLOSING):
                if len(stack) > _MAX_DEPTH:
                    raise reader.wrong(f"messages are nested more than {_MAX_DEPTH} deep")
                stack[-1].entries.append((name, inner := Message()))
                stack.append(inner)
                closers.append(_CLOSING[opened])
            elif colon:
                stack[-1].entries += [(name, value) for value in _values(reader)]
                reader.skip_separator()
            else:
                raise reader.wrong(f"{name} has no value")
        else:
            raise reader.wrong(f"{word} where a field's name or the end of a message belongs")
    if len(stack) > 1:
        raise reader.wrong("the text ends within a message")
    return root


def _values(reader: _Tokens) -> list[Scalar]:
    if not reader.skip("["):
        return [_value(reader)]
    values: list[Scalar] = []
    while not reader.skip("]"):
        values.append(_value(reader))
        if not reader.skip(",") and reader.peek() != ("mark", "]"):
            raise reader.wrong("a list lacks a comma or its end")
    return values


def _value(reader: _Tokens) -> Scalar:
    kind, word = reader.take() or ("end", "the end")
    if kind == "string":
        text = _unescaped(word)
        while (follows := reader.peek()) is not None and follows[0] == "string":  # as in C, neighbors are joined
            text += _unescaped(follows[1])
            reader.take()
        return text
    if kind == "number":
        return _number(word)
    if kind == "word":
        return {"true": True, "false": False}.get(word, word)
    raise reader.wrong(f"{word} where a value belongs")


def _number(word: str) -> int | float:
    if re.fullmatch(r"[-+]?0[xX].*", word):
        return int(word, 16)
    if re.fullmatch(r"[-+]?\d+", word):
        return int(word)  # of more than 4300 digits: a ValueError, as it should be
    return float(word.rstrip("fF"))


def _unescaped(quoted: str) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] in "01234567":
            return chr(int(code, 8))
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        return _ESCAPED.get(code, code)

    return _ESCAPE.sub(replace, quoted[1:-1])


class _Tokens:
    """The text's tokens one after the other, with the line for errors."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._next: tuple[str, str] | None = None
        self._advance()

    def peek(self) -> tuple[str, str] | None:
        return self._next

    def take(self) -> tuple[str, str] | None:
        token = self._next
        if token is not None:
            self._advance()
        return token

    def skip(self, *marks: str) -> str:
        """The next token if it is one of these marks, which is taken; else nothing."""
        if self._next is not None and self._next[0] == "mark" and self._next[1] in marks:
            return (self.take() or ("", ""))[1]
        return ""

    def skip_separator(self) -> None:
        self.skip(",", ";")

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"line {self._text.count(chr(10), 0, self._position) + 1}: {what}")

    def _advance(self) -> None:
        self._next = None
        while self._next is None and self._position < len(self._text):
            match = _TOKEN.match(self._text, self._position)
            if match is None:
                raise self.wrong(f"{self._text[self._position]!r} belongs to nothing")
            self._position = match.end()
            if match.lastgroup != "space":
                self._next = (str(match.lastgroup), match.group())
