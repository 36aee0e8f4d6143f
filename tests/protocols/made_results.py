"""Results of a few videos, made by hand, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tubelet.protocols.result import Published, Result
from tubelet.protocols.video_level import classification_result

CLASSES = ("jump", "run", "walk")
LINE = Published(
    0.823, "C3D (Tran et al., ICCV 2015), table 3", method="C3D (1 net) + linear SVM",
    differences=("split 1 here, the mean of splits 1 to 3 there",),
)  # fmt: skip


def made(
    right: Sequence[bool],
    *,
    name: str = "network",
    dataset: str = "acts",
    classes: Sequence[str] = CLASSES,
    groups: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Result:
    """Video i is of class i modulo their number; a wrong one is taken for the next class."""
    labels = [classes[index % len(classes)] for index in range(len(right))]
    rows = np.array([[float(each == label) for each in classes] for label in labels])
    rows = np.where(np.array(right)[:, None], rows, np.roll(rows, 1, axis=1))
    provenance = {"tool_version": "0.1.0", "dataset": {"name": dataset, "hash": "abc", "fps": None}}
    return classification_result(
        rows, labels, classes, protocol=name, video_ids=[f"{label}/{index}.avi" for index, label in enumerate(labels)],
        groups=groups, settings=settings, provenance=provenance, **more,
    )  # fmt: skip


def first(count: int, of: int = 12) -> list[bool]:
    """The first ``count`` of so many are right."""
    return [index < count for index in range(of)]
