"""The algorithms that estimate flow, as values: every parameter is written down, recorded and hashable.

All three come from OpenCV. Their names, for ``estimate`` and the command line, are the keys of
:data:`ALGORITHMS`; any other parameters are given as a value, ``Tvl1(warps=2)``.

What the papers used. TSN, P3D and most stored flow come from dense_flow: TV-L1 of OpenCV's GPU module, at
its defaults, on frames of 340×256. Those defaults are the ones of :class:`Tvl1` except for the pyramid and
the inner loop: at most 300 iterations a warp in one loop without median filter, five scales. With OpenCV 2.4,
for which dense_flow was written, each scale is half the one before (a Gaussian pyramid: the fifth is 1/16);
from OpenCV 3 on it is 0.8 of it (the fifth is 0.41). The GPU code is in no wheel, so the figures of these papers
can be approached and not repeated. Two-Stream used the method of Brox et al. (2004), on the GPU as well: no free
implementation is in OpenCV's wheel, and TV-L1 is the nearest there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import NumericalError, UsageError
from tubelet.flow.opencv import opencv

Gray = NDArray[np.uint8]
Solver = Callable[[Gray, Gray], NDArray[np.float32]]
"""Two gray frames ``(H, W)`` to vectors ``(H, W, 2)`` that lead from the first to the second."""

SMALLEST_SIDE = 16
"""Pixels: what every algorithm asks of a frame's shorter side; OpenCV's TV-L1 makes no scale below it."""


@dataclass(frozen=True)
class Algorithm(ABC):
    """Base of the algorithms: a frozen set of parameters that knows its name and computes vectors."""

    family: ClassVar[str]
    may_be_zero: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        for parameter in fields(self):
            value = getattr(self, parameter.name)
            if isinstance(value, bool):
                continue
            if not (value > 0 or (value == 0 and parameter.name in self.may_be_zero)):
                raise UsageError(
                    f"{self.family} cannot have {parameter.name} = {value!r}",
                    remedy="give a positive number, or leave it out for the default",
                )

    @property
    def name(self) -> str:
        """Its key in :data:`ALGORITHMS`, or the family with ``_custom`` for parameters of your own."""
        return next((name for name, known in ALGORITHMS.items() if known == self), f"{self.family}_custom")

    @property
    def smallest_side(self) -> int:
        """Pixels that the shorter side of a frame must have."""
        return SMALLEST_SIDE

    def settings(self) -> dict[str, Any]:
        """All parameters and OpenCV's version, JSON-ready: what provenance records."""
        return {"family": self.family, **asdict(self), "opencv": opencv().__version__}

    @abstractmethod
    def solver(self) -> Solver:
        """OpenCV's part: no check of frames or vectors. It keeps its buffers, so use one per thread."""

    def checked_solver(self) -> Solver:
        """A function from two gray frames to vectors, which checks both; use one per thread.

        Returns
        -------
        callable
            From two frames ``(H, W)`` uint8 to ``(H, W, 2)`` float32, from the first to the second. It raises
            UsageError for frames that are not gray uint8, differ in size or are smaller than ``smallest_side``,
            NumericalError for vectors that are not finite.

        Raises
        ------
        MissingExtraError
            OpenCV is not installed.
        """
        solve = self.solver()

        def checked(first: Gray, second: Gray) -> NDArray[np.float32]:
            self._check_pair(first, second)
            vectors = solve(first, second)
            if not np.isfinite(vectors).all():
                raise NumericalError(
                    f"{self.name} returned vectors that are not finite", remedy="choose another flow algorithm"
                )
            return vectors

        return checked

    def _check_pair(self, first: Gray, second: Gray) -> None:
        for frame in (first, second):
            if frame.ndim != 2 or frame.dtype != np.uint8 or frame.shape != first.shape:
                raise UsageError(
                    f"flow from a frame {first.shape} {first.dtype} to a frame {second.shape} {second.dtype}",
                    why="both must be gray, (H, W) uint8, and of one size",
                    remedy="resize the frames to one size, and pass color frames to estimate",
                )
        height, width = first.shape
        if min(height, width) < self.smallest_side:
            raise UsageError(
                f"{self.name} needs frames with sides of at least {self.smallest_side} pixels",
                why=f"these have {height}x{width} (height x width)",
                remedy="resize them first, or choose another flow algorithm",
            )


def _check_scale_step(family: str, scale_step: float) -> None:
    if scale_step >= 1:
        raise UsageError(
            f"{family} cannot have scale_step = {scale_step!r}",
            why="each scale is smaller than the one before",
            remedy="give a number between 0 and 1",
        )


@dataclass(frozen=True)
class Dis(Algorithm):
    """Dense inverse search (Kroeger et al. 2016); the defaults are OpenCV's preset "medium".

    Attributes
    ----------
    finest_scale
        The finest level of the pyramid that is computed: 0 is the frame itself, 1 half of it. The coarsest is
        OpenCV's choice by the size of the frame.
    patch_size, patch_stride
        Side of the patches and their distance, in pixels of a level.
    descent_iterations
        Of the inverse search, per patch.
    refinement_iterations
        Of the variational refinement, per level; 0 leaves it out.
    refinement_alpha, refinement_delta, refinement_gamma
        Its weights of smoothness, of constant color and of constant gradient.
    mean_normalization
        Compare patches without their means: robust against changes of light.
    spatial_propagation
        Start a patch also from its neighbors' vectors.
    """

    family: ClassVar[str] = "dis"
    may_be_zero: ClassVar[frozenset[str]] = frozenset(
        {"finest_scale", "refinement_iterations", "refinement_alpha", "refinement_delta", "refinement_gamma"}
    )

    finest_scale: int = 1
    patch_size: int = 8
    patch_stride: int = 3
    descent_iterations: int = 25
    refinement_iterations: int = 5
    refinement_alpha: float = 20.0
    refinement_delta: float = 5.0
    refinement_gamma: float = 10.0
    mean_normalization: bool = True
    spatial_propagation: bool = True

    @property
    def smallest_side(self) -> int:
        """A patch at the finest level: on smaller frames OpenCV 5.0 writes outside its memory or returns NaN."""
        return max(SMALLEST_SIDE, self.patch_size << self.finest_scale)

    def solver(self) -> Solver:
        """See ``Algorithm.solver``."""
        search = opencv().DISOpticalFlow_create(2)
        search.setFinestScale(self.finest_scale)
        search.setPatchSize(self.patch_size)
        search.setPatchStride(self.patch_stride)
        search.setGradientDescentIterations(self.descent_iterations)
        search.setVariationalRefinementIterations(self.refinement_iterations)
        search.setVariationalRefinementAlpha(self.refinement_alpha)
        search.setVariationalRefinementDelta(self.refinement_delta)
        search.setVariationalRefinementGamma(self.refinement_gamma)
        search.setUseMeanNormalization(self.mean_normalization)
        search.setUseSpatialPropagation(self.spatial_propagation)
        return _calculate(search)


@dataclass(frozen=True)
class Tvl1(Algorithm):
    """Duality-based TV-L1 (Zach, Pock and Bischof 2007), OpenCV's CPU implementation.

    The defaults are OpenCV's except for ``scales``. OpenCV stops after five scales of 0.8, the coarsest 0.41
    of the frame: of 8 pixels there are 3.3 left, and fine texture that moves so far is lost. Thirteen go on
    until the frame has 16 pixels (OpenCV makes none smaller): 8 pixels of fine and 16 of natural texture are
    found, in a tenth more time (docs/measured.md).

    Attributes
    ----------
    scales, scale_step
        Levels of the pyramid, and the size of each relative to the one before.
    warps
        Linearizations per scale. Two instead of five are 1.6 times as fast, and as exact up to 8 pixels.
    outer_iterations, inner_iterations
        Per warp; the median filter runs once per outer iteration.
    epsilon
        Stop when the mean change of an iteration is below it, in pixels.
    tau, lambda_, theta, gamma
        Time step, weight of the data, tightness, and weight of changes in light.
    median_filtering
        Side of the median filter; 1 leaves it out, 3 or 5.
    """

    family: ClassVar[str] = "tvl1"
    may_be_zero: ClassVar[frozenset[str]] = frozenset({"gamma"})

    scales: int = 13
    scale_step: float = 0.8
    warps: int = 5
    outer_iterations: int = 10
    inner_iterations: int = 30
    epsilon: float = 0.01
    tau: float = 0.25
    lambda_: float = 0.15
    theta: float = 0.3
    gamma: float = 0.0
    median_filtering: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_scale_step(self.family, self.scale_step)
        if self.median_filtering not in (1, 3, 5):
            raise UsageError(
                f"tvl1 cannot have median_filtering = {self.median_filtering!r}", remedy="give 1 (off), 3 or 5"
            )

    def solver(self) -> Solver:
        """See ``Algorithm.solver``."""
        return _calculate(
            opencv().optflow.DualTVL1OpticalFlow_create(
                tau=self.tau,
                lambda_=self.lambda_,
                theta=self.theta,
                nscales=self.scales,
                warps=self.warps,
                epsilon=self.epsilon,
                innnerIterations=self.inner_iterations,  # spelled so in OpenCV
                outerIterations=self.outer_iterations,
                scaleStep=self.scale_step,
                gamma=self.gamma,
                medianFiltering=self.median_filtering,
                useInitialFlow=False,
            )
        )


@dataclass(frozen=True)
class Farneback(Algorithm):
    """Polynomial expansion (Farnebäck 2003).

    Attributes
    ----------
    scale_step, scales
        Size of each level relative to the one before, and how many are added to the frame itself.
    window
        Side of the averaging window in pixels: larger is steadier and more blurred.
    iterations
        Per level.
    polynomial_size, polynomial_sigma
        Neighborhood of the expansion in pixels, and the deviation of its Gaussian weights.
    gaussian_window
        A Gaussian window instead of a box.
    """

    family: ClassVar[str] = "farneback"

    scale_step: float = 0.5
    scales: int = 5
    window: int = 15
    iterations: int = 3
    polynomial_size: int = 7
    polynomial_sigma: float = 1.5
    gaussian_window: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_scale_step(self.family, self.scale_step)

    def solver(self) -> Solver:
        """See ``Algorithm.solver``."""
        cv2 = opencv()
        flags = cv2.OPTFLOW_FARNEBACK_GAUSSIAN if self.gaussian_window else 0

        def solve(first: Gray, second: Gray) -> NDArray[np.float32]:
            vectors: NDArray[np.float32] = cv2.calcOpticalFlowFarneback(
                first,
                second,
                None,
                self.scale_step,
                self.scales,
                self.window,
                self.iterations,
                self.polynomial_size,
                self.polynomial_sigma,
                flags,
            )
            return vectors

        return solve


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        "dis_medium": Dis(),
        "dis_fast": Dis(finest_scale=2, patch_stride=4, descent_iterations=16),
        "dis_ultrafast": Dis(finest_scale=2, patch_stride=4, descent_iterations=12, refinement_iterations=0),
        "tvl1": Tvl1(),
        "tvl1_opencv": Tvl1(scales=5),
        "farneback": Farneback(),
    }
)
"""Named settings: OpenCV's three presets of DIS, TV-L1 for large motion and at OpenCV's defaults, Farnebäck."""

DEFAULT = "dis_medium"


def find_algorithm(algorithm: str | Algorithm) -> Algorithm:
    """The algorithm of a name; ``dis`` is short for ``dis_medium``. A value is returned as it is.

    Raises
    ------
    UsageError
        There is no such name.
    """
    if isinstance(algorithm, Algorithm):
        return algorithm
    found = ALGORITHMS.get(DEFAULT if algorithm == "dis" else algorithm)
    if found is None:
        raise UsageError(
            f"there is no flow algorithm named {algorithm!r}", remedy=f"choose one of: {', '.join(ALGORITHMS)}"
        )
    return found


def _calculate(solver: Any) -> Solver:
    """The ``calc`` of an OpenCV object, from no motion: an array given for the result would be its start."""

    def solve(first: Gray, second: Gray) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = solver.calc(first, second, None)
        return vectors

    return solve
