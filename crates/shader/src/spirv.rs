//! SPIR-V given as it is.
use crate::{Kernel, ShaderError};
use rspirv::binary::Disassemble;

pub(crate) fn kernels(words: &[u32]) -> Result<Vec<Kernel>, ShaderError> {
    let _ = words;
    Err(ShaderError::spirv("not yet read"))
}

pub(crate) fn capabilities(words: &[u32]) -> impl Iterator<Item = u32> + '_ {
    instructions(words).filter_map(|instruction| match instruction {
        [first, number] if first & 0xffff == 17 => Some(*number),
        _ => None,
    })
}

pub(crate) fn disassemble(words: &[u32]) -> Result<String, ShaderError> {
    let module =
        rspirv::dr::load_words(words).map_err(|error| ShaderError::spirv(error.to_string()))?;
    Ok(module.disassemble())
}

/// The instructions, each with its own first word. Stops at the first whose length is wrong.
fn instructions(words: &[u32]) -> impl Iterator<Item = &[u32]> {
    let mut rest = words.get(5..).unwrap_or_default();
    std::iter::from_fn(move || {
        let count = (rest.first()? >> 16) as usize;
        let instruction = rest.get(..count)?;
        if count == 0 {
            return None;
        }
        rest = rest.get(count..)?;
        Some(instruction)
    })
}
