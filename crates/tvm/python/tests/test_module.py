"""Modules: bytes, source, kernels that are compiled when they are needed, and what is refused."""

import ctypes
import struct

import numpy as np
import pytest
import tvm
from tvm import te
from tvm.s_tir import dlight as dl

import tidegate_tvm
from conftest import build, elementwise, on, python, webgpu

load = tvm.get_global_func("ffi.Module.load_from_bytes.webgpu")

HANDLE, INT32, FLOAT32 = [3, 64, 1], [0, 32, 1], [2, 32, 1]


def number(it):
    return struct.pack("<Q", it)


def text(it):
    it = it.encode() if isinstance(it, str) else it
    return number(len(it)) + it


def listed(items):
    return number(len(items)) + b"".join(items)


def packed(*kernels):
    """A module's bytes, as TVM lays them out. Each kernel is its name, its code, its types and its tags."""
    descriptions = [
        text(name) + text(name) + listed([struct.pack("<BBH", *it) for it in types]) + listed([text(tag) for tag in tags]) + number(0)
        for name, _, types, tags in kernels
    ]
    return listed(descriptions) + listed([text(name) + text(code) for name, code, _, _ in kernels])


DOUBLE = """
    @group(0) @binding(0) var<storage, read_write> data : array<f32>;
    struct PODArgs { n: i32, packGridDimX: u32 }
    @group(0) @binding(1) var<uniform> podArgs : PODArgs;
    @compute @workgroup_size(64) fn double(@builtin(workgroup_id) block : vec3<u32>, @builtin(num_workgroups) grid : vec3<u32>, @builtin(local_invocation_id) thread : vec3<u32>) {
        if (block.z * grid.x + block.x > podArgs.packGridDimX) { return; }
        let i = (block.z * grid.x + block.x) * 64u + thread.x;
        if (i32(i) < podArgs.n) { data[i] *= 2.0; }
    }"""
KERNEL = ("double", DOUBLE, [HANDLE, INT32], ["blockIdx.x", "threadIdx.x"])


def pointer(tensor):
    """A tensor's device pointer, out of its DLPack capsule."""
    take = ctypes.pythonapi.PyCapsule_GetPointer
    take.restype, take.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule = tensor.__dlpack__()
    return ctypes.c_void_p(ctypes.c_uint64.from_address(take(capsule, b"dltensor")).value)


def test_bytes_make_a_module_that_runs(dev):
    data = on(dev, np.arange(100, dtype="float32"))
    load(packed(KERNEL)).get_function("double")(pointer(data), 90, 2, 64)
    expected = np.arange(100, dtype="float32")
    expected[:90] *= 2
    assert np.array_equal(data.numpy(), expected)


def test_a_library_is_loaded_by_a_process_without_the_compiler(tmp_path, dev):
    library = build(elementwise("plus_one", lambda it: it + 1.0), elementwise("doubled", lambda it: it * 2.0))
    path = tmp_path / "library.so"
    library.export_library(str(path))
    code = f"""
        import numpy as np, tvm, tidegate_tvm
        assert tvm.base._RUNTIME_ONLY
        library = tvm.runtime.load_module({str(path)!r})
        device = tvm.device("webgpu", 0)
        x = tvm.runtime.tensor(np.arange(50, dtype="float32"), device)
        y = tvm.runtime.empty((50,), "float32", device)
        library["plus_one"](x, y)
        library["doubled"](y, x)
        assert x.numpy().tolist() == [2.0 * (i + 1) for i in range(50)]
        (kernels,) = [it for it in library.imports if it.kind == "webgpu"]
        assert "fn doubled_kernel" in kernels.inspect_source()
    """
    done = python(code, TVM_USE_RUNTIME_LIB="1")
    assert done.returncode == 0, done.stderr


def test_a_library_made_without_us_is_loaded(tmp_path):
    """TVM's own module for this target cannot run, and has the same layout of bytes."""
    path = tmp_path / "library.so"
    code = f"""
        import tvm
        from tvm import te
        from tvm.s_tir import dlight as dl
        n = te.var("n")
        a = te.placeholder((n,), "float32", name="a")
        b = te.compute((n,), lambda i: a[i] + 1.0, name="b")
        module = tvm.IRModule({{"main": te.create_prim_func([a, b])}})
        target = tvm.target.Target("webgpu", host="llvm")
        with target:
            module = dl.ApplyDefaultSchedule(dl.gpu.Fallback())(module)
        tvm.compile(module, target).export_library({str(path)!r})
    """
    done = python(code)
    assert done.returncode == 0, done.stderr
    library = tvm.runtime.load_module(str(path))
    dev = tvm.device("webgpu", 0)
    x, y = on(dev, np.arange(50, dtype="float32")), tvm.runtime.empty((50,), "float32", dev)
    library["main"](x, y)
    assert np.array_equal(y.numpy(), np.arange(1, 51))


def test_people_see_the_source():
    source = webgpu(build(elementwise("plus_one", lambda it: it + 1.0))).inspect_source()
    assert "plus_one_kernel" in source and "@compute" in source
    with pytest.raises(tidegate_tvm.TidegateError, match="no source in the form `ptx`"):
        load(packed(KERNEL)).inspect_source("ptx")


def test_a_kernel_that_is_not_there():
    module = load(packed(KERNEL))
    assert module.implements_function("double")
    assert not module.implements_function("triple")
    with pytest.raises(AttributeError):
        module.get_function("triple")


def test_kernels_are_compiled_when_they_are_launched(dev):
    """A kernel that naga refuses is in the way of nobody who does not launch it; its error has its name, and comes each time."""
    bad = ("bad", "@compute @workgroup_size(1) fn bad() { nonsense(); }", [HANDLE], ["blockIdx.x"])
    module = load(packed(KERNEL, bad))
    data = on(dev, np.ones(64, "float32"))
    function = module.get_function("bad")
    for _ in range(2):
        with pytest.raises(tidegate_tvm.TidegateError, match=r"(?s)kernel `bad`.*nonsense"):
            function(pointer(data), 1)
    module.get_function("double")(pointer(data), 64, 1, 64)
    assert np.all(data.numpy() == 2)


def test_a_kernel_under_another_name(dev):
    module = load(packed(("other", *KERNEL[1:])))
    data = on(dev, np.ones(64, "float32"))
    with pytest.raises(tidegate_tvm.TidegateError, match="no kernel `other`; the module has: double"):
        module.get_function("other")(pointer(data), 64, 1, 64)


@pytest.mark.parametrize(
    "code,match",
    [
        ("@compute @workgroup_size(1024, 64) fn big() {}", "invocations of a workgroup is 65536, the device allows"),
        ("var<workgroup> a : array<f32, 9000000>; @compute @workgroup_size(1) fn big() { a[0] = 1.0; }", "workgroup memory in bytes is"),
        ("@group(1) @binding(0) var<storage, read_write> a : array<f32>; @compute @workgroup_size(1) fn big() { a[0] = 1.0; }", "group 1"),
    ],
)
def test_a_kernel_that_the_device_cannot_run(code, match):
    with pytest.raises(tidegate_tvm.TidegateError, match=f"kernel `big`.*{match}"):
        load(packed(("big", code, [], ["blockIdx.x"]))).get_function("big")(1)


@pytest.mark.parametrize("kind,bits", [("f64", 64), ("f16", 16), ("i64", 64), ("u64", 64)])
def test_a_type_that_the_device_may_not_have(dev, kind, bits):
    """It runs, or the error names the kernel and the type. Lavapipe has all of them, an H100 too; Metal has no f64."""
    code = f"""
        {"enable f16;" if kind == "f16" else ""}
        @group(0) @binding(0) var<storage, read_write> a : array<{kind}>;
        @compute @workgroup_size(1) fn twice() {{ a[0] = a[0] + a[0]; }}"""
    dtype = {"f": "float", "i": "int", "u": "uint"}[kind[0]] + str(bits)
    data = on(dev, np.array([21, 0], dtype))
    function = load(packed(("twice", code, [HANDLE], ["blockIdx.x"]))).get_function("twice")
    try:
        function(pointer(data), 1)
    except tidegate_tvm.TidegateError as error:
        assert "kernel `twice`" in str(error)
    else:
        assert data.numpy().tolist() == [42, 0]


@pytest.mark.parametrize(
    "arguments,match",
    [
        ((1, 1, 64), "3 arguments for a kernel that takes 4"),
        ((1, 1, 1, 64, 5), "5 arguments for a kernel that takes 4"),
        (("a", 64, 1, 64), "buffer 0: TVM's type .* is given, and a pointer is wanted"),
        ((7, 64, 1, 64), "buffer 0: a number is given, and a pointer is wanted"),
        ((None, 64, 1, 64), "buffer 0: it is a null pointer"),
        (("data", 1 << 40, 1, 64), "1099511627776 does not fit a number of the kernel, which is I32"),
        (("data", 1.5, 1, 64), "is given for a number that is I32"),
        (("data", 64, -1, 64), "a grid of -1 blocks"),
        (("data", 64, 1, 32), r"launched with \[32, 1, 1\] threads a block, compiled with \[64, 1, 1\]"),
    ],
)
def test_launches_that_are_wrong(dev, arguments, match):
    data = on(dev, np.ones(64, "float32"))
    given = [pointer(data) if it == "data" else it for it in arguments]
    function = load(packed(KERNEL)).get_function("double")
    with pytest.raises(tidegate_tvm.TidegateError, match=match) as raised:
        function(*given)
    assert "kernel `double`" in str(raised.value)
    function(pointer(data), 64, 1, 64)
    assert np.all(data.numpy() == 2)


def test_a_host_pointer_in_a_launch():
    host = np.ones(64, "float32")
    with pytest.raises(tidegate_tvm.TidegateError, match="kernel `double`: buffer 0: 0x[0-9a-f]+ is not memory of this device"):
        load(packed(KERNEL)).get_function("double")(ctypes.c_void_p(host.ctypes.data), 64, 1, 64)


def test_a_launch_of_no_blocks_is_nothing(dev):
    data = on(dev, np.ones(64, "float32"))
    load(packed(KERNEL)).get_function("double")(pointer(data), 64, 0, 64)
    assert np.all(data.numpy() == 1)


@pytest.mark.parametrize("blocks", [65535, 65536, 70001, 131072, 200003])
def test_more_blocks_than_a_device_has_along_x(dev, blocks):
    """A block counts itself, so that one too few or too many shows; 70001 and 200003 are primes."""
    code = """
        @group(0) @binding(0) var<storage, read_write> data : array<atomic<u32>>;
        struct PODArgs { packGridDimX: u32 }
        @group(0) @binding(1) var<uniform> podArgs : PODArgs;
        @compute @workgroup_size(1) fn count(@builtin(workgroup_id) block : vec3<u32>, @builtin(num_workgroups) grid : vec3<u32>) {
            if (block.z * grid.x + block.x > podArgs.packGridDimX) { return; }
            atomicAdd(&data[block.z * grid.x + block.x], 1u);
        }"""
    module = load(packed(("count", code, [HANDLE], ["blockIdx.x"])))
    data = on(dev, np.zeros(blocks + 1000, "uint32"))
    module.get_function("count")(pointer(data), blocks)
    counted = data.numpy()
    assert np.all(counted[:blocks] == 1)
    assert np.all(counted[blocks:] == 0)


def test_blocks_along_z_are_refused(dev):
    module = load(packed(("double", DOUBLE, [HANDLE, INT32], ["blockIdx.x", "blockIdx.z", "threadIdx.x"])))
    data = on(dev, np.ones(64, "float32"))
    with pytest.raises(tidegate_tvm.TidegateError, match="2 blocks along z"):
        module.get_function("double")(pointer(data), 64, 1, 2, 64)


WHOLE = packed(KERNEL)
WRONG = {
    "empty": b"",
    "of another sort": b"\x7fELF" + bytes(100),
    "text": b"not a module, but long enough to be one of some sort",
    "for metal": text("metal") + WHOLE,
    "for cuda": text("ptx") + WHOLE,
    "a list that is too long": number(2**64 - 1) + WHOLE,
    "a name that is too long": WHOLE[:8] + number(1 << 62) + WHOLE[16:],
    "code without a description": number(0) + WHOLE[WHOLE.index(number(1) + text("double") + text(DOUBLE)) :],
    "a description without code": WHOLE[: WHOLE.index(number(1) + text("double") + text(DOUBLE))] + number(0),
    "something after the end": WHOLE + b"x",
    "code that is no text": WHOLE[:-20] + b"\xff" * 20,
    "a name that is no text": WHOLE.replace(b"double", b"\xff" * 6, 1),
    "arguments as CUDA has them": WHOLE.replace(number(0) + number(1) + text("double"), number(1) + b"\1\0\0\0" + number(1) + text("double"), 1),
}


@pytest.mark.parametrize("what", WRONG)
def test_bytes_that_are_no_module(what):
    with pytest.raises(tidegate_tvm.TidegateError):
        load(WRONG[what])


def test_bytes_that_end_too_early():
    for end in range(len(WHOLE)):
        with pytest.raises(tidegate_tvm.TidegateError):
            load(WHOLE[:end])


def test_bytes_with_one_byte_changed_are_refused_or_a_module():
    for at in range(0, len(WHOLE), 3):
        try:
            load(WHOLE[:at] + bytes([WHOLE[at] ^ 0x55]) + WHOLE[at + 1 :])
        except tidegate_tvm.TidegateError:
            pass


@pytest.mark.parametrize("types,tags,match", [([[3, 64, 1], [1, 8, 4]], [], "argument 1"), ([], ["warpIdx.x"], "warpIdx.x")])
def test_descriptions_that_say_what_no_launch_can_do(types, tags, match):
    module = load(packed(("double", DOUBLE, types, tags)))
    with pytest.raises(tidegate_tvm.TidegateError, match=f"kernel `double`.*{match}"):
        module.get_function("double")


def test_a_module_of_another_target():
    """Compiled code asks for the device of its target, which is not ours."""
    library = build(elementwise("plus_one", lambda it: it + 1.0))
    x = tvm.runtime.empty((4,), "float32", tvm.cpu())
    with pytest.raises(Exception, match="(?i)device"):
        library["plus_one"](x, x)


def test_the_next_model_works(dev, plus_one):
    """After any of the errors above."""
    x = on(dev, np.zeros(10, "float32"))
    plus_one["plus_one"](x, x)
    assert np.all(x.numpy() == 1)


def test_kernels_with_subgroups_run_where_subgroups_are_as_tvm_counts_on(dev):
    target = tvm.target.Target({"kind": "webgpu", "supports_subgroups": True}, host="llvm")
    n, k = te.var("n"), te.reduce_axis((0, 64), "k")
    rows = te.placeholder((n, 64), "float32", name="rows")
    sums = te.compute((n,), lambda i: te.sum(rows[i, k], axis=k), name="sums")
    module = tvm.IRModule({"sums": te.create_prim_func([rows, sums]).with_attr("global_symbol", "sums")})
    with target:
        module = dl.ApplyDefaultSchedule(dl.gpu.Reduction())(module)
    library = tvm.compile(module, target)
    assert "subgroupShuffleDown" in webgpu(library).inspect_source()
    array = np.random.default_rng(0).random((7, 64), "float32")
    x, y = on(dev, array), tvm.runtime.empty((7,), "float32", dev)
    if tvm.get_global_func("tidegate.Property")(dev, "supports_subgroups"):
        library["sums"](x, y)
        np.testing.assert_allclose(y.numpy(), array.sum(1), rtol=1e-5)
    else:
        with pytest.raises(tidegate_tvm.TidegateError, match="subgroups of 32 invocations, and .* has them of [0-9]+ to [0-9]+: compile for"):
            library["sums"](x, y)


AWAY = """
    @group(0) @binding(0) var<storage, read_write> data : array<f32>;
    @compute @workgroup_size(1) fn away(@builtin(workgroup_id) block : vec3<u32>) { data[block.x * 4096u] = 7.0; }"""


def test_indices_are_checked(dev):
    """A kernel that leaves its buffer writes to nothing of others."""
    tensors = [on(dev, np.zeros(64, "float32")) for _ in range(9)]
    load(packed(("away", AWAY, [HANDLE], ["blockIdx.x"]))).get_function("away")(pointer(tensors[4]), 1000)
    assert tensors[4].numpy()[0] == 7
    for tensor in tensors[:4] + tensors[5:]:
        assert np.all(tensor.numpy() == 0)


def test_checks_may_be_left_out(dev):
    tidegate_tvm.set_checks(False)
    data = on(dev, np.ones(64, "float32"))
    load(packed(KERNEL)).get_function("double")(pointer(data), 64, 1, 64)
    assert np.all(data.numpy() == 2)
    code = "import tvm, tidegate_tvm; tvm.runtime.empty((1,), 'float32', tvm.device('webgpu', 0))"
    done = python(code, TIDEGATE_CHECKS="maybe")
    assert done.returncode == 1 and "TIDEGATE_CHECKS is `maybe`: on or off" in done.stderr
    assert python(code, TIDEGATE_CHECKS="off").returncode == 0
