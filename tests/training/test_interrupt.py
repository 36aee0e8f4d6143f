"""Ctrl-C waits for the end of a step, once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tubelet.training.interrupt import held_interrupt


@pytest.fixture(autouse=True)
def _default_handler() -> object:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_is_held_and_the_second_is_not() -> None:
    with held_interrupt() as pressed:
        assert not pressed()
        os.kill(os.getpid(), signal.SIGINT)
        assert pressed()
        assert pressed(), "it stays pressed"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_afterwards_it_interrupts_as_ever() -> None:
    with held_interrupt() as pressed:
        os.kill(os.getpid(), signal.SIGINT)
    assert pressed()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_somebody_elses_handler_stays() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    with held_interrupt() as pressed:
        os.kill(os.getpid(), signal.SIGINT)
        assert not pressed()
    assert heard == [signal.SIGINT]


def test_outside_the_main_thread_nothing_is_held() -> None:
    found: list[bool] = []

    def work() -> None:
        with held_interrupt() as pressed:
            found.append(pressed())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
