"""Action recognition: rounds of train and test, put together into the figures that papers print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tubelet.artifacts import write_json
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import leave_one_group_out
from tubelet.errors import InputDataError
from tubelet.models.folder import read_provenance
from tubelet.protocols.bootstrap import Interval, bootstrap_interval
from tubelet.protocols.comparable import SCRATCH, Head, beside, done_in_round, seen_by
from tubelet.protocols.metrics import IntArray, stacked_targets
from tubelet.protocols.result import Result
from tubelet.protocols.rounds import RoundScores, RoundSettings, run_round
from tubelet.protocols.video_level import classification_result
from tubelet.provenance import environment
from tubelet.training.run_folder import safe_name


@dataclass(frozen=True)
class Recognition:
    """What a recognition protocol ends with.

    Attributes
    ----------
    net
        The network's own prediction (mean of clip probabilities).
    svm
        Linear SVM on the video descriptor, if it was asked for.
    failed
        Videos that could not be read.
    """

    net: Result
    svm: Result | None
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def results(self) -> tuple[Result, ...]:
        """SVM first: it is the paper's protocol."""
        return (self.net,) if self.svm is None else (self.svm, self.net)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "svm": None if self.svm is None else self.svm.to_dict(),
            "net": self.net.to_dict(),
            "failed": [{"path": path, "error": why} for path, why in self.failed],
        }


def train_and_test(
    training: Manifest,
    test: Manifest,
    settings: RoundSettings,
    folder: Path,
    *,
    further: Sequence[Manifest] = (),
    device: str = "cpu",
    overwrite: bool = False,
) -> Recognition:
    """Train on one part of a dataset (and on ``further`` ones), test on another, and say how sure the figures are."""
    scores = run_round(training, test, settings, folder, further=further, device=device, overwrite=overwrite)
    recognition = _beside_published(
        _recognition([scores], test.classes, settings, training, "one split"), settings, test
    )
    write_json(folder / "result.json", recognition.to_dict())
    return recognition


def _beside_published(recognition: Recognition, settings: RoundSettings, test: Manifest) -> Recognition:
    """The same with the papers' figures, where the videos are an official split and there are comparable ones."""
    seen = SCRATCH if settings.weights is None else seen_by(read_provenance(settings.weights))

    def compared(result: Result, head: Head) -> Result:
        return beside(result, done_in_round(settings, test, head, result.n, seen))

    svm = recognition.svm
    return replace(
        recognition,
        net=compared(recognition.net, "network"),
        svm=None if svm is None else compared(svm, "svm"),
    )


def leave_one_out(
    manifest: Manifest, settings: RoundSettings, folder: Path, *, device: str = "cpu", overwrite: bool = False
) -> Recognition:
    """Train once for each group with that group held out; all videos are scored by a net that never saw their group.

    Finished folds lie in ``folder/<group>`` and are not run again.
    """
    scores = [
        run_round(fold.train, fold.test, settings, folder / safe_name(fold.name), device=device, overwrite=overwrite)
        for fold in leave_one_group_out(manifest)
    ]
    text = f"leave one group out, {len(scores)} folds"
    recognition = _recognition(scores, manifest.classes, settings, manifest, text)
    write_json(folder / "result.json", recognition.to_dict())
    return recognition


def _recognition(
    rounds: Sequence[RoundScores],
    classes: Sequence[str],
    settings: RoundSettings,
    manifest: Manifest,
    how: str,
) -> Recognition:
    failed = sorted({pair for scores in rounds for pair in scores.failed})
    rounds = [scores for scores in rounds if scores.labels]  # a fold whose test videos all failed has no figures
    labels = [label for scores in rounds for label in scores.labels]
    if not labels:
        raise InputDataError("no test video could be read", path=manifest.root, remedy="see failed.jsonl")
    groups = [group for scores in rounds for group in scores.groups]
    common: dict[str, Any] = {
        "labels": labels,
        "classes": classes,
        "video_ids": [video_id for scores in rounds for video_id in scores.video_ids],
        "groups": groups if len(set(groups)) < len(groups) else None,
        "settings": {"protocol": how, **settings.to_dict()},
        "provenance": environment(dataset=manifest.to_dict()),
        "notes": sorted({note for scores in rounds for note in scores.notes}),
        "targets": stacked_targets([_targets(scores, classes) for scores in rounds]),
    }
    net = classification_result(
        np.concatenate([scores.net for scores in rounds]),
        protocol="network, mean of clip probabilities",
        **common,
    )
    decisions = [scores.svm for scores in rounds if scores.svm is not None]
    svm = None
    if len(decisions) == len(rounds):
        svm = classification_result(
            np.concatenate(decisions), protocol=f"linear SVM on {settings.descriptor_layer}", **common
        )
    return Recognition(net, svm, tuple(failed))


def _targets(scores: RoundScores, classes: Sequence[str]) -> IntArray:
    if scores.targets is not None:
        return scores.targets
    return np.array([[classes.index(label)] for label in scores.labels], dtype=np.int64)


@dataclass(frozen=True)
class SeedSummary:
    """One head's accuracy over several seeds.

    Attributes
    ----------
    protocol
        Which head.
    seeds, values
        One accuracy per seed.
    mean
        Their mean.
    interval
        Bootstrap of each video's mean correctness over the seeds: the videos (or their groups, where there are at
        least ten) are the sample, the seeds are averaged out.
    """

    protocol: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    interval: Interval

    def headline(self) -> str:
        """One line."""
        each = ", ".join(f"{value:.1%}" for value in self.values)
        return (
            f"{self.protocol}: mean over seeds {', '.join(map(str, self.seeds))}: {self.mean:.1%} "
            f"({self.interval.level:.0%} interval {self.interval.low:.1%} to {self.interval.high:.1%}); each: {each}"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "protocol": self.protocol,
            "seeds": list(self.seeds),
            "values": list(self.values),
            "mean": self.mean,
            "interval": self.interval.to_dict(),
        }


def over_seeds(seeds: Sequence[int], results: Sequence[Result]) -> SeedSummary:
    """Put the same protocol's results for several seeds together; all must list the same videos."""
    right: dict[str, list[float]] = {}
    for result in results:
        for prediction in result.predictions:
            right.setdefault(prediction.video_id, []).append(float(prediction.predicted == prediction.label))
    group = {prediction.video_id: prediction.group for result in results for prediction in result.predictions}
    groups = [name for name in (group[video_id] for video_id in right) if name is not None]
    return SeedSummary(
        results[0].protocol,
        tuple(seeds),
        tuple(result.value for result in results),
        float(np.mean([result.value for result in results])),
        bootstrap_interval(
            [float(np.mean(values)) for values in right.values()], groups if len(groups) == len(right) else None
        ),
    )


def with_seed(settings: RoundSettings, seed: int) -> RoundSettings:
    """The same settings with another seed."""
    return replace(settings, train=settings.train.changed(seed=seed))
