//! Compiles the C++ side against the headers of an installed TVM, if the environment says where it is.
//!
//! `TIDEGATE_TVM` and `TIDEGATE_TVM_FFI` are the folders of the Python packages `tvm` and `tvm_ffi`. Without them the crate is its Rust side alone, which is checked and tested everywhere;
//! the Python package's `setup.py` sets them.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(bridge)");
    println!("cargo::rerun-if-changed=src/bridge/bridge.cc");
    println!("cargo::rerun-if-env-changed=TIDEGATE_TVM");
    println!("cargo::rerun-if-env-changed=TIDEGATE_TVM_FFI");
    let folder = |name| env::var_os(name).map(PathBuf::from);
    let (Some(tvm), Some(ffi)) = (folder("TIDEGATE_TVM"), folder("TIDEGATE_TVM_FFI")) else {
        return;
    };
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("src/bridge/bridge.cc")
        .include(tvm.join("include"))
        .include(ffi.join("include"))
        // Its headers' own.
        .warnings(false)
        .compile("tidegate_tvm_bridge");
    println!("cargo::rustc-cfg=bridge");
    for (folder, library) in [(&tvm, "tvm_runtime"), (&ffi, "tvm_ffi")] {
        let at = folder.join("lib");
        println!("cargo::rustc-link-search=native={}", at.display());
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    // The packages are neighbours once installed. `import tvm` has loaded both libraries before, so that this is for programs that do not.
    let here = match env::var("CARGO_CFG_TARGET_VENDOR").as_deref() {
        Ok("apple") => "@loader_path",
        _ => "$ORIGIN",
    };
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("unix") {
        for package in ["tvm", "tvm_ffi"] {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-rpath,{here}/../{package}/lib");
        }
    }
}
