"""Plain numbers and arrays become figures and self-contained HTML pages.

Nothing here knows of videos, networks or training: everything below uses it. Modules are imported when first
asked for, so that the command line can show progress without loading the drawing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tubelet.reporting.bars import Bar, interval_bars
    from tubelet.reporting.class_bars import class_accuracy
    from tubelet.reporting.confusion import Confusion, confusion_matrix, most_confused
    from tubelet.reporting.curves import training_curves
    from tubelet.reporting.figure import Figure
    from tubelet.reporting.filmstrip import clip_strips, example_strips, neighbor_strips
    from tubelet.reporting.flow_wheel import flow_colors, flow_film, flow_legend
    from tubelet.reporting.intervals import wilson_interval
    from tubelet.reporting.page import Page
    from tubelet.reporting.scatter import scatter_map
    from tubelet.reporting.strips import Strip
    from tubelet.reporting.terminal import progress
    from tubelet.reporting.timeline import class_timeline

__all__ = [
    "Bar",
    "Confusion",
    "Figure",
    "Page",
    "Strip",
    "class_accuracy",
    "class_timeline",
    "clip_strips",
    "confusion_matrix",
    "example_strips",
    "flow_colors",
    "flow_film",
    "flow_legend",
    "interval_bars",
    "most_confused",
    "neighbor_strips",
    "progress",
    "scatter_map",
    "training_curves",
    "wilson_interval",
]

_MODULES = {
    "bars": ("Bar", "interval_bars"),
    "class_bars": ("class_accuracy",),
    "confusion": ("Confusion", "confusion_matrix", "most_confused"),
    "curves": ("training_curves",),
    "figure": ("Figure",),
    "filmstrip": ("clip_strips", "example_strips", "neighbor_strips"),
    "flow_wheel": ("flow_colors", "flow_film", "flow_legend"),
    "intervals": ("wilson_interval",),
    "page": ("Page",),
    "scatter": ("scatter_map",),
    "strips": ("Strip",),
    "terminal": ("progress",),
    "timeline": ("class_timeline",),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
