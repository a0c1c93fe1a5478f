//! A model's hyperparameters, read from metadata and checked against the tensors.
//!
//! What this crate does not implement is refused by name. A file that asks for scaled RoPE, for experts, or that has a
//! tensor which nothing here reads, would otherwise decode to plausible nonsense.

use std::collections::HashSet;

use crate::gguf::{Gguf, GgufError, optional};

/// Layers, at most; the largest open models have 126.
pub const LAYERS_MAX: u32 = 1024;
/// Width of any activation, at most.
pub const WIDTH_MAX: u32 = 1 << 20;
/// Tokens of context and of vocabulary, at most.
pub const TOKENS_MAX: u32 = 1 << 24;

/// Why a file is not a model that this crate can decode.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Metadata or a tensor is missing or of the wrong type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// An architecture that this crate does not implement.
    #[error(
        "the model's architecture is {name:?}, which is not supported; use a model of architecture \"llama\" or \"qwen2\""
    )]
    UnknownArchitecture {
        /// `general.architecture` in the file.
        name: String,
    },
    /// A number outside of the range that makes sense.
    #[error(
        "metadata key {key:?} is {found} and must be {expected}; the file is corrupt, or made for another program"
    )]
    OutOfRange {
        /// The key.
        key: String,
        /// Its value.
        found: f64,
        /// What it should be.
        expected: String,
    },
    /// The model needs something that this crate does not implement.
    #[error("the model needs {feature}, which is not supported; use another model")]
    Unsupported {
        /// What it needs, and where the file says so.
        feature: String,
    },
    /// A tensor whose shape does not agree with the hyperparameters.
    #[error(
        "tensor {tensor:?} has the shape {found:?} and must have {expected:?}; the file is corrupt, convert the model again"
    )]
    WrongShape {
        /// The tensor's name.
        tensor: String,
        /// Its shape in the file, contiguous dimension first.
        found: Vec<u64>,
        /// The shape that the hyperparameters ask for.
        expected: Vec<u64>,
    },
    /// A tensor that nothing here would read.
    #[error(
        "tensor {tensor:?} is not part of a model of architecture \"{architecture}\" as this program knows it; use another model"
    )]
    UnexpectedTensor {
        /// The tensor's name.
        tensor: String,
        /// The file's architecture.
        architecture: &'static str,
    },
}

/// The model families that this crate can decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Architecture {
    /// RMSNorm, rotary positions, grouped-query attention, SwiGLU, no biases.
    Llama,
    /// The same with biases of queries, keys and values, and another style of RoPE: Qwen2 and Qwen2.5.
    Qwen2,
}

/// Which elements of a head rotary position embedding turns together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RopeStyle {
    /// `(2i, 2i + 1)`: how converters to GGUF lay out `llama`, permuting the original weights.
    InterleavedPairs,
    /// `(i, i + n / 2)`: how the original weights, and `qwen2` in GGUF, are laid out.
    RotateHalf,
}

impl Architecture {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "llama" => Some(Self::Llama),
            "qwen2" => Some(Self::Qwen2),
            _ => None,
        }
    }

    /// The name in `general.architecture`, also the prefix of the hyperparameters' keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
        }
    }

    /// Which elements RoPE turns together.
    pub fn rope_style(self) -> RopeStyle {
        match self {
            Self::Llama => RopeStyle::InterleavedPairs,
            Self::Qwen2 => RopeStyle::RotateHalf,
        }
    }

    /// Whether the query, key and value projections have biases (`attn_q.bias` and so on).
    pub fn attention_bias(self) -> bool {
        match self {
            Self::Llama => false,
            Self::Qwen2 => true,
        }
    }
}

/// A model's hyperparameters. Each agrees with the tensors in the file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The model's family.
    pub architecture: Architecture,
    /// `general.name`, where the file has one.
    pub name: Option<String>,
    /// Transformer layers.
    pub layers: u32,
    /// Tokens that the model was trained to look back on.
    pub context_tokens: u32,
    /// Width of the residual stream.
    pub embedding: u32,
    /// Width of the feed-forward network's middle.
    pub feed_forward: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; each serves `heads / heads_kv` query heads.
    pub heads_kv: u32,
    /// Elements of one head.
    pub head_elements: u32,
    /// Elements of a head that RoPE turns, from its first one; even.
    pub rope_elements: u32,
    /// RoPE's base: pair `i` turns by `position * rope_base ^ (-2 i / rope_elements)`.
    pub rope_base: f32,
    /// What RMSNorm adds to the mean square.
    pub norm_epsilon: f32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Whether the output projection is the embedding table (there is no `output.weight`).
    pub tied_embeddings: bool,
}

/// A tensor that a model must have: its name and its dimensions, contiguous one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedTensor {
    /// The tensor's name.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<u64>,
}

impl Config {
    /// Reads and checks the hyperparameters, and that the file has exactly the tensors they ask for.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key or tensor.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ConfigError> {
        let name = gguf.string("general.architecture")?;
        let architecture =
            Architecture::from_name(name).ok_or_else(|| ConfigError::UnknownArchitecture {
                name: name.chars().take(64).collect(),
            })?;
        let keys = Keys { gguf, architecture };
        keys.refuse_unsupported()?;
        let embedding = keys.positive("embedding_length", WIDTH_MAX)?;
        let heads = keys.positive("attention.head_count", embedding)?;
        let heads_kv = match keys.optional_u32("attention.head_count_kv")? {
            None => heads,
            Some(0) => return Err(keys.out_of_range("attention.head_count_kv", 0.0, "at least 1")),
            Some(count) if heads.is_multiple_of(count) => count,
            Some(count) => {
                let expected = format!("a divisor of attention.head_count, {heads}");
                return Err(keys.out_of_range("attention.head_count_kv", count.into(), &expected));
            }
        };
        let head_elements = keys.head_elements(embedding, heads)?;
        let config = Self {
            architecture,
            name: optional(gguf.string("general.name"))?.map(str::to_owned),
            layers: keys.positive("block_count", LAYERS_MAX)?,
            context_tokens: keys.positive("context_length", TOKENS_MAX)?,
            embedding,
            feed_forward: keys.positive("feed_forward_length", WIDTH_MAX)?,
            heads,
            heads_kv,
            head_elements,
            rope_elements: keys.rope_elements(head_elements)?,
            rope_base: keys.rope_base()?,
            norm_epsilon: keys.norm_epsilon()?,
            vocabulary: keys.vocabulary()?,
            tied_embeddings: gguf.find_tensor("output.weight").is_none(),
        };
        config.check_tensors(gguf)?;
        Ok(config)
    }

    /// Width of the query projection: all heads together.
    pub fn query_width(&self) -> u32 {
        self.heads * self.head_elements
    }

    /// Width of the key projection, and of the value projection.
    pub fn key_value_width(&self) -> u32 {
        self.heads_kv * self.head_elements
    }

    /// Every tensor that the model must have. The embedding table first, then layer by layer in order of use.
    pub fn expected_tensors(&self) -> Vec<ExpectedTensor> {
        let [embedding, feed_forward, query, key_value, vocabulary] = [
            self.embedding,
            self.feed_forward,
            self.query_width(),
            self.key_value_width(),
            self.vocabulary,
        ]
        .map(u64::from);
        let tensor = |name: String, dims: &[u64]| ExpectedTensor {
            name,
            dims: dims.to_vec(),
        };
        let mut tensors = vec![tensor(
            "token_embd.weight".to_owned(),
            &[embedding, vocabulary],
        )];
        for layer in 0..self.layers {
            let mut push = |name: &str, dims: &[u64]| {
                tensors.push(tensor(format!("blk.{layer}.{name}"), dims))
            };
            push("attn_norm.weight", &[embedding]);
            push("attn_q.weight", &[embedding, query]);
            push("attn_k.weight", &[embedding, key_value]);
            push("attn_v.weight", &[embedding, key_value]);
            if self.architecture.attention_bias() {
                push("attn_q.bias", &[query]);
                push("attn_k.bias", &[key_value]);
                push("attn_v.bias", &[key_value]);
            }
            push("attn_output.weight", &[query, embedding]);
            push("ffn_norm.weight", &[embedding]);
            push("ffn_gate.weight", &[embedding, feed_forward]);
            push("ffn_up.weight", &[embedding, feed_forward]);
            push("ffn_down.weight", &[feed_forward, embedding]);
        }
        tensors.push(tensor("output_norm.weight".to_owned(), &[embedding]));
        if !self.tied_embeddings {
            tensors.push(tensor("output.weight".to_owned(), &[embedding, vocabulary]));
        }
        tensors
    }

    fn check_tensors(&self, gguf: &Gguf) -> Result<(), ConfigError> {
        let expected = self.expected_tensors();
        for ExpectedTensor { name, dims } in &expected {
            let found = gguf.tensor(name)?;
            if found.dims != *dims {
                return Err(ConfigError::WrongShape {
                    tensor: name.clone(),
                    found: found.dims.clone(),
                    expected: dims.clone(),
                });
            }
        }
        let names: HashSet<&str> = expected.iter().map(|tensor| tensor.name.as_str()).collect();
        match gguf
            .tensors()
            .iter()
            .find(|tensor| !names.contains(tensor.name.as_str()))
        {
            // Llama 3.1 and later scale RoPE's frequencies by this tensor.
            Some(tensor) if tensor.name == "rope_freqs.weight" => Err(ConfigError::Unsupported {
                feature: "scaled RoPE (tensor \"rope_freqs.weight\")".to_owned(),
            }),
            Some(tensor) => Err(ConfigError::UnexpectedTensor {
                tensor: tensor.name.clone(),
                architecture: self.architecture.name(),
            }),
            None => Ok(()),
        }
    }
}

/// Hyperparameters by the part of their keys after the architecture's name.
struct Keys<'a> {
    gguf: &'a Gguf,
    architecture: Architecture,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture.name())
    }

    fn out_of_range(&self, name: &str, found: f64, expected: &str) -> ConfigError {
        ConfigError::OutOfRange {
            key: self.key(name),
            found,
            expected: expected.to_owned(),
        }
    }

    fn optional_u32(&self, name: &str) -> Result<Option<u32>, ConfigError> {
        Ok(optional(self.gguf.u32(&self.key(name)))?)
    }

    fn optional_f32(&self, name: &str) -> Result<Option<f32>, ConfigError> {
        Ok(optional(self.gguf.f32(&self.key(name)))?)
    }

    fn positive(&self, name: &str, max: u32) -> Result<u32, ConfigError> {
        let found = self.gguf.u32(&self.key(name))?;
        if (1..=max).contains(&found) {
            Ok(found)
        } else {
            Err(self.out_of_range(name, found.into(), &format!("from 1 to {max}")))
        }
    }

    fn head_elements(&self, embedding: u32, heads: u32) -> Result<u32, ConfigError> {
        let Some(found) = self.optional_u32("attention.key_length")? else {
            if embedding.is_multiple_of(heads) {
                return Ok(embedding / heads);
            }
            let expected = format!("a divisor of embedding_length, {embedding}");
            return Err(self.out_of_range("attention.head_count", heads.into(), &expected));
        };
        let max = WIDTH_MAX / heads;
        if !(1..=max).contains(&found) {
            return Err(self.out_of_range(
                "attention.key_length",
                found.into(),
                &format!("from 1 to {max}"),
            ));
        }
        match self.optional_u32("attention.value_length")? {
            Some(value_length) if value_length != found => Err(ConfigError::Unsupported {
                feature: format!(
                    "values of {value_length} elements beside keys of {found} ({:?})",
                    self.key("attention.value_length")
                ),
            }),
            _ => Ok(found),
        }
    }

    fn rope_elements(&self, head_elements: u32) -> Result<u32, ConfigError> {
        let found = self
            .optional_u32("rope.dimension_count")?
            .unwrap_or(head_elements);
        let halves = self.architecture.rope_style() == RopeStyle::RotateHalf;
        if halves && (2..head_elements).contains(&found) {
            let key = self.key("rope.dimension_count");
            Err(ConfigError::Unsupported {
                feature: format!("RoPE of {found} of a head's {head_elements} elements ({key:?})"),
            })
        } else if found >= 2 && found.is_multiple_of(2) && found <= head_elements {
            Ok(found)
        } else {
            let expected = format!("even and from 2 to the elements of a head, {head_elements}");
            Err(self.out_of_range("rope.dimension_count", found.into(), &expected))
        }
    }

    fn rope_base(&self) -> Result<f32, ConfigError> {
        let found = self.optional_f32("rope.freq_base")?.unwrap_or(10_000.0);
        if found.is_finite() && found > 1.0 {
            Ok(found)
        } else {
            Err(self.out_of_range("rope.freq_base", found.into(), "finite and more than 1"))
        }
    }

    fn norm_epsilon(&self) -> Result<f32, ConfigError> {
        let name = "attention.layer_norm_rms_epsilon";
        let found = self.gguf.f32(&self.key(name))?;
        if found > 0.0 && found < 1.0 {
            Ok(found)
        } else {
            Err(self.out_of_range(name, found.into(), "more than 0 and less than 1"))
        }
    }

    /// The embedding table says how many tokens there are; `vocab_size`, where present, must agree.
    fn vocabulary(&self) -> Result<u32, ConfigError> {
        let table = self.gguf.tensor("token_embd.weight")?;
        let rows = table.rows();
        let Some(vocabulary) = u32::try_from(rows).ok().filter(|&rows| rows <= TOKENS_MAX) else {
            return Err(ConfigError::Unsupported {
                feature: format!("a vocabulary of {rows} tokens"),
            });
        };
        match self.optional_u32("vocab_size")? {
            Some(said) if said != vocabulary => {
                let expected = format!("the rows of token_embd.weight, {vocabulary}");
                Err(self.out_of_range("vocab_size", said.into(), &expected))
            }
            _ => Ok(vocabulary),
        }
    }

    fn refuse_unsupported(&self) -> Result<(), ConfigError> {
        if let Some(experts) = self
            .optional_u32("expert_count")?
            .filter(|&experts| experts > 0)
        {
            let feature = format!(
                "a mixture of {experts} experts ({:?})",
                self.key("expert_count")
            );
            return Err(ConfigError::Unsupported { feature });
        }
        if let Some(window) = self
            .optional_u32("attention.sliding_window")?
            .filter(|&window| window > 0)
        {
            let key = self.key("attention.sliding_window");
            return Err(ConfigError::Unsupported {
                feature: format!("a sliding window of {window} tokens ({key:?})"),
            });
        }
        let scaling = self.key("rope.scaling.type");
        if let Some(kind) = optional(self.gguf.string(&scaling))?.filter(|&kind| kind != "none") {
            return Err(ConfigError::Unsupported {
                feature: format!("RoPE scaling of type {kind:?} ({scaling:?})"),
            });
        }
        for name in [
            "rope.scale_linear",
            "rope.scaling.factor",
            "logit_scale",
            "residual_scale",
            "embedding_scale",
        ] {
            if let Some(factor) = self.optional_f32(name)?.filter(|&factor| factor != 1.0) {
                let key = self.key(name);
                return Err(ConfigError::Unsupported {
                    feature: format!("a factor of {factor} ({key:?})"),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
