//! A model's weights and kernels on a device: all that a forward pass needs.

use tidegate::{Buffer, Device};

use crate::config::Config;
use crate::error::Error;
use crate::kernels::{Kernels, Role, Target};
use crate::weights::Matrix;

/// Weights and kernels.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) device: Device,
    pub(crate) config: Config,
    pub(crate) kernels: Kernels,
    pub(crate) embedding: Matrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) output_norm: Buffer<f32>,
    /// Where it is not the embedding table.
    output: Option<Matrix>,
}

/// All weights of a network.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) embedding: Matrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) output_norm: Buffer<f32>,
    /// Where it is not the embedding table.
    pub(crate) output: Option<Matrix>,
}

/// One layer's weights. Matrices that have the same input are one.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) attention_norm: Buffer<f32>,
    pub(crate) qkv: Matrix,
    /// Of queries, keys and values, where the model has them.
    pub(crate) bias: Option<Buffer<f32>>,
    pub(crate) attention_output: Matrix,
    pub(crate) feed_forward_norm: Buffer<f32>,
    pub(crate) gate_up: Matrix,
    pub(crate) down: Matrix,
}

impl Layer {
    pub(crate) fn qkv_role(&self) -> Role {
        Role::Qkv(self.bias.is_some())
    }

    fn matrices(&self) -> [(Role, &Matrix); 4] {
        [
            (self.qkv_role(), &self.qkv),
            (Role::AttentionOutput, &self.attention_output),
            (Role::GateUp, &self.gate_up),
            (Role::Down, &self.down),
        ]
    }
}

impl Network {
    /// Compiles the kernels for these weights.
    pub(crate) fn new(
        device: &Device,
        target: Target,
        config: Config,
        weights: Weights,
    ) -> Result<Self, Error> {
        let Weights {
            embedding,
            layers,
            output_norm,
            output,
        } = weights;
        let head = (Role::Head, output.as_ref().unwrap_or(&embedding));
        let matrices = layers.iter().flat_map(Layer::matrices);
        let matrices: Vec<_> = matrices.chain([head]).collect();
        let kernels = Kernels::new(device, target, &config, &embedding, &matrices)?;
        Ok(Self {
            device: device.clone(),
            config,
            kernels,
            embedding,
            layers,
            output_norm,
            output,
        })
    }

    /// The output projection.
    pub(crate) fn head(&self) -> &Matrix {
        self.output.as_ref().unwrap_or(&self.embedding)
    }

    /// Most tokens that go through the model together.
    pub(crate) fn chunk_tokens(&self) -> u32 {
        self.kernels.target.chunk_tokens()
    }
}
