"""What TVM's tests of its runtime check, of tensors and modules of target `webgpu` on Tidegate.

The name beside each is that of TVM's test in its folder tests/python; UPSTREAM.md says what is left out and why.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
import tvm
from kernels import scheduled, tensor, upstream
from tvm import te


def plus_one(length=1024):
    """A compiled function that adds one to each element."""
    a = te.placeholder((length,), "float32")
    b = te.compute((length,), lambda i: a[i] + 1.0)
    return tvm.compile(tvm.IRModule({"main": scheduled(te.create_prim_func([a, b]))}), target="webgpu")


@upstream("runtime/test_runtime_nd_array.py::test_1d_view_of_first_half_of_1d_arr")
@upstream("runtime/test_runtime_nd_array.py::test_subview_second_half_of_first_half")
@upstream("runtime/test_runtime_nd_array.py::test_2d_view_of_second_half_of_2d_arr")
def test_views_of_a_part(dev):
    given = np.arange(32, dtype="float32")
    whole = tensor(given, dev)
    half = whole._create_view([16], relative_byte_offset=64)
    np.testing.assert_array_equal(half.numpy(), given[16:])
    quarter = half._create_view([2, 4], relative_byte_offset=32)
    np.testing.assert_array_equal(quarter.numpy(), given[24:].reshape(2, 4))
    quarter.copyfrom(np.zeros((2, 4), "float32"))
    np.testing.assert_array_equal(whole.numpy(), np.where(np.arange(32) < 24, given, 0))


@upstream("runtime/test_runtime_nd_array.py::test_view_larger_than_original_is_invalid")
@upstream("runtime/test_runtime_nd_array.py::test_view_partially_outside_bounds_of_original_is_invalid")
def test_views_past_the_end(dev):
    whole = tensor(np.arange(32, dtype="float32"), dev)
    for shape, offset in [([64], 0), ([16], 96)]:
        with pytest.raises(ValueError):
            whole._create_view(shape, relative_byte_offset=offset)


@upstream("runtime/test_runtime_device_api.py::test_check_if_device_exists")
def test_whether_a_device_is_there(dev):
    assert dev.exist
    assert not tvm.device("webgpu", 1000).exist


@upstream("runtime/test_runtime_module_load.py::test_device_module_dump")
@upstream("runtime/test_executable.py::test_executable_export_library")
@upstream("codegen/test_target_codegen_vulkan.py::test_export_load_with_fallback")
@upstream("codegen/test_target_codegen_metal.py::test_export_load_with_fallback")
def test_a_library_in_another_process(tmp_path, dev):
    path = tmp_path / "plus_one.so"
    plus_one().export_library(str(path))
    code = """if True:
        import sys, numpy as np, tidegate_tvm, tvm
        function = tvm.runtime.load_module(sys.argv[1])["main"]
        device = tvm.device("webgpu", 0)
        a = tvm.runtime.tensor(np.arange(1024, dtype="float32"), device)
        b = tvm.runtime.empty((1024,), "float32", device)
        function(a, b)
        np.testing.assert_array_equal(b.numpy(), a.numpy() + 1)
        print("equal")
    """
    environment = os.environ | {"TVM_USE_RUNTIME_LIB": "1"}
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "equal\n", done.stderr


@upstream("codegen/test_codegen_error_handling.py::test_device_mismatch_error")
@upstream("codegen/test_codegen_error_handling.py::test_dtype_mismatch_error")
@upstream("codegen/test_codegen_error_handling.py::test_invalid_shape_fixed")
def test_arguments_that_do_not_fit(dev):
    function = plus_one()["main"]
    good = tensor(np.zeros(1024, "float32"), dev)
    for bad in [
        tvm.runtime.tensor(np.zeros(1024, "float32")),
        tensor(np.zeros(1024, "int32"), dev),
        tensor(np.zeros(1000, "float32"), dev),
    ]:
        with pytest.raises((ValueError, TypeError, RuntimeError)):
            function(bad, good)
    result = tensor(np.zeros(1024, "float32"), dev)
    function(good, result)
    np.testing.assert_array_equal(result.numpy(), np.ones(1024, "float32"))


@upstream("runtime/test_runtime_measure.py::test_min_repeat_ms")
def test_a_least_time_of_measuring(dev):
    compiled = plus_one()
    a, b = tensor(np.zeros(1024, "float32"), dev), tensor(np.zeros(1024, "float32"), dev)
    timer = compiled.mod.time_evaluator("main", dev, number=1, repeat=2, min_repeat_ms=5)
    assert all(0 < seconds < 60 for seconds in timer(a, b).results)
