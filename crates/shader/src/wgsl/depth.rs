//! Refuses what would exhaust the stack.
use crate::{Module, ShaderError};

pub(super) fn check(text: &str) -> Result<(), ShaderError> {
    if text.len() > Module::WGSL_BYTES_MAX {
        let (have, max) = (text.len() as u64, Module::WGSL_BYTES_MAX as u64);
        return Err(ShaderError::TooLarge {
            what: "the number of bytes of WGSL",
            have,
            max,
        });
    }
    Ok(())
}
