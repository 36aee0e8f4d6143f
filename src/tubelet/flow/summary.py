"""How a run of ``tubelet flow`` ended."""

from __future__ import annotations

from dataclasses import dataclass

from tubelet.failures import ManyVideos
from tubelet.reporting.text import size_text


@dataclass(frozen=True)
class FlowSummary(ManyVideos):
    """How a run ended.

    Attributes
    ----------
    folder
        Where the flow is stored.
    pairs, nbytes
        Pairs of frames of which flow was computed in this run, and bytes of its pictures.
    pairs_per_s
        The rate of this run.
    quality
        Of the JPEG pictures.
    bound
        Pixels beyond which vectors are cut off.
    saturated_share
        Share of components that were, 0 to 1; None if nothing was computed.
    quantized_px, stored_px, stored_max_px
        What storing changed, in pixels, as in `tubelet.flow.record.FlowError`; None if nothing was computed.
    camera_share
        Of warped flow: share of pairs from which a motion of the camera was taken out; else None.
    """

    folder: str
    pairs: int
    nbytes: int
    pairs_per_s: float
    quality: int
    bound: float
    saturated_share: float | None
    quantized_px: float | None
    stored_px: float | None
    stored_max_px: float | None
    camera_share: float | None

    def __str__(self) -> str:
        lines = [self.counts_line(self.folder, "stored")]
        if self.pairs:
            lines.append(f"{self.pairs} pairs of frames at {self.pairs_per_s:.1f} pairs/s, {size_text(self.nbytes)}")
        if self.stored_px is not None and self.quantized_px is not None and self.saturated_share is not None:
            lines.append(
                f"storing changed vectors by {self.stored_px:.3f} px on average, {self.stored_max_px:.2f} px at most "
                f"(JPEG quality {self.quality}; quantization alone {self.quantized_px:.3f} px); "
                f"{self.saturated_share:.2%} of components were beyond the bound of {self.bound:g} px and cut off"
            )
        if self.camera_share is not None:
            lines.append(f"a motion of the camera was found and taken out in {self.camera_share:.1%} of pairs")
        return "\n".join(lines)
