"""Devices: what they are, which there are, and that they are left in order."""

import importlib.metadata
import json
import os
import pathlib
import tempfile

import pytest
import tvm

import tidegate_tvm
from conftest import python


def test_it_is_there_and_says_what_it_is(dev):
    assert dev.exist
    assert dev.device_name
    assert dev.max_threads_per_block >= 128
    assert len(dev.max_thread_dimensions) == 3
    assert dev.max_shared_memory_per_block >= 16 << 10
    assert dev.warp_size >= 1
    assert dev.driver_version
    assert dev.total_global_memory > 1 << 20


def test_what_no_device_tells_is_none(dev):
    assert dev.max_clock_rate is None
    assert dev.multi_processor_count is None
    assert dev.compute_version is None
    assert dev.api_version is None
    assert dev.l2_cache_size_bytes is None


def test_memory_that_is_used_is_not_available(dev):
    before = dev.available_global_memory
    held = tvm.runtime.empty((1 << 20,), "float32", dev)
    assert before - dev.available_global_memory >= 4 << 20
    del held
    assert dev.available_global_memory == before


def test_a_target_from_a_device(dev):
    target = tvm.target.Target.from_device("webgpu")
    assert target.kind.name == "webgpu"
    assert int(target.attrs["max_num_threads"]) == dev.max_threads_per_block
    # What a target from the device may use, the device takes.
    takes = bool(tvm.get_global_func("tidegate.Property")(dev, "supports_subgroups"))
    assert bool(target.attrs["supports_subgroups"]) == takes
    assert not takes or dev.warp_size == 32


@pytest.mark.parametrize("index", [-1, 99, 2**31 - 1])
def test_a_device_that_is_not_there(index):
    missing = tvm.device("webgpu", index)
    assert not missing.exist
    with pytest.raises(tidegate_tvm.TidegateError, match=f"no device {index}: this system has"):
        tvm.runtime.empty((4,), "float32", missing)
    with pytest.raises(tidegate_tvm.TidegateError, match="no device"):
        missing.sync()


def drivers():
    """Lavapipe's description, wherever the loader has it."""
    folders = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"]
    return [path for folder in folders for path in pathlib.Path(folder).glob("lvp_icd*.json")]


@pytest.mark.skipif(not drivers(), reason="takes Mesa's software driver, to have it twice")
def test_two_devices(tmp_path):
    """The loader takes a driver twice if it is described in two files with two paths of the library."""
    described = json.loads(drivers()[0].read_text())
    library = described["ICD"]["library_path"]
    found = [it for it in pathlib.Path("/usr/lib").rglob(pathlib.Path(library).name)]
    paths = []
    for index in range(2):
        copy = tmp_path / f"libdriver{index}.so"
        copy.write_bytes(found[0].read_bytes())
        described["ICD"]["library_path"] = str(copy)
        paths.append(tmp_path / f"driver{index}.json")
        paths[-1].write_text(json.dumps(described))
    code = """
        import numpy as np, tvm, tidegate_tvm
        one, two = tvm.device("webgpu", 0), tvm.device("webgpu", 1)
        assert one.exist and two.exist and not tvm.device("webgpu", 2).exist
        a = tvm.runtime.tensor(np.arange(9, dtype="float32"), one)
        b = tvm.runtime.empty((9,), "float32", two)
        a.copyto(b)
        assert b.numpy().tolist() == list(range(9))
        import sys; sys.path.insert(0, TESTS)
        from conftest import build, elementwise
        lib = build(elementwise("plus_one", lambda it: it + 1.0))
        for device in (one, two):
            x = tvm.runtime.tensor(np.arange(9, dtype="float32"), device)
            y = tvm.runtime.empty((9,), "float32", device)
            lib["plus_one"](x, y)
            assert y.numpy().tolist() == list(range(1, 10)), device
        try:
            lib["plus_one"](a, b)
            raise SystemExit("two devices in one launch")
        except (tidegate_tvm.TidegateError, ValueError, RuntimeError) as error:
            print(error)
    """.replace("TESTS", repr(str(pathlib.Path(__file__).parent)))
    done = python(code, VK_DRIVER_FILES=os.pathsep.join(map(str, paths)), VK_ICD_FILENAMES=os.pathsep.join(map(str, paths)))
    assert done.returncode == 0, done.stderr


def test_a_device_is_chosen_by_name_and_a_wrong_name_is_told():
    code = "import tvm, tidegate_tvm; d = tvm.device('webgpu', 0); print(d.device_name); tvm.runtime.empty((1,), 'float32', d)"
    name = tvm.device("webgpu", 0).device_name
    done = python(code, TIDEGATE_DEVICE=name[2:9].upper())
    assert (done.returncode, done.stdout.strip()) == (0, name), done.stderr
    done = python(code, TIDEGATE_DEVICE="voodoo")
    assert done.returncode == 1
    assert "TIDEGATE_DEVICE: no device that can be used is `voodoo`" in done.stderr


def test_without_a_driver_it_imports_and_says_what_is_missing(tmp_path):
    nothing = str(tmp_path / "nothing.json")
    code = """
        import tvm, tidegate_tvm
        device = tvm.device("webgpu", 0)
        assert not device.exist
        tvm.runtime.empty((1,), "float32", device)
    """
    done = python(code, VK_DRIVER_FILES=nothing, VK_ICD_FILENAMES=nothing)
    assert done.returncode == 1
    assert "TidegateError" in done.stderr
    assert "Vulkan" in done.stderr


@pytest.mark.parametrize("policy", ["adaptive", "every-dispatch", "until-sync"])
def test_a_process_ends_in_order_with_work_under_way(policy):
    code = """
        import numpy as np, tvm, tidegate_tvm, sys
        sys.path.insert(0, TESTS)
        from conftest import build, elementwise
        tidegate_tvm.set_policy(POLICY)
        lib = build(elementwise("plus_one", lambda it: it + 1.0))
        device = tvm.device("webgpu", 0)
        x = tvm.runtime.tensor(np.zeros(1 << 16, "float32"), device)
        for _ in range(200):
            lib["plus_one"](x, x)
        stream = device.create_raw_stream()
        sys.keep = (x, lib, lib["plus_one"], stream)
    """.replace("TESTS", repr(str(pathlib.Path(__file__).parent))).replace("POLICY", repr(policy))
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_forked_child_is_told_and_the_parent_works_on(dev):
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    held = tvm.runtime.empty((4,), "float32", dev)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            tvm.runtime.empty((4,), "float32", dev)
            text = "no error"
        except tidegate_tvm.TidegateError as error:
            text = str(error)
        del held  # Memory of the parent's: nothing happens to it.
        os.write(write, text.encode())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    text = os.read(read, 4096).decode()
    os.close(read)
    os.close(write)
    assert status == 0
    assert "forked" in text and "spawn" in text
    held.copyfrom([1.0, 2.0, 3.0, 4.0])
    assert held.numpy().tolist() == [1, 2, 3, 4]


def test_a_forked_child_compiles_saves_and_loads():
    """None of which needs a device."""
    code = """
        import os, sys, tvm, tidegate_tvm
        sys.path.insert(0, TESTS)
        from conftest import build, elementwise, webgpu
        t = tvm.runtime.empty((4,), "float32", tvm.device("webgpu", 0))
        if os.fork() == 0:
            library = build(elementwise("plus_one", lambda it: it + 1.0))
            library.export_library(PATH)
            loaded = tvm.runtime.load_module(PATH)
            (kernels,) = [it for it in loaded.imports if it.kind == "webgpu"]
            sys.exit(0 if "fn plus_one_kernel" in kernels.inspect_source() else 3)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    """.replace("TESTS", repr(str(pathlib.Path(__file__).parent)))
    with tempfile.TemporaryDirectory() as folder:
        done = python(code.replace("PATH", repr(os.path.join(folder, "library.so"))))
    assert done.returncode == 0, done.stderr


def test_a_second_runtime_of_a_device_is_refused(tmp_path):
    """As TVM's own for Metal would be found, if it was used before this was imported: a second copy of the library stands for it."""
    code = """
        import ctypes, pathlib, shutil, tidegate_tvm, tvm
        (library,) = [it for it in pathlib.Path(tidegate_tvm.__file__).parent.iterdir() if "libtidegate_tvm" in it.name]
        second = ctypes.CDLL(shutil.copy2(library, FOLDER))
        second.tidegate_register.restype = ctypes.c_char_p
        print(second.tidegate_register())
    """.replace("FOLDER", repr(str(tmp_path)))
    done = python(code)
    assert "another runtime's device `webgpu` has been used already: import tidegate_tvm first" in done.stdout, done.stderr


def test_a_child_forked_before_the_first_use_works():
    code = """
        import os, sys, tvm, tidegate_tvm
        if os.fork() == 0:
            t = tvm.runtime.empty((4,), "float32", tvm.device("webgpu", 0))
            t.copyfrom([1.0, 2.0, 3.0, 4.0])
            sys.exit(0 if t.numpy().tolist() == [1, 2, 3, 4] else 3)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_a_forked_child_can_end_as_any_process_does():
    code = """
        import os, sys, tvm, tidegate_tvm
        t = tvm.runtime.empty((4,), "float32", tvm.device("webgpu", 0))
        if os.fork() == 0:
            sys.exit(7)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert python(code).returncode == 7


def test_another_tvm_is_refused_with_both_versions():
    code = "import tvm; tvm.__version__ = '9.9.9'; import tidegate_tvm"
    done = python(code)
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert "9.9.9" in done.stderr and tidegate_tvm.TVM in done.stderr


def test_another_ffi_is_refused_with_both_versions():
    code = "import tvm_ffi; tvm_ffi.__version__ = '0.0.9'; import tidegate_tvm"
    done = python(code)
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert "tvm_ffi 0.0.9" in done.stderr and f"built for tvm_ffi {tidegate_tvm.FFI}" in done.stderr


def test_what_was_tested_is_what_was_built_and_what_is_asked_for():
    asked = importlib.metadata.requires("tidegate-tvm")
    assert f"apache-tvm=={tidegate_tvm.TVM}" in asked and f"apache-tvm-ffi=={tidegate_tvm.FFI}" in asked
    wanted = (pathlib.Path(__file__).parents[1] / "requirements.txt").read_text().splitlines()
    assert f"apache-tvm=={tidegate_tvm.TVM}" in wanted and f"apache-tvm-ffi=={tidegate_tvm.FFI}" in wanted


def test_a_library_that_does_not_load_is_an_import_error(tmp_path):
    package = pathlib.Path(tidegate_tvm.__file__).parent
    copy = tmp_path / "tidegate_tvm"
    copy.mkdir()
    for file in package.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes() if file.suffix == ".py" else b"not a library")
    done = python(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import tidegate_tvm")
    assert done.returncode == 1
    assert "ImportError: tidegate_tvm's library, built for TVM" in done.stderr
    assert tidegate_tvm.FFI in done.stderr and tidegate_tvm.TVM in done.stderr
