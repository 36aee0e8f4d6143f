"""The names of the classes that a network scores, or why it has none and what helps."""

from __future__ import annotations

import os

from tubelet.errors import InputDataError
from tubelet.models.contract import VideoModel
from tubelet.models.huggingface.files import CONFIG, PREFIX


def class_names(model: VideoModel, path: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """The names of a model's classes, in the order of its scores.

    Parameters
    ----------
    model
        The network.
    path
        Its folder, for the message.

    Raises
    ------
    InputDataError
        It has no classifier, or one whose classes have no names.
    """
    if model.labels is not None:
        return model.labels
    if model.num_classes == 0:
        raise InputDataError(
            f"{model.name} has no classifier",
            path=path,
            why="its weights are those of an encoder",
            remedy="fit an SVM on its descriptors: tubelet evaluate descriptors --model",
        )
    if model.name.startswith(PREFIX):
        raise InputDataError(
            "the model has no class names", path=path, remedy=f"name the classes in id2label of its {CONFIG}"
        )
    raise InputDataError(
        "the model has no class names",
        path=path,
        remedy="save it with labels, convert its weights again with --labels NAMES.txt, or train it with tubelet train",
    )
