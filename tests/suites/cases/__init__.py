"""One file per paper: what is known about its networks without looking at the code."""

from __future__ import annotations

from suites.case import Case
from suites.cases import c3d, p3d, res3d, t3d, tsn

CASES: dict[str, Case] = {
    **c3d.CASES,
    **p3d.CASES,
    **res3d.CASES,
    **t3d.CASES,
    **tsn.CASES,
}
