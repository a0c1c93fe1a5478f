//! The program on Metal: a build with `--cfg metal_soft` has it in software, beside Vulkan.
#![cfg(metal_soft)]
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod common;

use common::{assert_fails, assert_succeeds, document, model, run, text};
use serde_json::{Value, json};

#[test]
fn metal_is_the_default_and_vulkan_can_be_had() {
    let listed = document(&run(&["devices", "--json"]));
    let backends: Vec<&Value> = listed["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["backend"])
        .collect();
    assert_eq!(backends[0], &json!("metal"));
    assert!(backends.contains(&&json!("vulkan")));
    let only = document(&run(&["devices", "--json", "--backend", "vulkan"]));
    for device in only["devices"].as_array().unwrap() {
        assert_eq!(device["backend"], "vulkan");
    }
    // Numbers stay those of the whole list.
    assert_eq!(only["devices"][0]["index"], json!(1));
    assert_fails(
        &run(&["devices", "--backend", "vulkan", "--device", "0"]),
        2,
        &["there is no device \"0\""],
    );
}

#[test]
fn the_chain_runs_without_the_rows_that_are_vulkans() {
    let output = run(&["bench", "chain", "--dispatches", "20", "--json"]);
    assert_succeeds(&output);
    let names: Vec<Value> = document(&output)["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].clone())
        .collect();
    assert_eq!(names, ["every-dispatch", "until-sync", "adaptive", "graph"]);
}

#[test]
fn a_tiny_model_gives_the_same_tokens_as_on_vulkan() {
    let model = model("metal.gguf", |_| {});
    same_tokens(text(&model), "abc", 12, &[]);
}

/// The demo's model and prompt.
#[test]
fn the_real_model_gives_the_same_text_as_on_vulkan() {
    let model = std::env::var("TIDEGATE_MODEL")
        .expect("TIDEGATE_MODEL names no model; `cargo xtask test` sets it");
    let document = same_tokens(&model, "Why is the sky blue?", 32, &["--chat"]);
    assert_eq!(document["tokens"], json!(32));
}

/// Generates on both backends and compares; returns Metal's document.
fn same_tokens(model: &str, prompt: &str, tokens: u32, more: &[&str]) -> Value {
    let on = |backend| {
        let count = tokens.to_string();
        let arguments = [
            "generate",
            "--json",
            "--model",
            model,
            "--prompt",
            prompt,
            "--max-tokens",
            &count,
            "--backend",
            backend,
        ];
        let output = run(&[&arguments[..], more].concat());
        assert_succeeds(&output);
        document(&output)
    };
    let (metal, vulkan) = (on("metal"), on("vulkan"));
    assert_ne!(metal["device"], vulkan["device"]);
    assert_eq!(metal["token_ids"], vulkan["token_ids"]);
    assert_eq!(metal["text"], vulkan["text"]);
    metal
}
