use super::linear::{add_assign, add_to_rows, matrix_product, norm, rope, silu, softmax};
use crate::config::{Config, ConfigError};
use crate::gguf::{Gguf, GgufError, GgufFile, TensorInfo};
use crate::quant::dequantise;

/// A forward pass on the CPU, in single precision from dequantised weights: what kernels are measured against.
///
/// It is written to be read, not to be fast. On SmolLM2-135M it needs 540 MB and about 50 ms a token.
#[derive(Debug)]
pub struct Reference {
    config: Config,
    embeddings: Vec<f32>,
    layers: Vec<Layer>,
    output_norm: Vec<f32>,
    /// Where it is not the embedding table.
    output: Option<Vec<f32>>,
    position: usize,
}

#[derive(Debug)]
struct Layer {
    attn_norm: Vec<f32>,
    attn_q: Vec<f32>,
    attn_k: Vec<f32>,
    attn_v: Vec<f32>,
    /// Biases of queries, keys and values: empty where there are none.
    biases: [Vec<f32>; 3],
    attn_output: Vec<f32>,
    ffn_norm: Vec<f32>,
    ffn_gate: Vec<f32>,
    ffn_up: Vec<f32>,
    ffn_down: Vec<f32>,
    /// Keys after RoPE, one row of `key_value_width` a position.
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Everything a forward pass computes. Each is row-major: one row a token of this pass.
#[derive(Clone, Debug, Default)]
pub struct Activations {
    /// Rows of the embedding table.
    pub embeddings: Vec<f32>,
    /// Layer by layer.
    pub layers: Vec<LayerActivations>,
    /// After the final norm.
    pub output_norm: Vec<f32>,
    /// One row of `vocabulary` a token.
    pub logits: Vec<f32>,
}

/// What one layer computes, in order.
#[derive(Clone, Debug, Default)]
pub struct LayerActivations {
    /// The residual stream, normed.
    pub attn_norm: Vec<f32>,
    /// Queries after RoPE.
    pub q: Vec<f32>,
    /// Keys after RoPE.
    pub k: Vec<f32>,
    /// Values.
    pub v: Vec<f32>,
    /// The heads' weighted values, side by side.
    pub attention: Vec<f32>,
    /// Their projection.
    pub attn_output: Vec<f32>,
    /// The residual stream with `attn_output` added.
    pub attn_residual: Vec<f32>,
    /// `attn_residual`, normed.
    pub ffn_norm: Vec<f32>,
    /// The gate, before SiLU.
    pub gate: Vec<f32>,
    /// What the gate multiplies.
    pub up: Vec<f32>,
    /// `silu(gate) * up`.
    pub activated: Vec<f32>,
    /// Its projection.
    pub ffn_down: Vec<f32>,
    /// The residual stream with `ffn_down` added: the layer's output.
    pub output: Vec<f32>,
}

impl Reference {
    /// Reads a model from an open file.
    ///
    /// # Errors
    /// If the file is not a model that this crate can decode, or cannot be read.
    pub fn new(file: &GgufFile) -> Result<Self, ConfigError> {
        Self::load(file.header(), |tensor| file.read_tensor_f32(tensor))
    }

    /// Reads a model from a file in memory.
    ///
    /// # Errors
    /// If it is not a model that this crate can decode.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
        let gguf = Gguf::parse(bytes, bytes.len() as u64)?;
        Self::load(&gguf, |tensor| {
            Ok(dequantise(
                tensor.ty,
                &bytes[tensor.offset as usize..][..tensor.bytes as usize],
            ))
        })
    }

    fn load(
        gguf: &Gguf,
        read: impl Fn(&TensorInfo) -> Result<Vec<f32>, GgufError>,
    ) -> Result<Self, ConfigError> {
        let config = Config::from_gguf(gguf)?;
        let tensor = |name: &str| read(gguf.tensor(name)?);
        let layer = |index: u32| -> Result<Layer, GgufError> {
            let part = |name: &str| tensor(&format!("blk.{index}.{name}.weight"));
            let bias = |name: &str| match config.architecture.attention_bias() {
                true => tensor(&format!("blk.{index}.{name}.bias")),
                false => Ok(Vec::new()),
            };
            Ok(Layer {
                attn_norm: part("attn_norm")?,
                attn_q: part("attn_q")?,
                attn_k: part("attn_k")?,
                attn_v: part("attn_v")?,
                biases: [bias("attn_q")?, bias("attn_k")?, bias("attn_v")?],
                attn_output: part("attn_output")?,
                ffn_norm: part("ffn_norm")?,
                ffn_gate: part("ffn_gate")?,
                ffn_up: part("ffn_up")?,
                ffn_down: part("ffn_down")?,
                keys: Vec::new(),
                values: Vec::new(),
            })
        };
        Ok(Self {
            embeddings: tensor("token_embd.weight")?,
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            output_norm: tensor("output_norm.weight")?,
            output: if config.tied_embeddings {
                None
            } else {
                Some(tensor("output.weight")?)
            },
            position: 0,
            config,
        })
    }

    /// The model's hyperparameters.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Forgets all tokens so far.
    pub fn reset(&mut self) {
        self.position = 0;
        for layer in &mut self.layers {
            layer.keys.clear();
            layer.values.clear();
        }
    }

    /// Decodes more tokens, after those of earlier calls. One row of logits a token.
    ///
    /// # Panics
    /// If a token is not in the vocabulary.
    pub fn forward(&mut self, tokens: &[u32]) -> Vec<f32> {
        self.run(tokens, None).logits
    }

    /// As [`forward`](Self::forward), and keeps what every step computed.
    ///
    /// # Panics
    /// If a token is not in the vocabulary.
    pub fn trace(&mut self, tokens: &[u32]) -> Activations {
        let mut layers = Vec::new();
        let activations = self.run(tokens, Some(&mut layers));
        Activations {
            layers,
            ..activations
        }
    }

    /// Mean negative log-likelihood of the tokens after the first, in nats, each predicted from all before it.
    ///
    /// # Panics
    /// If there are fewer than two tokens, or one is not in the vocabulary.
    pub fn nll(&mut self, tokens: &[u32]) -> f64 {
        assert!(tokens.len() >= 2, "{} tokens predict nothing", tokens.len());
        self.reset();
        let logits = self.forward(&tokens[..tokens.len() - 1]);
        let rows = logits.chunks_exact(self.config.vocabulary as usize);
        let total: f64 = rows
            .zip(&tokens[1..])
            .map(|(row, &next)| surprise(row, next))
            .sum();
        total / (tokens.len() - 1) as f64
    }

    fn run(
        &mut self,
        tokens: &[u32],
        mut trace: Option<&mut Vec<LayerActivations>>,
    ) -> Activations {
        let width = self.config.embedding as usize;
        let row = |&token: &u32| &self.embeddings[token as usize * width..][..width];
        let embeddings: Vec<f32> = tokens.iter().flat_map(row).copied().collect();
        let mut residual = embeddings.clone();
        for layer in &mut self.layers {
            let activations = layer.run(&self.config, self.position, &residual);
            residual.clone_from(&activations.output);
            if let Some(layers) = trace.as_deref_mut() {
                layers.push(activations);
            }
        }
        self.position += tokens.len();
        let output_norm = norm(&residual, &self.output_norm, self.config.norm_epsilon);
        let logits = matrix_product(
            self.output.as_ref().unwrap_or(&self.embeddings),
            &output_norm,
            width,
        );
        Activations {
            embeddings,
            layers: Vec::new(),
            output_norm,
            logits,
        }
    }
}

impl Layer {
    fn run(&mut self, config: &Config, position: usize, residual: &[f32]) -> LayerActivations {
        let width = config.embedding as usize;
        let attn_norm = norm(residual, &self.attn_norm, config.norm_epsilon);
        let mut q = matrix_product(&self.attn_q, &attn_norm, width);
        let mut k = matrix_product(&self.attn_k, &attn_norm, width);
        let mut v = matrix_product(&self.attn_v, &attn_norm, width);
        for (rows, bias) in [&mut q, &mut k, &mut v].into_iter().zip(&self.biases) {
            add_to_rows(rows, bias);
        }
        rope(&mut q, config.query_width() as usize, config, position);
        rope(&mut k, config.key_value_width() as usize, config, position);
        self.keys.extend(&k);
        self.values.extend(&v);
        let attention = self.attention(config, position, &q);
        let attn_output =
            matrix_product(&self.attn_output, &attention, config.query_width() as usize);
        let mut attn_residual = residual.to_vec();
        add_assign(&mut attn_residual, &attn_output);

        let ffn_norm = norm(&attn_residual, &self.ffn_norm, config.norm_epsilon);
        let gate = matrix_product(&self.ffn_gate, &ffn_norm, width);
        let up = matrix_product(&self.ffn_up, &ffn_norm, width);
        let activated: Vec<f32> = gate
            .iter()
            .zip(&up)
            .map(|(&gate, &up)| silu(gate) * up)
            .collect();
        let ffn_down = matrix_product(&self.ffn_down, &activated, config.feed_forward as usize);
        let mut output = attn_residual.clone();
        add_assign(&mut output, &ffn_down);
        LayerActivations {
            attn_norm,
            q,
            k,
            v,
            attention,
            attn_output,
            attn_residual,
            ffn_norm,
            gate,
            up,
            activated,
            ffn_down,
            output,
        }
    }

    /// Each query head looks at all positions up to its own, in the key and value head that its group shares.
    fn attention(&self, config: &Config, position: usize, q: &[f32]) -> Vec<f32> {
        let [heads, heads_kv, head] =
            [config.heads, config.heads_kv, config.head_elements].map(|count| count as usize);
        let scale = 1.0 / (head as f32).sqrt();
        let mut out = vec![0.0; q.len()];
        for (index, (query, out)) in q
            .chunks_exact(head)
            .zip(out.chunks_exact_mut(head))
            .enumerate()
        {
            let (token, query_head) = (index / heads, index % heads);
            let offset = query_head / (heads / heads_kv) * head;
            let at = |past: usize| past * heads_kv * head + offset;
            let mut weights: Vec<f32> = (0..=position + token)
                .map(|past| {
                    let key = &self.keys[at(past)..][..head];
                    scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f32>()
                })
                .collect();
            softmax(&mut weights);
            for (past, weight) in weights.iter().enumerate() {
                let value = &self.values[at(past)..][..head];
                out.iter_mut()
                    .zip(value)
                    .for_each(|(out, value)| *out += weight * value);
            }
        }
        out
    }
}

/// The negative log-probability of `token` under the softmax of `logits`, in nats.
fn surprise(logits: &[f32], token: u32) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|&logit| f64::from(logit - max).exp())
        .sum();
    sum.ln() + f64::from(max) - f64::from(logits[token as usize])
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
