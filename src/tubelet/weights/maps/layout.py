"""How maps look at a file: shapes under bare names, counted blocks; and layouts that are known only to be refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from tubelet.errors import InputDataError
from tubelet.models.contract import VideoModel
from tubelet.weights.foreign import ForeignFile
from tubelet.weights.maps.name_map import UNSTATED, NameMap
from tubelet.weights.rules import Keep, Refuse, Rule, WeightMap
from tubelet.weights.transforms import BN_FACTOR, LESS_BIAS, SQUEEZED, TO_VECTOR

Shapes = Mapping[str, tuple[int, ...]]

PREFIXES = ("state_dict.", "model_state_dict.", "model.", "module.")
"""What checkpoints and ``nn.DataParallel`` put in front of every name."""

NO_CLASSIFIER = "the file has no classifier: it starts untrained, from seed 0"

BESIDES = (
    Refuse(r"(?:optimizer|optim|opt_dict)(?:_state_dict)?\..+", "the optimizer's state"),
    Refuse(r"best_(?:prec|acc)\d*", "the best accuracy so far"),
)
"""Tensors of a training checkpoint that are no weights."""

NORM = r"(?P<norm>weight|bias|running_mean|running_var|num_batches_tracked)"
"""The tensors of torch's batch normalization, as a group of a rule."""

UNCOUNTED = Keep(r".*\.num_batches_tracked", "older files do not count batches, and nothing computed depends on it")


def shapes_of(foreign: ForeignFile, prefixes: tuple[str, ...] = PREFIXES) -> dict[str, tuple[int, ...]]:
    """Shapes by the names that the rules see: without ``prefixes``."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tensor in foreign.tensors.items():
        bare = name
        for prefix in prefixes:
            bare = bare.removeprefix(prefix)
        shapes.setdefault(bare, tensor.shape)
    return shapes


def counts(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    """How many different second groups each first group of ``pattern`` comes with: the blocks of each stage."""
    found: dict[str, set[str]] = {}
    for name in shapes:
        if (match := re.match(pattern, name)) is not None:
            found.setdefault(match[1], set()).add(match[2])
    return tuple(len(found[stage]) for stage in sorted(found))


def is_kernel(
    shapes: Shapes, name: str, axes: int = 4, *, channels: int | None = None, side: int | None = None
) -> bool:
    """Whether there is a convolution's weight of that name, with so many axes, input channels and rows."""
    shape = shapes.get(name, ())
    return (
        len(shape) == axes
        and (channels is None or shape[1] == channels)
        and (side is None or shape[-2:] == (side, side))
    )


def classes_by(*names: str, axis: int = 0, prefixes: tuple[str, ...] = PREFIXES) -> Callable[[ForeignFile], int | None]:
    """The number of classes from the classifier's weight, under the first of ``names`` that a file has.

    Parameters
    ----------
    axis
        Of the classes: 0 in torch, -2 in Caffe, which may have ones in front.
    """

    def classes(foreign: ForeignFile) -> int | None:
        shapes = shapes_of(foreign, prefixes)
        shape = next((shapes[name] for name in names if name in shapes), ())
        return shape[axis] if len(shape) >= 2 else None

    return classes


def caffe_norms(layer: str, target: str) -> tuple[Rule, ...]:
    """The ``BN`` layer of the action networks' Caffe: scale, shift, mean and variance, each (1,C) or (1,C,1,1)."""
    tensors = ("weight", "bias", "running_mean", "running_var")
    return tuple(Rule(rf"{layer}\[{i}\]", f"{target}.{name}", (SQUEEZED,)) for i, name in enumerate(tensors))


def caffe_scaled_norm(
    statistics: str, scale: str, target: str, factor: str, *, bias: str | None = None
) -> tuple[Rule, ...]:
    """BVLC Caffe's two layers for one norm: ``BatchNorm`` (mean, variance, their factor) and ``Scale`` (both (C)).

    Parameters
    ----------
    statistics, scale
        Names of the two layers, as regular expressions with the same groups.
    target, factor
        Our norm, and the blob with the factor of mean and variance; both may refer to these groups.
    bias
        Name of the bias that the convolution before it has in the file, and has not here: the mean takes it in.
    """
    mean = (TO_VECTOR, BN_FACTOR, *((LESS_BIAS,) if bias else ()))
    return (
        Rule(rf"{statistics}\[0\]", f"{target}.running_mean", mean, (factor, *((bias,) if bias else ()))),
        Rule(rf"{statistics}\[1\]", f"{target}.running_var", (TO_VECTOR, BN_FACTOR), (factor,)),
        Rule(rf"{scale}\[0\]", f"{target}.weight", (TO_VECTOR,)),
        Rule(rf"{scale}\[1\]", f"{target}.bias", (TO_VECTOR,)),
    )


def fixed(
    rules: Iterable[Rule | Refuse], keep: Sequence[Keep] = (UNCOUNTED,), prefixes: tuple[str, ...] = PREFIXES
) -> Callable[[VideoModel], WeightMap]:
    """A ``build`` that gives the same rules for every network."""
    weights = WeightMap((*rules,), (*keep,), prefixes)
    return lambda model: weights


def refusal(
    name: str,
    title: str,
    recognizes: Callable[[ForeignFile], bool],
    *,
    why: str,
    remedy: str,
    recipe: str,
    license: str = UNSTATED,
) -> NameMap:
    """A layout that is known, and that fits no network: whoever asks for its classes or rules is told why.

    The map has no ``models``; its ``classes`` and ``build`` raise `InputDataError`.
    """

    def refused(foreign: ForeignFile) -> int | None:
        raise InputDataError("these weights fit no network here", path=foreign.path, why=why, remedy=remedy)

    def unbuilt(model: VideoModel) -> WeightMap:
        raise InputDataError(f"weights of {name} do not fit {model.name}", why=why, remedy=remedy)

    return NameMap(
        name=name,
        title=title,
        models=(),
        recipe=recipe,
        recognizes=recognizes,
        build=unbuilt,
        classes=refused,
        license=license,
    )
