//! `tidegate devices` and `tidegate bench chain`, on the device that is here.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::{assert_fails, assert_succeeds, document, run, stderr, stdout, without_driver};
use serde_json::{Value, json};

#[test]
fn devices_are_listed_with_what_matters() {
    let output = run(&["devices", "--json"]);
    assert_succeeds(&output);
    let document = document(&output);
    let devices = document["devices"].as_array().unwrap();
    assert!(!devices.is_empty());
    for (index, device) in devices.iter().enumerate() {
        assert_eq!(device["index"], json!(index));
        for name in ["name", "backend", "driver"] {
            assert!(!device[name].as_str().unwrap().is_empty(), "{name}");
        }
        for name in ["software", "unified", "usable"] {
            assert!(device[name].is_boolean(), "{name}");
        }
        for name in [
            "queues",
            "memory_bytes",
            "binding_bytes_max",
            "allocation_bytes_max",
            "subgroup_size",
            "workgroup_invocations_max",
            "workgroup_bytes_max",
            "scalar_bytes_max",
        ] {
            assert!(device[name].as_u64().unwrap() > 0, "{name}");
        }
        assert!(device["features"].is_array());
        assert_eq!(device["refusal"].is_null(), device["usable"] == json!(true));
    }

    let name = devices[0]["name"].as_str().unwrap();
    let people = run(&["devices"]);
    assert_succeeds(&people);
    assert!(stdout(&people).contains(name));
    assert!(!stdout(&people).contains('\u{1b}'));
}

#[test]
fn one_device_is_found_by_number_and_by_name() {
    let all = document(&run(&["devices", "--json"]));
    let first = &all["devices"][0];
    let part: String = first["name"].as_str().unwrap().to_uppercase();
    for wanted in ["0", &part] {
        let output = run(&["devices", "--json", "--device", wanted]);
        assert_succeeds(&output);
        assert_eq!(document(&output)["devices"], json!([first]));
    }
}

#[test]
fn without_a_driver_the_list_is_empty_and_the_reason_is_given() {
    let output = without_driver(&["devices", "--json"]);
    assert_fails(&output, 1, &["mesa-vulkan-drivers"]);
    assert_eq!(document(&output)["devices"], json!([]));

    let people = without_driver(&["devices"]);
    assert_fails(&people, 1, &["mesa-vulkan-drivers"]);
    assert_eq!(stdout(&people), "");

    for command in [
        &["bench", "chain"][..],
        &["generate", "--model", "missing.gguf", "--prompt", "x"],
    ] {
        assert_fails(&without_driver(command), 1, &["mesa-vulkan-drivers"]);
    }
}

#[test]
fn the_chain_is_measured_and_checked() {
    let arguments = ["bench", "chain", "--dispatches", "40", "--workgroups", "2"];
    let output = run(&[&arguments[..], &["--json"]].concat());
    assert_succeeds(&output);
    // Bars are for terminals.
    assert_eq!(stderr(&output), "");
    let document = document(&output);
    assert!(!document["device"].as_str().unwrap().is_empty());
    let rows = document["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "every-dispatch",
            "until-sync",
            "adaptive",
            "raw-each",
            "raw-one",
            "raw-cut-32"
        ]
    );
    let of = |name: &str, what: &str| -> &Value {
        &rows[names.iter().position(|it| *it == name).unwrap()][what]
    };
    for name in &names {
        let number = |what: &str| of(name, what).as_f64().unwrap();
        assert!(number("us_per_step_low") > 0.0);
        assert!(number("us_per_step_low") <= number("us_per_step"));
        assert!(number("us_per_step") <= number("us_per_step_high"));
        assert!(number("ratio_to_every_dispatch") > 0.0);
    }
    assert_eq!(of("every-dispatch", "ratio_to_every_dispatch"), &json!(1.0));
    let submissions = |name| of(name, "submissions").as_u64().unwrap();
    assert_eq!(submissions("every-dispatch"), 40);
    assert_eq!(submissions("until-sync"), 1);
    assert!((1..40).contains(&submissions("adaptive")));
    assert_eq!(submissions("raw-each"), 40);
    assert_eq!(submissions("raw-one"), 1);
    assert_eq!(submissions("raw-cut-32"), 2);
    assert_eq!(of("until-sync", "barriers"), &json!(39));
    assert_eq!(of("raw-one", "barriers"), &json!(39));
    assert_eq!(of("every-dispatch", "barriers"), &json!(0));
}

/// The layer writes what it finds to standard output, where with `--json` nothing but the document may be.
#[cfg(target_os = "linux")]
#[test]
fn the_validation_layer_says_nothing() {
    let arguments = ["bench", "chain", "--dispatches", "5", "--workgroups", "1"];
    let output = common::tidegate(&[&arguments[..], &["--json"]].concat())
        .env("VK_INSTANCE_LAYERS", "VK_LAYER_KHRONOS_validation")
        .env("VK_LOADER_DEBUG", "layer")
        .output()
        .unwrap();
    assert_succeeds(&output);
    assert!(document(&output)["rows"].is_array());
    let loader = stderr(&output);
    assert!(
        loader.contains("libVkLayer_khronos_validation.so"),
        "the layer was not loaded; `cargo xtask test` installs it: {loader}"
    );
}

#[test]
fn people_get_a_table() {
    let output = run(&[
        "bench",
        "chain",
        "--dispatches",
        "1",
        "--workgroups",
        "1",
        "--queue-family",
        "graphics",
    ]);
    assert_succeeds(&output);
    let text = stdout(&output);
    for name in ["every-dispatch", "raw-cut-32", "us a step", "ratio"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(serde_json::from_str::<Value>(&text).is_err());
}
