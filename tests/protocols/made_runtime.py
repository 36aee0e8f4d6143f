"""Rounds of the runtime table with times that were made up, so that no test looks at a clock."""

from __future__ import annotations

from dataclasses import replace

from tubelet.protocols.runtime import RuntimeResult
from tubelet.protocols.runtime_rounds import Descriptor, known_methods
from tubelet.protocols.runtime_turns import Method, Round, Turn, runtime_rows

C3D = Descriptor("untrained:c3d", "c3d", "fc6")

# Seconds of the clock for 64 frames: c3d, iDT, TV-L1, DIS. Processor time is 5 % less.
SECONDS = (
    (4.0, 16.0, 64.0, 1.0),
    (4.0, 12.0, 80.0, 0.8),
    (5.0, 20.0, 40.0, 1.0),
    (4.0, 12.8, 64.0, 1.0),
    (2.0, 8.0, 32.0, 0.5),
)
NAMES = ("c3d", "idt", "tvl1", "dis")
MADE = {"c3d": 7, "c3d_bf16": 7, "idt": 3200, "tvl1": 63, "dis": 63}


def made_methods(*names: str) -> tuple[Method, ...]:
    """The methods, with starts of 8 s and first runs of 3 s."""
    return tuple(replace(method, start_s=8.0, warm_up_s=3.0) for method in known_methods(names or NAMES, C3D))


def made_round(
    seconds: tuple[float, ...], *, video: str = "a.avi", load: float | None = 0.1, share: float = 0.95
) -> Round:
    """One round of `NAMES`."""
    turns = {
        name: Turn(64, value, None if share == 0 else value * share, MADE[name], 6400)
        for name, value in zip(NAMES, seconds, strict=True)
    }
    return Round(video, (320, 240), load, turns)


def made_rounds(**options: float | None) -> tuple[Round, ...]:
    """Five rounds."""
    return tuple(
        made_round(seconds, video=f"{number}.avi", **options)  # type: ignore[arg-type]
        for number, seconds in enumerate(SECONDS)
    )


def made_result(**options: float | None) -> RuntimeResult:
    """The table of those five rounds on one core."""
    rounds = made_rounds(**options)
    return RuntimeResult(
        runtime_rows(made_methods(), rounds), rounds, {"threads": 1, "machine": {"cores": 2}}, {"tool": "t"}
    )
