//! Gives the linker the `libobjc` that objc2 asks for, empty: this crate is that library.

use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(metal_soft)");
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_METAL_SOFT").is_none() {
        return;
    }
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let library = PathBuf::from(&out).join("libobjc.a");
    std::fs::write(library, b"!<arch>\n").expect("OUT_DIR can be written");
    println!(
        "cargo::rustc-link-search=native={}",
        PathBuf::from(&out).display()
    );
}
