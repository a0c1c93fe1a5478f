//! The real model on a real Vulkan device (Mesa's software driver where there is no GPU).

use std::ops::ControlFlow;

use tidegate::{Device, Policy};
use tidegate_llm::gguf::GgufFile;
use tidegate_llm::sampler::SamplerOptions;
use tidegate_llm::testing::model_path;
use tidegate_llm::tokenizer::ControlText;
use tidegate_llm::{GenerateOptions, Model};

/// The text whose score is known, and that score in single precision from dequantised weights.
const TEXT: &str = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch of belief, it was the epoch of incredulity. The photosynthesis process converts light energy into chemical energy that plants store in glucose molecules. In mathematics, a prime number is a natural number greater than 1 that is not a product of two smaller natural numbers. Water boils at 100 degrees Celsius at sea level, but at a lower temperature on high mountains because the air pressure is lower there.";
const NLL: f64 = 2.246_870_456;

fn load() -> Model {
    let device = Device::open_default().expect("run `cargo xtask test`, which installs a driver");
    let file = GgufFile::open(model_path()).unwrap();
    let start = std::time::Instant::now();
    let model = Model::load(&device, &file, &mut |_, _| {}).unwrap();
    println!("loaded in {:?}", start.elapsed());
    model
}

#[test]
fn the_score_is_that_of_the_reference() {
    let model = load();
    let ids = model.tokenizer().encode(TEXT, ControlText::Plain).unwrap();
    assert_eq!(ids.len(), 115);
    let start = std::time::Instant::now();
    let nll = model.score(&ids, Policy::Adaptive).unwrap();
    println!("nll {nll} in {:?}", start.elapsed());
    assert!((nll - NLL).abs() < 0.01, "{nll} is not {NLL}");
}

#[test]
fn every_policy_generates_the_same_text() {
    let model = load();
    let prompt = "The three primary colours are";
    let ids = model.tokenizer().encode(prompt, ControlText::Plain).unwrap();
    let texts: Vec<String> = [Policy::Adaptive, Policy::UntilSync, Policy::EveryDispatch]
        .into_iter()
        .map(|policy| {
            let options = GenerateOptions {
                max_tokens: 24,
                sampler: SamplerOptions::default(),
                policy,
            };
            let mut emit = |_| ControlFlow::Continue(());
            let made = model.generate(&ids, &options, &mut emit).unwrap();
            println!(
                "{policy:?}: prefill {:?}, {} steps in {:?}",
                made.prefill, made.decode_steps, made.decode
            );
            model.tokenizer().decode(&made.ids)
        })
        .collect();
    println!("{}", texts[0]);
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0], texts[2]);
}
