"""The allocator is set once, on request, and never by an import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tubelet import allocator


def run(code: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return result.stdout.strip()


ON_GLIBC = allocator._is_glibc()
TWICE = "from tubelet.allocator import set_allocator as s; print(s(), s())"


def test_it_says_whether_it_is_in_force_and_may_be_called_again() -> None:
    assert run(TWICE, TUBELET_NO_MALLOPT="0") == f"{ON_GLIBC} {ON_GLIBC}"


def test_the_environment_opts_out() -> None:
    assert run(TWICE, TUBELET_NO_MALLOPT="1") == "False False"


@pytest.mark.skipif(not ON_GLIBC, reason="mallopt is glibc's")
def test_freed_memory_stays_in_the_process() -> None:
    code = """
import sys
from tubelet.allocator import set_allocator
if sys.argv[1:] or {use}: set_allocator()
def resident():
    return int(next(line for line in open('/proc/self/status') if line.startswith('VmRSS')).split()[1])
start = resident()
block = bytearray(b'x') * (200 << 20)
del block
print((resident() - start) // 1024 > 150)
"""
    assert run(code.replace("{use}", "True")) == "True"
    assert run(code.replace("{use}", "False")) == "False"


def test_importing_the_package_changes_nothing() -> None:
    code = (
        "import tubelet, tubelet.descriptors.extractor, tubelet.descriptors.runner, tubelet.search.exact, "
        "tubelet.protocols.svm, tubelet.allocator as a; print(a._done)"
    )
    assert run(code) == "None"


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "confstr", lambda name: None)
    assert not allocator._is_glibc()

    def missing(name: str) -> str:
        raise ValueError(name)

    monkeypatch.setattr(os, "confstr", missing)
    assert not allocator._is_glibc()


def test_a_library_without_mallopt_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert allocator._apply() is False
