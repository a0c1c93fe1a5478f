use super::*;
use crate::quant::TensorType;
use crate::testing::{GOLDEN_IDS, GOLDEN_NLL, TinyModel, model_path};

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
