"""The guarded pool: whatever a child does, one error for that request, and the pool goes on."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest

from tubelet.errors import DecodeWorkerError, InputDataError, RefusedVideoError, TubeletError, UsageError
from tubelet.video.guard import GuardedPool

TASK = "guard_tasks:behave"
HERE = Path(__file__).parent
SOURCE = Path(sys.modules["tubelet"].__path__[0]).parent

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="as Linux does it")


@pytest.fixture(scope="module", autouse=True)
def _tasks_on_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        yield


@pytest.fixture(scope="module")
def pool(_tasks_on_path: None) -> Iterator[GuardedPool]:
    with GuardedPool(TASK, 1, memory_bytes=400 << 20, stall_timeout_s=10) as made:
        yield made


def works(pool: GuardedPool) -> bool:
    return [message.header["index"] for message in pool.run({"do": "count", "n": 3})] == [0, 1, 2]


def pid(pool: GuardedPool) -> int:
    (message,) = pool.run({"do": "count", "n": 1})
    return int(message.header["pid"])


def gone(process: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_items_arrive_as_they_were_sent(pool: GuardedPool) -> None:
    messages = list(pool.run({"do": "count", "n": 2}))
    assert messages[1].header["third"] == 1 / 3
    assert messages[1].array is not None
    np.testing.assert_array_equal(messages[1].array, [[1, 2, 3], [4, 5, 6]])
    assert messages[1].array.flags.writeable

    arrays = {message.header["name"]: message.array for message in pool.run({"do": "arrays"})}
    turned = np.arange(24, dtype=np.float32).reshape(4, 6)[::-1, ::2].T
    np.testing.assert_array_equal(arrays["turned"], turned)
    assert arrays["turned"].dtype == np.float32
    assert arrays["none"] is None
    assert arrays["empty"].shape == (0, 4, 3)
    assert arrays["scalar"] == 7
    assert arrays["scalar"].shape == ()
    assert arrays["bool"].tolist() == [True, False]
    assert list(pool.run({"do": "nothing"})) == []


def test_a_child_is_kept_between_requests(pool: GuardedPool) -> None:
    assert pid(pool) == pid(pool)
    assert pid(pool) != os.getpid()


def test_children_are_cheap_and_strangers_to_our_main(pool: GuardedPool) -> None:
    (message,) = pool.run({"do": "environment"})
    assert message.header == {"threads": "1", "main": None, "torch": False, "session": True}


@pytest.mark.parametrize(
    ("do", "cause"),
    [
        ("segfault", "SIGSEGV"),
        ("abort", "SIGABRT; last output: decoder: assertion failed in frame 12"),
        ("leave", "exit code 0"),
        pytest.param("eat", "out of memory (limit 0.39 GiB)", marks=linux_only),
        pytest.param("eat_inside", "out of memory (limit 0.39 GiB)", marks=linux_only),
        ("eat_in_torch", "out of memory (limit 0.39 GiB)"),
        ("no_thread", "out of memory (limit 0.39 GiB), it left with exit code 127"),
        ("grandchild", "exit code 3"),
        pytest.param("odd_signal", "killed by signal 40", marks=linux_only),
    ],
)
def test_death_is_one_error_and_the_pool_goes_on(pool: GuardedPool, do: str, cause: str) -> None:
    before = pid(pool)
    run = pool.run({"do": do, "first": 2, "path": "some.mp4"})
    assert [next(run).header["index"] for _ in range(2)] == [0, 1]  # what came before is delivered
    with pytest.raises(DecodeWorkerError) as caught:
        next(run)
    assert cause in str(caught.value)
    assert caught.value.path == "some.mp4"
    assert caught.value.remedy
    assert works(pool)
    assert pid(pool) != before


def test_a_silent_child_is_killed(pool: GuardedPool) -> None:
    with GuardedPool(TASK, stall_timeout_s=2) as impatient:
        process = pid(impatient)
        with pytest.raises(DecodeWorkerError, match=r"hung: some\.mp4 \(no answer for 2 s\)"):
            list(impatient.run({"do": "sleep", "path": "some.mp4"}))
        assert gone(process)
        assert works(impatient)
        # Only waiting counts; what the consumer does between two items does not.
        for message in impatient.run({"do": "count", "n": 2}):
            time.sleep(2.1 * (message.header["index"] == 0))


def test_errors_keep_their_class_and_words(pool: GuardedPool) -> None:
    before = pid(pool)
    with pytest.raises(RefusedVideoError) as refused:
        list(pool.run({"do": "refuse", "path": "big.mp4"}))
    assert type(refused.value) is RefusedVideoError  # the nearest class that the parent knows
    assert (refused.value.what, refused.value.path) == ("too large", "big.mp4")
    assert (refused.value.why, refused.value.remedy) == ("because", "make it smaller")
    with pytest.raises(InputDataError) as bad:
        list(pool.run({"do": "bad_input"}))
    assert type(bad.value) is InputDataError
    assert str(bad.value) == "no such thing"
    with pytest.raises(DecodeWorkerError, match=r"ZeroDivisionError: one over nothing at guard_tasks\.py:\d+"):
        list(pool.run({"do": "bug"}))
    with pytest.raises(DecodeWorkerError, match="SystemExit: 0"):
        list(pool.run({"do": "sys_exit"}))
    with pytest.raises(DecodeWorkerError, match="TypeError"):
        list(pool.run({"do": "not_json"}))
    with pytest.raises(DecodeWorkerError, match="Python objects cannot be sent"):
        list(pool.run({"do": "objects"}))
    assert pid(pool) == before  # none of these harmed the child


def test_a_flood_waits_for_its_reader(pool: GuardedPool) -> None:
    child = psutil.Process(pid(pool))
    megabytes = 1 << 20
    own = psutil.Process().memory_info().rss
    for message in pool.run({"do": "flood", "n": 60, "bytes": 16 * megabytes}):
        assert message.array is not None
        assert message.array[0] == message.array[-1] == message.header["index"] % 251
    grown = psutil.Process().memory_info().rss - own
    assert grown < 80 * megabytes  # of 960 that went through
    assert child.memory_info().rss < 150 * megabytes


def test_an_array_larger_than_the_limit_is_refused(pool: GuardedPool) -> None:
    with (
        GuardedPool(TASK, memory_bytes=120 << 20, stall_timeout_s=10) as small,
        pytest.raises(DecodeWorkerError, match=r"out of memory|unreadable"),
    ):
        list(small.run({"do": "flood", "n": 1, "bytes": 121 << 20}))


def test_prints_do_not_reach_the_protocol(pool: GuardedPool) -> None:
    (message,) = pool.run({"do": "print"})
    assert message.header == {"printed": True}


@pytest.mark.parametrize(
    "text",
    [
        "\xff" * 100,  # a frame of absurd length
        "\x02\0\0\0\0\0\0\0\0\0\0\0{]",
        "\x02\0\0\0\0\0\0\0\0\0\0\0[]",
        '\x0f\0\0\0\x01\0\0\0\0\0\0\0{"kind":"item"}?',
        '\x2b\0\0\0\x01\0\0\0\0\0\0\0{"kind":"item","dtype":"|O","shape":[1],"":""}?',
        '\x2b\0\0\0\x01\0\0\0\0\0\0\0{"kind":"item","dtype":"|u1","shape":[-1,-1]}?',
        '\x0e\0\0\0\0\0\0\0\0\0\0\0{"kind":"end"}',
    ],
)
def test_a_hostile_child_gets_an_error_and_nothing_else(pool: GuardedPool, text: str) -> None:
    with pytest.raises(DecodeWorkerError, match=r"unreadable|answered request None"):
        list(pool.run({"do": "garbage", "text": text}))


def test_warnings_come_out_in_the_parent(pool: GuardedPool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(pool.run({"do": "warn"}))
    assert [(w.category, str(w.message)) for w in caught] == [
        (UserWarning, "the frame rate is assumed"),
        (FutureWarning, "old"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="assumed"):
            list(pool.run({"do": "warn"}))
    assert works(pool)


def test_ctrl_c_is_not_the_childs_business(pool: GuardedPool) -> None:
    (message,) = pool.run({"do": "interrupted"})
    assert message.header == {"alive": True}


def test_an_early_close_frees_the_child(pool: GuardedPool) -> None:
    before = pid(pool)
    with closing(pool.run({"do": "flood", "n": 10**6, "bytes": 1 << 20})) as run:
        next(run)
        next(run)
    assert works(pool)
    run = pool.run({"do": "count", "n": 10**6})
    next(run)
    del run
    gc.collect()
    assert pid(pool) == before  # it was told to stop, not killed


def test_a_child_that_does_not_stop_is_killed(pool: GuardedPool) -> None:
    run = pool.run({"do": "stubborn"})
    next(run)
    process = next(iter(pool._children))._process.pid
    run.close()
    assert gone(process)
    assert works(pool)


def test_a_child_is_replaced_after_its_share_of_requests(pool: GuardedPool) -> None:
    with GuardedPool(TASK, recycle_after=2) as short_lived:
        pids = [pid(short_lived) for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_a_child_that_died_idle_is_replaced_silently(pool: GuardedPool) -> None:
    for wait in (True, False):
        process = pid(pool)
        os.kill(process, signal.SIGKILL)
        assert not wait or gone(process)
        assert works(pool)
    with GuardedPool(TASK, stall_timeout_s=2) as stopped:
        os.kill(pid(stopped), signal.SIGSTOP)  # not even dead
        assert works(stopped)


def test_killed_from_outside(pool: GuardedPool) -> None:
    run = pool.run({"do": "count", "n": 10**6})
    os.kill(next(run).header["pid"], signal.SIGKILL)
    with pytest.raises(DecodeWorkerError, match="SIGKILL, as the system does when memory runs out"):
        list(run)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_do_not_depend_on_the_number_of_children(pool: GuardedPool, workers: int) -> None:
    def total(first: int) -> list[float]:
        messages = shared.run({"do": "count", "n": 5 + first})
        return [float(m.array.sum()) for m in messages if m.array is not None]

    with GuardedPool(TASK, workers) as shared, ThreadPoolExecutor(3) as threads:
        results = list(threads.map(total, range(9)))
        assert len(shared._children) <= workers
    assert results == [[15.0 + 6 * index for index in range(5 + first)] for first in range(9)]


def test_threads_share_the_pool_with_failures_among_them(pool: GuardedPool) -> None:
    def outcome(number: int) -> str:
        do = ("count", "bug", "leave")[number % 3]
        try:
            return str(len(list(shared.run({"do": do}))))
        except DecodeWorkerError as error:
            return "exit code 0" if "exit code 0" in str(error) else "bug"

    with GuardedPool(TASK, 2) as shared, ThreadPoolExecutor(3) as threads:
        assert list(threads.map(outcome, range(9))) == ["3", "bug", "exit code 0"] * 3


def test_waiting_for_oneself_is_an_error(pool: GuardedPool) -> None:
    with closing(pool.run({"do": "count"})) as outer:
        next(outer)
        with pytest.raises(UsageError, match="unfinished requests hold all 1 decoding"):
            next(pool.run({"do": "count"}))
    assert works(pool)


def test_threads_that_wait_for_each_other_are_an_error(pool: GuardedPool) -> None:
    both_hold = threading.Barrier(2)

    def nested(_: int) -> str:
        with closing(shared.run({"do": "count"})) as outer:
            next(outer)
            both_hold.wait(30)
            try:
                return str(len(list(shared.run({"do": "count"}))))
            except UsageError as error:
                return error.what

    with GuardedPool(TASK, 2) as shared, ThreadPoolExecutor(2) as threads:
        outcomes = sorted(threads.map(nested, range(2)))
    assert outcomes == ["3", "unfinished requests hold all 2 decoding processes"]


def test_another_thread_waits_its_turn(pool: GuardedPool) -> None:
    outer = pool.run({"do": "count"})
    next(outer)
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(works, pool)
        time.sleep(0.05)
        assert not other.done()
        list(outer)
        assert other.result(timeout=10)


def test_close_ends_requests_of_other_threads(pool: GuardedPool) -> None:
    closed = GuardedPool(TASK)
    process = pid(closed)
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(list, closed.run({"do": "sleep"}))
        while not closed._holders:
            time.sleep(0.01)
        waiting = threads.submit(list, closed.run({"do": "count"}))
        time.sleep(0.05)
        closed.close()
        for future in (running, waiting):
            with pytest.raises(UsageError, match="closed"):
                future.result(timeout=10)
    assert gone(process)
    assert closed.closed
    with pytest.raises(UsageError, match="closed"):
        next(closed.run({"do": "count"}))


def test_a_forgotten_pool_leaves_no_children(pool: GuardedPool) -> None:
    forgotten = GuardedPool(TASK)
    process = pid(forgotten)
    del forgotten
    gc.collect()
    assert gone(process)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_is_told_to_make_its_own(pool: GuardedPool) -> None:
    process = pid(pool)
    child = os.fork()
    if child == 0:
        try:
            next(pool.run({"do": "count"}))
        except UsageError as error:
            os._exit(17 if "forked" in str(error) else 18)
        os._exit(19)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
    assert pid(pool) == process


@pytest.mark.parametrize(
    "options", [{"workers": 0}, {"recycle_after": 0}, {"stall_timeout_s": 0}, {"start_timeout_s": -1}]
)
def test_senseless_numbers_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        GuardedPool(TASK, **options)


def test_a_task_that_cannot_be_imported_is_not_the_videos_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with GuardedPool("no_such_module:task") as broken, pytest.raises(TubeletError) as caught:
        next(broken.run({"path": "some.mp4"}))
    assert type(caught.value) is TubeletError
    assert "No module named 'no_such_module'" in str(caught.value)
    with GuardedPool(TASK, start_timeout_s=1e-9) as slow, pytest.raises(TubeletError) as caught:
        next(slow.run({"do": "count"}))
    assert type(caught.value) is TubeletError
    assert "did not start" in str(caught.value)
    monkeypatch.setattr(sys, "executable", "")
    with GuardedPool(TASK) as nowhere, pytest.raises(TubeletError, match="executable"):
        next(nowhere.run({"do": "count"}))


def parent(code: str, *, stdin: bool = False) -> subprocess.Popen[str]:
    """A Python parent that uses the pool; its code is a script without a main guard."""
    lines = textwrap.dedent(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(HERE)])}
    return subprocess.Popen(
        [sys.executable, "-u", *(["-"] if stdin else ["-c", lines])],
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


STREAMING = """
    import threading, time
    from tubelet.video.guard import GuardedPool
    pool = GuardedPool("guard_tasks:behave", 3)
    runs = []
    def start(do):  # from threads that end: Linux's death signal is tied to the thread that starts a child
        run = pool.run({"do": do, "first": 1})
        runs.append(run)
        next(run)
    for do in ("count", "sleep"):
        thread = threading.Thread(target=start, args=(do,))
        thread.start()
        thread.join()
    threading.Thread(target=list, args=(runs[1],), daemon=True).start()
    time.sleep(0.3)
    print(next(runs[0]).header["index"])
    print(*[child._process.pid for child in pool._children])
"""


def test_children_die_with_a_killed_parent() -> None:
    with parent(STREAMING + "    time.sleep(3600)\n") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"  # the thread that started it is gone, the child is not
        children = [int(word) for word in process.stdout.readline().split()]
        assert len(children) == 2
        assert all(psutil.pid_exists(child) for child in children)
        process.kill()
        assert all(gone(child) for child in children)


def test_children_die_with_a_parent_that_just_ends() -> None:
    with parent(STREAMING) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert all(gone(int(word)) for word in output.split("\n")[1].split())


def test_a_program_on_standard_input_and_its_path() -> None:
    # No file to import again, and a search path that only this interpreter knows.
    code = f"""
import sys
sys.path[:0] = [{str(SOURCE)!r}, {str(HERE)!r}]
from tubelet.video.guard import GuardedPool
with GuardedPool("guard_tasks:behave") as pool:
    print([message.header["index"] for message in pool.run({{"do": "count"}})])
"""
    with parent(code, stdin=True) as process:
        output, errors = process.communicate(code, timeout=60)
    assert output == "[0, 1, 2]\n", errors


def test_a_json_module_in_the_working_directory_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    with GuardedPool(TASK) as fresh:
        assert works(fresh)


def test_interrupting_the_parent_leaves_a_working_pool(pool: GuardedPool) -> None:
    # A shell without job control starts its background commands with SIGINT ignored; Python then leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupt = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            for _ in pool.run({"do": "slow", "n": 100, "pause_s": 0.5}):
                pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert works(pool)


def test_no_descriptor_or_thread_is_left_behind(pool: GuardedPool) -> None:
    works(pool)
    threads, handles = threading.active_count(), psutil.Process().num_fds()
    for _ in range(3):
        with pytest.raises(DecodeWorkerError):
            list(pool.run({"do": "leave"}))
    works(pool)
    assert threading.active_count() <= threads
    assert psutil.Process().num_fds() <= handles
