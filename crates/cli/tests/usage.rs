//! What the program says to wrong usage, and where it says it.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::{assert_fails, assert_succeeds, document, run, stderr, stdout, tidegate};

#[test]
fn help_of_every_command_has_examples() {
    for command in [
        &[][..],
        &["devices"],
        &["generate"],
        &["score"],
        &["bench"],
        &["bench", "chain"],
        &["bench", "decode"],
    ] {
        let output = run(&[command, &["--help"]].concat());
        assert_succeeds(&output);
        assert_eq!(stderr(&output), "");
        let text = stdout(&output);
        for words in ["Examples:", "--json", "--device"] {
            assert!(text.contains(words), "{command:?}: {words}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn the_version_goes_to_standard_output() {
    let output = run(&["--version"]);
    assert_succeeds(&output);
    assert_eq!(
        stdout(&output),
        format!("tidegate {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn values_out_of_range_are_wrong_usage() {
    let generate = ["generate", "--model", "missing.gguf", "--prompt", "x"];
    for wrong in [
        ["--temperature", "nan"],
        ["--temperature", "-1"],
        ["--temperature", "inf"],
        ["--temperature", "warm"],
        ["--top-p", "0"],
        ["--top-p", "1.5"],
        ["--top-p", "nan"],
        ["--top-k", "0"],
        ["--top-k", "-1"],
        ["--seed", "-1"],
        ["--seed", "18446744073709551616"],
        ["--max-tokens", "0"],
        ["--max-tokens", "-1"],
        ["--max-tokens", "4294967296"],
        ["--policy", "eager"],
        ["--unknown", "1"],
    ] {
        let output = run(&[&generate[..], &wrong].concat());
        assert_fails(&output, 2, &[wrong[0]]);
        assert_eq!(stdout(&output), "");
    }
    let output = run(&[&generate[..], &["--chat=maybe"]].concat());
    assert_fails(&output, 2, &["--chat", "always, auto, never"]);
    for wrong in [
        ["--dispatches", "0"],
        ["--dispatches", "-1"],
        ["--dispatches", "100001"],
        ["--dispatches", "1.5"],
        ["--workgroups", "0"],
        ["--workgroups", "16777217"],
        ["--rounds", "29"],
        ["--rounds", "many"],
        ["--queue-family", "transfer"],
    ] {
        let output = run(&[&["bench", "chain"][..], &wrong].concat());
        assert_fails(&output, 2, &[wrong[0]]);
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn missing_and_contradicting_arguments_are_wrong_usage() {
    for wrong in [
        &[][..],
        &["bench"],
        &["decode"],
        &["generate"],
        &["generate", "--model", "m.gguf"],
        &["generate", "--prompt", "x"],
        &[
            "generate",
            "--model",
            "m.gguf",
            "--prompt",
            "x",
            "--prompt-file",
            "y",
        ],
        &["score", "--model", "m.gguf"],
        &["devices", "extra"],
    ] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert_eq!(stdout(&output), "", "{wrong:?}");
        assert!(stderr(&output).contains("--help"), "{wrong:?}");
    }
}

#[test]
fn with_json_wrong_usage_is_one_document_too() {
    let parsed = run(&["bench", "chain", "--json", "--dispatches", "0"]);
    assert_eq!(parsed.status.code(), Some(2));
    let error = document(&parsed)["error"].as_str().unwrap().to_owned();
    assert!(error.contains("--dispatches"), "{error}");

    let missing = document(&run(&["score", "--model", "m.gguf", "--json"]));
    let error = missing["error"].as_str().unwrap();
    assert!(error.contains("--file"), "{error}");

    let later = run(&["generate", "--model", "m.gguf", "--prompt", "", "--json"]);
    assert_fails(&later, 2, &["the prompt is empty", "--help"]);
    let error = document(&later)["error"].as_str().unwrap().to_owned();
    assert!(error.contains("the prompt is empty"), "{error}");
}

#[test]
fn an_unknown_device_is_wrong_usage_before_any_work() {
    // 256 is in the name of Mesa's software device, and 99 and 256 are the numbers of none.
    for device in ["99", "256", "no such device", "", "-1"] {
        let device = format!("--device={device}");
        for command in [
            &["devices"][..],
            &["bench", "chain"],
            &["generate", "--model", "missing.gguf", "--prompt", "x"],
        ] {
            let output = run(&[command, &[&device]].concat());
            assert_fails(&output, 2, &["device"]);
            assert_eq!(stdout(&output), "");
        }
    }
}

#[test]
fn no_file_is_written_over_another_of_the_run() {
    let (model, text) = (
        common::model("kept.gguf", |_| {}),
        common::file("kept.txt", b"ab"),
    );
    let before = std::fs::read(&model).unwrap();
    let [model_path, text_path] = [&model, &text].map(|it| common::text(it).to_owned());
    // The same file by another name.
    let folder = model.parent().unwrap();
    let around = folder.join("..").join(folder.file_name().unwrap());
    let around = around.join(model.file_name().unwrap());
    let around = common::text(&around);
    let fresh = format!("{text_path}.new");
    let linked = format!("{model_path}.linked");
    let _ = std::fs::remove_file(&linked);
    std::fs::hard_link(&model, &linked).unwrap();
    let generate = ["generate", "--model", &model_path, "--prompt", "ab"];
    let score = ["score", "--model", &model_path, "--file", &text_path];
    let profile = format!("--profile={text_path}");
    for (command, wrong, words) in [
        (&generate, &["--stats", around][..], "--model and --stats"),
        (&generate, &["--trace", around], "--model and --trace"),
        (&generate, &["--stats", &linked], "--model and --stats"),
        (&score, &[profile.as_str()], "--file and --profile"),
        (
            &generate,
            &["--trace", &fresh, "--stats", &fresh],
            "--stats and --trace",
        ),
    ] {
        let output = run(&[&command[..], wrong].concat());
        assert_fails(&output, 2, &[words, "the same file"]);
    }
    assert_eq!(std::fs::read(&model).unwrap(), before);
    assert_eq!(std::fs::read(&text).unwrap(), b"ab");
    assert!(!std::path::Path::new(&fresh).exists());
    let nowhere = [
        "--max-tokens",
        "1",
        "--trace",
        "/dev/null",
        "--stats",
        "/dev/null",
    ];
    if cfg!(unix) {
        assert_succeeds(&run(&[&generate[..], &nowhere].concat()));
    }
}

#[test]
fn work_that_fails_leaves_an_output_as_it_was() {
    let kept = common::file("kept.json", b"an older trace");
    let too_many = ["bench", "chain", "--workgroups", "16777216", "--trace"];
    let output = run(&[&too_many[..], &[common::text(&kept)]].concat());
    assert_fails(&output, 2, &["--workgroups"]);
    assert_eq!(std::fs::read(&kept).unwrap(), b"an older trace");
}

#[test]
fn an_empty_model_is_called_empty() {
    let empty = common::file("empty.gguf", b"");
    let output = run(&[
        "generate",
        "--model",
        common::text(&empty),
        "--prompt",
        "ab",
    ]);
    assert_fails(&output, 1, &["empty.gguf", "it is empty"]);
}

#[test]
fn devices_has_nothing_to_trace() {
    let file = common::file("nothing-to-trace", b"");
    std::fs::remove_file(&file).unwrap();
    let path = common::text(&file);
    for option in ["--trace", "--profile"] {
        let refused = run(&["devices", &format!("{option}={path}")]);
        assert_fails(&refused, 2, &[option]);
        assert!(!file.exists());
        assert!(!stdout(&run(&["devices", "--help"])).contains(option));
        assert!(stdout(&run(&["bench", "chain", "--help"])).contains(option));
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_is_no_error() {
    use std::process::Stdio;
    for arguments in [&["devices", "--json"][..], &["devices"], &["--help"]] {
        let mut child = tidegate(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_succeeds(&output);
        assert_eq!(stderr(&output), "");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = tidegate(&["devices", "--json"])
        .stdout(full)
        .output()
        .unwrap();
    assert_fails(&output, 1, &["cannot write to standard output"]);
}
