"""How networks of transformers are laid out: what lies below a classifier, what scores, how long clips may be."""

from __future__ import annotations

from typing import Any

from torch import nn

from tubelet.errors import UsageError


def base_name(module: Any) -> str:
    """What a classifier calls the network below it.

    Raises
    ------
    ValueError
        It has none under a name that is known.
    """
    for name in (module.base_model_prefix, "vision_model"):  # CLIP and SigLIP keep theirs beside their own prefix
        if isinstance(getattr(module, name, None), nn.Module):
            return str(name)
    raise ValueError(f"{type(module).__name__} has no {module.base_model_prefix} below its classifier")


def classifier_name(module: Any) -> str | None:
    """The fully connected layer that gives the scores of classes; None where there is none."""
    if not type(module).__name__.endswith("Classification"):
        return None
    below = base_name(module)
    outside = [name for name, _ in module.named_modules() if name.partition(".")[0] != below]
    found = [
        name
        for name in outside
        if isinstance(part := module.get_submodule(name), nn.Linear) and part.out_features == module.config.num_labels
    ]
    return found[-1] if found else None


def check_length(name: str, length: int, frames: int, tubelet: int, *, any_length: bool) -> None:
    """Whether a video network takes clips of ``length`` frames, its own being ``frames``.

    Raises
    ------
    UsageError
        It does not: whole tubelets are taken where ``any_length`` is, and else ``frames`` alone.
    """
    if length < 1 or length % tubelet or (length != frames and not any_length):
        wanted = f"multiples of {tubelet}" if any_length else f"{frames}"
        raise UsageError(
            f"{name} takes clips of {wanted} frames, not {length}",
            remedy=f"leave the clip length away: it is {frames} then",
        )
