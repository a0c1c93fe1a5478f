"""Runs what TVM compiles for WebGPU and Metal on any Vulkan or Metal device, through Tidegate.

Importing this is all it takes: TVM's device `webgpu` is then there, and on Apple's systems `metal` is Tidegate's.
"""

import atexit
import ctypes
import json
import pathlib
import sys

import tvm
import tvm_ffi

from ._built import FFI

#: The version of TVM that this was built for.
TVM = "0.27.0.post1"


class TidegateError(RuntimeError):
    """What Tidegate refuses, and what a device failed to do."""


def _load():
    if tvm.__version__ != TVM:
        raise ImportError(
            f"this tidegate_tvm was built for TVM {TVM}, and TVM {tvm.__version__} is installed; "
            f"pip install apache-tvm=={TVM}, or build tidegate_tvm for the other from source"
        )
    if tvm_ffi.__version__ != FFI:
        raise ImportError(
            f"this tidegate_tvm was built for tvm_ffi {FFI}, and tvm_ffi {tvm_ffi.__version__} is installed; "
            f"pip install apache-tvm-ffi=={FFI}, or build tidegate_tvm for the other from source"
        )
    name = {"darwin": "libtidegate_tvm.dylib", "win32": "tidegate_tvm.dll"}.get(sys.platform, "libtidegate_tvm.so")
    try:
        library = ctypes.CDLL(str(pathlib.Path(__file__).parent / name))
    except OSError as error:
        raise ImportError(
            f"tidegate_tvm's library, built for TVM {TVM} and tvm_ffi {FFI}, does not load beside TVM {tvm.__version__} and tvm_ffi {tvm_ffi.__version__}: {error}; "
            f"install tidegate_tvm anew"
        ) from error
    library.tidegate_register.restype = ctypes.c_char_p
    tvm_ffi.register_error("TidegateError", TidegateError)
    failure = library.tidegate_register()
    if failure is not None:
        raise ImportError(f"TVM does not take tidegate_tvm: {failure.decode()}")
    # Drivers do not like to be at work while a process ends.
    atexit.register(library.tidegate_close)
    return library


def _detect(device):
    """What `tvm.target.Target.from_device("webgpu")` gives."""
    limits = {"max_num_threads": device.max_threads_per_block, "max_shared_memory_per_block": device.max_shared_memory_per_block}
    # By the rule by which kernels are refused.
    subgroups = bool(tvm.get_global_func("tidegate.Property")(device, "supports_subgroups"))
    return tvm.target.Target({"kind": "webgpu", "supports_subgroups": subgroups, **limits})


_library = _load()
if not tvm.base._RUNTIME_ONLY:
    from tvm.target import detect_target

    detect_target.register_device_target_detector("webgpu", _detect)


def counters():
    """What all devices have done since the start, or since `reset_counters`, as a dictionary."""
    return {str(name): int(value) for name, value in tvm.get_global_func("webgpu.GetProfileCounters")().items()}


def reset_counters():
    """Starts counting again."""
    tvm.get_global_func("webgpu.ResetProfileCounters")()


def set_policy(name):
    """Says when recorded work is let through, on every stream: "adaptive", "every-dispatch" or "until-sync"."""
    tvm.get_global_func("tidegate.SetPolicy")(name)


def set_checks(on):
    """Says whether the kernels that are launched for the first time from now on check each index, which they do unless told otherwise.

    Without checks, a kernel that leaves its buffers does what the device makes of it, as with TVM's other runtimes; and workgroup memory does not start as zeros.
    """
    if not isinstance(on, bool):
        raise TypeError(f"set_checks takes True or False, not {on!r}")
    tvm.get_global_func("tidegate.SetChecks")(on)


class trace:
    """Traces what all devices do, between `start` and `stop` or as a context manager.

    A path gets a timeline that https://ui.perfetto.dev and chrome://tracing show; a second device's goes to the same path with `.1` added, and so on.
    `kernels` then has a dictionary for each kernel: name, count, total_ns and longest_ns, the longest in total first.
    """

    def __init__(self, path=None):
        self.path = path
        self.kernels = []
        self._on = False

    def start(self):
        if self.path is not None:
            # So that nobody works for a file that cannot be written. What it holds stays until then.
            pathlib.Path(self.path).open("a", encoding="utf-8").close()
        tvm.get_global_func("tidegate.TraceStart")()
        self._on = True
        return self

    def stop(self):
        if not self._on:
            raise TidegateError("this trace was not started, or was stopped already")
        self._on = False
        made = [str(text) for text in tvm.get_global_func("tidegate.TraceStop")()]
        self.kernels = [row for table in made[1::2] for row in json.loads(table)]
        for index, timeline in enumerate(made[0::2]):
            if self.path is not None:
                path = pathlib.Path(f"{self.path}.{index}" if index else self.path)
                path.write_text(timeline, encoding="utf-8")
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
