//! The decoder's kernels stay in their memory whatever a file says, in both forms of SPIR-V: proven, not tried.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../../shader/tests/proof/mod.rs"]
mod proof;

use tidegate_llm::config::Architecture;
use tidegate_llm::testing::{Target, TinyModel, kernel_sources};
use tidegate_shader::{Module, SpirvOptions};

#[test]
fn every_index_of_every_kernel_is_clamped() {
    let qwen2 = TinyModel {
        architecture: Architecture::Qwen2,
        ..TinyModel::default()
    };
    let (mut plain, mut addressed) = (0, 0);
    for (tiny, software, subgroup) in [
        (&TinyModel::default(), false, Some(32)),
        (&TinyModel::default(), true, None),
        (&qwen2, false, None),
    ] {
        let target = Target {
            software,
            subgroup,
            invocations_max: 1024,
        };
        for (name, source) in kernel_sources(tiny, target) {
            let module = Module::from_wgsl(&source).unwrap();
            for kernel in module.kernels() {
                let options = SpirvOptions::default();
                let words = module.spirv(&kernel.name, &options).unwrap();
                proof::check(&words, None).unwrap_or_else(|it| panic!("{name}: {it}"));
                plain += 1;
                if let Some(it) = module.spirv_addressed(&kernel.name, &options).unwrap() {
                    proof::check(&it.words, Some(&it)).unwrap_or_else(|it| panic!("{name}: {it}"));
                    addressed += 1;
                }
            }
        }
    }
    assert!(plain > 60 && addressed == plain, "{plain}, {addressed}");
}
