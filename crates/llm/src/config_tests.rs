use super::*;
use crate::gguf::Value;
use crate::quant::TensorType;
use crate::testing::{GgufWriter, TinyModel};

fn config(writer: &GgufWriter) -> Result<Config, ConfigError> {
    let bytes = writer.bytes();
    Config::from_gguf(&Gguf::parse(&bytes[..], bytes.len() as u64).unwrap())
}

fn tiny() -> GgufWriter {
    TinyModel::default().writer()
}

#[test]
fn a_tiny_model_of_every_type_is_read() {
    for ty in [
        TensorType::F32,
        TensorType::F16,
        TensorType::Q4_0,
        TensorType::Q4_1,
        TensorType::Q8_0,
    ] {
        for tied_embeddings in [true, false] {
            let found = config(
                &TinyModel {
                    ty,
                    tied_embeddings,
                    ..TinyModel::default()
                }
                .writer(),
            )
            .unwrap();
            assert_eq!(
                (found.layers, found.embedding, found.vocabulary),
                (2, 64, TinyModel::VOCABULARY)
            );
            assert_eq!(
                (
                    found.query_width(),
                    found.key_value_width(),
                    found.rope_elements
                ),
                (64, 32, 16)
            );
            assert_eq!(found.tied_embeddings, tied_embeddings);
            assert_eq!(found.name.as_deref(), Some("tiny"));
            assert_eq!(found.architecture.rope_style(), RopeStyle::InterleavedPairs);
        }
    }
}

#[test]
fn defaults_stand_for_what_a_file_leaves_out() {
    let mut writer = TinyModel {
        heads: 2,
        heads_kv: 2,
        ..TinyModel::default()
    }
    .writer();
    for key in [
        "rope.freq_base",
        "rope.dimension_count",
        "attention.head_count_kv",
        "vocab_size",
    ] {
        writer.remove(&format!("llama.{key}"));
    }
    writer.remove("general.name");
    let found = config(&writer).unwrap();
    assert_eq!(
        (found.rope_base, found.rope_elements, found.heads_kv),
        (10_000.0, 16, 2)
    );
    assert_eq!(
        (found.name, found.vocabulary),
        (None, TinyModel::VOCABULARY)
    );
}

#[test]
fn heads_may_be_narrower_than_the_embedding() {
    let mut writer = tiny();
    writer
        .set("llama.attention.key_length", Value::U32(8))
        .set("llama.rope.dimension_count", Value::U32(8));
    // The shapes must follow: here they do not.
    let error = config(&writer).unwrap_err();
    assert!(
        matches!(&error, ConfigError::WrongShape { tensor, found, expected }
            if tensor == "blk.0.attn_q.weight" && *found == [64, 64] && *expected == [64, 32]),
        "{error}"
    );
    writer.set("llama.attention.value_length", Value::U32(16));
    assert!(matches!(
        config(&writer),
        Err(ConfigError::Unsupported { .. })
    ));
}

#[test]
fn another_architecture_is_named() {
    let mut writer = tiny();
    writer.set("general.architecture", Value::String("mamba".to_owned()));
    let error = config(&writer).unwrap_err();
    assert!(
        matches!(&error, ConfigError::UnknownArchitecture { name } if name == "mamba"),
        "{error}"
    );
    assert!(error.to_string().contains("\"mamba\""));
    writer.remove("general.architecture");
    assert!(matches!(
        config(&writer),
        Err(ConfigError::Gguf(GgufError::MissingKey { .. }))
    ));
}

#[test]
fn numbers_out_of_range_are_refused() {
    let cases = [
        ("block_count", Value::U32(0)),
        ("block_count", Value::U32(LAYERS_MAX + 1)),
        ("context_length", Value::U32(0)),
        ("embedding_length", Value::U32(u32::MAX)),
        ("feed_forward_length", Value::U32(0)),
        ("attention.head_count", Value::U32(0)),
        ("attention.head_count", Value::U32(6)),
        ("attention.head_count_kv", Value::U32(0)),
        ("attention.head_count_kv", Value::U32(3)),
        ("attention.key_length", Value::U32(0)),
        ("attention.key_length", Value::U32(u32::MAX)),
        ("rope.dimension_count", Value::U32(0)),
        ("rope.dimension_count", Value::U32(15)),
        ("rope.dimension_count", Value::U32(18)),
        ("rope.freq_base", Value::F32(f32::NAN)),
        ("rope.freq_base", Value::F32(0.0)),
        ("rope.freq_base", Value::F32(f32::INFINITY)),
        ("attention.layer_norm_rms_epsilon", Value::F32(0.0)),
        ("attention.layer_norm_rms_epsilon", Value::F32(f32::NAN)),
        ("vocab_size", Value::U32(7)),
    ];
    for (name, value) in cases {
        let key = format!("llama.{name}");
        let error = config(tiny().set(&key, value.clone())).unwrap_err();
        assert!(
            matches!(&error, ConfigError::OutOfRange { key: found, .. } if *found == key),
            "{value:?}: {error}"
        );
        assert!(error.to_string().contains(&key));
    }
    let mut writer = tiny();
    writer.set("llama.block_count", Value::String("two".to_owned()));
    assert!(matches!(
        config(&writer),
        Err(ConfigError::Gguf(GgufError::WrongType { .. }))
    ));
}

#[test]
fn what_is_not_implemented_is_refused() {
    let cases = [
        ("expert_count", Value::U32(8)),
        ("attention.sliding_window", Value::U32(4096)),
        ("rope.scaling.type", Value::String("yarn".to_owned())),
        ("rope.scale_linear", Value::F32(4.0)),
        ("logit_scale", Value::F32(0.5)),
    ];
    for (name, value) in cases {
        let error = config(tiny().set(&format!("llama.{name}"), value)).unwrap_err();
        assert!(matches!(error, ConfigError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let mut neutral = tiny();
    neutral
        .set("llama.expert_count", Value::U32(0))
        .set("llama.rope.scaling.type", Value::String("none".to_owned()));
    config(&neutral).unwrap();
    let with_tensor =
        |name| config(tiny().tensor(name, &[8], TensorType::F32, vec![0; 32])).unwrap_err();
    assert!(matches!(
        with_tensor("rope_freqs.weight"),
        ConfigError::Unsupported { .. }
    ));
    let error = with_tensor("blk.0.attn_q.bias");
    assert!(
        matches!(&error, ConfigError::UnexpectedTensor { tensor, .. } if tensor == "blk.0.attn_q.bias"),
        "{error}"
    );
    assert!(matches!(
        with_tensor("blk.2.ffn_up.weight"),
        ConfigError::UnexpectedTensor { .. }
    ));
}

fn qwen2() -> GgufWriter {
    let tiny = TinyModel {
        architecture: Architecture::Qwen2,
        ..TinyModel::default()
    };
    tiny.writer()
}

#[test]
fn qwen2_has_its_own_keys_and_biases() {
    let found = config(&qwen2()).unwrap();
    assert_eq!(found.architecture, Architecture::Qwen2);
    assert_eq!(found.architecture.rope_style(), RopeStyle::RotateHalf);
    assert_eq!((found.rope_base, found.layers), (1_000_000.0, 2));
    let biases: Vec<ExpectedTensor> = found.expected_tensors();
    let biases = biases.iter().filter(|it| it.name.ends_with(".bias"));
    assert_eq!(biases.count(), 6);
    // Files of this architecture mostly leave these out.
    let mut writer = qwen2();
    writer
        .remove("qwen2.rope.dimension_count")
        .remove("qwen2.vocab_size");
    assert_eq!(config(&writer).unwrap(), found);
    writer.set("qwen2.attention.key_length", Value::U32(16));
    assert_eq!(config(&writer).unwrap(), found);
    writer.set("qwen2.attention.key_length", Value::U32(32));
    assert!(
        matches!(config(&writer), Err(ConfigError::WrongShape { tensor, .. }) if tensor == "blk.0.attn_q.weight")
    );
    // The other architecture's keys do not count.
    writer.remove("qwen2.block_count");
    writer.add("llama.block_count", Value::U32(2));
    assert!(
        matches!(config(&writer), Err(ConfigError::Gguf(GgufError::MissingKey { key })) if key == "qwen2.block_count")
    );
}

#[test]
fn halves_of_a_part_of_a_head_are_not_rotated() {
    let mut writer = qwen2();
    writer.set("qwen2.rope.dimension_count", Value::U32(8));
    let error = config(&writer).unwrap_err();
    assert!(matches!(error, ConfigError::Unsupported { .. }), "{error}");
    assert!(
        error.to_string().contains("qwen2.rope.dimension_count"),
        "{error}"
    );
    writer.set("qwen2.rope.dimension_count", Value::U32(18));
    assert!(matches!(
        config(&writer),
        Err(ConfigError::OutOfRange { .. })
    ));
    writer.set("qwen2.rope.dimension_count", Value::U32(16));
    config(&writer).unwrap();
}

#[test]
fn each_missing_tensor_is_named() {
    each_missing_tensor_is_named_in(tiny);
    each_missing_tensor_is_named_in(qwen2);
}

fn each_missing_tensor_is_named_in(tiny: fn() -> GgufWriter) {
    let bytes = tiny().bytes();
    let whole = Gguf::parse(&bytes[..], bytes.len() as u64).unwrap();
    for tensor in whole.tensors() {
        let error = config(tiny().remove_tensor(&tensor.name)).unwrap_err();
        assert!(
            matches!(&error, ConfigError::Gguf(GgufError::MissingTensor { tensor: found }) if *found == tensor.name),
            "{}: {error}",
            tensor.name
        );
    }
}

#[test]
fn each_wrong_shape_is_named() {
    each_wrong_shape_is_named_in(tiny);
    each_wrong_shape_is_named_in(qwen2);
}

fn each_wrong_shape_is_named_in(tiny: fn() -> GgufWriter) {
    let bytes = tiny().bytes();
    let whole = Gguf::parse(&bytes[..], bytes.len() as u64).unwrap();
    for tensor in whole.tensors() {
        let mut dims = tensor.dims.clone();
        // Twice the columns: as many elements would be read, from the wrong places.
        dims[0] *= 2;
        let mut writer = tiny();
        writer.remove_tensor(&tensor.name).tensor(
            &tensor.name,
            &dims,
            tensor.ty,
            vec![0; 2 * tensor.bytes as usize],
        );
        let error = config(&writer).unwrap_err();
        assert!(
            matches!(&error, ConfigError::WrongShape { tensor: found, .. } if *found == tensor.name),
            "{error}"
        );
    }
}
