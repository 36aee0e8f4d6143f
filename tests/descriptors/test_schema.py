"""Columns of the table."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tubelet.descriptors.schema import quoted, record_batch, schema_dimensions, table_schema, vectors_in

sys.path.insert(0, str(Path(__file__).parent))
from made_rows import made_vectors, record, spans


def test_a_batch_has_the_values_of_record_and_clips() -> None:
    dimensions = {"fc6": 4, "prob": 2}
    schema = table_schema(dimensions)
    vectors = made_vectors("a", 3, "w", dimensions)
    batch = record_batch(schema, record("a", 3, label=None, frames_declared=7), spans(3), vectors)
    assert batch.schema == schema
    rows = batch.to_pylist()
    assert [row["clip_index"] for row in rows] == [0, 1, 2]
    assert [row["end_s"] for row in rows] == [0.64, 0.96, 1.28]
    assert {row["frames_declared"] for row in rows} == {7}
    assert {row["label"] for row in rows} == {None}
    for layer in dimensions:
        assert [row[f"vector_{layer}"] for row in rows] == vectors[layer].tolist()
        assert np.array_equal(vectors_in(batch, layer), vectors[layer])
        assert np.array_equal(vectors_in(batch.slice(1, 1), layer), vectors[layer][1:2])


def test_a_layer_that_was_not_extracted_is_null() -> None:
    batch = record_batch(
        table_schema({"fc6": 4, "prob": 2}), record("a", 2), spans(2), made_vectors("a", 2, "w", {"fc6": 4})
    )
    assert batch.column("vector_prob").null_count == 2


def test_columns_of_others_become_null() -> None:
    schema = table_schema({"fc6": 4}).append(pa.field("note", pa.string()))
    batch = record_batch(schema, record("a", 2), spans(2), made_vectors("a", 2, "w", {"fc6": 4}))
    assert batch.column("note").to_pylist() == [None, None]


def test_lengths_are_read_from_the_schema() -> None:
    assert schema_dimensions(table_schema({"fc6": 4, "pool5": 9})) == {"fc6": 4, "pool5": 9}


@pytest.mark.parametrize(("values", "text"), [(["a", "it's"], "'a', 'it''s'"), (["''"], "''''''"), ([], "")])
def test_quotes_are_doubled(values: list[str], text: str) -> None:
    assert quoted(values) == text
