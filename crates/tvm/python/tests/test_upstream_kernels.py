"""What TVM's tests of its GPU code generators check, one kernel each, for target `webgpu` on Tidegate.

The name beside each is that of TVM's test in its folder tests/python; UPSTREAM.md says what is left out and why.
"""

import math

import numpy as np
import pytest
import tidegate_tvm
import tvm
from kernels import compute, launch, scheduled, source_of, upstream
from tvm import te, tirx
from tvm.script import tirx as T

RANDOM = np.random.default_rng(7)


@upstream("codegen/test_target_codegen_webgpu.py::test_codegen_buffer_access_modes")
def test_what_is_only_read_is_declared_so(dev):
    @T.prim_func(s_tir=True)
    def copy(A: T.Buffer((8,), "float32"), B: T.Buffer((8,), "float32")):
        for tx in T.thread_binding(8, thread="threadIdx.x"):
            B[tx] = A[tx]

    source = source_of(tvm.compile(tvm.IRModule({"main": copy}), target="webgpu").mod)
    assert "var<storage, read> A_ptr" in source
    assert "var<storage, read_write> B_ptr" in source
    given = np.arange(8, dtype="float32")
    np.testing.assert_array_equal(launch(copy, dev, given, np.zeros_like(given))[1], given)


@upstream("codegen/test_target_codegen_webgpu.py::test_workgroup_allocation_at_target_limit")
def test_all_of_the_workgroup_memory(dev):
    @T.prim_func(s_tir=True)
    def reverse(A: T.Buffer((4096,), "float32"), B: T.Buffer((4096,), "float32")):
        staged = T.sblock_alloc_buffer((4096,), "float32", scope="shared")
        for tx in T.thread_binding(256, thread="threadIdx.x"):
            for i in range(16):
                staged[i * 256 + tx] = A[i * 256 + tx]
            for i in range(16):
                B[i * 256 + tx] = staged[4095 - i * 256 - tx]

    given = RANDOM.random(4096, dtype="float32")
    np.testing.assert_array_equal(launch(reverse, dev, given, np.zeros_like(given))[1], given[::-1])


@upstream("codegen/test_target_codegen_metal.py::test_metal_inf_nan")
@upstream("codegen/test_target_codegen_opencl.py::test_opencl_inf_nan")
@upstream("codegen/test_target_codegen_cuda.py::test_cuda_inf_nan")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_infinity_and_not_a_number(dev, dtype):
    """As values; TVM's WGSL writes them as constants that WGSL has not, see `test_constants_that_wgsl_has_not`."""
    given = np.array([math.inf, -math.inf, math.nan, 1.0], dtype)
    np.testing.assert_array_equal(compute(lambda x: tirx.max(x, x), dev, given)[[0, 1, 3]], given[[0, 1, 3]])
    assert np.isnan(compute(lambda x: x + x, dev, given)[2])


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_constants_that_wgsl_has_not(dev, value):
    """TVM 0.27 writes `inff` and `nanf`. The error names the kernel, and the next kernel runs."""
    given = np.zeros(4, "float32")
    with pytest.raises(tidegate_tvm.TidegateError, match="kernel `main_kernel`"):
        compute(lambda _: tirx.const(value, "float32"), dev, given)
    np.testing.assert_array_equal(compute(lambda x: x + 1, dev, given), given + 1)


@upstream("codegen/test_target_codegen_metal.py::test_unaligned_vectorize")
def test_a_vector_that_lies_apart(dev):
    @T.prim_func(s_tir=True)
    def flatten(A: T.Buffer((2, 3), "float32"), B: T.Buffer((6,), "float32")):
        for tx in T.thread_binding(3, thread="threadIdx.x"):
            for lane in T.vectorized(2):
                with T.sblock("flat"):
                    i = T.axis.spatial(6, lane * 3 + tx)
                    B[i] = A[i // 3, i % 3]

    given = np.arange(6, dtype="float32").reshape(2, 3)
    np.testing.assert_array_equal(launch(flatten, dev, given, np.zeros(6, "float32"))[1], given.reshape(6))


@upstream("codegen/test_target_codegen_metal.py::test_metal_erf")
@upstream("codegen/test_target_codegen_opencl.py::test_opencl_erf")
def test_error_function(dev):
    given = np.linspace(-3, 3, 64, dtype="float32")
    expected = [math.erf(value) for value in given]
    np.testing.assert_allclose(compute(tirx.erf, dev, given), expected, atol=1e-5)


@upstream("codegen/test_target_codegen_metal.py::test_ramp")
def test_ramp(dev):
    @T.prim_func(s_tir=True)
    def ramp(A: T.Buffer((1, 2), "int32")):
        for i in T.thread_binding(1, thread="threadIdx.x"):
            with T.sblock("ramp"):
                tx = T.axis.spatial(1, i)
                A[0, T.ramp(0, 1, 2)] = T.ramp(tx, 3, 2)

    np.testing.assert_array_equal(launch(ramp, dev, np.zeros((1, 2), "int32"))[0], [[0, 3]])


@upstream("codegen/test_target_codegen_metal.py::test_select_vectorize")
def test_select_among_lanes(dev):
    @T.prim_func(s_tir=True)
    def evens(A: T.Buffer((6,), "float32"), B: T.Buffer((6,), "float32")):
        for tx in T.thread_binding(3, thread="threadIdx.x"):
            for lane in T.vectorized(2):
                with T.sblock("evens"):
                    i = T.axis.spatial(6, lane * 3 + tx)
                    B[i] = T.Select(i % 2 == 0, A[i], T.float32(0))

    given = np.arange(6, dtype="float32")
    result = launch(evens, dev, given, np.ones(6, "float32"))[1]
    np.testing.assert_array_equal(result, [0, 0, 2, 0, 4, 0])


@upstream("codegen/test_target_codegen_metal.py::test_func_with_trailing_pod_params")
def test_a_scalar_after_the_buffers(dev):
    @T.prim_func(s_tir=True)
    def add(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32"), x: T.float32):
        for tx in T.thread_binding(16, thread="threadIdx.x"):
            B[tx] = A[tx] + x

    given = np.arange(16, dtype="float32")
    np.testing.assert_array_equal(launch(add, dev, given, np.zeros_like(given), 2.5)[1], given + 2.5)


@upstream("codegen/test_target_codegen_vulkan.py::test_array_copy")
@pytest.mark.parametrize("dtype", ["float32", "int32", "float16", "int8", "uint8", "int64", "float64", "bool"])
@pytest.mark.parametrize("seed", range(4))
def test_there_and_back(dev, dtype, seed):
    random = np.random.default_rng(seed)
    size = int(np.exp(random.uniform(0, np.log(32768))))
    given = (random.random(size) * 100).astype(dtype)
    np.testing.assert_array_equal(tvm.runtime.empty((size,), dtype, dev).copyfrom(given).numpy(), given)


@upstream("codegen/test_target_codegen_vulkan.py::test_array_vectorize_add")
@upstream("codegen/test_target_codegen_cuda.py::test_cuda_vectorize_add")
@pytest.mark.parametrize("dtype", ["float32", "int32", "float16"])
@pytest.mark.parametrize("lanes", [2, 4])
def test_buffers_of_vectors(dev, dtype, lanes):
    vector = f"{dtype}x{lanes}"
    one = tirx.const(1, vector)

    @T.prim_func(s_tir=True)
    def add(A: T.Buffer((64,), vector), B: T.Buffer((64,), vector)):
        for bx in T.thread_binding(16, thread="blockIdx.x"):
            for tx in T.thread_binding(4, thread="threadIdx.x"):
                B[bx * 4 + tx] = A[bx * 4 + tx] + one

    given = (RANDOM.random((64, lanes)) * 10).astype(dtype)
    compiled = tvm.compile(tvm.IRModule({"main": add}), target="webgpu")
    a = tvm.runtime.empty((64,), vector, dev).copyfrom(given)
    b = tvm.runtime.empty((64,), vector, dev)
    compiled["main"](a, b)
    np.testing.assert_allclose(b.numpy(), given + np.ones((), dtype), rtol=1e-3)


@upstream("codegen/test_target_codegen_vulkan.py::test_vulkan_while_if")
def test_a_loop_whose_bound_is_in_a_buffer(dev):
    @T.prim_func(s_tir=True)
    def count(A: T.Buffer((1,), "int32"), B: T.Buffer((1,), "int32")):
        for _ in T.thread_binding(1, thread="blockIdx.x"):
            rounds = T.decl_buffer((1,), "int32", scope="local")
            rounds[0] = 0
            B[0] = 0
            while rounds[0] < T.if_then_else(A[0] > 0, 10, 20):
                rounds[0] = rounds[0] + 1
                B[0] = B[0] + rounds[0]

    for given, expected in [(5, 55), (-5, 210)]:
        result = launch(count, dev, np.array([given], "int32"), np.zeros(1, "int32"))
        assert result[1][0] == expected


@upstream("codegen/test_target_codegen_vulkan.py::test_vulkan_local_threadidx")
def test_two_kernels_in_one_function(dev):
    @T.prim_func(s_tir=True)
    def halves(A: T.Buffer((32,), "int32"), B: T.Buffer((32,), "int32")):
        for _ in range(1):
            for tx in T.thread_binding(16, thread="threadIdx.x"):
                B[tx] = A[tx]
        for _ in range(1):
            for tx in T.thread_binding(16, thread="threadIdx.x"):
                B[tx + 16] = A[tx + 16]

    given = np.arange(32, dtype="int32")
    np.testing.assert_array_equal(launch(halves, dev, given, np.zeros_like(given))[1], given)


@upstream("codegen/test_target_codegen_vulkan.py::test_vulkan_constant_passing")
@pytest.mark.parametrize("scalars", [1, 40])
def test_few_and_many_scalars(dev, scalars):
    a = te.placeholder((64,), "int32")
    scales = [te.var(f"scale{index}", "int32") for index in range(scalars)]
    result = te.compute((64,), lambda i: sum(scales, a[i]))
    function = scheduled(te.create_prim_func([*scales, a, result]))
    given = np.arange(64, dtype="int32")
    values = range(1, scalars + 1)
    np.testing.assert_array_equal(launch(function, dev, *values, given, np.zeros_like(given))[1], given + sum(values))


@upstream("codegen/test_target_codegen_vulkan.py::test_vectorized_index_ramp")
def test_lanes_at_a_stride(dev):
    @T.prim_func(s_tir=True)
    def spread(A: T.Buffer((4,), "int32"), B: T.Buffer((8,), "int32")):
        for _ in T.thread_binding(1, thread="blockIdx.x"):
            B[T.ramp(0, 2, 4)] = A[T.ramp(0, 1, 4)]

    given = np.arange(1, 5, dtype="int32")
    np.testing.assert_array_equal(launch(spread, dev, given, np.zeros(8, "int32"))[1][::2], given)


@upstream("codegen/test_target_codegen_vulkan.py::test_vectorized_index_broadcast")
def test_one_element_in_all_lanes(dev):
    @T.prim_func(s_tir=True)
    def spread(A: T.Buffer((4,), "int32"), B: T.Buffer((4,), "int32")):
        for _ in T.thread_binding(1, thread="blockIdx.x"):
            B[T.ramp(0, 1, 4)] = A[T.broadcast(2, 4)]

    given = np.arange(1, 5, dtype="int32")
    np.testing.assert_array_equal(launch(spread, dev, given, np.zeros_like(given))[1], [3, 3, 3, 3])


@upstream("codegen/test_target_codegen_vulkan.py::test_negative_operand_divmod")
@upstream("codegen/test_target_codegen_cuda.py::test_cuda_floordiv_with_vectorization")
@upstream("codegen/test_target_codegen_cuda.py::test_cuda_floormod_with_vectorization")
def test_division_of_negative_numbers(dev):
    @T.prim_func(s_tir=True)
    def divide(A: T.Buffer((32, 2), "int32")):
        for tx in T.thread_binding(32, thread="threadIdx.x"):
            with T.sblock("divide"):
                i = T.axis.spatial(32, tx)
                A[i, 0] = T.floordiv(i - 16, 5)
                A[i, 1] = T.floormod(i - 16, 5)

    result = launch(divide, dev, np.zeros((32, 2), "int32"))[0]
    np.testing.assert_array_equal(result[:, 0], (np.arange(32) - 16) // 5)
    np.testing.assert_array_equal(result[:, 1], (np.arange(32) - 16) % 5)


@upstream("codegen/test_target_codegen_vulkan.py::test_vector_comparison")
@pytest.mark.parametrize("dtype", ["float32", "int32", "float16"])
def test_comparison_of_lanes(dev, dtype):
    zero, one = tirx.const(0, dtype), tirx.const(1, dtype)

    @T.prim_func(s_tir=True)
    def positive(A: T.Buffer((1024,), dtype), B: T.Buffer((1024,), dtype)):
        for bx in T.thread_binding(8, thread="blockIdx.x"):
            for tx in T.thread_binding(32, thread="threadIdx.x"):
                for lane in T.vectorized(4):
                    with T.sblock("positive"):
                        i = T.axis.spatial(1024, bx * 128 + tx * 4 + lane)
                        B[i] = T.Select(A[i] >= zero, A[i] + one, zero)

    given = RANDOM.integers(-100, 100, 1024).astype(dtype)
    expected = np.where(given >= 0, given + 1, 0)
    np.testing.assert_array_equal(launch(positive, dev, given, np.zeros_like(given))[1], expected)


@upstream("codegen/test_target_codegen_vulkan.py::test_codegen_static_shared_memory")
def test_through_workgroup_memory(dev):
    @T.prim_func(s_tir=True)
    def copy(A: T.Buffer((128,), "float32"), B: T.Buffer((128,), "float32")):
        staged = T.alloc_buffer((128,), "float32", scope="shared")
        for _ in T.thread_binding(1, thread="blockIdx.x"):
            for tx in T.thread_binding(128, thread="threadIdx.x"):
                staged[tx] = A[tx]
                B[tx] = staged[tx]

    given = RANDOM.random(128, dtype="float32")
    np.testing.assert_array_equal(launch(copy, dev, given, np.zeros_like(given))[1], given)


@upstream("codegen/test_target_codegen_vulkan.py::test_unary")
@pytest.mark.parametrize("name", ["sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan"])
def test_functions_of_angles(dev, name):
    given = RANDOM.uniform(0.1, 0.9, 64).astype("float32")
    reference = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(name, name)
    result = compute(getattr(tirx, name), dev, given)
    np.testing.assert_allclose(result, getattr(np, reference)(given), rtol=1e-3, atol=1e-3)


@upstream("tirx-base/test_tir_intrin.py::test_unary_intrin")
@pytest.mark.parametrize("name", ["exp", "exp2", "log", "log2", "sqrt", "rsqrt", "sigmoid"])
def test_functions_of_one_number(dev, name):
    given = RANDOM.uniform(0.1, 4, 64).astype("float32")
    references = {"rsqrt": lambda x: x**-0.5, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}
    expected = references.get(name, getattr(np, name, None))(given)
    np.testing.assert_allclose(compute(getattr(tirx, name), dev, given), expected, rtol=1e-4, atol=1e-5)


@upstream("tirx-base/test_tir_intrin.py::test_nearbyint")
@upstream("tirx-base/test_tir_intrin.py::test_round_ties_to_even")
@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "abs"])
def test_rounding(dev, name):
    given = np.array([-2.5, -1.5, -0.6, -0.5, 0.4, 0.5, 1.5, 2.5, 7.0], "float32")
    np.testing.assert_array_equal(compute(getattr(tirx, name), dev, given), getattr(np, name)(given))


@upstream("tirx-base/test_tir_intrin.py::test_binary_intrin")
@upstream("codegen/test_target_codegen_opencl.py::test_opencl_max")
@pytest.mark.parametrize("name", ["power", "max", "min"])
def test_functions_of_two_numbers(dev, name):
    left, right = (RANDOM.uniform(0.1, 3, 64).astype("float32") for _ in range(2))
    expected = {"power": np.power, "max": np.maximum, "min": np.minimum}[name](left, right)
    np.testing.assert_allclose(compute(getattr(tirx, name), dev, left, right), expected, rtol=1e-4)


@upstream("tirx-base/test_tir_intrin.py::test_fma")
def test_multiply_and_add(dev):
    a, b, c = (RANDOM.uniform(-3, 3, 64).astype("float32") for _ in range(3))
    result = compute(lambda x, y, z: x * y + z, dev, a, b, c)
    np.testing.assert_allclose(result, a * b + c, rtol=1e-5, atol=1e-5)


@upstream("codegen/test_target_codegen_cuda.py::test_vectorized_casts")
@upstream("codegen/test_target_codegen_cuda.py::test_cuda_const_float_to_half")
@pytest.mark.parametrize("source", ["float32", "float16", "int32", "uint32"])
@pytest.mark.parametrize("result", ["float32", "float16", "int32", "uint32"])
def test_casts(dev, source, result):
    given = RANDOM.integers(0, 1000, 64).astype(source)
    np.testing.assert_array_equal(compute(lambda x: x.astype(result), dev, given), given.astype(result))


@upstream("codegen/test_target_codegen_opencl.py::test_opencl_ternary_expression")
def test_choices_in_choices(dev):
    def chosen(x):
        return tirx.if_then_else(x < 8, tirx.Select(x % 2 == 0, x, -x), x * 2)

    given = np.arange(16, dtype="int32")
    expected = np.where(given < 8, np.where(given % 2 == 0, given, -given), given * 2)
    np.testing.assert_array_equal(compute(chosen, dev, given), expected)


@upstream("codegen/test_target_codegen_bool.py::test_cmp_load_store")
@upstream("codegen/test_target_codegen_vulkan.py::test_vulkan_bool_load")
def test_truth_between_two_conditions(dev):
    """Within a kernel: TVM's WGSL has no buffers of booleans, see UPSTREAM.md."""
    a, b = (RANDOM.random(32, dtype="float32") * 2 for _ in range(2))
    result = compute(lambda x, y: tirx.all(y < x, x > 1).astype("float32"), dev, a, b)
    np.testing.assert_array_equal(result, ((b < a) & (a > 1)).astype("float32"))


@upstream("codegen/test_target_codegen_device.py::test_add_pipeline")
def test_two_stages_of_any_length(dev):
    @T.prim_func(s_tir=True)
    def add(var_a: T.handle, B: T.Buffer((), "float32"), var_d: T.handle):
        n = T.int32()
        A = T.match_buffer(var_a, (n,))
        D = T.match_buffer(var_d, (n,))
        C = T.sblock_alloc_buffer((n,))
        for bx in T.thread_binding((n + 255) // 256, thread="blockIdx.x"):
            for tx in T.thread_binding(256, thread="threadIdx.x"):
                with T.sblock("first"):
                    i = T.axis.spatial(n, bx * 256 + tx)
                    T.where(bx * 256 + tx < n)
                    C[i] = A[i] + B[()]
        for bx in T.thread_binding((n + 255) // 256, thread="blockIdx.x"):
            for tx in T.thread_binding(256, thread="threadIdx.x"):
                with T.sblock("second"):
                    i = T.axis.spatial(n, bx * 256 + tx)
                    T.where(bx * 256 + tx < n)
                    D[i] = C[i] + T.float32(1)

    given, scalar = RANDOM.random(1027, dtype="float32"), np.array(0.5, "float32")
    result = launch(add, dev, given, scalar, np.zeros_like(given))[2]
    np.testing.assert_allclose(result, given + 1.5, rtol=1e-6)


@upstream("codegen/test_gpu_codegen_allreduce.py::test_allreduce_sum")
@upstream("codegen/test_gpu_codegen_allreduce.py::test_allreduce_max")
@upstream("codegen/test_target_codegen_cuda.py::test_crossthread_reduction1")
@pytest.mark.parametrize("kind", ["sum", "max"])
@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 3, 12), (1, 4, 64), (2, 1, 100), (4, 2, 32), (1, 1, 201)])
def test_reduction_across_threads(dev, kind, shape):
    first, second, third = shape
    least = -3.4028234663852886e38 if kind == "max" else 0.0

    @T.prim_func(s_tir=True)
    def reduce_sum(A: T.Buffer(shape, "float32"), B: T.Buffer(shape[:2], "float32")):
        for _ in T.thread_binding(1, thread="blockIdx.x"):
            for tz in T.thread_binding(first, thread="threadIdx.z"):
                for ty in T.thread_binding(second, thread="threadIdx.y"):
                    for tx in T.thread_binding(third, thread="threadIdx.x"):
                        with T.sblock("reduce"):
                            i, j, k = T.axis.remap("SSR", [tz, ty, tx])
                            with T.init():
                                B[i, j] = T.float32(least)
                            B[i, j] = B[i, j] + A[i, j, k]

    @T.prim_func(s_tir=True)
    def reduce_max(A: T.Buffer(shape, "float32"), B: T.Buffer(shape[:2], "float32")):
        for _ in T.thread_binding(1, thread="blockIdx.x"):
            for tz in T.thread_binding(first, thread="threadIdx.z"):
                for ty in T.thread_binding(second, thread="threadIdx.y"):
                    for tx in T.thread_binding(third, thread="threadIdx.x"):
                        with T.sblock("reduce"):
                            i, j, k = T.axis.remap("SSR", [tz, ty, tx])
                            with T.init():
                                B[i, j] = T.float32(least)
                            B[i, j] = T.max(B[i, j], A[i, j, k])

    given = -RANDOM.random(shape, dtype="float32")
    function, expected = (reduce_sum, given.sum(2)) if kind == "sum" else (reduce_max, given.max(2))
    result = launch(function, dev, given, np.zeros(shape[:2], "float32"))[1]
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@upstream("codegen/test_target_codegen_cuda.py::test_cuda_thread_sync_inside_condition")
def test_a_barrier_where_all_threads_agree(dev):
    @T.prim_func(s_tir=True)
    def bump(A: T.Buffer((4, 4), "float32")):
        staged = T.sblock_alloc_buffer((4, 4), "float32", scope="shared")
        for _ in T.thread_binding(1, "blockIdx.x"):
            for tx in T.thread_binding(16, "threadIdx.x"):
                staged[tx // 4, tx % 4] = A[tx // 4, tx % 4]
                A[tx // 4, tx % 4] = staged[3 - tx // 4, 3 - tx % 4] + T.float32(1)

    given = np.arange(16, dtype="float32").reshape(4, 4)
    np.testing.assert_array_equal(launch(bump, dev, given)[0], given[::-1, ::-1] + 1)


@upstream("codegen/test_target_codegen_cuda.py::test_thread_return")
def test_threads_that_leave_early(dev):
    @T.prim_func(s_tir=True)
    def copy(A: T.Buffer((16, 16), "float32"), B: T.Buffer((16, 16), "float32")):
        for bx in T.thread_binding(32, "blockIdx.x"):
            for tx in T.thread_binding(32, "threadIdx.x"):
                if bx < 16 and tx < 16:
                    B[bx, tx] = A[bx, tx]

    given = RANDOM.random((16, 16), dtype="float32")
    np.testing.assert_array_equal(launch(copy, dev, given, np.zeros_like(given))[1], given)


@upstream("codegen/test_target_codegen_cuda.py::test_cuda_loop_step")
@upstream("codegen/test_target_codegen.py::test_codegen_loop_step")
def test_a_loop_with_a_step(dev):
    @T.prim_func(s_tir=True)
    def every_third(A: T.Buffer((1,), "int32")):
        for _ in T.thread_binding(1, "threadIdx.x"):
            A[0] = 0
            for i in T.serial(0, 32, step=3):
                A[0] = A[0] + i

    assert launch(every_third, dev, np.zeros(1, "int32"))[0][0] == sum(range(0, 32, 3))
