//! Reads a GGUF file and decodes a language model of architecture `llama` or `qwen2` with Tidegate.
//!
//! This is the demonstration and the benchmark of the stream: a decoder is a few hundred small, dependent launches a
//! token, which is where batching pays. The crate reads the whole model from one file: hyperparameters ([`config`]),
//! weights ([`gguf`], [`quant`]), tokenizer ([`tokenizer`]) and chat template ([`chat`]).
//!
//! A GGUF file comes from strangers. Everything in it is checked before it is used, and whatever is wrong is a typed
//! error that names the key or tensor: no panic, and no allocation that the file's own length does not justify.

#![forbid(unsafe_code)]

mod byte_level;
pub mod chat;
pub mod config;
mod error;
mod file;
mod format;
mod generate;
pub mod gguf;
mod kernels;
mod model;
mod network;
pub mod quant;
pub mod sampler;
mod session;
pub mod synthetic;
pub mod text;
pub mod tokenizer;
mod weights;

pub use crate::error::Error;
pub use crate::file::ModelFile;
pub use crate::generate::{GenerateOptions, Generated};
pub use crate::model::Model;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
