"""What the tests share."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tvm
from tvm import te
from tvm.s_tir import dlight as dl

import tidegate_tvm


@pytest.fixture
def dev():
    return tvm.device("webgpu", 0)


@pytest.fixture(autouse=True)
def counted_anew():
    tidegate_tvm.set_policy("adaptive")
    tidegate_tvm.set_checks(True)
    tidegate_tvm.reset_counters()


TARGET = tvm.target.Target("webgpu", host="llvm")


def build(*functions):
    """Compiles functions, each a name and its tensors of `te`, with TVM's default schedule."""
    module = tvm.IRModule({name: te.create_prim_func(tensors).with_attr("global_symbol", name) for name, tensors in functions})
    with TARGET:
        module = dl.ApplyDefaultSchedule(dl.gpu.Fallback())(module)
    return tvm.compile(module, TARGET)


def elementwise(name, body, dtype="float32", length=None):
    """A function of two tensors, for `build`."""
    n = te.var("n") if length is None else length
    source = te.placeholder((n,), dtype, name="source")
    return name, [source, te.compute((n,), lambda i: body(source[i]), name="target")]


def webgpu(executable):
    """The module of kernels within what `build` gives."""
    (module,) = [it for it in executable.mod.imports if it.kind == "webgpu"]
    return module


@pytest.fixture(scope="session")
def plus_one():
    """Adds one to each element of a vector of any length."""
    return build(elementwise("plus_one", lambda it: it + 1.0))


def on(dev, array):
    return tvm.runtime.tensor(np.asarray(array, order="C"), dev)


def python(code, **environment):
    """Runs code in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=dict(os.environ, **environment), capture_output=True, text=True, timeout=120, check=False)
