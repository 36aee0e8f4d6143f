"""One file per paper: what is known about its networks without looking at the code."""

from __future__ import annotations

from suites.case import Case
from suites.cases import c3d, deepvideo, res3d, squeezenet, two_stream

CASES: dict[str, Case] = {
    **c3d.CASES,
    **deepvideo.CASES,
    **res3d.CASES,
    **squeezenet.CASES,
    **two_stream.CASES,
}
