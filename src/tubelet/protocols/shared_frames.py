"""Videos decoded once for every fold of a cross-validation, instead of once in each training and each test."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.loader import DecodedVideos
from tubelet.datasets.manifest import Manifest
from tubelet.flow.decode import FlowDecoder
from tubelet.protocols.round_model import decoded
from tubelet.protocols.rounds import RoundSettings


class SharedFrames:
    """Frames (or stored flow) of a data set, decoded once for all who see them alike, when they are first asked for.

    What does not fit in memory is decoded on demand, as in a single training.

    Parameters
    ----------
    videos
        All that will be trained and tested on.
    rounds
        How; those with equal recipe, modality and flow share frames. Each different source may take an equal part of
        the largest ``cache_mib``.
    """

    def __init__(self, videos: Manifest, rounds: Sequence[RoundSettings]) -> None:
        self.videos = videos
        self._decoded: dict[tuple[object, ...], DecodedVideos] = {}
        self._decoders = ExitStack()
        sources = len({_key(one) for one in rounds})
        self._cache_mib = max(one.train.cache_mib for one in rounds) // sources

    def of(self, settings: RoundSettings) -> DecodedVideos:
        """All videos as these settings see them.

        Raises
        ------
        InputDataError
            Not one can be read.
        """
        key = _key(settings)
        if key not in self._decoded:
            config, modality = settings.train, settings.modality
            decoder = self._decoders.enter_context(
                FlowDecoder(settings.flow[0], config.workers, backward=modality.both_directions)
                if settings.flow
                else ClipDecoder(workers=config.workers)
            )
            config = config.changed(cache_mib=self._cache_mib)
            found = decoded(self.videos, settings.recipe, decoder, config, "reading videos", modality)
            if found.in_memory:  # its processes would only hold memory: 0.3 GB each
                decoder.close()
            self._decoded[key] = found
        return self._decoded[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all decoding processes."""
        self._decoders.close()


def part_of(videos: DecodedVideos, manifest: Manifest) -> DecodedVideos:
    """The videos of a manifest among decoded ones, in its order; those that could not be read are in ``failed``.

    Frames are not copied.
    """
    place = {item.span: index for index, item in enumerate(videos.manifest.items)}
    kept = [index for index, item in enumerate(manifest.items) if item.span in place]
    rows = [place[manifest.items[index].span] for index in kept]
    paths = {item.path for item in manifest.items}
    return DecodedVideos(
        manifest.select(keep=kept),
        videos.recipe,
        [videos.lengths[row] for row in rows],
        [pair for pair in videos.failed if pair[0] in paths],
        [pair for pair in videos.partial if pair[0] in paths],
        videos.decoder,
        [videos.offsets[row] for row in rows],
        {new: videos.kept[row] for new, row in enumerate(rows) if row in videos.kept},
        videos.modality,
        [videos.scales[row] for row in rows],
    )


def _key(settings: RoundSettings) -> tuple[object, ...]:
    return settings.recipe.hash, settings.modality, settings.flow
