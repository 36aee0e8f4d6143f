"""OpenCV comes through one door: one thread, and a named extra where it is missing."""

from __future__ import annotations

import sys

import pytest

from tubelet.errors import ExitCode, MissingExtraError
from tubelet.flow.opencv import opencv


def test_one_thread_and_no_graphics_driver() -> None:
    opencv.cache_clear()
    cv2 = opencv()
    assert cv2.getNumThreads() == 1
    assert not cv2.ocl.useOpenCL()
    assert opencv() is cv2


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    opencv.cache_clear()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tubelet\[flow\]'") as caught:
        opencv()
    assert caught.value.exit_code == ExitCode.MISSING_EXTRA == 5
