"""Builds the library with cargo, against the TVM that is installed beside this."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def package(name):
    """The folder of an installed package, which is not imported."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        sys.exit(f"`{name}` is not installed: pip install apache-tvm==0.27.0.post1")
    return spec.submodule_search_locations[0]


def library():
    """Builds the library, and returns its path."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    # Tests take `dev`, which builds faster.
    profile = os.environ.get("TIDEGATE_TVM_PROFILE", "release")
    environment = dict(os.environ, TIDEGATE_TVM=package("tvm"), TIDEGATE_TVM_FFI=package("tvm_ffi"), CARGO_TARGET_DIR=target)
    command = ["cargo", "rustc", "--locked", "--profile", profile, "--package", "tidegate-tvm", "--features", "bridge", "--crate-type", "cdylib"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    name = {"darwin": "libtidegate_tvm.dylib", "win32": "tidegate_tvm.dll"}.get(sys.platform, "libtidegate_tvm.so")
    return pathlib.Path(target) / ("debug" if profile == "dev" else profile) / name


class Build(build_py):
    def run(self):
        super().run()
        built = library()
        folder = HERE if self.editable_mode else pathlib.Path(self.build_lib)
        shutil.copy2(built, folder / "tidegate_tvm" / built.name)


class Wheel(bdist_wheel):
    def get_tag(self):
        # The library talks to Python only through TVM.
        return ("py3", "none", super().get_tag()[2])


class Binary(Distribution):
    def has_ext_modules(self):
        return True


setup(cmdclass={"build_py": Build, "bdist_wheel": Wheel}, distclass=Binary)
