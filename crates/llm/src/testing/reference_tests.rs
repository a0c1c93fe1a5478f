use super::*;
use crate::config::Architecture;
use crate::gguf::Value;
use crate::quant::TensorType;
use crate::testing::{GOLDEN_IDS, GOLDEN_NLL, GgufWriter, TinyModel, model_path};

#[test]
fn the_golden_text_has_the_golden_nll() {
    let file = GgufFile::open(model_path()).unwrap();
    let mut reference = Reference::new(&file).unwrap();
    let nll = reference.nll(&GOLDEN_IDS);
    assert!(
        (nll - GOLDEN_NLL).abs() < 0.0005,
        "{nll} is not {GOLDEN_NLL}"
    );
}

fn tiny(ty: TensorType) -> Reference {
    Reference::from_bytes(
        &TinyModel {
            ty,
            ..TinyModel::default()
        }
        .bytes(),
    )
    .unwrap()
}

#[test]
fn token_by_token_is_all_at_once() {
    for ty in [
        TensorType::F32,
        TensorType::F16,
        TensorType::Q4_0,
        TensorType::Q4_1,
        TensorType::Q8_0,
    ] {
        let mut reference = tiny(ty);
        let tokens = [5, 200, 7, 7, 258, 0, 31, 99];
        let whole = reference.trace(&tokens);
        reference.reset();
        let vocabulary = TinyModel::VOCABULARY as usize;
        for (index, &token) in tokens.iter().enumerate() {
            let logits = reference.forward(&[token]);
            assert_eq!(
                logits,
                whole.logits[index * vocabulary..][..vocabulary],
                "{ty:?}, token {index}"
            );
        }
        assert!(whole.logits.iter().all(|logit| logit.is_finite()));
        assert_eq!(whole.layers.len(), 2);
        assert_eq!(whole.layers[1].gate.len(), tokens.len() * 96);
    }
}

#[test]
fn positions_and_past_matter() {
    let mut reference = tiny(TensorType::F32);
    let vocabulary = TinyModel::VOCABULARY as usize;
    let last = |logits: Vec<f32>| logits[logits.len() - vocabulary..].to_vec();
    let one_order = last(reference.forward(&[1, 2, 3]));
    reference.reset();
    let other_order = last(reference.forward(&[2, 1, 3]));
    assert!(
        one_order
            .iter()
            .zip(&other_order)
            .any(|(a, b)| (a - b).abs() > 1e-3)
    );
}

#[test]
fn untied_models_use_their_own_output() {
    let tied = TinyModel {
        ty: TensorType::F32,
        ..TinyModel::default()
    };
    let untied = TinyModel {
        tied_embeddings: false,
        ..tied.clone()
    };
    let tied = Reference::from_bytes(&tied.bytes()).unwrap().trace(&[1, 2]);
    let untied = Reference::from_bytes(&untied.bytes())
        .unwrap()
        .trace(&[1, 2]);
    assert_eq!(tied.output_norm, untied.output_norm);
    assert_ne!(tied.logits, untied.logits);
}

#[test]
fn biases_and_the_style_of_rotation_matter() {
    let tiny = TinyModel {
        architecture: Architecture::Qwen2,
        ty: TensorType::F32,
        ..TinyModel::default()
    };
    let of = |writer: &GgufWriter| {
        let logits = Reference::from_bytes(&writer.bytes())
            .unwrap()
            .forward(&[1, 2, 3]);
        assert!(logits.iter().all(|it| it.is_finite()));
        logits
    };
    let logits = of(&tiny.writer());
    for (name, elements) in [
        ("attn_q.bias", 64),
        ("attn_k.bias", 32),
        ("attn_v.bias", 32),
    ] {
        let name = format!("blk.1.{name}");
        let mut writer = tiny.writer();
        writer.remove_tensor(&name);
        writer.tensor(
            &name,
            &[elements],
            TensorType::F32,
            vec![0; 4 * elements as usize],
        );
        assert_ne!(of(&writer), logits, "{name}");
    }
    // The same weights and no biases, in one style and in the other.
    let llama = TinyModel {
        architecture: Architecture::Llama,
        ..tiny.clone()
    };
    let mut halves = tiny.writer();
    halves.set("qwen2.rope.freq_base", Value::F32(10_000.0));
    for layer in 0..2 {
        for (part, elements) in [("q", 64), ("k", 32), ("v", 32)] {
            let name = format!("blk.{layer}.attn_{part}.bias");
            let zeros = vec![0; 4 * elements as usize];
            halves.remove_tensor(&name);
            halves.tensor(&name, &[elements], TensorType::F32, zeros);
        }
    }
    assert_ne!(of(&halves), of(&llama.writer()));
}

/// The likeliest tokens after twelve, and their log-probabilities, by llama.cpp's server (xllamacpp 2026.10, `/completion`, 24 November 2026), whose cache has halves.
const QWEN2_LIKELIEST: [(usize, f32); 6] = [
    (117, -3.8181),
    (214, -4.0613),
    (212, -4.0738),
    (224, -4.0959),
    (234, -4.1446),
    (136, -4.1755),
];

#[test]
fn a_tiny_qwen2_is_the_same_model_to_llama_cpp() {
    let tiny = TinyModel {
        architecture: Architecture::Qwen2,
        ty: TensorType::F32,
        head_elements: 64,
        feed_forward: 256,
        tied_embeddings: false,
        ..TinyModel::default()
    };
    let mut reference = Reference::from_bytes(&tiny.bytes()).unwrap();
    let tokens: Vec<u32> = (0..12).map(|it| (it * 37 + 11) % 250).collect();
    let logits = reference.forward(&tokens);
    let last = &logits[logits.len() - TinyModel::VOCABULARY as usize..];
    let total = last.iter().map(|it| it.exp()).sum::<f32>().ln();
    for (id, expected) in QWEN2_LIKELIEST {
        let found = last[id] - total;
        assert!(
            (found - expected).abs() < 0.003,
            "{id}: {found}, {expected}"
        );
    }
}
