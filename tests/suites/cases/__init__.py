"""One file per paper: what is known about its networks without looking at the code."""

from __future__ import annotations

from suites.case import Case
from suites.cases import (
    alexnet,
    alexnet_owt,
    beyond_short_snippets,
    c3d,
    deepvideo,
    lrcn,
    lstm_composite,
    p3d,
    res3d,
    squeezenet,
    t3d,
    tsn,
    two_stream,
)

CASES: dict[str, Case] = {
    **alexnet.CASES,
    **alexnet_owt.CASES,
    **beyond_short_snippets.CASES,
    **c3d.CASES,
    **deepvideo.CASES,
    **lrcn.CASES,
    **lstm_composite.CASES,
    **p3d.CASES,
    **res3d.CASES,
    **squeezenet.CASES,
    **t3d.CASES,
    **tsn.CASES,
    **two_stream.CASES,
}
