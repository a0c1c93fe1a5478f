//! What each kernel of the decoder is written as: SPIR-V and MSL, for a tiny model's shape on a GPU and on a software device.
//!
//! Every role has its products with four-bit weights, the output projection with every packing, in full: together they take 3 MB of the working tree and, so alike they are, a small
//! part of that in a clone.
//!
//! `UPDATE_GOLDEN=1 cargo test -p tidegate-llm --test golden` writes the files anew.

use std::path::Path;

use tidegate_llm::config::Architecture;
use tidegate_llm::testing::{Target, TinyModel, kernel_sources};
use tidegate_shader::{Module, MslOptions, SpirvOptions};

#[test]
fn kernels_are_written_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut expected = Vec::new();
    let llama = TinyModel::default();
    let qwen2 = TinyModel {
        architecture: Architecture::Qwen2,
        ..TinyModel::default()
    };
    for (device, tiny, software, subgroup) in [
        ("gpu", &llama, false, Some(32)),
        ("plain", &llama, false, None),
        ("software", &llama, true, None),
        ("gpu-qwen2", &qwen2, false, Some(32)),
    ] {
        let target = Target {
            software,
            subgroup,
            invocations_max: 1024,
        };
        for (name, source) in kernel_sources(tiny, target) {
            // The others depend on neither the architecture nor subgroups.
            let again = match device {
                "gpu-qwen2" => ["rope", "attention", "attend"].contains(&name.as_str()),
                "plain" => ["attend", "pick", "Q4-Head"].contains(&name.as_str()),
                _ => true,
            };
            if !again {
                continue;
            }
            let module = Module::from_wgsl(&source).unwrap();
            for kernel in module.kernels() {
                let spirv = module.spirv_text(&kernel.name, &SpirvOptions::default());
                let msl = module.msl(&kernel.name, &MslOptions::default());
                let stem = format!("{device}-{name}-{}", kernel.name);
                expected.push((format!("{stem}.spvasm"), spirv.unwrap()));
                expected.push((format!("{stem}.metal"), msl.unwrap().source));
            }
        }
    }
    if update {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in &expected {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    for (name, text) in &expected {
        let found = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            found == *text,
            "{name} differs; look at it, then refresh with UPDATE_GOLDEN=1"
        );
    }
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(
        files,
        expected.len(),
        "the folder holds files of kernels that are gone"
    );
}
