"""Ctrl-C while threads are being started: no lock stays held, so nothing waits for ever."""

from __future__ import annotations

import subprocess
import sys

import pytest
from slimserve.testing import Server

# Each lock that the main thread takes is one more place where the signal may come. The signal comes with the lock
# taken and before the body of `with`, where KeyboardInterrupt leaves it held.
PROGRAM = """
import signal, sys, threading
from slimserve.streams.ahead import Ahead
from slimserve.streams.threads import each

main, enter, ordered = threading.get_ident(), threading.Condition.__enter__, sys.argv[1] == "ordered"
taken = place = 0

def enter_and_be_stopped(condition):
    global taken
    entered = enter(condition)
    if threading.get_ident() == main:
        taken += 1
        if taken == place:
            signal.raise_signal(signal.SIGINT)
    return entered

def go_through(ended):
    for _ in each(lambda group: [ended.wait(30)], range(8), Ahead(range(8), 4), ordered=ordered, end=ended.set):
        pass

at_once = threading.Event()
at_once.set()
threading.Condition.__enter__ = enter_and_be_stopped
go_through(at_once)
locks = taken
for place in range(1, locks + 1):
    taken = 0
    try:
        go_through(threading.Event())
    except KeyboardInterrupt:
        print("stopped at", place, "of", locks, "threads", threading.active_count())
"""


# The same, where gRPC starts a thread of its own for the question how a replica is.
QUESTION = """
import signal, sys, threading
import numpy as np
from slimserve import Client
from slimserve.channels.blocking import Blocking

main, enter, ask = threading.get_ident(), threading.Condition.__enter__, Blocking._question
inside, taken, place = False, 0, 0

def enter_and_be_stopped(condition):
    global taken
    entered = enter(condition)
    if inside and threading.get_ident() == main:
        taken += 1
        if taken == place:
            signal.raise_signal(signal.SIGINT)
    return entered

def ask_inside(*arguments):
    global inside
    inside = True
    try:
        return ask(*arguments)
    finally:
        inside = False

threading.Condition.__enter__, Blocking._question = enter_and_be_stopped, ask_inside
locks, pixels = 1, np.zeros((4, 4, 3), np.uint8)
while place <= locks:
    with Client(sys.argv[1], model="model", timeout=20) as client:
        taken = 0
        try:
            client.classify(pixels)
            locks = taken
        except KeyboardInterrupt:
            print("stopped", client.classify(pixels).top.name)
        place += 1
"""


# A signal that another thread receives does not wake the main thread, as one does not that comes a moment before it
# waits.
UNNOTICED = """
import signal, threading
from slimserve.streams.ahead import Ahead
from slimserve.streams.threads import each

ended = threading.Event()

def be_stopped(group):
    ended.wait(0.3)  # the main thread waits by now
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    return [ended.wait(120)]

try:
    for _ in each(be_stopped, range(1), Ahead(range(1), 1), ordered=True, end=ended.set):
        print("not stopped")
except KeyboardInterrupt:
    print("stopped")
"""


def test_ctrl_c_ends_a_stream_that_it_did_not_wake() -> None:
    command = [sys.executable, "-c", UNNOTICED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "stopped\n"


def test_ctrl_c_while_a_replica_is_asked_how_it_is_leaves_the_client_whole() -> None:
    with Server() as server:
        command = [sys.executable, "-c", QUESTION, server.address]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines == ["stopped cat"] * len(lines)
    assert lines


def stopped(order: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, order]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


@pytest.mark.parametrize("order", ["ordered", "unordered"])
def test_ctrl_c_at_any_lock_ends_a_stream_and_its_threads(order: str) -> None:
    lines = stopped(order)
    assert len(lines) >= 4  # threads, each of which is started with a lock
    assert lines == [f"stopped at {n} of {len(lines)} threads 1" for n in range(1, len(lines) + 1)]
