//! Models of random weights in the shapes of known ones, for measurements that need no file.

use std::sync::Arc;

use tidegate::{Buffer, Capabilities, Device, Kernel, Pending, Policy, Stream};

use crate::config::{Architecture, Config};
use crate::error::Error;
use crate::format::Packing;
use crate::kernels::{self, Target};
use crate::network::{Layer, Network, Weights};
use crate::session::Session;
use crate::weights::Matrix;

/// The shape of a known model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are the models' own")]
pub enum Shape {
    SmolLm2_135M,
    Qwen25_0_5B,
    Qwen25_1_5B,
    Qwen25_3B,
    Llama31_8B,
}

impl Shape {
    /// All of them, the smallest first.
    pub const ALL: [Self; 5] = [
        Self::SmolLm2_135M,
        Self::Qwen25_0_5B,
        Self::Qwen25_1_5B,
        Self::Qwen25_3B,
        Self::Llama31_8B,
    ];

    /// The model's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SmolLm2_135M => "smollm2-135m",
            Self::Qwen25_0_5B => "qwen2.5-0.5b",
            Self::Qwen25_1_5B => "qwen2.5-1.5b",
            Self::Qwen25_3B => "qwen2.5-3b",
            Self::Llama31_8B => "llama-3.1-8b",
        }
    }

    /// Its hyperparameters, from the models' own `config.json`. (Llama's scaling of RoPE, which costs nothing, is left out.)
    pub fn config(self) -> Config {
        // Layers, embedding, feed-forward, query heads, key and value heads, elements of a head.
        let (sizes, vocabulary, rope_base) = match self {
            Self::SmolLm2_135M => ([30, 576, 1536, 9, 3, 64], 49152, 100_000.0),
            Self::Qwen25_0_5B => ([24, 896, 4864, 14, 2, 64], 151_936, 1_000_000.0),
            Self::Qwen25_1_5B => ([28, 1536, 8960, 12, 2, 128], 151_936, 1_000_000.0),
            Self::Qwen25_3B => ([36, 2048, 11008, 16, 2, 128], 151_936, 1_000_000.0),
            Self::Llama31_8B => ([32, 4096, 14336, 32, 8, 128], 128_256, 500_000.0),
        };
        let [
            layers,
            embedding,
            feed_forward,
            heads,
            heads_kv,
            head_elements,
        ] = sizes;
        let llama = matches!(self, Self::SmolLm2_135M | Self::Llama31_8B);
        Config {
            architecture: if llama {
                Architecture::Llama
            } else {
                Architecture::Qwen2
            },
            name: Some(self.name().to_owned()),
            layers,
            context_tokens: 8192,
            embedding,
            feed_forward,
            heads,
            heads_kv,
            head_elements,
            rope_elements: head_elements,
            rope_base,
            norm_epsilon: if llama { 1e-5 } else { 1e-6 },
            vocabulary,
            tied_embeddings: self != Self::Llama31_8B,
        }
    }

    /// Bytes of weights, which a token reads all of once, except, where it is a table of its own, all but a row of the embedding.
    pub fn weight_bytes(self) -> u64 {
        weight_bytes(&self.config())
    }

    /// Whether the weights and one sequence of `tokens` tokens for each of `sequences` fit into a device's memory. Asks the device for nothing.
    ///
    /// # Errors
    /// [`Error::TooLarge`], and [`Error::ContextExceeded`].
    pub fn check(self, device: &Capabilities, tokens: u32, sequences: u32) -> Result<(), Error> {
        let config = self.config();
        if tokens > config.context_tokens {
            return Err(Error::ContextExceeded {
                prompt: 0,
                more: tokens as usize,
                context: config.context_tokens,
            });
        }
        let head = match config.tied_embeddings {
            true => 0,
            false => matrix_bytes(config.vocabulary, config.embedding),
        };
        let cache = cache_bytes(&config, tokens.next_multiple_of(32));
        let activations = u64::from(config.vocabulary + 8 * config.feed_forward) * 4 * 8;
        let needed = weight_bytes(&config) + head + u64::from(sequences) * (cache + activations);
        if needed > device.memory_bytes {
            return Err(Error::TooLarge {
                shape: self.name(),
                needed,
                device: device.name.clone(),
                memory: device.memory_bytes,
            });
        }
        Ok(())
    }
}

/// Bytes of a matrix: 20 for 32 weights.
fn matrix_bytes(rows: u32, columns: u32) -> u64 {
    u64::from(rows) * u64::from(columns / 32) * 20
}

fn weight_bytes(config: &Config) -> u64 {
    let qkv = config.query_width() + 2 * config.key_value_width();
    let layer = matrix_bytes(qkv, config.embedding)
        + matrix_bytes(config.embedding, config.query_width())
        + matrix_bytes(2 * config.feed_forward, config.embedding)
        + matrix_bytes(config.embedding, config.feed_forward)
        + u64::from(2 * config.embedding) * 4;
    u64::from(config.layers) * layer + matrix_bytes(config.vocabulary, config.embedding)
}

/// Keys and values of so many positions, in halves.
fn cache_bytes(config: &Config, positions: u32) -> u64 {
    u64::from(config.layers) * u64::from(positions) * u64::from(config.key_value_width()) * 4
}

/// A model of random four-bit weights on a device.
#[derive(Debug)]
pub struct Synthetic {
    network: Arc<Network>,
}

impl Synthetic {
    /// Makes the weights on the device and compiles the kernels. `progress` is told the layers done, and all.
    ///
    /// # Errors
    /// As [`Shape::check`], before anything is allocated; memory that runs out; the device's errors.
    pub fn new(
        device: &Device,
        shape: Shape,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, Error> {
        shape.check(device.capabilities(), 1, 1)?;
        let config = shape.config();
        let mut maker = Maker {
            stream: device.stream_with(Policy::Adaptive)?,
            kernel: device
                .module_from_wgsl(&kernels::random_source())?
                .kernel("random")?,
            matrices: 0,
        };
        let embedding = maker.matrix(config.vocabulary, config.embedding, 1)?;
        let mut layers = Vec::new();
        for layer in 0..config.layers {
            layers.push(maker.layer(&config)?);
            maker.stream.synchronize()?;
            progress((layer + 1).into(), config.layers.into());
        }
        let output = match config.tied_embeddings {
            true => None,
            false => Some(maker.matrix(config.vocabulary, config.embedding, 1)?),
        };
        let weights = Weights {
            embedding,
            layers,
            output_norm: maker.ones(config.embedding)?,
            output,
        };
        maker.stream.synchronize()?;
        let target = Target::of(device.capabilities());
        let network = Network::new(device, target, config, weights)?;
        Ok(Self {
            network: Arc::new(network),
        })
    }

    /// A sequence of up to `tokens` tokens that is decoded under a policy.
    ///
    /// # Errors
    /// Memory that runs out; the device's errors.
    pub fn decoder(&self, policy: Policy, tokens: u32) -> Result<Decoder, Error> {
        let session = Session::new(&self.network, policy, tokens.max(1), 1)?;
        let mut decoder = Decoder {
            session,
            tokens: tokens.max(1),
            done: 0,
        };
        decoder.restart()?;
        Ok(decoder)
    }
}

/// A sequence that is decoded one token at a time, each token the likeliest after those before it.
#[derive(Debug)]
pub struct Decoder {
    session: Session,
    tokens: u32,
    /// Steps since the start.
    done: u32,
}

impl Decoder {
    /// Starts again with the same first token.
    ///
    /// # Errors
    /// The device's.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.done = 0;
        self.session.append(0, 1)
    }

    /// Records one step: the newest token goes through the model, and the likeliest one to follow is appended. The sequence starts again when it is full.
    ///
    /// # Errors
    /// The device's.
    pub fn step(&mut self) -> Result<(), Error> {
        if self.done == self.tokens {
            self.restart()?;
        }
        self.done += 1;
        self.session.step(self.done)
    }

    /// Makes a graph of a step, which [`Self::step`] launches from then on. `false`, and nothing changes, if the embedding is too large for one buffer.
    ///
    /// # Errors
    /// The device's.
    pub fn capture(&mut self) -> Result<bool, Error> {
        self.session.capture_step()
    }

    /// Starts to read the newest token.
    ///
    /// # Errors
    /// The device's.
    pub fn newest(&mut self) -> Result<Pending<u32>, Error> {
        self.session.token(self.done)
    }

    /// Starts to read all tokens since the start, the first one included.
    ///
    /// # Errors
    /// The device's.
    pub fn sequence(&mut self) -> Result<Pending<u32>, Error> {
        self.session.sequence(self.done + 1)
    }

    /// Waits until everything recorded is done.
    ///
    /// # Errors
    /// The device's.
    pub fn synchronize(&mut self) -> Result<(), Error> {
        Ok(self.session.stream.synchronize()?)
    }

    /// Runs so many tokens, none of them told, through the model together, as a prompt. For measurements of prefill.
    ///
    /// # Errors
    /// The device's.
    pub fn prefill(&mut self, tokens: u32) -> Result<(), Error> {
        let tokens = tokens.clamp(1, self.tokens);
        let prompt: Vec<u32> = (1..=tokens).collect();
        self.session.set_tokens(0, &prompt)?;
        self.session.prefill(tokens)?;
        self.done = tokens;
        self.session.choose(tokens)
    }
}

/// Bytes that a token reads at a mean past of `tokens / 2` positions: weights, keys and values.
pub fn bytes_per_token(shape: Shape, tokens: u32) -> u64 {
    shape.weight_bytes() + cache_bytes(&shape.config(), tokens / 2)
}

struct Maker {
    stream: Stream,
    kernel: Kernel,
    /// Matrices made, for their seeds.
    matrices: u32,
}

/// Workgroups along x, which every device allows.
const ROW: u32 = kernels::RANDOM_ROW;

impl Maker {
    fn layer(&mut self, config: &Config) -> Result<Layer, Error> {
        let qkv = config.query_width() + 2 * config.key_value_width();
        let (embedding, feed_forward) = (config.embedding, config.feed_forward);
        let bias: Vec<f32> = (0..qkv).map(|it| (it % 7) as f32 / 16.0 - 0.2).collect();
        Ok(Layer {
            attention_norm: self.ones(embedding)?,
            qkv: self.matrix(qkv, embedding, 1)?,
            bias: match config.architecture.attention_bias() {
                true => Some(self.stream.upload_new(&bias)?),
                false => None,
            },
            attention_output: self.matrix(embedding, config.query_width(), 1)?,
            feed_forward_norm: self.ones(embedding)?,
            gate_up: self.matrix(2 * feed_forward, embedding, 2)?,
            down: self.matrix(embedding, feed_forward, 1)?,
        })
    }

    fn ones(&mut self, columns: u32) -> Result<Buffer<f32>, Error> {
        Ok(self.stream.upload_new(&vec![1.0; columns as usize])?)
    }

    fn matrix(&mut self, rows: u32, columns: u32, rows_each: u32) -> Result<Matrix, Error> {
        let device = self.stream.device();
        let matrix = Matrix::empty(&device, Packing::Q4.into(), rows, columns, rows_each)?;
        // Keeps activations near 1.
        let scale = (3.0 / columns as f32).sqrt();
        for piece in &matrix.pieces {
            self.fill(&piece.quants, 0.0)?;
            if let Some(scales) = &piece.scales {
                self.fill(scales, scale)?;
            }
        }
        Ok(matrix)
    }

    fn fill(&mut self, words: &Buffer<u32>, scale: f32) -> Result<(), Error> {
        self.matrices += 1;
        let count = words.len() as u32;
        let groups = count.div_ceil(256);
        let grid = [groups.min(ROW), groups.div_ceil(ROW)];
        let arguments = (words, count, self.matrices, scale);
        Ok(self.stream.launch(&self.kernel, grid, arguments)?)
    }
}
