"""What TVM's tests of its virtual machine check on GPUs, for target `webgpu` on Tidegate.

The name beside each is that of TVM's test in its folder tests/python; UPSTREAM.md says what is left out and why.
"""

import numpy as np
import pytest
import tvm
from kernels import tensor, upstream
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R
from tvm.script import tirx as T

RANDOM = np.random.default_rng(7)


def machine(module, dev):
    """A virtual machine of a module compiled for the device."""
    return relax.VirtualMachine(tvm.compile(module, target="webgpu"), dev)


def numbers(*shape):
    return RANDOM.random(shape, dtype="float32")


@I.ir_module
class Affine:
    @R.function
    def main(x: R.Tensor((4, 8), "float32"), w: R.Tensor((8, 3), "float32"), b: R.Tensor((3,), "float32")):
        with R.dataflow():
            y = R.add(R.matmul(x, w), b)
            R.output(y)
        return y


@upstream("relax/test_vm_build.py::test_vm_compile_e2e")
def test_a_function_from_end_to_end(dev):
    x, w, b = numbers(4, 8), numbers(8, 3), numbers(3)
    result = machine(Affine, dev)["main"](*(tensor(value, dev) for value in (x, w, b)))
    np.testing.assert_allclose(result.numpy(), x @ w + b, rtol=1e-5)


@upstream("relax/test_vm_build.py::test_vm_emit_te_constant_param_gpu")
def test_a_constant_of_the_module(dev):
    constant, x = numbers(2, 2), numbers(2, 2)
    builder = relax.BlockBuilder()
    given = relax.Var("x", relax.TensorType((2, 2), "float32"))
    with builder.function("main", [given]):
        with builder.dataflow():
            result = builder.emit_output(relax.op.add(given, relax.const(constant)))
        builder.emit_func_output(result)
    np.testing.assert_array_equal(machine(builder.get(), dev)["main"](tensor(x, dev)).numpy(), x + constant)


@upstream("relax/test_vm_build.py::test_vm_relax_symbolic_shape")
@upstream("relax/test_vm_build.py::test_vm_emit_te_floor_symbolic_shape")
def test_shapes_known_at_run_time(dev):
    @I.ir_module
    class Module:
        @R.function
        def main(x: R.Tensor(("n", "m"), "float32"), y: R.Tensor(("m",), "float32")):
            with R.dataflow():
                z = R.multiply(x, y)
                R.output(z)
            return z

    vm = machine(Module, dev)
    for shape in [(1, 1), (3, 7), (300, 5)]:
        x, y = numbers(*shape), numbers(shape[1])
        np.testing.assert_allclose(vm["main"](tensor(x, dev), tensor(y, dev)).numpy(), x * y, rtol=1e-6)


@upstream("relax/test_vm_build.py::test_vm_tuple")
@upstream("relax/test_vm_build.py::test_vm_tuplegetitem")
def test_several_results(dev):
    @I.ir_module
    class Module:
        @R.function
        def main(x: R.Tensor((6, 4), "float32")):
            with R.dataflow():
                parts = R.split(x, 3, axis=0)
                result = (R.exp(parts[0]), R.negative(parts[2]))
                R.output(result)
            return result

    x = numbers(6, 4)
    first, last = machine(Module, dev)["main"](tensor(x, dev))
    np.testing.assert_allclose(first.numpy(), np.exp(x[:2]), rtol=1e-5)
    np.testing.assert_array_equal(last.numpy(), -x[4:])


@upstream("relax/test_vm_build.py::test_sub_func_call")
def test_a_function_that_calls_another(dev):
    @I.ir_module
    class Module:
        @R.function
        def twice(x: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
            return R.add(x, x)

        @R.function
        def main(x: R.Tensor((4,), "float32")):
            return Module.twice(Module.twice(x))

    x = numbers(4)
    np.testing.assert_array_equal(machine(Module, dev)["main"](tensor(x, dev)).numpy(), 4 * x)


@upstream("relax/test_vm_build.py::test_vm_compile_stage3")
@upstream("relax/test_vm_codegen_only.py::test_if_cond")
def test_a_condition_read_from_the_device(dev):
    @I.ir_module
    class Module:
        @R.function
        def main(condition: R.Tensor((), "bool"), x: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
            if condition:
                y: R.Tensor((4,), "float32") = R.add(x, x)
            else:
                y: R.Tensor((4,), "float32") = R.multiply(x, x)
            return y

    x, vm = numbers(4), machine(Module, dev)
    for condition, expected in [(True, x + x), (False, x * x)]:
        result = vm["main"](tensor(np.array(condition), dev), tensor(x, dev))
        np.testing.assert_array_equal(result.numpy(), expected)


@upstream("relax/test_vm_build.py::test_vm_to_device")
def test_from_one_device_to_the_other(dev):
    @I.ir_module
    class Module:
        @R.function
        def there(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
            return R.to_vdevice(x, relax.VDevice("webgpu", 0, "global"))

        @R.function
        def here(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
            return R.to_vdevice(x, relax.VDevice("llvm", 0, "global"))

    x, vm = numbers(2, 3), relax.VirtualMachine(relax.build(Module, "llvm"), [dev, tvm.cpu()])
    there = vm["there"](tvm.runtime.tensor(x))
    assert there.device == dev
    here = vm["here"](there)
    assert here.device == tvm.cpu(0)
    np.testing.assert_array_equal(here.numpy(), x)


@upstream("relax/test_vm_build.py::test_set_input")
@upstream("relax/test_vm_build.py::test_set_input_tuple")
def test_inputs_that_are_set_first(dev):
    x, w, b = numbers(4, 8), numbers(8, 3), numbers(3)
    vm = machine(Affine, dev)
    vm.set_input("main", *(tensor(value, dev) for value in (x, w, b)))
    vm.invoke_stateful("main")
    np.testing.assert_allclose(vm.get_outputs("main").numpy(), x @ w + b, rtol=1e-5)


@upstream("relax/test_vm_build.py::test_save_function_kwargs")
def test_a_function_saved_with_its_arguments(dev):
    x, w, b = numbers(4, 8), numbers(8, 3), numbers(3)
    vm = machine(Affine, dev)
    vm.save_function("main", "saved", tensor(x, dev), w=tensor(w, dev), b=tensor(b, dev))
    np.testing.assert_allclose(vm["saved"]().numpy(), x @ w + b, rtol=1e-5)


@upstream("relax/test_vm_build.py::test_time_evaluator")
@upstream("relax/test_vm_build.py::test_save_function_time_evaluator")
def test_how_long_a_function_takes(dev):
    vm = machine(Affine, dev)
    vm.save_function("main", "saved", *(tensor(value, dev) for value in (numbers(4, 8), numbers(8, 3), numbers(3))))
    took = vm.time_evaluator("saved", dev, number=3, repeat=2)()
    assert len(took.results) == 2 and all(0 < seconds < 60 for seconds in took.results)


@upstream("relax/test_vm_build.py::test_relax_module_with_multiple_targets")
@upstream("relax/test_vm_multi_device.py::test_multi_device")
def test_one_module_for_two_devices(dev):
    @I.ir_module
    class Module:
        I.module_global_infos({"vdevice": [I.vdevice("llvm"), I.vdevice("webgpu")]})

        @R.function
        def main(x: R.Tensor((8, 8), "float32")) -> R.Tensor((8, 8), "float32", "llvm"):
            with R.dataflow():
                y: R.Tensor((8, 8), "float32", "webgpu") = R.add(x, x)
                z: R.Tensor((8, 8), "float32", "llvm") = R.to_vdevice(y, "llvm")
                result: R.Tensor((8, 8), "float32", "llvm") = R.multiply(z, z)
                R.output(result)
            return result

    module = relax.transform.RealizeVDevice()(Module)
    module = relax.transform.LegalizeOps()(module)
    with tvm.target.Target("webgpu"):
        module = tvm.s_tir.dlight.ApplyDefaultSchedule(tvm.s_tir.dlight.gpu.Fallback())(module)
    x, vm = numbers(8, 8), relax.VirtualMachine(relax.build(module), [tvm.cpu(), dev])
    np.testing.assert_allclose(vm["main"](tensor(x, dev)).numpy(), 4 * x * x, rtol=1e-6)


@upstream("relax/test_vm_callback_function.py::test_pass_tensor_to_function")
def test_a_tensor_handed_to_python(dev):
    @I.ir_module
    class Module:
        @R.function(pure=False)
        def main(seen: R.Callable([R.Tensor((8,), "float32")], R.Tuple([]), purity=False), x: R.Tensor((8,), "float32")):
            y = R.add(x, x)
            _ = seen(y)
            return R.tuple()

    x, found = numbers(8), []
    machine(Module, dev)["main"](lambda value: found.append(value.numpy()), tensor(x, dev))
    np.testing.assert_array_equal(found[0], x + x)


@upstream("relax/test_vm_instrument.py::test_lib_comparator")
def test_what_each_kernel_was_given(dev):
    names = []

    def before(function, name, before_run, returned, *arguments):
        if before_run:
            names.append(name)

    vm = machine(Affine, dev)
    vm.set_instrument(before)
    vm["main"](*(tensor(value, dev) for value in (numbers(4, 8), numbers(8, 3), numbers(3))))
    assert any("matmul" in name for name in names)


@upstream("relax/test_vm_build.py::test_call_tir_inplace_e2e_simple")
def test_a_kernel_that_writes_its_input(dev):
    @I.ir_module
    class Module:
        @T.prim_func(s_tir=True)
        def bump(A: T.Buffer((8,), "float32")):
            T.func_attr({"tirx.is_scheduled": True})
            for tx in T.thread_binding(8, thread="threadIdx.x"):
                with T.sblock("bump"):
                    i = T.axis.spatial(8, tx)
                    A[i] = A[i] + T.float32(1)

        @R.function
        def main(x: R.Tensor((8,), "float32")) -> R.Tensor((8,), "float32"):
            return R.call_tir_inplace(Module.bump, (x,), inplace_indices=[0], out_ty=R.Tensor((8,), "float32"))

    x = numbers(8)
    given = tensor(x, dev)
    np.testing.assert_array_equal(machine(Module, dev)["main"](given).numpy(), x + 1)
    np.testing.assert_array_equal(given.numpy(), x + 1)


@upstream("relax/test_e2e_op_dynamic.py::test_dynamic_strided_slice")
def test_a_slice_whose_bounds_are_data(dev):
    @I.ir_module
    class Module:
        @R.function
        def main(x: R.Tensor((8, 9), "float32")):
            return R.strided_slice(x, axes=[0, 1], begin=[1, 8], end=[8, 0], strides=[2, -3])

    x = numbers(8, 9)
    np.testing.assert_array_equal(machine(Module, dev)["main"](tensor(x, dev)).numpy(), x[1:8:2, 8:0:-3])


@upstream("relax/test_backend_dispatch_sort_scan.py::test_dispatch_topk_gpu")
@upstream("relax/test_backend_dispatch_sort_scan.py::test_dispatch_sort")
@upstream("relax/test_frontend_nn_op.py::test_sort_argsort_topk")
def test_the_largest(dev):
    @I.ir_module
    class Module:
        @R.function
        def main(x: R.Tensor((2, 100), "float32")):
            with R.dataflow():
                result = R.topk(x, k=5, axis=1, largest=True, dtype="int32")
                R.output(result)
            return result

    x = RANDOM.permutation(200).reshape(2, 100).astype("float32")
    values, places = machine(Module, dev)["main"](tensor(x, dev))
    expected = np.argsort(-x, axis=1)[:, :5]
    np.testing.assert_array_equal(places.numpy(), expected)
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, expected, axis=1))


@upstream("relax/test_backend_dispatch_sort_scan.py::test_dispatch_cumsum_gpu")
@upstream("relax/test_backend_dispatch_sort_scan.py::test_dispatch_scanop")
def test_running_sums(dev):
    """Of short rows: TVM's kernel adds in place without a barrier, which is right where 32 threads run in step."""

    @I.ir_module
    class Module:
        @R.function
        def main(x: R.Tensor((3, 30), "int32")):
            with R.dataflow():
                result = R.cumsum(x, axis=1, dtype="int32")
                R.output(result)
            return result

    x = RANDOM.integers(0, 100, (3, 30)).astype("int32")
    np.testing.assert_array_equal(machine(Module, dev)["main"](tensor(x, dev)).numpy(), x.cumsum(1))


@upstream("relax/test_runtime_builtin.py::test_attention_kv_cache")
def test_a_cache_that_grows(dev):
    create, append, view, clear = (
        tvm.get_global_func(f"vm.builtin.attention_kv_cache_{name}")
        for name in ["create", "append", "view", "array_clear"]
    )
    cache = create(tvm.runtime.empty((1, 2), "int32", dev), tvm.runtime.ShapeTuple([2, 2]), 0)
    for step in range(10):
        cache = append(cache, tensor(np.full((1, 2), step, "int32"), dev))
    expected = np.repeat(np.arange(10), 2).reshape(10, 2)
    np.testing.assert_array_equal(view(cache, tvm.runtime.ShapeTuple([10, 2])).numpy(), expected)
    clear([cache])
    append(cache, tensor(np.full((1, 2), 7, "int32"), dev))
    np.testing.assert_array_equal(view(cache, tvm.runtime.ShapeTuple([1, 2])).numpy(), [[7, 7]])


@upstream("relax/test_runtime_builtin.py::test_attention_kv_cache_window_override")
def test_a_cache_that_turns_around(dev):
    create, override, view = (
        tvm.get_global_func(f"vm.builtin.attention_kv_cache_{name}") for name in ["create", "window_override", "view"]
    )
    cache = create(tvm.runtime.empty((6, 2), "int32", dev), tvm.runtime.ShapeTuple([6, 2]), 0)
    for step in range(1, 5):
        cache = override(cache, tensor(np.full((step, 2), step, "int32"), dev), 6)
    expected = np.repeat([4, 4, 4, 4, 3, 3], 2).reshape(6, 2)
    np.testing.assert_array_equal(np.sort(view(cache, tvm.runtime.ShapeTuple([6, 2])).numpy(), 0), np.sort(expected, 0))


@upstream("relax/test_op_gradient_numeric.py::test_softmax_with_axis")
@upstream("relax/test_op_gradient_numeric.py::test_variance_with_axis")
@pytest.mark.parametrize("shape", [(5, 7), (2, 300), (1, 1)])
def test_reductions_along_an_axis(dev, shape):
    @I.ir_module
    class Module:
        @R.function
        def main(x: R.Tensor(("n", "m"), "float32")):
            with R.dataflow():
                result = (R.nn.softmax(x, axis=1), R.variance(x, axis=1), R.max(x, axis=0), R.sum(x))
                R.output(result)
            return result

    x = numbers(*shape)
    softmax, variance, largest, total = machine(Module, dev)["main"](tensor(x, dev))
    powers = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(softmax.numpy(), powers / powers.sum(1, keepdims=True), rtol=1e-4)
    np.testing.assert_allclose(variance.numpy(), x.var(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(largest.numpy(), x.max(0))
    np.testing.assert_allclose(total.numpy(), x.sum(), rtol=1e-5)
