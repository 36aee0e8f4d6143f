"""Processor time of a method's process and of what it started."""

from __future__ import annotations

import subprocess
import time

import pytest

from tubelet.protocols.runtime_task import can_hold_to_cores, clock_of, processor_seconds


@pytest.mark.skipif(not can_hold_to_cores(), reason="the system has no /proc")
def test_processor_time_is_finer_than_a_tick() -> None:
    with subprocess.Popen(["sh", "-c", "read line"], stdin=subprocess.PIPE) as child:
        before, own = clock_of(child.pid), time.process_time()
        found = processor_seconds()
        assert before > 0
        # This process's and the child's, each read before and after; what ended earlier only adds.
        assert found is not None
        assert found >= before + own
        assert abs(found * 100 - round(found * 100)) > 1e-8  # ticks would be whole hundredths of a second
        assert child.stdin is not None
        child.stdin.close()
    with pytest.raises(OSError, match=r"nvalid argument|o such process"):
        clock_of(child.pid)
    after = processor_seconds()
    assert after is not None
    assert after >= found  # what has ended still counts
