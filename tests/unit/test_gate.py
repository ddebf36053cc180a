"""The gate in front of receivers."""

from __future__ import annotations

import threading
import time

from workers.gate import Gate


def test_a_host_gets_no_more_places_than_its_own() -> None:
    gate = Gate(for_host=2, for_all=10)
    with gate.place("a", patience_s=0) as one, gate.place("a", patience_s=0) as two, gate.place("a", patience_s=0) as three:
        assert (one, two, three) == (True, True, False)
        with gate.place("b", patience_s=0) as other:
            assert other, "another receiver is not touched"
    with gate.place("a", patience_s=0) as again:
        assert again


def test_all_hosts_together_leave_threads_for_the_rest() -> None:
    gate = Gate(for_host=4, for_all=2)
    with gate.place("a", patience_s=0), gate.place("b", patience_s=0), gate.place("c", patience_s=0) as third:
        assert not third


def test_a_place_that_is_freed_goes_to_the_one_who_waits() -> None:
    gate = Gate(for_host=1, for_all=1)
    waiting, got = threading.Event(), []

    def wait() -> None:
        waiting.set()
        with gate.place("a", patience_s=10) as free:
            got.append(free)

    with gate.place("a", patience_s=0):
        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait(5)
    thread.join(10)
    assert got == [True]


def test_patience_ends() -> None:
    gate = Gate(for_host=1, for_all=1)
    with gate.place("a", patience_s=0):
        began = time.monotonic()
        with gate.place("a", patience_s=0.05) as free:
            assert not free
        assert 0.05 <= time.monotonic() - began < 5


def test_a_failing_sender_gives_its_place_back() -> None:
    gate = Gate(for_host=1, for_all=1)
    for _ in range(3):
        try:
            with gate.place("a", patience_s=0) as free:
                assert free
                raise RuntimeError
        except RuntimeError:
            continue
