//! A model on a device.

use tidegate::{Buffer, Device, Policy, Stream};

use crate::config::Config;
use crate::error::Error;
use crate::file::ModelFile;
use crate::format::Format;
use crate::gguf::{Gguf, GgufFile, TensorInfo};
use crate::kernels::{Kernels, Then};
use crate::tokenizer::Tokenizer;
use crate::weights::{Bias, Matrix, PIECE_BYTES};

/// A model whose weights are on a device, with its tokenizer.
#[derive(Debug)]
pub struct Model {
    pub(crate) device: Device,
    pub(crate) config: Config,
    pub(crate) kernels: Kernels,
    pub(crate) embedding: Matrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) output_norm: Buffer<f32>,
    /// Where it is not the embedding table.
    output: Option<Matrix>,
    tokenizer: Tokenizer,
}

/// One layer's weights. Matrices that have the same input are one.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) attention_norm: Buffer<f32>,
    pub(crate) qkv: Matrix,
    pub(crate) bias: Bias,
    pub(crate) attention_output: Matrix,
    pub(crate) feed_forward_norm: Buffer<f32>,
    pub(crate) gate_up: Matrix,
    pub(crate) down: Matrix,
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
        let embedding = loader.matrix(&["token_embd.weight"])?;
        let layers = (0..config.layers)
            .map(|layer| loader.layer(layer))
            .collect::<Result<Vec<_>, _>>()?;
        let output_norm = loader.vector("output_norm.weight")?;
        let output = match config.tied_embeddings {
            true => None,
            false => Some(loader.matrix(&["output.weight"])?),
        };
        loader.stream.synchronize()?;
        let head = output.as_ref().unwrap_or(&embedding).format;
        let kernels = Kernels::new(device, &config, embedding.format, &products(&layers, head))?;
        Ok(Self {
            device: device.clone(),
            config,
            kernels,
            embedding,
            layers,
            output_norm,
            output,
            tokenizer,
        })
    }

    /// The hyperparameters.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The output projection.
    pub(crate) fn output(&self) -> &Matrix {
        self.output.as_ref().unwrap_or(&self.embedding)
    }
}

/// The matrix products that a forward pass makes, each once.
fn products(layers: &[Layer], head: Format) -> Vec<(Format, Then)> {
    let mut products = vec![(head, Then::Store)];
    for layer in layers {
        for product in [
            (layer.qkv.format, Then::Store),
            (layer.attention_output.format, Then::Add),
            (layer.gate_up.format, Then::Gate),
            (layer.down.format, Then::Add),
        ] {
            if !products.contains(&product) {
                products.push(product);
            }
        }
    }
    products
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
            qkv: self.matrix(&[&name("attn_q"), &name("attn_k"), &name("attn_v")])?,
            bias: self.bias(layer)?,
            attention_output: self.matrix(&[&name("attn_output")])?,
            feed_forward_norm: self.vector(&name("ffn_norm"))?,
            gate_up: self.matrix(&[&name("ffn_gate"), &name("ffn_up")])?,
            down: self.matrix(&[&name("ffn_down")])?,
        })
    }

    fn matrix(&mut self, names: &[&str]) -> Result<Matrix, Error> {
        let header: &Gguf = self.file.header();
        let tensors: Vec<&TensorInfo> = names
            .iter()
            .map(|it| header.tensor(it))
            .collect::<Result<_, _>>()?;
        let (stream, file) = (&mut self.stream, self.file);
        let (done, total, progress) = (&mut self.done, self.total, &mut *self.progress);
        Matrix::load(stream, file, &tensors, PIECE_BYTES, &mut |bytes| {
            *done += bytes;
            progress(*done, total);
        })
    }

    /// Biases of queries, keys and values as one vector, as their matrix is one.
    fn bias(&mut self, layer: u32) -> Result<Bias, Error> {
        if !self.biased {
            return Ok(Bias(None));
        }
        let mut values = Vec::new();
        for part in ["attn_q", "attn_k", "attn_v"] {
            values.extend(self.read(&format!("blk.{layer}.{part}.bias"))?);
        }
        Ok(Bias(Some(self.stream.upload_new(&values)?)))
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
