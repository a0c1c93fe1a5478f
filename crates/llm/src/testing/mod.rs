//! For tests, of this crate and of others (feature `testing`): a GGUF writer, tiny models, and the CPU reference.

mod golden;
mod linear;
mod model;
pub(crate) mod random;
mod reference;
mod writer;

pub use golden::{GOLDEN_IDS, GOLDEN_NLL, GOLDEN_TEXT};
pub use model::{MODEL_FILE_NAME, TinyModel, model_path};
pub use reference::{Activations, LayerActivations, Reference};
pub use writer::GgufWriter;

pub use crate::kernels::Target;

/// The WGSL of the decoder's kernels for a model's shape, by name.
///
/// # Panics
/// If the tiny model is not one that the crate can decode.
pub fn kernel_sources(tiny: &TinyModel, target: Target) -> Vec<(String, String)> {
    let bytes = tiny.bytes();
    let gguf = crate::gguf::Gguf::parse(bytes.as_slice(), bytes.len() as u64);
    let config = gguf.map(|it| crate::config::Config::from_gguf(&it));
    match config {
        Ok(Ok(config)) => kernel_sources_of(&config, target),
        other => panic!("{other:?}"),
    }
}

/// The WGSL of the decoder's kernels for hyperparameters, by name.
pub fn kernel_sources_of(config: &crate::config::Config, target: Target) -> Vec<(String, String)> {
    crate::kernels::sources(config, target)
}
