//! For tests, of this crate and of others (feature `testing`): a GGUF writer, tiny models, and the CPU reference.

mod model;
mod writer;

pub use model::{MODEL_FILE_NAME, TinyModel, model_path};
pub use writer::GgufWriter;
