//! As much of a look at a module as keeps a driver from reading outside it or meeting what it lacks.

use tidegate_core::{DeviceError, Kernel};

use crate::error::refused;
use crate::support::Support;

const MAGIC: u32 = 0x0723_0203;
const HEADER_WORDS: usize = 5;
const OP_ENTRY_POINT: u32 = 15;
const OP_CAPABILITY: u32 = 17;
const OP_FUNCTION: u32 = 54;
const OP_FUNCTION_END: u32 = 56;
const GL_COMPUTE: u32 = 5;

/// Refuses a module that is not whole, lacks the kernel's entry point, or needs what the device lacks.
pub(crate) fn check(kernel: &Kernel, words: &[u32], support: &Support) -> Result<(), DeviceError> {
    let fail = |what: String| Err(refused(format!("kernel {}: {what}", kernel.name)));
    let [magic, version, _generator, bound, _schema, body @ ..] = words else {
        return fail(format!(
            "its SPIR-V has {} words, fewer than a header's {HEADER_WORDS}",
            words.len()
        ));
    };
    if *magic != MAGIC {
        return fail(format!(
            "its SPIR-V begins with {magic:#010x} and not {MAGIC:#010x}"
        ));
    }
    if *version > support.spirv_version_max() || *bound == 0 {
        return fail(format!(
            "its SPIR-V has version {}.{} and {bound} ids; this device takes versions to 1.{}",
            version >> 16,
            version >> 8 & 0xff,
            support.spirv_version_max() >> 8 & 0xff
        ));
    }
    let mut entry_points = Vec::new();
    let mut missing = Vec::new();
    let mut in_function = false;
    let mut rest = body;
    while let Some(&first) = rest.first() {
        let length = (first >> 16) as usize;
        if length == 0 || length > rest.len() {
            let at = words.len() - rest.len();
            return fail(format!("its SPIR-V is cut short or damaged at word {at}"));
        }
        let (instruction, next) = rest.split_at(length);
        rest = next;
        match (first & 0xffff, instruction) {
            (OP_CAPABILITY, [_, capability, ..]) => {
                missing.extend(support.features.missing(*capability));
            }
            (OP_ENTRY_POINT, [_, GL_COMPUTE, _, name @ ..]) => entry_points.push(string(name)),
            (OP_FUNCTION, _) if !in_function => in_function = true,
            (OP_FUNCTION_END, _) if in_function => in_function = false,
            (OP_FUNCTION | OP_FUNCTION_END, _) => {
                return fail("its SPIR-V has a function within a function".to_owned());
            }
            _ => {}
        }
    }
    if in_function {
        return fail("its SPIR-V is cut short: its last function has no end".to_owned());
    }
    if !missing.is_empty() {
        missing.sort_unstable();
        missing.dedup();
        return fail(format!(
            "it needs {}, which {} lacks",
            missing.join(", "),
            support.name()
        ));
    }
    if !entry_points.contains(&kernel.name) {
        return fail(format!(
            "its SPIR-V has no such compute entry point, only: {}",
            entry_points.join(", ")
        ));
    }
    Ok(())
}

/// A literal string: bytes in little-endian words, up to a zero.
fn string(words: &[u32]) -> String {
    let bytes: Vec<u8> = words
        .iter()
        .flat_map(|it| it.to_le_bytes())
        .take_while(|&it| it != 0)
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
