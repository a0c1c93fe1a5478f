//! Models of a few thousand weights, of every tensor type and several shapes, against the reference on the CPU.

#![allow(clippy::unwrap_used, reason = "only tests call it")]

mod common;

use std::ops::ControlFlow;

use common::on_device;
use tidegate::{Device, Policy};
use tidegate_llm::config::Architecture;
use tidegate_llm::quant::TensorType;
use tidegate_llm::sampler::SamplerOptions;
use tidegate_llm::testing::{Reference, Target, TinyModel};
use tidegate_llm::{Error, GenerateOptions, Model, ModelFile};

/// Loads a tiny model from a file of its own.
fn load(device: &Device, tiny: &TinyModel) -> (Model, Reference) {
    let bytes = tiny.bytes();
    let name = format!(
        "tidegate-tiny-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    );
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, &bytes).unwrap();
    let file = ModelFile::open(&path).unwrap();
    let mut told = Vec::new();
    let mut progress = |done, total| told.push((done, total));
    let model = Model::load(device, file, &mut progress).unwrap();
    assert!(told.is_sorted());
    assert!(told.last().is_some_and(|(done, total)| done == total));
    std::fs::remove_file(&path).unwrap();
    (model, Reference::from_bytes(&bytes).unwrap())
}

/// The same, with the kernels of another kind of device.
fn load_with(device: &Device, target: Target, tiny: &TinyModel) -> (Model, Reference) {
    let bytes = tiny.bytes();
    let name = format!("tidegate-tiny-{}-{target:?}-{tiny:?}", std::process::id());
    let name: String = name.chars().filter(|it| it.is_alphanumeric()).collect();
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, &bytes).unwrap();
    let file = ModelFile::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let model = Model::load_with(device, target, file).unwrap();
    (model, Reference::from_bytes(&bytes).unwrap())
}

fn tokens(count: u32) -> Vec<u32> {
    (0..count)
        .map(|it| (it * 37 + 11) % TinyModel::VOCABULARY)
        .collect()
}

/// Kernels of this device's own kind, and of both kinds of GPU.
fn targets(device: &Device) -> [Target; 3] {
    let device = device.capabilities();
    [
        Target::of(device),
        Target::gpu(device, true),
        Target::gpu(device, false),
    ]
}

#[track_caller]
fn check(device: &Device, tiny: &TinyModel) {
    check_for(device, Target::of(device.capabilities()), tiny);
}

#[track_caller]
fn check_for(device: &Device, target: Target, tiny: &TinyModel) {
    let (model, mut reference) = load_with(device, target, tiny);
    for count in [2, 3, 33, 34, 60] {
        let tokens = tokens(count);
        let nll = model
            .score(&tokens, Policy::Adaptive, &mut |_, _| ())
            .unwrap();
        reference.reset();
        let expected = reference.nll(&tokens);
        // Keys and values are halves on the device.
        assert!(
            (nll - expected).abs() < 2e-3,
            "{count} tokens: {nll}, reference {expected}; {tiny:?}, {target:?}"
        );
    }
}

#[test]
fn every_tensor_type_scores_as_the_reference() {
    on_device(|device| {
        for ty in [
            TensorType::F32,
            TensorType::F16,
            TensorType::Bf16,
            TensorType::Q4_0,
            TensorType::Q4_1,
            TensorType::Q8_0,
        ] {
            let tiny = TinyModel {
                ty,
                ..TinyModel::default()
            };
            check(device, &tiny);
        }
    });
}

/// Rows of whole super-blocks.
fn wide(ty: TensorType) -> TinyModel {
    TinyModel {
        ty,
        head_elements: 64,
        feed_forward: 256,
        ..TinyModel::default()
    }
}

#[test]
fn super_blocks_score_as_the_reference() {
    on_device(|device| {
        for ty in [TensorType::Q4K, TensorType::Q5K, TensorType::Q6K] {
            check(device, &wide(ty));
            // As files of mixed types have them.
            let tiny = TinyModel {
                better_ty: Some(TensorType::Q6K),
                tied_embeddings: false,
                ..wide(ty)
            };
            check(device, &tiny);
        }
    });
}

#[test]
fn qwen2_scores_as_the_reference() {
    on_device(|device| {
        for ty in [
            TensorType::F32,
            TensorType::Q4_0,
            TensorType::Q8_0,
            TensorType::Q4K,
            TensorType::Q6K,
        ] {
            for tied_embeddings in [true, false] {
                let tiny = TinyModel {
                    architecture: Architecture::Qwen2,
                    tied_embeddings,
                    ..wide(ty)
                };
                check(device, &tiny);
            }
        }
        // Seven query heads to a key head, as in Qwen2.5-0.5B; and a head of 128.
        for (heads, heads_kv, head_elements) in [(7, 1, 64), (14, 2, 64), (2, 1, 128), (2, 2, 48)] {
            let tiny = TinyModel {
                architecture: Architecture::Qwen2,
                heads,
                heads_kv,
                head_elements,
                layers: 1,
                seed: 3,
                ..TinyModel::default()
            };
            check(device, &tiny);
        }
    });
}

#[test]
fn every_shape_scores_as_the_reference() {
    on_device(|device| {
        for (heads, heads_kv, head_elements) in
            [(4, 4, 16), (3, 1, 64), (2, 1, 128), (2, 2, 48), (1, 1, 256)]
        {
            let tiny = TinyModel {
                heads,
                heads_kv,
                head_elements,
                tied_embeddings: heads_kv == 1,
                seed: 7,
                ..TinyModel::default()
            };
            check(device, &tiny);
        }
    });
}

#[test]
fn prompts_of_every_length_continue_as_one_token_at_a_time() {
    on_device(|device| {
        for target in targets(device) {
            let tiny = TinyModel::default();
            continue_all(device, target, &tiny, &[1, 2, 4, 5, 31, 32, 33, 50], 8);
        }
    });
}

/// Continues prompts, and looks what the reference finds of the choices.
fn continue_all(
    device: &Device,
    target: Target,
    tiny: &TinyModel,
    lengths: &[u32],
    max_tokens: u32,
) {
    let (model, mut reference) = load_with(device, target, tiny);
    for length in lengths {
        let prompt = tokens(*length);
        let options = options(max_tokens);
        let made = model
            .generate(&prompt, &options, &mut |_| ControlFlow::Continue(()))
            .unwrap();
        reference.reset();
        let mut sequence = prompt.clone();
        let mut logits = reference.forward(&prompt);
        for id in &made.ids {
            let row = &logits[logits.len() - TinyModel::VOCABULARY as usize..];
            let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // Rounding may choose between near ties.
            let off = best - row[*id as usize];
            assert!(
                off < 1e-2,
                "{off}: prompt of {length}, {tiny:?}, {target:?}"
            );
            sequence.push(*id);
            logits = reference.forward(&[*id]);
        }
    }
}

#[test]
fn a_gpus_kernels_score_as_the_reference() {
    on_device(|device| {
        let [_, subgroups, plain] = targets(device);
        check_for(device, subgroups, &TinyModel::default());
        check_for(device, plain, &TinyModel::default());
        let tiny = TinyModel {
            architecture: Architecture::Qwen2,
            ..wide(TensorType::Q6K)
        };
        check_for(device, subgroups, &tiny);
    });
}

#[test]
fn one_token_at_a_time_is_right_for_every_shape() {
    on_device(|device| {
        let shapes = [(4, 4, 16), (3, 1, 64), (2, 1, 128), (2, 2, 48), (1, 1, 256)];
        for (index, (heads, heads_kv, head_elements)) in shapes.into_iter().enumerate() {
            for target in targets(device) {
                let architectures = [Architecture::Llama, Architecture::Qwen2];
                let tiny = TinyModel {
                    // One type: a software device takes long to compile a GPU's tiles.
                    ty: TensorType::Q4_0,
                    architecture: architectures[index % 2],
                    heads,
                    heads_kv,
                    head_elements,
                    tied_embeddings: heads_kv == 1,
                    context_tokens: 600,
                    seed: 11,
                    ..TinyModel::default()
                };
                // The past of the second one is looked at in several parts.
                continue_all(device, target, &tiny, &[7, 500], 16);
            }
        }
    });
}

/// SplitMix64 (Steele, Lea and Flood, 2014), one number of it.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A failure names the shape, which is a function of the seed.
#[test]
fn one_token_at_a_time_is_right_for_random_shapes() {
    on_device(|device| {
        for seed in 0..6 {
            let one_of = |salt: u64, of: &[u32]| of[mix(seed * 8 + salt) as usize % of.len()];
            let heads_kv = one_of(1, &[1, 2, 3, 4]);
            let head_elements = one_of(2, &[8, 16, 24, 32, 40, 64, 96, 128]);
            let mut heads = heads_kv * one_of(3, &[1, 2, 3, 5, 7]);
            // Rows are whole blocks.
            while !(heads * head_elements).is_multiple_of(32) {
                heads += heads_kv;
            }
            let tiny = TinyModel {
                ty: TensorType::Q4_1,
                heads,
                heads_kv,
                head_elements,
                feed_forward: 32 * one_of(4, &[1, 2, 5, 9, 33, 40]),
                layers: 1,
                context_tokens: 600,
                seed,
                ..TinyModel::default()
            };
            for target in [Target::of(device.capabilities()), targets(device)[1]] {
                continue_all(device, target, &tiny, &[one_of(5, &[1, 40, 258, 300])], 6);
            }
        }
    });
}

#[test]
fn one_token_at_a_time_is_right_for_every_type() {
    on_device(|device| {
        for ty in [TensorType::F16, TensorType::Q8_0, TensorType::Q5K] {
            let target = Target::of(device.capabilities());
            continue_all(device, target, &wide(ty), &[1, 20], 8);
        }
    });
}

fn options(max_tokens: u32) -> GenerateOptions {
    GenerateOptions {
        max_tokens,
        ..GenerateOptions::default()
    }
}

#[test]
fn what_cannot_be_generated_is_refused_before_any_work() {
    on_device(|device| {
        let (model, _) = load(device, &TinyModel::default());
        device.reset_counters();
        let mut emit = |_| ControlFlow::Continue(());
        let refused = model.generate(&[], &options(8), &mut emit);
        assert!(matches!(refused, Err(Error::EmptyPrompt)));
        let refused = model.generate(&tokens(60), &options(5), &mut emit);
        assert!(matches!(
            refused,
            Err(Error::ContextExceeded {
                prompt: 60,
                more: 5,
                context: 64
            })
        ));
        let refused = model.generate(&[TinyModel::VOCABULARY], &options(1), &mut emit);
        assert!(matches!(refused, Err(Error::UnknownToken { .. })));
        let refused = model.score(&[1], Policy::Adaptive, &mut |_, _| ());
        assert!(matches!(refused, Err(Error::TooShort { tokens: 1 })));
        let bad = GenerateOptions {
            sampler: SamplerOptions {
                temperature: f32::NAN,
                ..SamplerOptions::default()
            },
            ..options(1)
        };
        let refused = model.generate(&tokens(3), &bad, &mut emit);
        assert!(matches!(refused, Err(Error::Sampler(_))));
        assert_eq!(device.counters().dispatches, 0);
        let made = model.generate(&tokens(3), &options(0), &mut emit).unwrap();
        assert!(made.ids.is_empty());
    });
}

#[test]
fn a_seed_gives_the_same_sample_and_the_callback_can_stop() {
    on_device(|device| {
        let (model, _) = load(device, &TinyModel::default());
        let sampled = |seed| {
            let options = GenerateOptions {
                sampler: SamplerOptions {
                    temperature: 1.0,
                    top_k: Some(40),
                    top_p: 0.95,
                    seed,
                },
                ..options(12)
            };
            let made = model.generate(&tokens(5), &options, &mut |_| ControlFlow::Continue(()));
            made.unwrap().ids
        };
        assert_eq!(sampled(1), sampled(1));
        assert_ne!(sampled(1), sampled(2));
        let mut seen = 0;
        let mut stop = |_| {
            seen += 1;
            if seen == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let made = model.generate(&tokens(5), &options(30), &mut stop).unwrap();
        assert!(made.ids.len() <= 3);
    });
}
