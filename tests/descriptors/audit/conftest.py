"""The toy network, its table made by hand, and one decoding process for all these tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tubelet.clips.decode import ClipDecoder

sys.path.insert(0, str(Path(__file__).parent))
from toy import HandMade, Toy


class _KeptDecoder(ClipDecoder):
    def close(self) -> None:
        """Stay open for the next test."""


@pytest.fixture(scope="session")
def kept_decoder() -> Iterator[ClipDecoder]:
    decoder = _KeptDecoder(1)
    yield decoder
    ClipDecoder.close(decoder)


@pytest.fixture(autouse=True)
def one_decoder(kept_decoder: ClipDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every extractor shares one decoding process: starting one takes as long as all the rest."""
    for module in ("extractor", "audit.attribution"):
        monkeypatch.setattr(f"tubelet.descriptors.{module}.ClipDecoder", lambda *a, **k: kept_decoder)


@pytest.fixture(scope="session")
def toy() -> HandMade:
    return HandMade(Toy())


@pytest.fixture(scope="session")
def table(
    toy: HandMade, videos: Path, pixels: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The toy's descriptors of all videos, by hand: 4 + 1 + 1 + 3 clips. Nobody writes into it."""
    return toy.table(tmp_path_factory.mktemp("toy") / "table", videos, pixels)
