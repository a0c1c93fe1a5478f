"""Builds the library with cargo, against the TVM that is installed beside this."""

import importlib.metadata
import importlib.util
import json
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
    # Absolute, as cargo runs in another folder than this.
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
    # Tests take `dev`, which builds faster.
    profile = os.environ.get("TIDEGATE_TVM_PROFILE", "release")
    environment = dict(os.environ, TIDEGATE_TVM=package("tvm"), TIDEGATE_TVM_FFI=package("tvm_ffi"))
    command = ["cargo", "rustc", "--locked", "--profile", profile, "--package", "tidegate-tvm", "--features", "bridge", "--crate-type", "cdylib"]
    command += ["--target-dir", str(target), "--message-format", "json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    # Where it is depends on the profile, and on a target that cargo was told of.
    made = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    files = [file for it in made if it.get("target", {}).get("name") == "tidegate_tvm" for file in it.get("filenames", [])]
    found = [pathlib.Path(file) for file in files if file.endswith((".so", ".dylib", ".dll"))]
    if not found:
        sys.exit("cargo has built no library")
    return found[-1]


class Build(build_py):
    def run(self):
        super().run()
        built = library()
        folder = HERE if self.editable_mode else pathlib.Path(self.build_lib)
        shutil.copy2(built, folder / "tidegate_tvm" / built.name)
        # What the C++ side was compiled against, to be compared when it is imported.
        ffi = importlib.metadata.version("apache-tvm-ffi")
        (folder / "tidegate_tvm" / "_built.py").write_text(f'FFI = "{ffi}"\n', encoding="utf-8")


class Wheel(bdist_wheel):
    def get_tag(self):
        # The library talks to Python only through TVM.
        return ("py3", "none", super().get_tag()[2])


class Binary(Distribution):
    def has_ext_modules(self):
        return True


setup(cmdclass={"build_py": Build, "bdist_wheel": Wheel}, distclass=Binary)
