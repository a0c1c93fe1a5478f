//! The real model on a real Vulkan device (Mesa's software driver where there is no GPU).

use std::ops::ControlFlow;

use tidegate::{Device, Policy};
use tidegate_llm::gguf::GgufFile;
use tidegate_llm::sampler::SamplerOptions;
use tidegate_llm::testing::{GOLDEN_IDS, GOLDEN_NLL, GOLDEN_TEXT, model_path};
use tidegate_llm::tokenizer::ControlText;
use tidegate_llm::{GenerateOptions, Model};

fn load() -> Model {
    let device = Device::open_default().expect("run `cargo xtask test`, which installs a driver");
    let file = GgufFile::open(model_path()).unwrap();
    Model::load(&device, &file, &mut |_, _| {}).unwrap()
}

#[test]
fn the_score_is_that_of_the_reference() {
    let model = load();
    let ids = model
        .tokenizer()
        .encode(GOLDEN_TEXT, ControlText::Plain)
        .unwrap();
    assert_eq!(ids, GOLDEN_IDS);
    let nll = model.score(&ids, Policy::Adaptive).unwrap();
    assert!((nll - GOLDEN_NLL).abs() < 0.01, "{nll} is not {GOLDEN_NLL}");
}

#[test]
fn every_policy_generates_the_same_text() {
    let model = load();
    let prompt = "The three primary colours are";
    let ids = model
        .tokenizer()
        .encode(prompt, ControlText::Plain)
        .unwrap();
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
            model.tokenizer().decode(&made.ids)
        })
        .collect();
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0], texts[2]);
}
