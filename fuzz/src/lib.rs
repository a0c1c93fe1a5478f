//! What is run on the fuzzer's bytes, a function a target: `run` takes any bytes and panics if something is wrong.
//!
//! `fuzz_targets` runs them under libFuzzer: `cargo xtask fuzz`. The tests here run them on the committed corpus, with any toolchain.

#![forbid(unsafe_code)]

pub mod arguments;
mod bytes;
pub mod gguf;
pub mod history;
#[path = "../../crates/shader/tests/proof/mod.rs"]
mod proof;
pub mod spirv;
pub mod wgsl;

use tidegate_shader::{BoundsChecks, Module, MslOptions, SpirvOptions};

/// Kernels of a module that are written. Each takes as long as a module of its own.
const KERNELS_MAX: usize = 4;

/// Everything that can be asked of a module.
fn ask(module: &Module) {
    for kernel in module.kernels().iter().take(KERNELS_MAX) {
        let name = &kernel.name;
        for checks in [BoundsChecks::Checked, BoundsChecks::Unchecked] {
            let options = SpirvOptions::new(checks);
            let _ = module.spirv_addressed(name, &options);
            let _ = module.msl(name, &MslOptions::new(checks));
        }
        let named = SpirvOptions {
            debug_names: true,
            ..SpirvOptions::default()
        };
        let _ = module.spirv_text(name, &named);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn replay(name: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let mut count = 0;
        for file in std::fs::read_dir(&folder).expect("a corpus") {
            let path = file.expect("a file").path();
            eprintln!("{}", path.display());
            run(&std::fs::read(&path).expect("bytes"));
            count += 1;
        }
        assert!(count > 0, "no corpus in {}", folder.display());
    }

    #[test]
    fn wgsl() {
        replay("wgsl", crate::wgsl::run);
    }

    #[test]
    fn spirv() {
        replay("spirv", crate::spirv::run);
    }

    #[test]
    fn gguf() {
        replay("gguf", crate::gguf::run_whole);
    }

    #[test]
    fn arguments() {
        replay("arguments", crate::arguments::run);
    }

    #[test]
    fn history() {
        replay("history", crate::history::run);
    }
}
