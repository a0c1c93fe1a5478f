//! Each kernel in `tests/in`, written in every way, against the files in `tests/out`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p tidegate-shader --test golden` writes them anew.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tidegate_shader::{BoundsChecks, Module, MslOptions, SpirvOptions};

#[test]
fn writers_give_what_they_gave_before() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut expected = BTreeSet::new();
    let mut wrong = Vec::new();
    for input in files(&root.join("in")) {
        let stem = input.file_stem().unwrap().to_str().unwrap();
        let module = Module::from_wgsl(&fs::read_to_string(&input).unwrap()).unwrap();
        for (name, text) in golden(stem, &module) {
            let path = root.join("out").join(name);
            if update {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &text).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != text {
                wrong.push(path.clone());
            }
            expected.insert(path);
        }
    }
    assert!(
        wrong.is_empty(),
        "these differ; UPDATE_GOLDEN=1 rewrites them: {wrong:#?}"
    );
    assert!(expected.len() > 40, "only {} golden files", expected.len());
    let stale: Vec<PathBuf> = ["kernel", "msl", "spv"]
        .iter()
        .flat_map(|folder| files(&root.join("out").join(folder)))
        .filter(|path| !expected.contains(path))
        .collect();
    assert!(
        stale.is_empty(),
        "no kernel gives these files any more: {stale:#?}"
    );
}

/// Paths below `tests/out` with the text each should have.
fn golden(stem: &str, module: &Module) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for kernel in module.kernels() {
        let name = &kernel.name;
        all.push((
            format!("kernel/{stem}.{name}.txt"),
            format!("{kernel:#?}\n"),
        ));
        for (bounds_checks, suffix) in [
            (BoundsChecks::Checked, ""),
            (BoundsChecks::Unchecked, ".unchecked"),
        ] {
            let options = SpirvOptions {
                debug_names: true,
                ..SpirvOptions::new(bounds_checks)
            };
            let text = module.spirv_text(name, &options).unwrap();
            all.push((format!("spv/{stem}.{name}{suffix}.spvasm"), text + "\n"));
            if let Some(it) = module.spirv_addressed(name, &options).unwrap() {
                let block = format!(
                    "; {} bytes: addresses at {}, sizes of {:?} at {}, aligned to {}\n",
                    it.bytes, it.first, it.sizes, it.sizes_at, it.align
                );
                let written = Module::from_spirv(&it.words).unwrap();
                let text = written.spirv_text(name, &options).unwrap();
                all.push((
                    format!("spv/{stem}.{name}{suffix}.addressed.spvasm"),
                    block + &text + "\n",
                ));
                if let Some(folder) = std::env::var_os("SPV_OUT") {
                    let bytes: Vec<u8> = it.words.iter().flat_map(|it| it.to_le_bytes()).collect();
                    fs::write(
                        Path::new(&folder).join(format!("{stem}.{name}{suffix}.spv")),
                        bytes,
                    )
                    .unwrap();
                }
            }

            let msl = module.msl(name, &MslOptions::new(bounds_checks)).unwrap();
            let slots = format!(
                "// {} {:?}\n// scalars {:?}\n// sizes {:?}\n// threadgroup {:?}\n",
                msl.entry_point, msl.buffers, msl.scalars_slot, msl.sizes, msl.threadgroup_bytes
            );
            all.push((
                format!("msl/{stem}.{name}{suffix}.metal"),
                slots + &msl.source,
            ));
        }
    }
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}
