"""The names that others build on, and what importing them costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import tubelet

# DESIGN: "Public names (others build on these, so they stay)".
NAMES = {"Video", "Extractor", "create_model", "list_models", "load_model", "model_info"}


def test_all_public_names_are_there() -> None:
    assert set(tubelet.__all__) == NAMES | {"__version__"}
    assert set(dir(tubelet)) >= NAMES
    for name in NAMES:
        assert callable(getattr(tubelet, name)), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'tubelet' has no attribute 'Vidoe'"):
        _ = tubelet.Vidoe  # type: ignore[attr-defined]


def test_importing_costs_nothing_and_changes_nothing(python: Callable[..., object]) -> None:
    code = (
        "import os, sys, warnings\nbefore = dict(os.environ), list(warnings.filters)\nimport tubelet\n"
        "assert (dict(os.environ), list(warnings.filters)) == before\n"
        "heavy = {'torch', 'av', 'numpy', 'matplotlib', 'lancedb', 'sklearn', 'typer'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "tubelet.Video\nassert 'av' in sys.modules\nassert 'torch' not in sys.modules"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
