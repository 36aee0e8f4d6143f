"""The package hands out its public names, whichever module was imported first."""

from __future__ import annotations

import importlib
import types

import pytest

import tubelet.reporting as reporting


@pytest.mark.parametrize("name", reporting.__all__)
def test_public_names(name: str) -> None:
    assert callable(getattr(reporting, name))


def test_no_public_name_is_hidden_by_a_module() -> None:
    for module in reporting._MODULES:
        importlib.import_module(f"tubelet.reporting.{module}")
    assert not any(isinstance(getattr(reporting, name), types.ModuleType) for name in reporting.__all__)
    assert sorted(n for names in reporting._MODULES.values() for n in names) == sorted(reporting.__all__)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = reporting.no_such_thing
