//! For tests, of this crate and of others (feature `testing`): a GGUF writer, tiny models, and the CPU reference.

mod golden;
mod linear;
mod model;
mod reference;
mod writer;

pub use golden::{GOLDEN_IDS, GOLDEN_NLL, GOLDEN_TEXT};
pub use model::{MODEL_FILE_NAME, TinyModel, model_path};
pub use reference::{Activations, LayerActivations, Reference};
pub use writer::GgufWriter;
