"""Streams, threads, policies, counters, timers and traces."""

import json
import threading
import time

import numpy as np
import pytest
import tvm

import tidegate_tvm
from conftest import build, elementwise, on

POLICIES = ["adaptive", "every-dispatch", "until-sync"]
order = tvm.get_global_func("runtime.Device_StreamSyncFromTo")


@pytest.fixture
def streams(dev):
    made = [dev.create_raw_stream() for _ in range(2)]
    yield made
    dev.set_raw_stream(0)
    for stream in made:
        dev.free_raw_stream(stream)


@pytest.mark.parametrize("policy", POLICIES)
def test_work_on_several_streams_is_ordered_where_it_meets(dev, streams, plus_one, policy):
    tidegate_tvm.set_policy(policy)
    x = on(dev, np.zeros(5000, "float32"))
    for index in range(60):
        dev.set_raw_stream([0, *streams][index % 3])
        plus_one["plus_one"](x, x)
    assert np.all(x.numpy() == 60)


def test_a_stream_waits_for_another(dev, streams, tmp_path):
    """By the device's times. Where streams share a queue, as on a software device, they are in order in any case."""
    library = build(elementwise("first", lambda it: it + 1.0), elementwise("second", lambda it: it + 2.0))
    one, other = streams
    x, y = on(dev, np.zeros(1 << 18, "float32")), on(dev, np.zeros(16, "float32"))
    for name, memory in (("first", x), ("second", y)):
        library[name](memory, memory)
    tidegate_tvm.set_policy("until-sync")
    dev.sync()
    path = tmp_path / "trace.json"
    with tidegate_tvm.trace(path):
        dev.set_raw_stream(one)
        for _ in range(20):
            library["first"](x, x)
        order(dev, one, other)
        dev.set_raw_stream(other)
        library["second"](y, y)
        dev.sync(other)
        waited = tidegate_tvm.counters()["flushes"]
    # What was waited for was let through by then, and not by the end of the trace.
    assert tidegate_tvm.counters()["flushes"] == waited
    events = [it for it in json.loads(path.read_text())["traceEvents"] if it["ph"] == "X"]
    firsts = [it["ts"] + it["dur"] for it in events if it["name"] == "first_kernel"]
    (second,) = [it["ts"] for it in events if it["name"] == "second_kernel"]
    assert len(firsts) == 20 and max(firsts) <= second + 0.001
    assert np.all(x.numpy() == 21) and np.all(y.numpy() == 4)


def test_streams_that_are_none(dev):
    gone = dev.create_raw_stream()
    dev.free_raw_stream(gone)
    for call in (dev.sync, dev.set_raw_stream, dev.free_raw_stream, lambda it: order(dev, it, 0), lambda it: order(dev, 0, it)):
        with pytest.raises(tidegate_tvm.TidegateError, match="is not a stream of device 0, or it was freed"):
            call(gone)
    with pytest.raises(tidegate_tvm.TidegateError, match="default stream cannot be freed"):
        dev.free_raw_stream(0)
    dev.sync()


def test_a_stream_freed_with_work_under_way(dev, plus_one):
    x = on(dev, np.zeros(1 << 15, "float32"))
    stream = dev.create_raw_stream()
    dev.set_raw_stream(stream)
    for _ in range(30):
        plus_one["plus_one"](x, x)
    dev.set_raw_stream(0)
    dev.free_raw_stream(stream)
    assert np.all(x.numpy() == 30)


def test_a_current_stream_that_was_freed(dev, plus_one):
    x = on(dev, np.zeros(16, "float32"))
    stream = dev.create_raw_stream()
    dev.set_raw_stream(stream)
    dev.free_raw_stream(stream)
    with pytest.raises(tidegate_tvm.TidegateError, match="kernel `plus_one_kernel`: .* is not a stream"):
        plus_one["plus_one"](x, x)
    dev.set_raw_stream(0)
    plus_one["plus_one"](x, x)
    assert np.all(x.numpy() == 1)


def in_threads(count, body):
    """Runs `body(index)` in threads that start together, and raises what one raised."""
    barrier, failures = threading.Barrier(count), []

    def run(index):
        try:
            barrier.wait()
            body(index)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("own_stream", [False, True])
def test_threads_do_not_disturb_each_other(dev, policy, own_stream):
    tidegate_tvm.set_policy(policy)
    # Compiled by whoever comes first.
    library = build(elementwise("plus_one", lambda it: it + 1.0), elementwise("plus_two", lambda it: it + 2.0))

    def body(index):
        stream = dev.create_raw_stream() if own_stream else 0
        dev.set_raw_stream(stream)
        for turn in range(15):
            length = 100 + 37 * index
            x = on(dev, np.full(length, index, "float32"))
            y = tvm.runtime.empty((length,), "float32", dev)
            library["plus_one"](x, y)
            library["plus_two"](y, x)
            if turn % 4 == 0:
                dev.sync(stream)
            assert np.all(x.numpy() == index + 3)
        dev.set_raw_stream(0)
        if own_stream:
            dev.free_raw_stream(stream)

    in_threads(6, body)


def test_threads_with_errors_and_settings(dev, plus_one):
    def body(index):
        for turn in range(30):
            if index == 0:
                tidegate_tvm.set_policy(POLICIES[turn % 3])
            elif index == 1:
                with pytest.raises(tidegate_tvm.TidegateError, match="no device 77"):
                    tvm.device("webgpu", 77).sync()
            elif index == 2:
                assert tidegate_tvm.counters()["free_syncs"] == 0
            else:
                x = on(dev, np.zeros(1000, "float32"))
                plus_one["plus_one"](x, x)
                assert np.all(x.numpy() == 1)

    in_threads(5, body)


def test_a_wait_lets_other_threads_run(dev, plus_one):
    """Python's lock is not held while a thread waits for the device."""
    tidegate_tvm.set_policy("until-sync")
    done, turns = threading.Event(), [0]

    def count():
        while not done.wait(0.001):
            turns[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        # As much work as makes the wait 30 turns long, on any device.
        for bits in range(18, 27):
            x = tvm.runtime.empty((1 << bits,), "float32", dev)
            for _ in range(100):
                plus_one["plus_one"](x, x)
            before, began = turns[0], time.monotonic()
            dev.sync()
            after, took = turns[0], time.monotonic() - began
            if took > 0.03:
                break
    finally:
        done.set()
        thread.join()
    # One may fall before the wait and one after it.
    assert took > 0.03 and after - before > 4


def test_policies_say_when_work_is_let_through(dev, plus_one):
    x = on(dev, np.zeros(16, "float32"))
    seen = {}
    for policy in POLICIES:
        tidegate_tvm.set_policy(policy)
        dev.sync()
        tidegate_tvm.reset_counters()
        for _ in range(40):
            plus_one["plus_one"](x, x)
        dev.sync()
        seen[policy] = tidegate_tvm.counters()
    assert [it["dispatches"] for it in seen.values()] == [40, 40, 40]
    assert seen["every-dispatch"]["flushes"] == 40
    assert seen["until-sync"]["flushes"] == 1
    assert 1 <= seen["adaptive"]["flushes"] <= 40


def test_a_policy_that_is_none():
    with pytest.raises(tidegate_tvm.TidegateError, match="no policy `fast`: adaptive, every-dispatch or until-sync"):
        tidegate_tvm.set_policy("fast")


def test_checks_are_on_or_off():
    for wrong in ["off", 0, None]:
        with pytest.raises(TypeError, match="True or False"):
            tidegate_tvm.set_checks(wrong)


def test_a_trace_that_cannot_be_written_is_told_before_the_work(tmp_path):
    with pytest.raises(FileNotFoundError):
        tidegate_tvm.trace(tmp_path / "nowhere" / "t.json").start()
    with tidegate_tvm.trace() as trace:
        pass
    assert trace.kernels == []


def test_the_counters_have_the_names_of_the_metal_runtimes(dev, plus_one):
    names = {"dispatches", "flushes", "syncs", "blits", "gpu_to_cpu", "cpu_to_gpu", "gpu_to_gpu", "free_syncs"}
    assert set(tidegate_tvm.counters()) == names
    get, reset = (tvm.get_global_func(f"webgpu.{it}ProfileCounters") for it in ("Get", "Reset"))
    x = on(dev, np.zeros(16, "float32"))
    plus_one["plus_one"](x, x)
    x.numpy()
    counted = {str(name): int(value) for name, value in get().items()}
    assert counted["dispatches"] == counted["gpu_to_cpu"] == counted["cpu_to_gpu"] == 1
    reset()
    assert set(tidegate_tvm.counters().values()) == {0}


def test_a_timer_counts_the_work_and_not_the_wait_for_it(dev, plus_one):
    large, small = (tvm.runtime.empty((it,), "float32", dev) for it in (1 << 20, 16))
    took = {it.shape[0]: plus_one.mod.time_evaluator("plus_one", dev, number=3, repeat=3)(it, it).min for it in (small, large)}
    assert 0 < took[16] < took[1 << 20] < 10


def test_a_timer_leaves_out_what_was_recorded_before(dev, plus_one):
    """Here there is a trace of it, and it has not run when the timer starts."""
    tidegate_tvm.set_policy("until-sync")
    large, small = (tvm.runtime.empty((it,), "float32", dev) for it in (1 << 20, 16))
    evaluator = plus_one.mod.time_evaluator("plus_one", dev, number=1)
    evaluator(small, small)
    with tidegate_tvm.trace() as trace:
        for _ in range(3):
            plus_one["plus_one"](large, large)
        took_ns = evaluator(small, small).mean * 1e9
    assert took_ns < trace.kernels[0]["longest_ns"] / 2


def test_timers_within_timers(dev, plus_one):
    """As the virtual machine's profiler has them, which asks for all times at the end."""
    x = on(dev, np.zeros(1 << 16, "float32"))
    timer = tvm.get_global_func("runtime.timer.webgpu")
    assert timer(dev) is not None  # One that is dropped without having been asked.
    evaluator = plus_one.mod.time_evaluator("plus_one", dev, number=2)
    with tidegate_tvm.trace() as trace:
        plus_one["plus_one"](x, x)
        inner = evaluator(x, x).mean
        plus_one["plus_one"](x, x)
    assert inner > 0
    (row,) = trace.kernels
    assert row["name"] == "plus_one_kernel" and row["count"] == 5
    assert row["total_ns"] >= row["longest_ns"] > 0


def test_a_trace_is_a_timeline(dev, plus_one, tmp_path):
    path = tmp_path / "trace.json"
    x = on(dev, np.zeros(64, "float32"))
    with tidegate_tvm.trace(path):
        for _ in range(5):
            plus_one["plus_one"](x, x)
        dev.sync()
    events = json.loads(path.read_text())["traceEvents"]
    runs = [it for it in events if it["ph"] == "X" and it["name"] == "plus_one_kernel"]
    assert len(runs) == 5
    assert all(it["dur"] >= 0 for it in runs)


def test_two_traces_at_once_are_one_too_many(dev):
    with tidegate_tvm.trace():
        with pytest.raises(tidegate_tvm.TidegateError, match="a trace is being taken already"):
            tidegate_tvm.trace().start()
        # Nor does one that was not started end another's.
        with pytest.raises(tidegate_tvm.TidegateError, match="this trace was not started"):
            tidegate_tvm.trace().stop()
    with tidegate_tvm.trace() as trace:
        dev.sync()
    with pytest.raises(tidegate_tvm.TidegateError, match="was stopped already"):
        trace.stop()
    with pytest.raises(tidegate_tvm.TidegateError, match="no trace is being taken"):
        tvm.get_global_func("tidegate.TraceStop")()


def test_a_timer_beside_threads_that_launch(dev, streams, plus_one):
    """Another thread never stops launching, and its stream is freed meanwhile: the times stay the device's, here and later."""
    small = tvm.runtime.empty((16,), "float32", dev)
    done = threading.Event()

    def launch():
        while not done.is_set():
            stream = dev.create_raw_stream()
            dev.set_raw_stream(stream)
            x = tvm.runtime.empty((1 << 12,), "float32", dev)
            for _ in range(5):
                plus_one["plus_one"](x, x)
            dev.set_raw_stream(0)
            dev.free_raw_stream(stream)

    thread = threading.Thread(target=launch)
    thread.start()
    try:
        dev.set_raw_stream(streams[0])
        took = [plus_one.mod.time_evaluator("plus_one", dev, number=2)(small, small).mean for _ in range(20)]
        dev.set_raw_stream(0)
    finally:
        done.set()
        thread.join(60)
    assert not thread.is_alive()
    assert all(0 < it < 10 for it in took)
    test_a_timer_leaves_out_what_was_recorded_before(dev, plus_one)
