"""The decoding task, in a child in which some file names are fatal: what a decoder's bugs would do."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tubelet.clips import decode_task


def decode(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    fault = Path(request["path"]).stem
    for number, item in enumerate(decode_task.decode(request)):
        if number == 1 and fault == "crash":
            ctypes.string_at(0)
        if number == 1 and fault == "hang":
            time.sleep(3600)
        if number == 1 and fault == "hog":
            hoard = [np.ones(8 << 20, np.uint8) for _ in range(1000)]
            assert hoard
        if number == 1 and fault == "silent":
            return
        if number == 1 and fault == "leave":
            os._exit(0)
        yield item
