//! The real model on a real Vulkan device (Mesa's software driver where there is no GPU).

#![allow(clippy::unwrap_used, reason = "only tests call it")]

mod common;

use std::ops::ControlFlow;

use common::on_device;
use tidegate::{Device, Policy};
use tidegate_llm::testing::{GOLDEN_IDS, GOLDEN_NLL, GOLDEN_TEXT, model_path};
use tidegate_llm::{GenerateOptions, Model, ModelFile};

/// The model, and the tokens of a text.
fn load(device: &Device, text: &str) -> (Model, Vec<u32>) {
    let file = ModelFile::open(model_path()).unwrap();
    let ids = file.encode(text).unwrap();
    (Model::load(device, file, &mut |_, _| {}).unwrap(), ids)
}

#[test]
fn the_score_is_that_of_the_reference() {
    on_device(|device| {
        let (model, ids) = load(device, GOLDEN_TEXT);
        assert_eq!(ids, GOLDEN_IDS);
        let nll = model.score(&ids, Policy::Adaptive, &mut |_, _| ()).unwrap();
        assert!((nll - GOLDEN_NLL).abs() < 0.01, "{nll} is not {GOLDEN_NLL}");
    });
}

#[test]
fn every_policy_generates_the_same_text() {
    on_device(|device| {
        let (model, ids) = load(device, "The three primary colours are");
        let texts: Vec<String> = [Policy::Adaptive, Policy::UntilSync, Policy::EveryDispatch]
            .into_iter()
            .map(|policy| {
                let options = GenerateOptions {
                    max_tokens: 24,
                    policy,
                    ..GenerateOptions::default()
                };
                let mut emit = |_| ControlFlow::Continue(());
                let made = model.generate(&ids, &options, &mut emit).unwrap();
                model.tokenizer().decode(&made.ids)
            })
            .collect();
        assert_eq!(texts[0], texts[1]);
        assert_eq!(texts[0], texts[2]);
    });
}
