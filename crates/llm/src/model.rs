//! A model on a device.

use std::sync::Arc;

use tidegate::{Buffer, Device, Policy, Stream};

use crate::config::Config;
use crate::error::Error;
use crate::file::ModelFile;
use crate::gguf::{Gguf, GgufFile, TensorInfo};
use crate::kernels::{Role, Target};
use crate::network::{Layer, Network, Weights};
use crate::tokenizer::Tokenizer;
use crate::weights::{Matrix, PIECE_BYTES};

/// A model whose weights are on a device, with its tokenizer.
#[derive(Debug)]
pub struct Model {
    pub(crate) network: Arc<Network>,
    tokenizer: Tokenizer,
}

impl Model {
    /// Uploads a file's weights, a piece at a time. `progress` is told the bytes done, and all.
    ///
    /// # Errors
    /// The file cannot be read any more; memory that runs out.
    pub fn load(
        device: &Device,
        file: ModelFile,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, Error> {
        Self::load_for(device, Target::of(device.capabilities()), file, progress)
    }

    /// As [`Self::load`], with the kernels of another kind of device: for tests.
    ///
    /// # Errors
    /// As [`Self::load`].
    #[cfg(any(test, feature = "testing"))]
    pub fn load_with(device: &Device, target: Target, file: ModelFile) -> Result<Self, Error> {
        Self::load_for(device, target, file, &mut |_, _| {})
    }

    fn load_for(
        device: &Device,
        target: Target,
        file: ModelFile,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, Error> {
        let ModelFile {
            gguf,
            config,
            tokenizer,
        } = file;
        let mut loader = Loader {
            stream: device.stream_with(Policy::Adaptive)?,
            file: &gguf,
            biased: config.architecture.attention_bias(),
            done: 0,
            total: gguf.header().tensors().iter().map(|it| it.bytes).sum(),
            progress,
        };
        let embedding = loader.matrix(Role::Head, &["token_embd.weight"])?;
        let layers = (0..config.layers)
            .map(|layer| loader.layer(layer))
            .collect::<Result<Vec<_>, _>>()?;
        let output_norm = loader.vector("output_norm.weight")?;
        let output = match config.tied_embeddings {
            true => None,
            false => Some(loader.matrix(Role::Head, &["output.weight"])?),
        };
        loader.stream.synchronize()?;
        let weights = Weights {
            embedding,
            layers,
            output_norm,
            output,
        };
        let network = Network::new(device, target, config, weights)?;
        Ok(Self {
            network: Arc::new(network),
            tokenizer,
        })
    }

    /// The hyperparameters.
    pub fn config(&self) -> &Config {
        &self.network.config
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }
}

struct Loader<'a> {
    stream: Stream,
    file: &'a GgufFile,
    /// Whether queries, keys and values have biases.
    biased: bool,
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Loader<'_> {
    fn layer(&mut self, layer: u32) -> Result<Layer, Error> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        Ok(Layer {
            attention_norm: self.vector(&name("attn_norm"))?,
            qkv: self.matrix(
                Role::Qkv(false),
                &[&name("attn_q"), &name("attn_k"), &name("attn_v")],
            )?,
            bias: self.bias(layer)?,
            attention_output: self.matrix(Role::AttentionOutput, &[&name("attn_output")])?,
            feed_forward_norm: self.vector(&name("ffn_norm"))?,
            gate_up: self.matrix(Role::GateUp, &[&name("ffn_gate"), &name("ffn_up")])?,
            down: self.matrix(Role::Down, &[&name("ffn_down")])?,
        })
    }

    fn matrix(&mut self, role: Role, names: &[&str]) -> Result<Matrix, Error> {
        let header: &Gguf = self.file.header();
        let tensors: Vec<&TensorInfo> = names
            .iter()
            .map(|it| header.tensor(it))
            .collect::<Result<_, _>>()?;
        let (stream, file) = (&mut self.stream, self.file);
        let (done, total, progress) = (&mut self.done, self.total, &mut *self.progress);
        Matrix::load(stream, file, &tensors, role, PIECE_BYTES, &mut |bytes| {
            *done += bytes;
            progress(*done, total);
        })
    }

    /// Biases of queries, keys and values as one vector, as their matrix is one.
    fn bias(&mut self, layer: u32) -> Result<Option<Buffer<f32>>, Error> {
        if !self.biased {
            return Ok(None);
        }
        let mut values = Vec::new();
        for part in ["attn_q", "attn_k", "attn_v"] {
            values.extend(self.read(&format!("blk.{layer}.{part}.bias"))?);
        }
        Ok(Some(self.stream.upload_new(&values)?))
    }

    fn vector(&mut self, name: &str) -> Result<Buffer<f32>, Error> {
        let values = self.read(name)?;
        Ok(self.stream.upload_new(&values)?)
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let tensor = self.file.header().tensor(name)?;
        let values = self.file.read_tensor_f32(tensor)?;
        self.done += tensor.bytes;
        (self.progress)(self.done, self.total);
        Ok(values)
    }
}
