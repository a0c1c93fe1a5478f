//! WGSL to kernels: in every form that a backend asks for, with tables that agree with what is written.

use tidegate_shader::{Kernel, Module, SpirvOptions};

use crate::{ask, proof};

/// Takes the bytes for a source.
///
/// # Panics
/// If the table of a kernel claims less than its SPIR-V does, or it cannot be proven of a checked kernel that it keeps inside its memory.
pub fn run(data: &[u8]) {
    let source = String::from_utf8_lossy(data);
    let module = match Module::from_wgsl(&source) {
        Ok(module) => module,
        Err(error) => return drop(error.to_string()),
    };
    ask(&module);
    for kernel in module.kernels().iter().take(crate::KERNELS_MAX) {
        let options = SpirvOptions::default();
        if let Ok(words) = module.spirv(&kernel.name, &options) {
            compare(kernel, &words);
            if let Err(error) = proof::check(&words, None) {
                panic!("{}: {error}", kernel.name);
            }
        }
        if let Ok(Some(it)) = module.spirv_addressed(&kernel.name, &options)
            && let Err(error) = proof::check(&it.words, Some(&it))
        {
            panic!("{} by address: {error}", kernel.name);
        }
    }
    // The first constant of most sources in the corpus.
    for value in [0.0, -1.0, 1e30, f64::NAN] {
        if let Ok(module) = module.with_constants(&[("tile", value)]) {
            ask(&module);
        }
    }
}

/// What is read out of the words that were written must be what the source's own table says.
fn compare(kernel: &Kernel, words: &[u32]) {
    let read = Module::from_spirv(words).expect("SPIR-V written here can be read");
    let read = read.kernel(&kernel.name).expect("its kernel is in it");
    assert_eq!(kernel.workgroup_size, read.workgroup_size);
    assert_eq!(
        kernel.bindings.len(),
        read.bindings.len(),
        "{kernel:?}\n{read:?}"
    );
    for (ours, theirs) in kernel.bindings.iter().zip(&read.bindings) {
        let place = |it: &tidegate_shader::Binding| (it.group, it.binding, it.kind);
        assert_eq!(place(ours), place(theirs));
        assert!(ours.bytes_min >= theirs.bytes_min, "{ours:?}\n{theirs:?}");
        assert_eq!(ours.stride, theirs.stride);
    }
    let bytes = |it: &Kernel| it.scalars.as_ref().map(|it| it.bytes);
    assert!(bytes(kernel) >= bytes(read), "{kernel:?}\n{read:?}");
}
