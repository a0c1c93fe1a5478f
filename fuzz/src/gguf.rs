//! A model's file from strangers: its header, hyperparameters, tokenizer and chat template, its weights on their way to a device, and its kernels.

use std::path::PathBuf;

use tidegate::sim::{Setup, Sim};
use tidegate::{Device, Limits};
use tidegate_llm::config::{Architecture, Config};
use tidegate_llm::gguf::{Array, Gguf, Value};
use tidegate_llm::quant::TensorType;
use tidegate_llm::testing::{GgufWriter, Target, TinyModel, kernel_sources_of};
use tidegate_llm::tokenizer::ControlText;
use tidegate_llm::{Model, ModelFile, chat::Message};
use tidegate_shader::Module;

use crate::bytes::Bytes;

/// Takes the bytes after the first for a file or, if the first is odd, for changes to a tiny model that is whole.
///
/// # Panics
/// If a kernel of a model that was taken is no WGSL, or the simulated device was misused.
pub fn run(data: &[u8]) {
    run_with(data, &Slow::drawn(data));
}

/// As [`run`], with everything that a model is asked for.
///
/// # Panics
/// As [`run`].
#[cfg(test)]
pub(crate) fn run_whole(data: &[u8]) {
    run_with(data, &Slow::ALL);
}

/// What takes a hundred times as long as all the rest, and so is done for some inputs only.
struct Slow {
    /// A tokenizer whose words are a regular expression's: it is compiled twice.
    qwen2_words: bool,
    load: bool,
    translate: bool,
}

impl Slow {
    #[cfg(test)]
    const ALL: Self = Self {
        qwen2_words: true,
        load: true,
        translate: true,
    };

    /// A hash of the input decides (FNV-1a), and no byte of it: libFuzzer keeps what reaches much code, and would soon try little but slow inputs.
    fn drawn(data: &[u8]) -> Self {
        let mix =
            |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        let hash = data.iter().fold(0xCBF2_9CE4_8422_2325, mix) >> 32;
        Self {
            qwen2_words: hash.is_multiple_of(64),
            load: (hash >> 8).is_multiple_of(128),
            translate: (hash >> 16).is_multiple_of(128),
        }
    }
}

fn run_with(data: &[u8], slow: &Slow) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let mut bytes = Bytes::new(rest);
    let file = match kind & 1 == 1 {
        true => changed(&mut bytes),
        false => rest.to_vec(),
    };
    let header = match Gguf::parse(file.as_slice(), file.len() as u64) {
        Ok(header) => header,
        Err(error) => return drop(error.to_string()),
    };
    if let Err(error) = Config::from_gguf(&header) {
        return drop(error.to_string());
    }
    let words = header.string("tokenizer.ggml.pre");
    if words.is_ok_and(|it| it == "qwen2") && !slow.qwen2_words {
        return;
    }
    // The name is the process's own, so that several fuzzers can run.
    let path = folder().join(format!("tidegate-fuzz-{}.gguf", std::process::id()));
    std::fs::write(&path, &file).expect("a file in the folder for temporary ones");
    match ModelFile::open(&path) {
        Ok(model) => open(model, kind >> 1, slow),
        Err(error) => drop(error.to_string()),
    }
}

/// Memory where there is such a folder, since every input is written.
fn folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    }
}

fn open(file: ModelFile, choice: u8, slow: &Slow) {
    for text in ["Hello ab<|im_start|> 12\n", "\u{e9}", ""] {
        if let Ok(ids) = file.encode(text) {
            let _ = file.tokenizer().decode(&ids);
        }
        let _ = file.tokenizer().encode(text, ControlText::Token);
    }
    let _ = file.encode_chat(&[Message::system("s"), Message::user("ab")]);
    let target = Target {
        software: choice & 4 == 4,
        subgroup: [None, Some(8), Some(32), Some(64)][usize::from(choice >> 3 & 3)],
        invocations_max: 256,
    };
    if slow.translate {
        translate(&file, target, choice);
    }
    if slow.load {
        load(file, target);
    }
}

/// One of the kernels: to translate all takes a second.
fn translate(file: &ModelFile, target: Target, choice: u8) {
    let sources = kernel_sources_of(file.config(), target);
    let (name, source) = &sources[usize::from(choice) % sources.len()];
    match Module::from_wgsl(source) {
        Ok(module) => assert!(!module.kernels().is_empty()),
        Err(error) => panic!("{name} of {:?}: {error}", file.config()),
    }
}

/// The device takes the weights, and refuses the first kernel, which is not one in Rust.
fn load(file: ModelFile, target: Target) {
    let sim = Sim::with(1, Setup::default());
    let device = Device::simulated(sim.clone(), limits());
    let loaded = Model::load_with(&device, target, file);
    drop(loaded.expect_err("no kernel runs here").to_string());
    drop(device);
    sim.assert_clean();
}

const TYPES: [TensorType; 9] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::Bf16,
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Q8_0,
    TensorType::Q4K,
    TensorType::Q5K,
    TensorType::Q6K,
];

/// A tiny model with some of its entries changed, and then some of its bytes.
fn changed(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let tiny = tiny(bytes);
    let mut writer = tiny.writer();
    // Either architecture may have either's words: see `Slow::qwen2_words`.
    if tiny.architecture == Architecture::Qwen2 && !bytes.flag() {
        writer.set("tokenizer.ggml.pre", Value::String("smollm".to_owned()));
    }
    for _ in 0..bytes.below(8) {
        change(&mut writer, tiny.architecture, bytes);
    }
    let mut file = writer.bytes();
    for _ in 0..bytes.below(8) {
        let at = bytes.u32() as usize % file.len();
        file[at] = bytes.byte();
    }
    if bytes.below(16) == 1 {
        file.truncate(bytes.u32() as usize % file.len());
    }
    file
}

fn tiny(bytes: &mut Bytes<'_>) -> TinyModel {
    let ty = bytes.pick(&TYPES);
    // Rows are whole blocks: others cannot be written, and `raw_tensor` below claims them. Large blocks make a large file as it is.
    let is_large = ty.block_elements() == 256;
    let unit = if is_large { 256 } else { 32 };
    let head_elements = bytes.pick(&[8, 16, 32, 64]);
    let wide = bytes.pick(&[1, 2]);
    let heads = unit / head_elements.min(unit) * if is_large { 1 } else { wide };
    TinyModel {
        seed: 1,
        architecture: bytes.pick(&[Architecture::Llama, Architecture::Qwen2]),
        ty,
        better_ty: None,
        layers: 1 + (bytes.flag() && !is_large) as u32,
        context_tokens: bytes.pick(&[1, 64, 1 << 20]),
        heads: heads.max(1),
        heads_kv: bytes.pick(&[1, heads.max(1)]),
        head_elements,
        feed_forward: unit * bytes.pick(&[1, if is_large { 2 } else { 3 }]),
        tied_embeddings: bytes.flag(),
        // Those of ASCII, or now and then all.
        byte_tokens: if bytes.below(16) == 1 { 256 } else { 128 },
        rows_alike: true,
    }
}

const KEYS: [&str; 20] = [
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "rope.dimension_count",
    "rope.freq_base",
    "vocab_size",
    "/general.architecture",
    "/general.alignment",
    "/tokenizer.ggml.tokens",
    "/tokenizer.ggml.token_type",
    "/tokenizer.ggml.merges",
    "/tokenizer.ggml.bos_token_id",
    "/tokenizer.ggml.eos_token_id",
    "/tokenizer.ggml.pre",
    "/tokenizer.chat_template",
];

const TENSORS: [&str; 6] = [
    "token_embd.weight",
    "blk.0.attn_q.weight",
    "blk.0.attn_v.weight",
    "blk.0.ffn_down.weight",
    "output_norm.weight",
    "output.weight",
];

fn change(writer: &mut GgufWriter, architecture: Architecture, bytes: &mut Bytes<'_>) {
    match bytes.below(8) {
        0 => {
            writer.remove_tensor(bytes.pick(&TENSORS));
        }
        1 => {
            let name = bytes.pick(&TENSORS);
            let rank = bytes.below(5);
            let dims: Vec<u64> = (0..rank).map(|_| size(bytes)).collect();
            let data = vec![bytes.byte(); 16 * bytes.below(256)];
            let offset = bytes.flag().then(|| size(bytes));
            let ty = bytes.pick(&TYPES).id() + u32::from(bytes.below(16) == 1);
            writer
                .remove_tensor(name)
                .raw_tensor(name, &dims, ty, data, offset);
        }
        2 => writer.version = bytes.u32(),
        3 => writer.alignment = 1 << bytes.below(12),
        kind => {
            let key = bytes.pick(&KEYS);
            let key = match key.strip_prefix('/') {
                Some(key) => key.to_owned(),
                None => format!("{}.{key}", architecture.name()),
            };
            if kind == 4 {
                writer.remove(&key);
            } else {
                writer.set(&key, value(bytes));
            }
        }
    }
}

/// Small, or near a power of two, or anything.
fn size(bytes: &mut Bytes<'_>) -> u64 {
    match bytes.below(4) {
        0 => bytes.byte().into(),
        1 => 32 * u64::from(bytes.byte()),
        2 => (1_u64 << bytes.below(64)).wrapping_sub(bytes.below(2) as u64),
        _ => bytes.u64(),
    }
}

fn value(bytes: &mut Bytes<'_>) -> Value {
    match bytes.below(12) {
        0 => Value::U8(bytes.byte()),
        1 => Value::I32(bytes.u32().cast_signed()),
        2 => Value::I64(bytes.u64().cast_signed()),
        3 => Value::U64(size(bytes)),
        4 => Value::F32(f32::from_bits(bytes.u32())),
        5 => Value::F64(f64::from_bits(bytes.u64())),
        6 => Value::Bool(bytes.flag()),
        7 => Value::String(text(bytes)),
        8 => Value::Array(Array::String(
            (0..bytes.below(8)).map(|_| text(bytes)).collect(),
        )),
        9 => Value::Array(Array::I32(
            (0..bytes.below(8)).map(|_| bytes.byte().into()).collect(),
        )),
        10 => Value::Array(Array::Array(vec![Array::U8(vec![bytes.byte()])])),
        _ => Value::U32(size(bytes) as u32),
    }
}

/// Words of the formats and templates, and letters.
fn text(bytes: &mut Bytes<'_>) -> String {
    const WORDS: [&str; 24] = [
        "a",
        "b",
        "ab",
        " ",
        "\u{120}",
        "\n",
        "<|im_end|>",
        "llama",
        "qwen2",
        "gpt-2",
        "smollm",
        "{{ ",
        " }}",
        "{% for message in messages %}",
        "{% endfor %}",
        "{% if ",
        " %}",
        "{% endif %}",
        "messages[0]",
        "message['content']",
        "|length",
        "range(1000000)",
        "raise_exception('x')",
        " * 100000000",
    ];
    (0..bytes.below(16)).map(|_| bytes.pick(&WORDS)).collect()
}

/// Each ring is poisoned when it is made, which for the usual 16 MiB would be most of the time.
fn limits() -> Limits {
    Limits {
        staging_bytes: 1 << 16,
        ..Limits::default()
    }
}
