"""What a weights file is, told from its first bytes; suffixes are not believed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from tubelet.errors import InputDataError

Kind = Literal["torch", "safetensors", "caffemodel", "binaryproto"]

_HEAD_BYTES = 512
_SAFETENSORS_HEADER = 100_000_000  # the format's own limit, in bytes

# Formats that are known and refused: what the file begins with, what it is, what to do.
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (rb"\s*<(!doctype|html|\?xml)", "it is a web page", "the download needs another address or a login"),
    (rb"version https://git-lfs", "it is a Git LFS pointer, not the file", "fetch it with git lfs pull"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf", "it is compressed", "unpack it first"),
    (rb"\x89HDF\r\n\x1a\n", "it is an HDF5 file (Keras, or Caffe's own)", "save its arrays as safetensors"),
    (rb"MATLAB 5\.0 MAT-file", "it is a MATLAB file (MatConvNet)", "save its arrays as safetensors"),
    (rb"\x93NUMPY", "it is a single NumPy array", "save the weights by name as safetensors"),
    (rb"(\s|#[^\n]*\n)*(name|layers?|input\w*)\s*[:{]", "it is a network definition", "give the .caffemodel"),
    (rb"(\s|#[^\n]*\n)*[\[{]\s*[\"\]}]", "it is JSON", "give the file of weights beside it"),
)
# The first opcodes of a pickle: a protocol from 2 on, or in protocol 0 a mark, a container or a global.
_PICKLE = re.compile(rb"\x80[\x02-\x05]|\([dlt]p?\d*\r?\n|\(?c[\w.]+\r?\n[\w.]+\r?\n|[\]})]q\x00")


def kind_of(path: Path) -> Kind:
    """Which reader a file needs.

    Raises
    ------
    InputDataError
        Missing, empty, of a format that is refused (the sentence says what it is and what to do), or unknown.
    """
    try:
        if not path.is_file():
            raise InputDataError(
                "there is no such weights file" if not path.exists() else "a weights file is needed",
                path=path,
                why=None if not path.exists() else "this is a folder or a device",
                remedy="check the name",
            )
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise cannot_read(path, error.strerror or str(error), "check that it can be read") from error
    if not head:
        raise cannot_read(path, "it is empty", "copy or download it again")
    # First of all: a header of 640 bytes is announced by the two bytes that a pickle begins with.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _SAFETENSORS_HEADER:
        return "safetensors"
    if head.startswith(b"PK\x03\x04") or _PICKLE.match(head):
        return "torch"
    if head[257:262] == b"ustar":
        raise cannot_read(
            path,
            "it is a tar archive, which torch wrote before 2017 and does not read safely",
            "load it once with a torch you trust the file to, and save its state_dict again with torch.save",
        )
    for pattern, what, remedy in _REFUSED:
        if re.match(pattern, head, re.IGNORECASE):
            raise cannot_read(path, what, remedy)
    # A Caffe network begins with its name (field 1, text) or a layer (2 or 100); a blob with a side (1, number),
    # its shape (7) or its data (5, 6, 8).
    if head[0] in (0x0A, 0x12) or head.startswith(b"\xa2\x06"):
        return "caffemodel"
    if head[0] in (0x08, 0x3A, 0x2A, 0x32, 0x42):
        return "binaryproto"
    raise cannot_read(
        path,
        "its first bytes are those of no known format",
        "give a .caffemodel, .binaryproto, .pth of torch.save or .safetensors; a damaged file must be copied again",
    )


def cannot_read(path: str | os.PathLike[str], why: str, remedy: str) -> InputDataError:
    """What every reader raises for a weights file that it cannot or will not read."""
    return InputDataError("the weights file cannot be read", path=path, why=why, remedy=remedy)
