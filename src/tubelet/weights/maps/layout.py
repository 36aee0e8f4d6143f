"""What the layouts have in common: names without their prefixes, and what to do about an optimizer's state."""

from __future__ import annotations

from collections.abc import Callable

from tubelet.weights.foreign import ForeignFile
from tubelet.weights.rules import Keep, Refuse

TORCH_PREFIXES = ("state_dict.", "model_state_dict.", "model.", "module.")
"""What checkpoints of torch put before a network's own names."""

OPTIMIZER = Refuse(r"(optimizer|optim|opt_dict)(_state_dict)?\..+", "the optimizer's state")
NO_CLASSIFIER = "the file has no classifier: it starts untrained, from seed 0"
NOT_COUNTED = Keep(r".+\.num_batches_tracked", "the file does not count batches; nothing but further training uses it")

Shapes = dict[str, tuple[int, ...]]


def bare_shapes(foreign: ForeignFile, prefixes: tuple[str, ...] = ()) -> Shapes:
    """The shapes of a file's tensors by their names without prefixes."""
    shapes = {}
    for name, tensor in foreign.tensors.items():
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        shapes[name] = tensor.shape
    return shapes


def rows_of(*names: str, prefixes: tuple[str, ...] = ()) -> Callable[[ForeignFile], int | None]:
    """The number of classes, where a classifier's matrix (…, classes, inputs) has one of these names."""

    def classes(foreign: ForeignFile) -> int | None:
        shapes = bare_shapes(foreign, prefixes)
        found = next((shapes[name] for name in names if name in shapes), ())
        return found[-2] if len(found) >= 2 else None

    return classes
