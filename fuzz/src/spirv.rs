//! SPIR-V to kernels, and the rewrite that makes a kernel find its buffers by address.

use tidegate_shader::{Module, testing};

use crate::ask;

/// The first word of every module, and versions 1.0 to 1.6.
const MAGIC: u32 = 0x0723_0203;

/// Takes the bytes for words. The magic number is put right, so that no input is lost to it.
///
/// # Panics
/// If a module that was rewritten still binds a buffer, or reads more than is pushed.
pub fn run(data: &[u8]) {
    let words = data.chunks_exact(4);
    let mut words: Vec<u32> = words
        .map(|it| u32::from_le_bytes([it[0], it[1], it[2], it[3]]))
        .collect();
    if let Some(first) = words.first_mut() {
        *first = MAGIC;
    }
    let module = match Module::from_spirv(&words) {
        Ok(module) => module,
        Err(error) => return drop(error.to_string()),
    };
    ask(&module);
    for kernel in module.kernels().iter().take(crate::KERNELS_MAX) {
        let Ok(Some(addressed)) = testing::addressed(&words, kernel) else {
            continue;
        };
        // Of words that make little sense the rewrite need not make more; of naga's, the target `wgsl` proves it.
        let Ok(read) = Module::from_spirv(&addressed.words) else {
            continue;
        };
        let read = read.kernel(&kernel.name).expect("its kernel is in it");
        assert_eq!(read.bindings, [], "no buffer is left to be bound");
        let pushed = read.scalars.as_ref().map_or(0, |it| it.bytes);
        assert!(pushed <= addressed.bytes, "{pushed} of {}", addressed.bytes);
        assert_eq!(addressed.first % 8, 0);
    }
}
