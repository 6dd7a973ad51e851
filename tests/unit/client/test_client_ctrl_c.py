"""Ctrl-C while threads are being started: no lock stays held, so nothing waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from slimserve.streams import ctrl_c
from slimserve.testing import Delay, Server

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


# The same in a call, in the end of a stream and in that of a client, which share locks with gRPC's threads and with
# those of the client. The signal may come a moment later.
CALL = """
import os, signal, sys, threading, time
import numpy as np
from slimserve import Client

what, number, *addresses = sys.argv[1:]
main, enter = threading.get_ident(), threading.Condition.__enter__
taken = place = 0  # locks, and the one at which the signal comes

class Stopped(BaseException):
    pass

def enter_and_be_stopped(condition):
    global place, taken
    entered = enter(condition)
    if threading.get_ident() == main:
        taken += 1
        if taken == place:
            place = 0
            signal.raise_signal(int(number))
    return entered

def be_stopped(number, frame):
    raise Stopped

def call_and_close(stopped_at):
    global client, taken, place
    client = Client(addresses, model="model", timeout=20)
    items = client.stream([pixels] * 3, concurrency=2)
    if what == "stream":
        next(items)
    taken, place = 0, stopped_at
    if what == "stream":
        items.close()
    else:
        client.classify(pixels)
    client.close()
    locks, place = taken, 0
    time.sleep(0.05)
    return locks

def use_again():
    try:
        return client.classify(pixels).top.name
    except RuntimeError as error:
        return error

if int(number) != signal.SIGINT:
    signal.signal(int(number), be_stopped)
threading.Condition.__enter__ = enter_and_be_stopped
pixels = np.zeros((4, 4, 3), np.uint8)
locks = call_and_close(0)
for number_of_lock in range(1, locks + 1):
    try:
        call_and_close(number_of_lock)
    except (KeyboardInterrupt, Stopped):
        print(use_again(), [each.name for each in threading.enumerate() if each.name.startswith("slimserve_")])
sys.stdout.flush()
os._exit(0)  # an interpreter that ends may wait for gRPC: its threads stop where they are, one with a call's lock
"""


# A handler that closes the client is called a moment before the main thread waits, with the lock of that wait held.
CLOSED = """
import signal, sys, threading, time
from slimserve import Client

main = threading.get_ident()

def closing(wait):
    def close_and_wait(*arguments):
        if threading.get_ident() == main:
            signal.raise_signal(signal.SIGTERM)
        return wait(*arguments)
    return close_and_wait

client = Client(sys.argv[1], model="not there yet")
signal.signal(signal.SIGTERM, lambda number, frame: client.close())
threading.Condition.wait, time.sleep = closing(threading.Condition.wait), closing(time.sleep)
try:
    client.wait_until_ready(20)
except RuntimeError as error:
    print(error)
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("what", "replicas"), [("call", 3), ("stream", 1)])
def test_a_signal_at_any_lock_leaves_the_client_whole_or_closed(
    what: str, replicas: int, number: signal.Signals
) -> None:
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(Server()) for _ in range(replicas)]
        for server in servers:
            server.fail(Delay(0.02))
        addresses = [server.address for server in servers]
        command = [sys.executable, "-c", CALL, what, str(int(number)), *addresses]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    # How many locks are taken before close() depends on when answers come.
    lines = set(done.stdout.splitlines())
    assert "cat []" in lines
    assert lines <= {"cat []", "the client is closed []"}
    assert not done.stderr


def test_a_handler_that_closes_the_client_ends_a_pause_between_calls() -> None:
    with Server() as server:
        command = [sys.executable, "-c", CLOSED, server.address]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=15)
    assert done.stdout == "the client is closed\n"


def stopped(order: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, order]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


@pytest.mark.parametrize("order", ["ordered", "unordered"])
def test_ctrl_c_at_any_lock_ends_a_stream_and_its_threads(order: str) -> None:
    lines = stopped(order)
    assert len(lines) >= 4  # threads, each of which is started with a lock
    assert lines == [f"stopped at {n} of {len(lines)} threads 1" for n in range(1, len(lines) + 1)]


def test_an_event_loop_handles_a_signal_once_that_comes_while_a_thread_is_started() -> None:
    handled: list[str] = []

    async def be_signalled() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, handled.append, "SIGHUP")
        ctrl_c.before_ctrl_c(lambda: signal.raise_signal(signal.SIGHUP))
        await asyncio.sleep(0.05)

    asyncio.run(be_signalled())
    assert handled == ["SIGHUP"]


def test_ctrl_c_while_handlers_are_put_back_leaves_none_that_keeps_a_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    came, is_done = [], threading.Event()

    def put(number: int, handler: Any) -> None:
        if is_done.is_set():  # SIGINT's comes first
            raise KeyboardInterrupt
        signal.signal(number, handler)

    functions = SimpleNamespace(getsignal=signal.getsignal, signal=put)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        with monkeypatch.context() as patched:
            patched.setattr(ctrl_c, "_signal", functions)
            with pytest.raises(KeyboardInterrupt):
                ctrl_c.before_ctrl_c(is_done.set)
        signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert came == [signal.SIGTERM]
