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
    def accumulate(Given: T.Buffer((3, 4), "int32"), Total: T.Buffer((4,), "int32")):
        for column in T.thread_binding(4, thread="threadIdx.x"):
            for row in range(3):
                Total[column] = Total[column] + Given[row, column]

    source = source_of(tvm.compile(tvm.IRModule({"main": accumulate}), target="webgpu").mod)
    assert "var<storage, read> Given_ptr" in source
    assert "var<storage, read_write> Total_ptr" in source
    given, total = RANDOM.integers(-9, 9, (3, 4)).astype("int32"), np.arange(4, dtype="int32")
    np.testing.assert_array_equal(launch(accumulate, dev, given, total)[1], total + given.sum(0))


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
    def by_column(A: T.Buffer((4, 5), "int32"), B: T.Buffer((20,), "int32")):
        for column in T.thread_binding(5, thread="threadIdx.x"):
            for lane in T.vectorized(4):
                B[column * 4 + lane] = A[lane, column] - 7

    given = RANDOM.integers(0, 100, (4, 5)).astype("int32")
    np.testing.assert_array_equal(launch(by_column, dev, given, np.zeros(20, "int32"))[1], given.T.reshape(20) - 7)


@upstream("codegen/test_target_codegen_metal.py::test_metal_erf")
@upstream("codegen/test_target_codegen_opencl.py::test_opencl_erf")
def test_error_function(dev):
    given = np.linspace(-3, 3, 64, dtype="float32")
    expected = [math.erf(value) for value in given]
    np.testing.assert_allclose(compute(tirx.erf, dev, given), expected, atol=1e-5)


@upstream("codegen/test_target_codegen_metal.py::test_ramp")
def test_ramp(dev):
    @T.prim_func(s_tir=True)
    def falling(Table: T.Buffer((3, 4), "int32")):
        for row in T.thread_binding(3, thread="blockIdx.x"):
            Table[row, T.ramp(0, 1, 4)] = T.ramp(row * 10, -3, 4)

    expected = np.arange(3)[:, None] * 10 - 3 * np.arange(4)
    np.testing.assert_array_equal(launch(falling, dev, np.zeros((3, 4), "int32"))[0], expected)


@upstream("codegen/test_target_codegen_metal.py::test_select_vectorize")
def test_select_among_lanes(dev):
    @T.prim_func(s_tir=True)
    def checkers(A: T.Buffer((5, 4), "float32"), B: T.Buffer((5, 4), "float32")):
        for row in T.thread_binding(5, thread="blockIdx.x"):
            for lane in T.vectorized(4):
                B[row, lane] = T.Select((row + lane) % 2 == 1, A[row, lane] * T.float32(4), T.float32(-1) - A[row, lane])

    given = RANDOM.integers(0, 50, (5, 4)).astype("float32")
    odd = np.add.outer(np.arange(5), np.arange(4)) % 2 == 1
    result = launch(checkers, dev, given, np.zeros_like(given))[1]
    np.testing.assert_array_equal(result, np.where(odd, given * 4, -1 - given))


@upstream("codegen/test_target_codegen_metal.py::test_func_with_trailing_pod_params")
def test_a_scalar_after_the_buffers(dev):
    @T.prim_func(s_tir=True)
    def line(X: T.Buffer((21,), "float32"), Y: T.Buffer((21,), "float32"), slope: T.float32, shift: T.int32):
        for bx in T.thread_binding(3, thread="blockIdx.x"):
            for tx in T.thread_binding(7, thread="threadIdx.x"):
                Y[bx * 7 + tx] = X[bx * 7 + tx] * slope + T.cast(shift, "float32")

    given = np.arange(21, dtype="float32")
    np.testing.assert_array_equal(launch(line, dev, given, np.zeros_like(given), 0.25, -6)[1], given / 4 - 6)


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

    @T.prim_func(s_tir=True)
    def mirror(A: T.Buffer((48,), vector), B: T.Buffer((48,), vector)):
        for bx in T.thread_binding(3, thread="blockIdx.x"):
            for tx in T.thread_binding(16, thread="threadIdx.x"):
                B[47 - bx * 16 - tx] = A[bx * 16 + tx] * A[bx * 16 + tx] - A[tx]

    given = RANDOM.integers(-12, 12, (48, lanes)).astype(dtype)
    compiled = tvm.compile(tvm.IRModule({"main": mirror}), target="webgpu")
    a = tvm.runtime.empty((48,), vector, dev).copyfrom(given)
    b = tvm.runtime.empty((48,), vector, dev)
    compiled["main"](a, b)
    np.testing.assert_array_equal(b.numpy()[::-1], given * given - np.tile(given[:16], (3, 1)))


@upstream("codegen/test_target_codegen_vulkan.py::test_vulkan_while_if")
def test_a_loop_whose_bound_is_in_a_buffer(dev):
    """How many steps of Collatz's each number takes down to 1."""

    @T.prim_func(s_tir=True)
    def steps(Numbers: T.Buffer((6,), "int32"), Steps: T.Buffer((6,), "int32")):
        for tx in T.thread_binding(6, thread="threadIdx.x"):
            number = T.decl_buffer((1,), "int32", scope="local")
            number[0] = Numbers[tx]
            Steps[tx] = 0
            while number[0] != 1:
                if number[0] % 2 == 0:
                    number[0] = number[0] // 2
                else:
                    number[0] = number[0] * 3 + 1
                Steps[tx] = Steps[tx] + 1

    given = np.array([27, 1, 97, 64, 6, 871], "int32")
    np.testing.assert_array_equal(launch(steps, dev, given, np.full(6, -1, "int32"))[1], [111, 0, 118, 6, 8, 178])


@upstream("codegen/test_target_codegen_vulkan.py::test_vulkan_local_threadidx")
def test_two_kernels_in_one_function(dev):
    """The second has threads of its own, and reads what the first wrote."""

    @T.prim_func(s_tir=True)
    def squares_then_threes(A: T.Buffer((24,), "int32"), Squares: T.Buffer((24,), "int32"), Threes: T.Buffer((8,), "int32")):
        for bx in T.thread_binding(2, thread="blockIdx.x"):
            for tx in T.thread_binding(12, thread="threadIdx.x"):
                Squares[bx * 12 + tx] = A[bx * 12 + tx] * A[bx * 12 + tx]
        for tx in T.thread_binding(8, thread="threadIdx.x"):
            Threes[tx] = Squares[23 - tx * 3] + Squares[22 - tx * 3] + Squares[21 - tx * 3]

    given = RANDOM.integers(-30, 30, 24).astype("int32")
    result = launch(squares_then_threes, dev, given, np.zeros_like(given), np.zeros(8, "int32"))
    np.testing.assert_array_equal(result[1], given**2)
    np.testing.assert_array_equal(result[2], (given**2).reshape(8, 3).sum(1)[::-1])
    assert tidegate_tvm.counters()["dispatches"] == 2


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
    def gather(A: T.Buffer((12,), "float32"), B: T.Buffer((15,), "float32")):
        for tx in T.thread_binding(2, thread="threadIdx.x"):
            B[T.ramp(tx + 1, 4, 4)] = A[T.ramp(tx + 1, 3, 4)]

    given = RANDOM.random(12, dtype="float32")
    expected = np.zeros(15, "float32")
    for start in (1, 2):
        expected[start::4][:4] = given[start::3][:4]
    np.testing.assert_array_equal(launch(gather, dev, given, np.zeros(15, "float32"))[1], expected)


@upstream("codegen/test_target_codegen_vulkan.py::test_vectorized_index_broadcast")
def test_one_element_in_all_lanes(dev):
    @T.prim_func(s_tir=True)
    def scale(A: T.Buffer((3, 4), "float32"), Factors: T.Buffer((6,), "float32")):
        for tx in T.thread_binding(3, thread="threadIdx.x"):
            A[tx, T.ramp(0, 1, 4)] = A[tx, T.ramp(0, 1, 4)] * Factors[T.broadcast(tx * 2 + 1, 4)]

    given, factors = np.arange(12, dtype="float32").reshape(3, 4), np.array([9, 2, 9, -3, 9, 0.5], "float32")
    np.testing.assert_array_equal(launch(scale, dev, given, factors)[0], given * factors[1::2, None])


@upstream("codegen/test_target_codegen_vulkan.py::test_negative_operand_divmod")
@upstream("codegen/test_target_codegen_cuda.py::test_cuda_floordiv_with_vectorization")
@upstream("codegen/test_target_codegen_cuda.py::test_cuda_floormod_with_vectorization")
def test_division_of_negative_numbers(dev):
    """By negative numbers too, which are known only when it runs."""
    given = np.arange(-24, 24, dtype="int32")
    divisors = np.resize(np.array([7, -4, 3, -11, 1], "int32"), given.shape)
    np.testing.assert_array_equal(compute(te.floordiv, dev, given, divisors), given // divisors)
    np.testing.assert_array_equal(compute(te.floormod, dev, given, divisors), given % divisors)
    np.testing.assert_array_equal(compute(lambda x: te.floordiv(x, 6) * 10 + te.floormod(x, 6), dev, given), given // 6 * 10 + given % 6)
    np.testing.assert_array_equal(compute(te.truncdiv, dev, given, divisors), np.trunc(given / divisors))


@upstream("codegen/test_target_codegen_vulkan.py::test_vector_comparison")
@pytest.mark.parametrize("dtype", ["float32", "int32", "float16"])
def test_comparison_of_lanes(dev, dtype):
    @T.prim_func(s_tir=True)
    def apart(A: T.Buffer((240,), dtype), B: T.Buffer((240,), dtype), C: T.Buffer((240,), dtype)):
        for bx in T.thread_binding(6, thread="blockIdx.x"):
            for tx in T.thread_binding(20, thread="threadIdx.x"):
                for lane in T.vectorized(2):
                    C[bx * 40 + tx * 2 + lane] = T.Select(
                        A[bx * 40 + tx * 2 + lane] < B[bx * 40 + tx * 2 + lane],
                        B[bx * 40 + tx * 2 + lane] - A[bx * 40 + tx * 2 + lane],
                        A[bx * 40 + tx * 2 + lane] - B[bx * 40 + tx * 2 + lane],
                    )

    a, b = (RANDOM.integers(-50, 50, 240).astype(dtype) for _ in range(2))
    np.testing.assert_array_equal(launch(apart, dev, a, b, np.zeros_like(a))[2], abs(a - b))


@upstream("codegen/test_target_codegen_vulkan.py::test_codegen_static_shared_memory")
def test_through_workgroup_memory(dev):
    @T.prim_func(s_tir=True)
    def rotate(A: T.Buffer((192,), "float32"), B: T.Buffer((192,), "float32")):
        for bx in T.thread_binding(2, thread="blockIdx.x"):
            ring = T.sblock_alloc_buffer((96,), "float32", scope="shared")
            for tx in T.thread_binding(96, thread="threadIdx.x"):
                ring[(tx + 37) % 96] = A[bx * 96 + tx]
                B[bx * 96 + tx] = ring[tx]

    given = RANDOM.random(192, dtype="float32")
    expected = np.roll(given.reshape(2, 96), 37, axis=1).reshape(192)
    np.testing.assert_array_equal(launch(rotate, dev, given, np.zeros_like(given))[1], expected)


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


def test_truth_between_two_conditions(dev):
    """Within a kernel, and so none of TVM's: those keep it in buffers of booleans, which its WGSL does not have, see UPSTREAM.md."""
    a, b = (RANDOM.random(32, dtype="float32") * 2 for _ in range(2))
    result = compute(lambda x, y: tirx.all(y < x, x > 1).astype("float32"), dev, a, b)
    np.testing.assert_array_equal(result, ((b < a) & (a > 1)).astype("float32"))


@upstream("codegen/test_target_codegen_device.py::test_add_pipeline")
def test_two_stages_of_any_length(dev):
    n = te.var("n")
    given, scale = te.placeholder((n,), name="given"), te.placeholder((), name="scale")
    scaled = te.compute((n,), lambda i: given[i] * scale[()], name="scaled")
    steps = te.compute((n,), lambda i: scaled[i] - scaled[te.max(i - 1, 0)], name="steps")
    function = scheduled(te.create_prim_func([given, scale, steps]))
    for length in (1, 700, 1501):
        values, factor = RANDOM.random(length, dtype="float32"), np.array(-1.5, "float32")
        result = launch(function, dev, values, factor, np.zeros_like(values))[2]
        np.testing.assert_allclose(result, np.diff(values * factor, prepend=values[0] * factor), atol=1e-6)


@upstream("codegen/test_gpu_codegen_allreduce.py::test_allreduce_sum")
@upstream("codegen/test_gpu_codegen_allreduce.py::test_allreduce_max")
@upstream("codegen/test_target_codegen_cuda.py::test_crossthread_reduction1")
@pytest.mark.parametrize("kind", ["sum", "max"])
@pytest.mark.parametrize("shape", [(3, 1, 5), (1, 2, 16), (2, 4, 31), (1, 1, 96), (5, 3, 33), (2, 1, 240)])
def test_reduction_across_threads(dev, kind, shape):
    place = te.placeholder(shape, "float32", name="given")
    k = te.reduce_axis((0, shape[2]), "k")
    combine, of, expect = {
        "sum": (te.sum, lambda x: x * x, lambda x: (x * x).sum(2)),
        "max": (te.max, lambda x: x, lambda x: x.max(2)),
    }[kind]
    result = te.compute(shape[:2], lambda i, j: combine(of(place[i, j, k]), axis=k), name="result")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([place, result]))
    for loop, thread in zip(schedule.get_loops(schedule.get_sblock("result")), ["blockIdx.x", "threadIdx.y", "threadIdx.x"], strict=True):
        schedule.bind(loop, thread)
    given = -RANDOM.random(shape, dtype="float32") - 0.5
    reduced = launch(schedule.mod["main"], dev, given, np.zeros(shape[:2], "float32"))[1]
    np.testing.assert_allclose(reduced, expect(given), rtol=1e-5)


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
    def lower_triangle(A: T.Buffer((9, 9), "float32"), B: T.Buffer((9, 9), "float32")):
        for row in T.thread_binding(12, "blockIdx.x"):
            for column in T.thread_binding(40, "threadIdx.x"):
                if row < 9 and column <= row:
                    B[row, column] = A[column, row]

    given = RANDOM.random((9, 9), dtype="float32")
    np.testing.assert_array_equal(launch(lower_triangle, dev, given, np.zeros_like(given))[1], np.tril(given.T))


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
