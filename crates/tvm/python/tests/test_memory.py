"""Memory: allocation, copies in all directions, and what is refused."""

import ctypes

import ml_dtypes
import numpy as np
import pytest
import tvm

import tidegate_tvm
from conftest import build, elementwise, on

DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
copy_from_to = tvm.get_global_func("runtime.TVMTensorCopyFromTo")


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16", "float8_e4m3fn"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7), (2, 3, 4, 5)])
def test_what_goes_up_comes_back(dev, dtype, shape):
    kind = getattr(ml_dtypes, dtype, None) or np.dtype(dtype)
    array = np.arange(int(np.prod(shape)), dtype="int32").reshape(shape).astype(kind)
    back = on(dev, array).numpy()
    assert back.dtype == array.dtype and back.shape == shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0)])
def test_nothing_at_all_is_memory_too(dev, shape):
    empty = on(dev, np.zeros(shape, "float32"))
    assert empty.numpy().shape == shape
    other = tvm.runtime.empty(shape, "float32", dev)
    empty.copyto(other)


def test_large_memory_in_parts(dev):
    array = np.arange(40_000_000, dtype="uint32")  # More than is read back at a time.
    there = on(dev, array)
    assert np.array_equal(there.numpy(), array)


def test_a_copy_on_the_device_and_to_the_host(dev):
    array = np.random.default_rng(0).standard_normal((33, 17)).astype("float32")
    one, other = on(dev, array), tvm.runtime.empty((33, 17), "float32", dev)
    one.copyto(other)
    assert np.array_equal(other.numpy(), array)
    host = tvm.runtime.empty((33, 17), "float32", tvm.cpu())
    other.copyto(host)
    assert np.array_equal(host.numpy(), array)
    counters = tidegate_tvm.counters()
    assert counters["gpu_to_gpu"] == 1
    assert counters["gpu_to_cpu"] == 2
    assert counters["cpu_to_gpu"] == 1


def test_a_view_begins_within_its_tensor(dev):
    """Relax's virtual machine gives tensors of one storage by such pointers."""
    array = np.arange(64, dtype="float32")
    whole = on(dev, array)
    view = whole._create_view((4, 8), "float32", relative_byte_offset=64)
    assert np.array_equal(view.numpy(), array[16:48].reshape(4, 8))
    view.copyfrom(np.zeros((4, 8), "float32"))
    array[16:48] = 0
    assert np.array_equal(whole.numpy(), array)


def test_a_kernel_takes_views(dev, plus_one):
    whole = on(dev, np.arange(256, dtype="float32"))
    source = whole._create_view((64,), "float32", relative_byte_offset=0)
    target = whole._create_view((64,), "float32", relative_byte_offset=512)
    ensure = tvm.get_global_func("vm.builtin.ensure_zero_offset")
    plus_one["plus_one"](source, ensure(target))
    expected = np.arange(256, dtype="float32")
    expected[128:192] = expected[:64] + 1
    assert np.array_equal(whole.numpy(), expected)


def test_freeing_memory_that_is_in_use_neither_waits_nor_spoils(dev, plus_one):
    tidegate_tvm.set_policy("until-sync")
    result = on(dev, np.zeros(1024, "float32"))
    for _ in range(50):
        moved = tvm.runtime.empty((1024,), "float32", dev)
        plus_one["plus_one"](result, moved)
        result = moved
    assert tidegate_tvm.counters()["free_syncs"] == 0
    assert np.all(result.numpy() == 50)


@pytest.mark.parametrize("policy", ["adaptive", "every-dispatch", "until-sync"])
def test_hundreds_of_uploads_without_a_wait(dev, policy):
    """A ring of staging buffers that is used again too early shows here."""
    tidegate_tvm.set_policy(policy)
    arrays = [np.full((257,), index, "float32") for index in range(300)]
    there = [on(dev, array) for array in arrays]
    assert tidegate_tvm.counters()["cpu_to_gpu"] == 300
    for array, tensor in zip(arrays, there):
        assert np.array_equal(tensor.numpy(), array)


class Device(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int32), ("index", ctypes.c_int32)]


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_uint64),
        ("device", Device),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Text(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t)]


WEBGPU, CPU = Device(15, 0), Device(1, 0)
library = tidegate_tvm._library
library.tidegate_error.restype = Text
library.tidegate_allocate.argtypes = [Device, ctypes.c_size_t, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint64)]
library.tidegate_free.argtypes = [Device, ctypes.c_uint64]
library.tidegate_copy.argtypes = [ctypes.POINTER(Tensor), ctypes.POINTER(Tensor), ctypes.c_void_p]


def check(status):
    """What bridge.cc does."""
    if status != 0:
        text = library.tidegate_error()
        raise tidegate_tvm.TidegateError(ctypes.string_at(text.data, text.size).decode())


def allocate(size, alignment=64):
    address = ctypes.c_uint64()
    check(library.tidegate_allocate(WEBGPU, size, alignment, ctypes.byref(address)))
    return address.value


def free(address):
    library.tidegate_free(WEBGPU, address)


def f32(data, device, shape, strides=None, byte_offset=0):
    def axes(values):
        return (ctypes.c_int64 * len(values))(*values)

    return Tensor(data, device, len(shape), 2, 32, 1, axes(shape), axes(strides) if strides else None, byte_offset)


def copy(source, target, stream=None):
    check(library.tidegate_copy(ctypes.byref(source), ctypes.byref(target), stream))


@pytest.fixture
def memory():
    """64 floats on the device, 0 to 63."""
    address = allocate(256)
    array = np.arange(64, dtype="float32")
    copy(f32(array.ctypes.data, CPU, [64]), f32(address, WEBGPU, [64]))
    yield address
    free(address)


def read(address, count=64):
    array = np.empty(count, "float32")
    copy(f32(address, WEBGPU, [count]), f32(array.ctypes.data, CPU, [count]))
    return array


@pytest.mark.parametrize("alignment", [0, 1, 4, 64, 256, 4096, 1 << 20])
def test_alignment(alignment):
    address = allocate(100, alignment)
    assert address % max(alignment, 1) == 0
    free(address)


def test_an_alignment_that_is_none():
    with pytest.raises(tidegate_tvm.TidegateError, match="3 bytes was asked for, which is not a power of two"):
        allocate(100, 3)


def test_more_than_there_is(dev):
    with pytest.raises(tidegate_tvm.TidegateError):
        tvm.runtime.empty((1 << 50,), "float32", dev)
    assert on(dev, np.ones(4, "float32")).numpy().sum() == 4


STRIDED = [
    # shape, strides, offset in elements
    ([4, 8], [16, 1], 0),
    ([8, 4], [1, 8], 0),
    ([3, 5], [20, 2], 1),
    ([2, 3, 4], [24, 8, 2], 3),
    ([5], [-3], 60),
    ([4, 1, 2], [2, 99, 1], 8),
    ([6, 2], [0, 1], 4),
    ([1, 1], [7, 7], 63),
]


def strided(array, shape, strides, offset):
    return np.lib.stride_tricks.as_strided(array[offset:], shape, [it * 4 for it in strides])


@pytest.mark.parametrize("shape,strides,offset", STRIDED)
def test_strides_on_the_device_are_read(memory, shape, strides, offset):
    whole = np.arange(64, dtype="float32")
    target = np.zeros(shape, "float32")
    copy(f32(memory, WEBGPU, shape, strides, 4 * offset), f32(target.ctypes.data, CPU, shape))
    assert np.array_equal(target, strided(whole, shape, strides, offset))


@pytest.mark.parametrize("shape,strides,offset", STRIDED)
def test_strides_on_the_host_are_read(memory, shape, strides, offset):
    whole = np.arange(100, 164, dtype="float32")
    copy(f32(whole.ctypes.data, CPU, shape, strides, 4 * offset), f32(memory, WEBGPU, shape))
    expected = np.arange(64, dtype="float32")
    expected[: int(np.prod(shape))] = strided(whole, shape, strides, offset).ravel()
    assert np.array_equal(read(memory), expected)


WRITTEN = [it for it in STRIDED if 0 not in it[1]]


@pytest.mark.parametrize("shape,strides,offset", WRITTEN)
def test_strides_on_the_device_are_written_and_nothing_between(memory, shape, strides, offset):
    source = np.arange(1000, 1000 + int(np.prod(shape)), dtype="float32").reshape(shape)
    copy(f32(source.ctypes.data, CPU, shape), f32(memory, WEBGPU, shape, strides, 4 * offset))
    expected = np.arange(64, dtype="float32")
    strided(expected, shape, strides, offset)[...] = source
    assert np.array_equal(read(memory), expected)


@pytest.mark.parametrize("shape,strides,offset", WRITTEN)
def test_strides_on_the_host_are_written_and_nothing_between(memory, shape, strides, offset):
    target = np.full(64, -1, "float32")
    copy(f32(memory, WEBGPU, shape), f32(target.ctypes.data, CPU, shape, strides, 4 * offset))
    expected = np.full(64, -1, "float32")
    strided(expected, shape, strides, offset)[...] = np.arange(int(np.prod(shape)), dtype="float32").reshape(shape)
    assert np.array_equal(target, expected)


@pytest.mark.parametrize("one", [it for it in WRITTEN if int(np.prod(it[0])) == 32])
@pytest.mark.parametrize("other", [([32], None, 0), ([4, 8], [16, 1], 0), ([8, 4], [1, 8], 0), ([2, 16], [1, 2], 16)])
def test_strides_on_both_sides_of_a_device(memory, one, other):
    address = allocate(256)
    start = np.full(64, -1, "float32")
    copy(f32(start.ctypes.data, CPU, [64]), f32(address, WEBGPU, [64]))
    copy(f32(memory, WEBGPU, one[0], one[1], 4 * one[2]), f32(address, WEBGPU, other[0], other[1], 4 * other[2]))
    source = strided(np.arange(64, dtype="float32"), *one).ravel()
    strides = other[1] or [1]
    strided(start, other[0], strides, other[2])[...] = source.reshape(other[0])
    assert np.array_equal(read(address), start)
    free(address)


def test_a_numpy_view_goes_up_as_it_looks(dev):
    array = np.arange(60, dtype="float32").reshape(6, 10)[::2, 1:7:3]
    target = tvm.runtime.empty(array.shape, "float32", dev)
    target.copyfrom(array)
    assert np.array_equal(target.numpy(), array)


def test_a_copy_past_the_end(memory):
    host = np.zeros(80, "float32")
    there = f32(host.ctypes.data, CPU, [65])
    with pytest.raises(tidegate_tvm.TidegateError, match=r"written bytes 0\.\.260 of an allocation of 256 bytes"):
        copy(there, f32(memory, WEBGPU, [65]))
    with pytest.raises(tidegate_tvm.TidegateError, match=r"read bytes 4\.\.260 of an allocation of 256 bytes"):
        copy(f32(memory, WEBGPU, [64], byte_offset=4), f32(host.ctypes.data, CPU, [64]))
    with pytest.raises(tidegate_tvm.TidegateError, match="allocation of 256 bytes"):
        copy(f32(memory, WEBGPU, [2, 2], [63, 1]), f32(host.ctypes.data, CPU, [2, 2]))
    with pytest.raises(tidegate_tvm.TidegateError, match=r"read bytes -4\.\.8"):
        copy(f32(memory, WEBGPU, [3], [-1], 4), f32(host.ctypes.data, CPU, [3]))
    assert np.array_equal(read(memory), np.arange(64))


def test_sizes_that_differ(memory):
    host = np.zeros(8, "float32")
    with pytest.raises(tidegate_tvm.TidegateError, match="a copy of 32 bytes to a tensor of 16 bytes"):
        copy(f32(host.ctypes.data, CPU, [8]), f32(memory, WEBGPU, [4]))


@pytest.mark.parametrize("shape,strides", [([-1], None), ([1 << 62, 8], None), ([2, 2], [1 << 62, 1]), ([1 << 40, 1 << 40], [1, 1])])
def test_shapes_that_are_none(memory, shape, strides):
    host = np.zeros(8, "float32")
    with pytest.raises(tidegate_tvm.TidegateError):
        copy(f32(memory, WEBGPU, shape, strides), f32(host.ctypes.data, CPU, shape))


def test_a_foreign_pointer(memory):
    host = np.zeros(4, "float32")
    there = f32(host.ctypes.data, CPU, [4])
    for address in (host.ctypes.data, 8, (1 << 63) - 4096, (1 << 64) - 16):
        with pytest.raises(tidegate_tvm.TidegateError, match="is not memory of this device"):
            copy(there, f32(address, WEBGPU, [4]))
    with pytest.raises(tidegate_tvm.TidegateError):
        copy(there, f32(0, WEBGPU, [4]))


def test_memory_that_was_freed():
    host = np.zeros(4, "float32")
    address = allocate(16)
    free(address)
    with pytest.raises(tidegate_tvm.TidegateError, match="memory of this device that was freed"):
        copy(f32(host.ctypes.data, CPU, [4]), f32(address, WEBGPU, [4]))


@pytest.mark.parametrize(
    "wrong,match",
    [
        (lambda address: [address, address], "was freed"),
        (lambda address: [address + 64, address], "only its start can be freed"),
        (lambda address: [0x1234_5678_9ABC, address], "is not memory of this device"),
    ],
)
def test_a_wrong_free_is_told_by_the_next_call(dev, wrong, match):
    """Destructors free, and they cannot throw."""
    for address in wrong(allocate(128)):
        free(address)
    with pytest.raises(tidegate_tvm.TidegateError, match=match):
        dev.sync()
    dev.sync()


def test_a_free_of_nothing_is_nothing(dev):
    free(0)
    dev.sync()


def test_workspaces(dev):
    """As compiled host code asks for them."""
    runtime = ctypes.CDLL(None)
    take, give = runtime.TVMBackendAllocWorkspace, runtime.TVMBackendFreeWorkspace
    take.restype, take.argtypes = ctypes.c_uint64, [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
    give.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64]
    addresses = [take(15, 0, 1000, 2, 32) for _ in range(8)]
    assert len(set(addresses)) == 8 and all(address % 64 == 0 for address in addresses)
    for address in addresses:
        assert give(15, 0, address) == 0
    # There is no exception to throw in compiled code: a null pointer, and an error for who called that code.
    assert take(15, 99, 1000, 2, 32) == 0
    assert take(15, 0, 1 << 60, 2, 32) == 0
    assert give(15, 0, addresses[0]) == 0
    with pytest.raises(tidegate_tvm.TidegateError, match="was freed"):
        dev.sync()


def test_memory_is_used_again(dev, plus_one):
    for _ in range(200):
        a, b = on(dev, np.zeros(4096, "float32")), tvm.runtime.empty((4096,), "float32", dev)
        plus_one["plus_one"](a, b)
    assert np.all(b.numpy() == 1)


def test_numbers_of_a_type_that_the_device_has_not(dev):
    """64-bit floats are not in WGSL: TVM's compiler says so, before us."""
    with pytest.raises(Exception, match="only support f16 or f32"):
        build(elementwise("f", lambda it: it + 1.0, "float64"))
