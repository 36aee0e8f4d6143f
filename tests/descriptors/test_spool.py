"""Rows wait in memory or in a file and come back as they were."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tubelet.descriptors import spool as spool_module
from tubelet.descriptors.spool import RowSpool

sys.path.insert(0, str(Path(__file__).parent))
from made_rows import spans


@pytest.mark.parametrize("in_memory_bytes", [16, 1 << 20])
@pytest.mark.parametrize("block_bytes", [1, 60, 1 << 20])
def test_rows_come_back_in_order_and_repeatedly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_memory_bytes: int, block_bytes: int
) -> None:
    monkeypatch.setattr(spool_module, "IN_MEMORY_BYTES", in_memory_bytes)
    monkeypatch.setattr(spool_module, "BLOCK_BYTES", block_bytes)
    rng = np.random.default_rng(0)
    rows = {"a": rng.random((7, 3), dtype=np.float32), "b": rng.random((7, 2), dtype=np.float32)}
    spool = RowSpool({"a": 3, "b": 2}, tmp_path)
    all_spans = spans(7)
    for start, stop in ((0, 3), (3, 4), (4, 7)):
        spool.append(all_spans[start:stop], {layer: part[start:stop] for layer, part in rows.items()})
        list(spool.blocks())  # reading in between does not disturb what follows
    assert len(spool) == 7
    assert spool.nbytes == 7 * 5 * 4
    for _ in range(2):
        blocks = list(spool.blocks())
        assert [span for part, _ in blocks for span in part] == all_spans
        for layer, expected in rows.items():
            assert np.array_equal(np.concatenate([vectors[layer] for _, vectors in blocks]), expected)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_spool_has_no_blocks() -> None:
    assert list(RowSpool({"a": 3}).blocks()) == []
