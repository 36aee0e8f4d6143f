"""One page with every kind of figure, with names that try to break out of it, drawn once for all tests."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.reporting import (
    Bar,
    Figure,
    Page,
    Strip,
    class_accuracy,
    class_timeline,
    confusion_matrix,
    example_strips,
    flow_film,
    interval_bars,
    neighbor_strips,
    scatter_map,
    training_curves,
)

EVIL = "<script>alert('x')</script>\" onload=\"alert(1)"


@pytest.fixture(scope="session")
def evil() -> str:
    return EVIL


@pytest.fixture(scope="session")
def figures() -> dict[str, Figure]:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (4, 5, 24, 32, 3), dtype=np.uint8)
    strips = [
        Strip(clip, EVIL, "../a & b/<i>.mp4", start_s=0.0, end_s=0.64, score=0.5, correct=mark)
        for clip, mark in zip(frames, (None, True, False, None), strict=True)
    ]
    labels = [EVIL, "$a$ & $b$", "up"]
    counts = np.array([[5, 1, 0], [2, 3, 0], [0, 0, 4]])
    return {
        "curves": training_curves([{"step": i, "loss": 1 / (i + 1), "val_accuracy": i / 9} for i in range(9)]),
        "confusion": confusion_matrix(counts, labels),
        "classes": class_accuracy(counts, labels, chance=1 / 3),
        "bars": interval_bars([Bar(EVIL, 0.8, 0.7, 0.9, published=0.85, note=EVIL)], chance=0.1),
        "scatter": scatter_map(rng.normal(size=(12, 2)), [EVIL, "b", "c"] * 4, correct=[True, False] * 6),
        "timeline": class_timeline(
            [0, 1], [1, 2], [[0.9, 0.1], [0.2, 0.8]], [EVIL, "b"], frames=frames[0], title=EVIL, caption=EVIL
        ),
        "flow": flow_film(frames[0], rng.normal(size=(4, 24, 32, 2)), title=EVIL, caption=EVIL),
        "neighbors": neighbor_strips(strips[:1], [strips[1:]]),
        "examples": example_strips({EVIL: strips[:2], "b": strips[2:]}),
    }


@pytest.fixture(scope="session")
def page(figures: dict[str, Figure]) -> Page:
    page = Page(EVIL, EVIL).add_numbers((EVIL, EVIL, EVIL)).add_section(EVIL, EVIL)
    page.add_figure(figures["confusion"], figures["bars"])
    for name in ("curves", "classes", "scatter", "timeline", "flow", "neighbors", "examples"):
        page.add_section(name).add_figure(figures[name])
    # The same figure twice: its ids must not meet.
    page.add_figure(figures["confusion"])
    page.add_table([EVIL, "n"], [[EVIL, 1.5], [None, 2.25]], highlight=0, caption=EVIL)
    page.add_facts({EVIL: EVIL, "nested": {"a": [1, 2.5]}}).add_code(EVIL, caption=EVIL)
    page.add_details(EVIL, EVIL, {EVIL: EVIL})
    return page.set_provenance({EVIL: EVIL, "seed": 0})
