"""Which views of a video are scored at test time: positions in time and crops, with the papers' choices by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, get_args

from tubelet.clips.indices import one_of
from tubelet.clips.sampling import ClipIndices, Policy, Sampling, ShortVideo
from tubelet.clips.views import Views, mirrors
from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel
from tubelet.provenance import hash_json

_CROPS: Mapping[int, Views] = {1: "center", 2: "center_flip", 3: "three", 4: "four", 5: "five", 10: "ten"}
_GENERAL = re.compile(r"(?P<random>random:)?(?P<clips>[1-9][0-9]{0,3})(?:x(?P<crops>[0-9]{1,2}))?")

Average = Literal["scores", "softmax"]
"""What is averaged over a video's views: the scores before softmax, or their softmax."""


@dataclass(frozen=True)
class TestViews:
    """Positions times crops; the video's scores are the mean over all of them.

    Attributes
    ----------
    name
        What it is called.
    policy
        Where clips lie, one of `tubelet.clips.sampling.Policy`. Clip length and step are the network's.
    n_clips
        Clips a video; None for ``dense`` and ``non_overlapping``.
    crops
        Views of each clip, see `tubelet.clips.views.view_draws`.
    short
        What happens to a video shorter than a clip.
    seed
        Of ``random`` positions; each video's also depend on its name, and on nothing else.

    Raises
    ------
    UsageError
        Values that do not exist or do not fit together.
    """

    __test__: ClassVar[bool] = False  # pytest would take the class for a test

    name: str
    policy: Policy
    n_clips: int | None
    crops: Views = "center"
    short: ShortVideo = "loop"
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("crops", self.crops, get_args(Views))
        if self.sampling(1, 1).one_input:
            raise UsageError(
                f"{self.policy} makes one input of all snippets",
                why="at test time every snippet has its own scores",
                remedy="use uniform, tsn_torch_test or tsn_caffe_test",
            )

    @property
    def crops_per_clip(self) -> int:
        """1, 2, 3, 4, 5 or 10."""
        return next(count for count, crops in _CROPS.items() if crops == self.crops)

    @property
    def mirrored(self) -> bool:
        """Whether the crops hold mirror images."""
        return mirrors(self.crops)

    def sampling(self, clip_length: int, step_frames: int) -> Sampling:
        """The sampling policy for a network's clips."""
        seed = self.seed if self.policy == "random" else None
        return Sampling(self.policy, clip_length, None, step_frames, self.short, self.n_clips, seed)

    def indices(self, video_id: str, n_frames: int, clip_length: int, step_frames: int) -> ClipIndices:
        """The clips of a video with ``n_frames`` frames."""
        return self.sampling(clip_length, step_frames).of_video(video_id, n_frames)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def __str__(self) -> str:
        clips = "clips" if self.n_clips is None else f"{self.n_clips} clips"
        drawn = f", seed {self.seed}" if self.policy == "random" else ""
        return f"{clips} ({self.policy.replace('_', ' ')}{drawn}), crops: {self.crops.replace('_', ' ')}"

    @property
    def hash(self) -> str:
        """Hexadecimal SHA-256 of all but the name as canonical JSON."""
        return hash_json({key: value for key, value in self.to_dict().items() if key != "name"})


PRESETS: Mapping[str, tuple[TestViews, str]] = {
    views.name: (views, where)
    for views, where in (
        (TestViews("25x10", "uniform", 25, "ten"), "Two-Stream, section 5; TSN, section 3.3: equal spacing, ten crops"),
        (TestViews("tsn_caffe", "tsn_caffe_test", 25, "ten", "repeat-last"), "TSN's Caffe release (eval_net.py)"),
        (TestViews("tsn_torch", "tsn_torch_test", 25, "ten", "repeat-last"), "TSN's PyTorch release (dataset.py)"),
        (TestViews("c3d", "random", 10), "C3D, section 3.2, and Res3D: 10 random clips, one center crop each"),
        (TestViews("p3d", "random", 20), "P3D: 20 random clips, one center crop each"),
        (
            TestViews("deepvideo", "random", 20, "four"),
            "DeepVideo, section 4.1: 20 random clips, four crops and flips each",
        ),
        (TestViews("t3d", "non_overlapping", None), "T3D: clips one behind the other, center crop"),
        (TestViews("dense", "dense", None), "a clip every 8 frames, center crop: the clips of the C3D descriptor"),
    )
}
"""The named views, each with where they come from; besides them ``NxM`` and ``random:NxM``, see `views_by_name`."""


def views_by_name(name: str, seed: int = 0) -> TestViews:
    """A preset, or the general form.

    That is ``NxM`` such as ``10x3``: N clips at equal spacing, M = 1, 2, 3, 4, 5 or 10 crops; or ``random:NxM``: N
    clips at random places (``random:N``: one center crop each).

    Parameters
    ----------
    name
        Of `PRESETS`, or the general form.
    seed
        Of random positions; other views have none.

    Raises
    ------
    UsageError
        There are no such views.
    """
    if name in PRESETS:
        views = PRESETS[name][0]
        return TestViews(**{**asdict(views), "seed": seed}) if views.policy == "random" else views
    match = _GENERAL.fullmatch(name)
    crops = None if match is None else match["crops"] or ("1" if match["random"] else None)
    if match is None or crops is None or int(crops) not in _CROPS:
        raise UsageError(
            f"there are no test views {name!r}",
            remedy=f"use {', '.join(PRESETS)}, or NxM (random:NxM): N clips at equal spacing (at random places), "
            f"M = {', '.join(map(str, _CROPS))} crops",
        )
    if match["random"]:
        return TestViews(name, "random", int(match["clips"]), _CROPS[int(crops)], seed=seed)
    return TestViews(name, "uniform", int(match["clips"]), _CROPS[int(crops)])


def name_of(sampling: Sampling) -> str:
    """What the views of these clips with one center crop each are called; empty where `views_by_name` knows no name."""
    for name, (views, _) in PRESETS.items():
        alike = views.sampling(sampling.clip_length, sampling.step_frames)
        if views.crops == "center" and replace(sampling, seed=None, short=views.short) == replace(alike, seed=None):
            return name
    if sampling.policy in ("uniform", "random"):
        return f"{sampling.n_clips}x1" if sampling.policy == "uniform" else f"random:{sampling.n_clips}"
    return ""


_OF_FAMILY = {"p3d": "p3d", "t3d": "t3d", "densenet3d": "t3d", "res3d": "c3d", "deepvideo": "deepvideo"}
# DenseNet3D is T3D's own baseline.


def default_views(model: VideoModel) -> TestViews:
    """The views of a network's paper (C3D, DeepVideo, P3D, T3D; frames and snippets: 25x10), else dense clips.

    The nets of C3D's architecture search and the small ones have no such test in print.
    """
    if model.name == "c3d":
        return PRESETS["c3d"][0]
    family = model.name.partition("_")[0]
    if family in _OF_FAMILY:
        return PRESETS[_OF_FAMILY[family]][0]
    return PRESETS["25x10" if model.input.clip_length == 1 or model.input.segments > 1 else "dense"][0]


def default_average(model: VideoModel) -> Average:
    """Two-Stream and TSN average scores before softmax over their 25x10 views; all others their clips' softmax.

    TSN says so (section 3.3); Two-Stream's "scores" (section 5) are taken for the same, and a stream's softmax follows
    where streams are fused. C3D (section 3.2), P3D and T3D average the clips' predictions.
    """
    return "scores" if model.name.startswith(("tsn_", "two_stream_")) else "softmax"
