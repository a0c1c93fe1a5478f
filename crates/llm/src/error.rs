//! What can go wrong between a file and its text.

use crate::chat::ChatError;
use crate::config::ConfigError;
use crate::gguf::GgufError;
use crate::sampler::SamplerError;
use crate::tokenizer::TokenizerError;

/// An error of a model: its file, its text, or the device it runs on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The hyperparameters.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The chat template.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The sampling options, or logits that cannot be sampled.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The device.
    #[error(transparent)]
    Device(#[from] tidegate::Error),
    /// A prompt with no tokens.
    #[error("the prompt has no tokens; give it at least one character")]
    EmptyPrompt,
    /// A text too short to be scored.
    #[error("the text has {tokens} token(s); a score needs at least 2")]
    TooShort {
        /// Its tokens.
        tokens: usize,
    },
    /// More tokens than the model can look back on.
    #[error(
        "{prompt} tokens of prompt and {more} more exceed the model's context of {context}; shorten the prompt or ask for fewer tokens"
    )]
    ContextExceeded {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens to be generated.
        more: usize,
        /// The model's context.
        context: u32,
    },
    /// A token that the model does not have.
    #[error("token {token} is not in the vocabulary of {vocabulary}")]
    UnknownToken {
        /// The token.
        token: u32,
        /// The size of the vocabulary.
        vocabulary: u32,
    },
    /// A shape that a device's memory cannot hold.
    #[error(
        "{shape} needs {needed} bytes and {device} has {memory}; choose a smaller shape or fewer tokens"
    )]
    TooLarge {
        /// The shape.
        shape: &'static str,
        /// Bytes that it needs.
        needed: u64,
        /// The device's name.
        device: String,
        /// Bytes that it has.
        memory: u64,
    },
    /// No logit was a number.
    #[error(
        "no logit is a number; the model file is damaged or a kernel is wrong, please report it"
    )]
    NoLogit,
    /// A width that the kernels do not support.
    #[error("the {what} is {found} and must be a multiple of {multiple}; use another model")]
    Width {
        /// Which width.
        what: &'static str,
        /// Its value.
        found: u32,
        /// What it must be a multiple of.
        multiple: u32,
    },
}
