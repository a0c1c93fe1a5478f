use std::path::PathBuf;

use super::GgufWriter;
use super::random::Random;
use crate::config::Architecture;
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

/// Tokens of the tiny model that are no byte's.
const OTHER_TOKENS: u32 = 3;

/// A model of a few thousand weights, drawn from a seed: what tests of shapes, types and bad input decode.
///
/// Its tokenizer has the 256 bytes, one merge (`ab`), and the control tokens `<|im_start|>` and `<|im_end|>`.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are those of `Config`")]
pub struct TinyModel {
    pub seed: u64,
    pub architecture: Architecture,
    /// The type of every matrix; norms are F32.
    pub ty: TensorType,
    /// The type of the value projection and of the feed-forward network's last matrix, if not `ty`.
    pub better_ty: Option<TensorType>,
    pub layers: u32,
    pub context_tokens: u32,
    pub heads: u32,
    pub heads_kv: u32,
    pub head_elements: u32,
    pub feed_forward: u32,
    pub tied_embeddings: bool,
    /// How many bytes have a token, from 0 on: 256, or fewer for a model that is quicker to make.
    pub byte_tokens: u32,
    /// Every row of a matrix is its first one, which is quick to make: for what reads no numbers.
    pub rows_alike: bool,
}

impl Default for TinyModel {
    fn default() -> Self {
        Self {
            seed: 1,
            architecture: Architecture::Llama,
            ty: TensorType::Q4_1,
            better_ty: None,
            layers: 2,
            context_tokens: 64,
            heads: 4,
            heads_kv: 2,
            head_elements: 16,
            feed_forward: 96,
            tied_embeddings: true,
            byte_tokens: 256,
            rows_alike: false,
        }
    }
}

impl TinyModel {
    /// Tokens in the default model's vocabulary.
    pub const VOCABULARY: u32 = 256 + OTHER_TOKENS;

    /// A writer that holds the model: change it before [`GgufWriter::bytes`] to break the model.
    pub fn writer(&self) -> GgufWriter {
        let mut writer = GgufWriter::default();
        let architecture = self.architecture.name();
        let key = |key: &str| format!("{architecture}.{key}");
        let mut number = |name: &str, value: u32| {
            writer.add(&key(name), Value::U32(value));
        };
        let embedding = self.heads * self.head_elements;
        number("block_count", self.layers);
        number("context_length", self.context_tokens);
        number("embedding_length", embedding);
        number("feed_forward_length", self.feed_forward);
        number("attention.head_count", self.heads);
        number("attention.head_count_kv", self.heads_kv);
        number("rope.dimension_count", self.head_elements);
        number("vocab_size", self.byte_tokens + OTHER_TOKENS);
        writer
            .add(
                "general.architecture",
                Value::String(architecture.to_owned()),
            )
            .add("general.name", Value::String("tiny".to_owned()))
            .add(&key("rope.freq_base"), Value::F32(self.rope_base()))
            .add(&key("attention.layer_norm_rms_epsilon"), Value::F32(1e-5));
        tokenizer(&mut writer, self.architecture, self.byte_tokens);
        self.tensors(&mut writer);
        writer
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        self.writer().bytes()
    }

    fn rope_base(&self) -> f32 {
        match self.architecture {
            Architecture::Llama => 10_000.0,
            Architecture::Qwen2 => 1_000_000.0,
        }
    }

    fn tensors(&self, writer: &mut GgufWriter) {
        let mut random = Random(self.seed);
        let [embedding, key_value, feed_forward] = [
            self.heads * self.head_elements,
            self.heads_kv * self.head_elements,
            self.feed_forward,
        ]
        .map(u64::from);
        let vocabulary = u64::from(self.byte_tokens + OTHER_TOKENS);
        let mut typed = |writer: &mut GgufWriter, name: &str, dims: [u64; 2], ty| {
            let data = match self.rows_alike {
                true => random.matrix(ty, [dims[0], 1]).repeat(dims[1] as usize),
                false => random.matrix(ty, dims),
            };
            writer.tensor(name, &dims, ty, data);
        };
        let mut biases = Random(!self.seed);
        let mut matrix = |writer: &mut GgufWriter, name: &str, dims| {
            let better = name.ends_with("attn_v.weight") || name.ends_with("ffn_down.weight");
            let better = self.better_ty.filter(|_| better);
            typed(writer, name, dims, better.unwrap_or(self.ty));
        };
        matrix(writer, "token_embd.weight", [embedding, vocabulary]);
        for layer in 0..self.layers {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            norm(writer, &name("attn_norm"), embedding, layer);
            matrix(writer, &name("attn_q"), [embedding, embedding]);
            matrix(writer, &name("attn_k"), [embedding, key_value]);
            matrix(writer, &name("attn_v"), [embedding, key_value]);
            if self.architecture.attention_bias() {
                let parts = [("q", embedding), ("k", key_value), ("v", key_value)];
                for (part, elements) in parts {
                    let data = (0..elements).flat_map(|_| biases.unit().to_le_bytes());
                    let name = format!("blk.{layer}.attn_{part}.bias");
                    writer.tensor(&name, &[elements], TensorType::F32, data.collect());
                }
            }
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

fn tokenizer(writer: &mut GgufWriter, architecture: Architecture, byte_tokens: u32) {
    let split = match architecture {
        Architecture::Llama => "smollm",
        Architecture::Qwen2 => "qwen2",
    };
    let mut tokens: Vec<String> = (0..=255)
        .take(byte_tokens as usize)
        .map(|byte| crate::byte_level::to_char(byte).to_string())
        .collect();
    tokens.extend(["ab", "<|im_start|>", "<|im_end|>"].map(str::to_owned));
    let mut types = vec![1; tokens.len()];
    let [begin, end] = [byte_tokens + 1, byte_tokens + 2];
    types[begin as usize] = 3;
    types[end as usize] = 3;
    let template = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + \
                    '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    writer
        .add("tokenizer.ggml.model", Value::String("gpt2".to_owned()))
        .add("tokenizer.ggml.pre", Value::String(split.to_owned()))
        .add("tokenizer.ggml.add_bos_token", Value::Bool(false))
        .add("tokenizer.ggml.tokens", Value::Array(Array::String(tokens)))
        .add("tokenizer.ggml.token_type", Value::Array(Array::I32(types)))
        .add(
            "tokenizer.ggml.merges",
            Value::Array(Array::String(vec!["a b".to_owned()])),
        )
        .add("tokenizer.ggml.bos_token_id", Value::U32(begin))
        .add("tokenizer.ggml.eos_token_id", Value::U32(end))
        .add(
            "tokenizer.chat_template",
            Value::String(template.to_owned()),
        );
}
