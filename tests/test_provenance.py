"""The record that outputs carry: equal for equal things, the same in every process."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tubelet
from tubelet.provenance import derive_seed, environment, hash_json, package_versions, sha256_file, tool_version

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_the_hash_of_a_json_value_is_that_of_its_canonical_text() -> None:
    text = '{"a":[1,2.5,null],"ü":{"x":true}}'
    value = {"ü": {"x": True}, "a": [1, 2.5, None]}
    assert hash_json(value) == hashlib.sha256(text.encode("utf-8")).hexdigest()
    with pytest.raises(ValueError, match="JSON"):
        hash_json([float("inf")])


@given(st.dictionaries(st.text(), json_values, min_size=2, max_size=4))
@settings(max_examples=50)
def test_the_order_of_keys_does_not_matter_and_values_do(value: dict[str, object]) -> None:
    turned = dict(reversed(value.items()))
    assert hash_json(turned) == hash_json(value)
    first = next(iter(value))
    assert hash_json({**value, first: [value[first]]}) != hash_json(value)


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(300_000)
    (tmp_path / "file").write_bytes(data)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_a_seed_is_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(b'[7,"clip",0,12]').digest()
    assert derive_seed(7, "clip", 0, 12) == int.from_bytes(digest[:8], "little") // 2
    assert 0 <= derive_seed(7, "clip", 0, 12) < 2**63


def test_seeds_depend_on_every_part_and_on_their_borders() -> None:
    made = [derive_seed(seed, "clip", epoch, sample) for seed in range(5) for epoch in range(5) for sample in range(40)]
    assert len(set(made)) == len(made)
    assert len({derive_seed("ab", "c"), derive_seed("a", "bc"), derive_seed("abc"), derive_seed("ab", "c", 0)}) == 4
    # Uniform over 63 bits: each bit is set in about half of 1000 seeds (5 standard deviations).
    bits = np.array([[seed >> bit & 1 for bit in range(63)] for seed in made])
    assert (np.abs(bits.mean(axis=0) - 0.5) < 5 * 0.5 / np.sqrt(len(made))).all()


def test_the_environment_names_versions_machine_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/tubelet", "train", "folder"])
    record = environment(seed=3)
    assert json.loads(json.dumps(record)) == record
    assert record["command"] == ["tubelet", "train", "folder"], "no path of this machine"
    assert record["seed"] == 3
    assert record["python"] == platform.python_version()
    assert record["tool_version"] == tool_version() == tubelet.__version__
    assert record["packages"]["torch"] == metadata.version("torch")


def test_a_missing_package_is_none() -> None:
    assert package_versions(("numpy", "no-such-package")) == {
        "numpy": metadata.version("numpy"),
        "no-such-package": None,
    }
