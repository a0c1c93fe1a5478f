"""Runs single kernels: what the tests that come from TVM's own have in common."""

import pathlib

import numpy as np
import tidegate_tvm  # noqa: F401
import tvm
from tvm import te
from tvm.s_tir import dlight


#: The tests in those of TVM's files that tests here name, as of the commit that UPSTREAM.md names.
UPSTREAM = frozenset((pathlib.Path(__file__).parent / "upstream.txt").read_text(encoding="utf-8").split())


def upstream(name):
    """Names the test of TVM, in its folder tests/python, that a test here re-expresses."""
    assert name in UPSTREAM, f"TVM has no test {name}"
    return lambda test: test


def tensor(value, dev):
    """A tensor on a device."""
    return tvm.runtime.tensor(np.asarray(value, order="C"), dev)


def source_of(module):
    """The WGSL in a compiled module."""
    if module.kind == "webgpu":
        return module.inspect_source("wgsl")
    return "".join(source_of(imported) for imported in module.imports)


def launch(function, dev, *arguments, target="webgpu"):
    """Compiles a function, calls it with arrays and scalars, and gives the arrays as they are afterwards."""
    compiled = tvm.compile(tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), target=target)
    held = [tensor(argument, dev) if isinstance(argument, np.ndarray) else argument for argument in arguments]
    compiled["main"](*held)
    return [argument.numpy() for argument in held if isinstance(argument, tvm.runtime.Tensor)]


def scheduled(function):
    """The function with threads, as TVM's simplest schedule for GPUs gives them."""
    with tvm.target.Target("webgpu"):
        return dlight.ApplyDefaultSchedule(dlight.gpu.Fallback())(tvm.IRModule({"main": function}))["main"]


def compute(expression, dev, *inputs, dtype=None):
    """What a function of one element of each input gives for all of them."""
    places = [te.placeholder(value.shape, str(value.dtype)) for value in inputs]
    result = te.compute(inputs[0].shape, lambda *at: expression(*[place(*at) for place in places]))
    output = np.zeros(inputs[0].shape, dtype or str(result.dtype))
    return launch(scheduled(te.create_prim_func([*places, result])), dev, *inputs, output)[-1]
