use std::path::PathBuf;

use half::f16;

use super::GgufWriter;
use crate::gguf::{Array, Value};
use crate::quant::TensorType;

/// The name of the model's file in the user's cache folder.
pub const MODEL_FILE_NAME: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Where the demonstration's model is: `$TIDEGATE_MODEL`, or `tidegate/` in the user's cache folder.
///
/// # Panics
/// If it is in neither place. A test that needs the model fails rather than passing without having run.
pub fn model_path() -> PathBuf {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cached = || {
        let cache =
            variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
        Some(cache.join("tidegate").join(MODEL_FILE_NAME))
    };
    let path = variable("TIDEGATE_MODEL")
        .or_else(cached)
        .unwrap_or_else(|| MODEL_FILE_NAME.into());
    assert!(
        path.is_file(),
        "no model at {}: run `cargo xtask test`, which fetches it",
        path.display()
    );
    path
}

/// A Llama of a few thousand weights, drawn from a seed: what tests of shapes, types and bad input decode.
///
/// Its tokenizer has the 256 bytes, one merge (`ab`), and the control tokens `<|im_start|>` and `<|im_end|>`.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are those of `Config`")]
pub struct TinyModel {
    pub seed: u64,
    /// The type of every matrix; norms are F32.
    pub ty: TensorType,
    pub layers: u32,
    pub context_tokens: u32,
    pub heads: u32,
    pub heads_kv: u32,
    pub head_elements: u32,
    pub feed_forward: u32,
    pub tied_embeddings: bool,
}

impl Default for TinyModel {
    fn default() -> Self {
        Self {
            seed: 1,
            ty: TensorType::Q4_1,
            layers: 2,
            context_tokens: 64,
            heads: 4,
            heads_kv: 2,
            head_elements: 16,
            feed_forward: 96,
            tied_embeddings: true,
        }
    }
}

impl TinyModel {
    /// Tokens in the tiny model's vocabulary.
    pub const VOCABULARY: u32 = 256 + 1 + 2;

    /// A writer that holds the model: change it before [`GgufWriter::bytes`] to break the model.
    pub fn writer(&self) -> GgufWriter {
        let mut writer = GgufWriter::default();
        let mut number = |key: &str, value: u32| {
            writer.add(&format!("llama.{key}"), Value::U32(value));
        };
        let embedding = self.heads * self.head_elements;
        number("block_count", self.layers);
        number("context_length", self.context_tokens);
        number("embedding_length", embedding);
        number("feed_forward_length", self.feed_forward);
        number("attention.head_count", self.heads);
        number("attention.head_count_kv", self.heads_kv);
        number("rope.dimension_count", self.head_elements);
        number("vocab_size", Self::VOCABULARY);
        writer
            .add("general.architecture", Value::String("llama".to_owned()))
            .add("general.name", Value::String("tiny".to_owned()))
            .add("llama.rope.freq_base", Value::F32(10_000.0))
            .add("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5));
        tokenizer(&mut writer);
        self.tensors(&mut writer);
        writer
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        self.writer().bytes()
    }

    fn tensors(&self, writer: &mut GgufWriter) {
        let mut random = Random(self.seed);
        let [embedding, key_value, feed_forward] = [
            self.heads * self.head_elements,
            self.heads_kv * self.head_elements,
            self.feed_forward,
        ]
        .map(u64::from);
        let vocabulary = u64::from(Self::VOCABULARY);
        let mut matrix = |writer: &mut GgufWriter, name: &str, dims: [u64; 2]| {
            let data = random.matrix(self.ty, dims);
            writer.tensor(name, &dims, self.ty, data);
        };
        matrix(writer, "token_embd.weight", [embedding, vocabulary]);
        for layer in 0..self.layers {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            norm(writer, &name("attn_norm"), embedding, layer);
            matrix(writer, &name("attn_q"), [embedding, embedding]);
            matrix(writer, &name("attn_k"), [embedding, key_value]);
            matrix(writer, &name("attn_v"), [embedding, key_value]);
            matrix(writer, &name("attn_output"), [embedding, embedding]);
            norm(writer, &name("ffn_norm"), embedding, layer + 1);
            matrix(writer, &name("ffn_gate"), [embedding, feed_forward]);
            matrix(writer, &name("ffn_up"), [embedding, feed_forward]);
            matrix(writer, &name("ffn_down"), [feed_forward, embedding]);
        }
        norm(writer, "output_norm.weight", embedding, 7);
        if !self.tied_embeddings {
            matrix(writer, "output.weight", [embedding, vocabulary]);
        }
    }
}

/// Weights near 1 that differ along the row, so that a shifted or missing norm shows.
fn norm(writer: &mut GgufWriter, name: &str, elements: u64, salt: u32) {
    let weight = |index: u64| 0.75 + ((index + u64::from(salt)) % 8) as f32 / 16.0;
    let data = (0..elements)
        .flat_map(|index| weight(index).to_le_bytes())
        .collect();
    writer.tensor(name, &[elements], TensorType::F32, data);
}

fn tokenizer(writer: &mut GgufWriter) {
    let mut tokens: Vec<String> = (0..=255)
        .map(|byte| crate::byte_level::to_char(byte).to_string())
        .collect();
    tokens.extend(["ab", "<|im_start|>", "<|im_end|>"].map(str::to_owned));
    let mut types = vec![1; tokens.len()];
    types[257] = 3;
    types[258] = 3;
    let template = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + \
                    '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    writer
        .add("tokenizer.ggml.model", Value::String("gpt2".to_owned()))
        .add("tokenizer.ggml.pre", Value::String("smollm".to_owned()))
        .add("tokenizer.ggml.add_bos_token", Value::Bool(false))
        .add("tokenizer.ggml.tokens", Value::Array(Array::String(tokens)))
        .add("tokenizer.ggml.token_type", Value::Array(Array::I32(types)))
        .add(
            "tokenizer.ggml.merges",
            Value::Array(Array::String(vec!["a b".to_owned()])),
        )
        .add("tokenizer.ggml.bos_token_id", Value::U32(257))
        .add("tokenizer.ggml.eos_token_id", Value::U32(258))
        .add(
            "tokenizer.chat_template",
            Value::String(template.to_owned()),
        );
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From -1 to 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Weights of mean 0, of about the size that keeps activations near 1.
    fn matrix(&mut self, ty: TensorType, dims: [u64; 2]) -> Vec<u8> {
        let scale = (3.0 / dims[0] as f32).sqrt();
        let mut data = Vec::new();
        for _ in 0..dims[0] * dims[1] / ty.block_elements() {
            // Blocks differ in scale, so that a scale taken from a neighbouring block shows.
            let block_scale = scale * (1.0 + 0.5 * self.unit());
            match ty {
                TensorType::F32 => data.extend((self.unit() * scale).to_le_bytes()),
                TensorType::F16 => data.extend(f16::from_f32(self.unit() * scale).to_le_bytes()),
                TensorType::Bf16 => {
                    data.extend(half::bf16::from_f32(self.unit() * scale).to_le_bytes())
                }
                TensorType::Q4_0 => data.extend(f16::from_f32(block_scale / 8.0).to_le_bytes()),
                TensorType::Q4_1 => {
                    data.extend(f16::from_f32(block_scale / 7.5).to_le_bytes());
                    data.extend(f16::from_f32(-block_scale).to_le_bytes());
                }
                TensorType::Q8_0 => data.extend(f16::from_f32(block_scale / 127.0).to_le_bytes()),
                TensorType::Q4K | TensorType::Q5K | TensorType::Q6K => {
                    data.extend(self.super_block(ty, block_scale));
                }
            }
            let packed_bytes = match ty {
                TensorType::Q4_0 | TensorType::Q4_1 => 16,
                TensorType::Q8_0 => 32,
                _ => 0,
            };
            data.extend((0..packed_bytes).map(|_| self.next() as u8));
        }
        data
    }

    /// All scales and quants at random, with multipliers that make the largest weights about `scale`: they are halves too small to be normal, as in real files.
    fn super_block(&mut self, ty: TensorType, scale: f32) -> Vec<u8> {
        let mut block: Vec<u8> = (0..ty.block_bytes()).map(|_| self.next() as u8).collect();
        let mut half = |at: usize, value: f32| {
            block[at..at + 2].copy_from_slice(&f16::from_f32(value).to_le_bytes());
        };
        match ty {
            TensorType::Q4K | TensorType::Q5K => {
                let largest = (1u32 << if ty == TensorType::Q4K { 4 } else { 5 }) - 1;
                half(0, 2.0 * scale / (63 * largest) as f32);
                half(2, scale / 63.0);
            }
            _ => half(208, scale / (128.0 * 32.0)),
        }
        block
    }
}
