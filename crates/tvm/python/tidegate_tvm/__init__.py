"""Runs what TVM compiles for WebGPU and Metal on any Vulkan or Metal device, through Tidegate.

Importing this is all it takes: TVM's device `webgpu` is then there, and on Apple's systems `metal` is Tidegate's.
"""

import atexit
import contextlib
import ctypes
import pathlib
import sys

import tvm
import tvm_ffi

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
    name = {"darwin": "libtidegate_tvm.dylib", "win32": "tidegate_tvm.dll"}.get(sys.platform, "libtidegate_tvm.so")
    library = ctypes.CDLL(str(pathlib.Path(__file__).parent / name))
    library.tidegate_register.restype = ctypes.c_char_p
    tvm_ffi.register_error("TidegateError", TidegateError)
    failure = library.tidegate_register()
    if failure is not None:
        raise ImportError(f"TVM does not take tidegate_tvm: {failure.decode()}")
    # Drivers do not like to be at work while a process ends.
    atexit.register(library.tidegate_close)
    return library


_library = _load()


def counters():
    """What all devices have done since the start, or since `reset_counters`, as a dictionary."""
    return {str(name): int(value) for name, value in tvm.get_global_func("webgpu.GetProfileCounters")().items()}


def reset_counters():
    """Starts counting again."""
    tvm.get_global_func("webgpu.ResetProfileCounters")()


def set_policy(name):
    """Says when recorded work is let through, on every stream: "adaptive", "every-dispatch" or "until-sync"."""
    tvm.get_global_func("tidegate.SetPolicy")(name)
