"""A saved model and its SVM, applied to videos: the top classes of each, and along its time."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tubelet.datasets.manifest import Manifest
from tubelet.descriptors.described import Described
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.pooling import l2_normalize
from tubelet.descriptors.request import item_id, requests_of
from tubelet.errors import InputDataError, TubeletError
from tubelet.models.folder import load_model
from tubelet.protocols.class_names import class_names
from tubelet.protocols.leak import seen_items
from tubelet.protocols.rounds import SVM
from tubelet.protocols.svm import CONFIG_FILE, DescriptorSVM
from tubelet.protocols.video_level import top_classes, video_probabilities

_log = logging.getLogger(__name__)

Head = Literal["net", "svm"]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Classified:
    """What a video was taken for.

    Attributes
    ----------
    video_id, path, label
        Which video, and its true class where known.
    head
        Which head decided: ``"net"`` (scores are probabilities) or ``"svm"`` (signed distances).
    classes
        (K,) names.
    scores
        (K,) of the deciding head, for the whole video.
    other
        (K,) of the other head, or None where the model has no SVM.
    clip_scores
        (n_clips, K) of the deciding head.
    clip_probabilities
        (n_clips, K) of the network, whichever head decides.
    described
        Times, frames and decode status.
    seen
        Whether the model was trained on the video's group.
    """

    video_id: str
    path: Path
    label: str | None
    head: Head
    classes: tuple[str, ...]
    scores: FloatArray
    other: FloatArray | None
    clip_scores: FloatArray
    clip_probabilities: FloatArray
    described: Described
    seen: bool = False

    @property
    def predicted(self) -> str:
        """The best class."""
        return self.classes[int(self.scores.argmax())]

    def to_dict(self, top: int = 5) -> dict[str, Any]:
        """JSON-ready: top classes of the video by each head, and the best class of every clip with its seconds."""
        report = self.described.report
        heads = {self.head: self.scores}
        if self.other is not None:
            heads["svm" if self.head == "net" else "net"] = self.other
        best = self.clip_scores.argmax(axis=1)
        return {
            "video_id": self.video_id,
            "path": str(self.path),
            "label": self.label,
            "seen_in_training": self.seen,
            "predicted": self.predicted,
            "score": float(self.scores.max()),
            "top": _named(self.scores, self.classes, top),
            "heads": {head: _named(scores, self.classes, top) for head, scores in heads.items()},
            "clips": [
                {
                    "start_s": float(self.described.start_s[index]),
                    "end_s": float(self.described.end_s[index]),
                    "predicted": self.classes[int(klass)],
                    "score": float(self.clip_scores[index, klass]),
                }
                for index, klass in enumerate(best)
            ],
            "decode_status": report.status,
            "frames_declared": report.frames_declared,
            "frames_decoded": report.frames_decoded,
            "fps": report.fps,
            "fps_source": report.fps_source,
        }


def _named(scores: FloatArray, classes: Sequence[str], top: int) -> list[dict[str, Any]]:
    return [{"label": name, "score": score} for name, score in top_classes(scores, classes, top)]


class Classifier:
    """Classify videos with a model folder, by its network or by the SVM saved beside it.

    Parameters
    ----------
    folder
        What ``tubelet train`` saved.
    head
        ``"net"``, ``"svm"``, or None: the SVM where there is one, as in the paper.
    device, workers, flow, any_flow
        As for the extractor.

    Raises
    ------
    InputDataError
        If the folder holds no model, the model has no classifier or no class names, or its SVM cannot be used or is
        asked for and not there. With ``head="net"`` an SVM that cannot be used is only logged.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        head: Head | None = None,
        device: str = "auto",
        workers: int = 1,
        flow: str | os.PathLike[str] | None = None,
        any_flow: bool = False,
    ) -> None:
        self.model = load_model(folder)
        self.classes = class_names(self.model, folder)
        where = Path(folder) / SVM
        self.svm: DescriptorSVM | None = None
        if head == "svm" or (where / CONFIG_FILE).exists():
            recipe_hash = None if self.model.recipe is None else self.model.recipe.hash
            try:
                self.svm = DescriptorSVM.load(where, weights_id=self.model.weights_id, recipe_hash=recipe_hash)
            except InputDataError as error:
                if head != "net":
                    raise
                _log.warning("%s", error)
        self.head: Head = head or ("net" if self.svm is None else "svm")
        layers = ("prob",) if self.svm is None else (self.svm.layer, "prob")
        self._extractor = Extractor(
            self.model, layers, device=device, workers=workers, precision="float32", flow=flow, any_flow=any_flow
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result should know of the stored flow that was read."""
        return self._extractor.flow_notes

    def classify(self, videos: Manifest) -> Iterator[tuple[str, Classified | TubeletError]]:
        """Classify videos in order; one that fails yields its error, and the rest goes on."""
        requests = requests_of(videos)
        seen = dict(zip(map(item_id, videos.items), seen_items(self.model.provenance, videos), strict=True))
        with closing(self._extractor.described(requests)) as outcomes:
            for request, outcome in zip(requests, outcomes, strict=True):
                if isinstance(outcome, TubeletError):
                    yield request.video_id, outcome
                else:
                    found = self._classified(request.video_id, request.path, request.label, outcome)
                    yield request.video_id, replace(found, seen=seen[request.video_id])

    def _classified(self, video_id: str, path: Path, label: str | None, described: Described) -> Classified:
        clip_probabilities = described.vectors["prob"].astype(np.float64)
        net = video_probabilities(clip_probabilities)
        svm = None if self.svm is None else self._distances(self.svm, described.video_vector(self.svm.layer)[None])[0]
        if self.head == "svm" and self.svm is not None and svm is not None:
            clips = self._distances(self.svm, l2_normalize(described.vectors[self.svm.layer]))
            return Classified(
                video_id, path, label, "svm", self.classes, svm, net, clips, clip_probabilities, described
            )
        return Classified(
            video_id,
            path,
            label,
            "net",
            self.classes,
            net,
            svm,
            clip_probabilities,
            clip_probabilities,
            described,
        )

    def _distances(self, svm: DescriptorSVM, vectors: NDArray[np.float32]) -> FloatArray:
        """Decision values in the order of the network's classes; one that the SVM never saw is out of reach."""
        scores = np.full((len(vectors), len(self.classes)), -1e9)
        scores[:, [self.classes.index(name) for name in svm.classes_]] = svm.decision_function(vectors)
        return scores

    def close(self) -> None:
        """End the decoding processes."""
        self._extractor.close()

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
