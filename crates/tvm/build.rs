//! Compiles the C++ side against the headers of an installed TVM, with the feature `bridge`.
//!
//! `TIDEGATE_TVM` and `TIDEGATE_TVM_FFI` are the folders of the Python packages `tvm` and `tvm_ffi`. Without the feature the crate is its Rust side alone, which is checked and tested everywhere.

fn main() {
    println!("cargo::rerun-if-changed=src/bridge/bridge.cc");
    #[cfg(feature = "bridge")]
    bridge();
}

#[cfg(feature = "bridge")]
fn bridge() {
    use std::env;
    use std::path::PathBuf;

    let folder = |name: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        env::var_os(name).map(PathBuf::from)
    };
    let (Some(tvm), Some(ffi)) = (folder("TIDEGATE_TVM"), folder("TIDEGATE_TVM_FFI")) else {
        println!(
            "cargo::error=TIDEGATE_TVM and TIDEGATE_TVM_FFI are not set; build the Python package: pip install ./crates/tvm/python"
        );
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
