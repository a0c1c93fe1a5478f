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
            "graph",
            "raw-each",
            "raw-one",
            "raw-cut-32",
            "raw-replay"
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
    for name in ["graph", "raw-replay"] {
        assert_eq!(submissions(name), 1);
        assert_eq!(of(name, "barriers"), &json!(39));
    }
    assert_eq!(of("until-sync", "barriers"), &json!(39));
    assert_eq!(of("raw-one", "barriers"), &json!(39));
    assert_eq!(of("every-dispatch", "barriers"), &json!(0));
}

#[test]
fn chains_that_are_independent_share_their_barriers() {
    let output = run(&[
        "bench",
        "chain",
        "--dispatches",
        "10",
        "--chains",
        "3",
        "--reorder",
        "--json",
    ]);
    assert_succeeds(&output);
    let document = document(&output);
    assert_eq!(document["chains"], json!(3));
    let rows = document["rows"].as_array().unwrap();
    let barriers = |name: &str| -> u64 {
        let row = rows.iter().find(|it| it["name"] == name);
        row.unwrap_or_else(|| panic!("no row {name}"))["barriers"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(barriers("until-sync"), 27);
    assert_eq!(barriers("graph"), 27);
    assert_eq!(barriers("until-sync-reordered"), 9);
    assert_eq!(barriers("graph-reordered"), 9);
    assert!(barriers("adaptive-reordered") <= barriers("adaptive"));
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
fn decoding_is_measured_and_all_rows_choose_the_same() {
    let arguments = [
        "bench",
        "decode",
        "--shape",
        "smollm2-135m",
        "--tokens",
        "1",
        "--rounds",
        "1",
        "--prompt",
        "2",
    ];
    let output = run(&[&arguments[..], &["--json"]].concat());
    assert_succeeds(&output);
    assert_eq!(stderr(&output), "");
    let document = document(&output);
    assert_eq!(document["shape"], json!("smollm2-135m"));
    // 134.5 million weights in blocks of 20 bytes for 32, and the norms.
    assert!((84_000_000..85_000_000).contains(&document["weight_bytes"].as_u64().unwrap()));
    assert!(document["prefill_tokens_per_s"][0].as_f64().unwrap() > 0.0);
    let rows = document["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "every-dispatch",
            "until-sync",
            "adaptive",
            "graph",
            "every-dispatch-unread",
            "until-sync-unread",
            "adaptive-unread",
            "graph-unread"
        ]
    );
    for row in rows {
        // Five a layer, the head and the choice; the start of the sequence embeds its first token.
        assert_eq!(row["launches_per_token"], json!(153.0), "{row}");
        let rate = row["tokens_per_s"].as_f64().unwrap();
        let time = row["us_per_step"].as_f64().unwrap();
        assert!((rate * time - 1e6).abs() < 1.0, "{row}");
        assert!(row["bytes_per_token"].as_u64().unwrap() >= 84_000_000);
    }
    assert_eq!(rows[0]["submissions"].as_u64().unwrap(), 154, "{}", rows[0]);
    // Each launch but the first waits for the one before, and the copy of the token for the last; where uploads are copies, the first one waits too. A batch that is expected to run for long is cut,
    // and then its successor's opening barrier, which is not counted, stands for one.
    let barriers = rows[1]["barriers_per_token"].as_f64().unwrap();
    let cuts = rows[1]["submissions"].as_f64().unwrap() - 1.0;
    assert!((153.0..=154.0).contains(&(barriers + cuts)), "{}", rows[1]);
}

#[test]
fn what_checks_cost_is_measured() {
    let arguments = [
        "bench",
        "decode",
        "--shape",
        "smollm2-135m",
        "--tokens",
        "1",
        "--rounds",
        "1",
        "--prompt",
        "2",
        "--json",
        "--unchecked",
    ];
    let output = run(&arguments);
    assert_succeeds(&output);
    let document = document(&output);
    let rows = document["rows"].as_array().unwrap();
    let last = [&rows[8]["name"], &rows[9]["name"]];
    assert_eq!(last, ["adaptive-unchecked", "graph-unread-unchecked"]);
    for (at, row) in ["adaptive", "graph-unread"].into_iter().enumerate() {
        let cost = &document["checks_cost"][at];
        assert_eq!(cost["row"], json!(row));
        assert!(cost["ratio"].as_f64().unwrap() > 0.1, "{cost}");
    }
    assert!(
        document["prefill_unchecked_tokens_per_s"][0]
            .as_f64()
            .unwrap()
            > 0.0
    );
}

#[test]
fn a_shape_that_does_not_fit_is_refused_by_name() {
    // Only a software device's memory is known to be too small.
    let devices = document(&run(&["devices", "--json"]));
    if devices["devices"][0]["memory_bytes"].as_u64().unwrap() > 4 << 30 {
        return;
    }
    let output = run(&["bench", "decode", "--shape", "llama-3.1-8b", "--json"]);
    assert_fails(&output, 1, &["llama-3.1-8b", "bytes", "smaller shape"]);
    let output = run(&["bench", "decode", "--shape", "gpt-5"]);
    assert_fails(&output, 2, &["gpt-5", "qwen2.5-0.5b"]);
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
