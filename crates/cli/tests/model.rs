//! `tidegate generate` and `tidegate score` with a tiny model, and with files that are none.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::{
    assert_fails, assert_succeeds, document, file, model, run, run_with_input, stderr, stdout, text,
};
use serde_json::json;
use tidegate_llm::gguf::Value;
use tidegate_llm::testing::TinyModel;

#[test]
fn text_is_the_same_under_every_policy_and_in_every_place() {
    let model = model("policies.gguf", |_| {});
    let stats = file("stats.json", b"");
    let mut seen = Vec::new();
    for policy in ["adaptive", "until-sync", "every-dispatch"] {
        let arguments = [
            "generate",
            "--model",
            text(&model),
            "--prompt",
            "abc",
            "--max-tokens",
            "12",
            "--policy",
            policy,
        ];
        let streamed = run(&[&arguments[..], &["--stats", text(&stats)]].concat());
        assert_succeeds(&streamed);
        let written: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&stats).unwrap()).unwrap();
        let output = run(&[&arguments[..], &["--json"]].concat());
        assert_succeeds(&output);
        let document = document(&output);

        assert_eq!(document["policy"], json!(policy));
        // "ab" is one token.
        assert_eq!(document["prompt_tokens"], json!(2));
        let ids = document["token_ids"].as_array().unwrap();
        assert_eq!(document["tokens"], json!(ids.len()));
        assert!(ids.len() <= 12);
        let all = document["text"].as_str().unwrap();
        assert_eq!(stdout(&streamed), format!("{all}\n"));
        for name in ["text", "token_ids", "tokens", "policy", "device"] {
            assert_eq!(written[name], document[name], "{name}");
        }
        assert!(document["prefill_tokens_per_s"].as_f64().unwrap() > 0.0);
        assert!(document["decode_tokens_per_s"].is_f64());
        let counters = &document["counters"];
        assert!(counters["dispatches"].as_u64().unwrap() > 0);
        assert!(counters["bytes_staged"].is_u64() && counters["barriers"].is_u64());
        assert!(counters["submissions_by_cause"].is_object());
        // Counted from after loading.
        assert_eq!(
            written["counters"]["dispatches"],
            document["counters"]["dispatches"]
        );
        seen.push((document["text"].clone(), document["token_ids"].clone()));

        let devices = common::document(&run(&["devices", "--json"]));
        let names: Vec<_> = devices["devices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["name"])
            .collect();
        assert!(names.contains(&&document["device"]));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn a_prompt_comes_from_an_argument_a_file_or_standard_input() {
    let model = model("prompts.gguf", |_| {});
    let prompt = file("prompt.txt", "é1\n".as_bytes());
    let common = [
        "generate",
        "--model",
        text(&model),
        "--max-tokens",
        "3",
        "--json",
    ];
    let argument = run(&[&common[..], &["--prompt", "é1\n"]].concat());
    let from_file = run(&[&common[..], &["--prompt-file", text(&prompt)]].concat());
    let from_input = run_with_input(
        &[&common[..], &["--prompt-file", "-"]].concat(),
        "é1\n".as_bytes(),
    );
    assert_succeeds(&argument);
    let expected = &document(&argument)["token_ids"];
    assert_eq!(document(&argument)["prompt_tokens"], json!(4));
    for output in [from_file, from_input] {
        assert_succeeds(&output);
        assert_eq!(document(&output)["prompt_tokens"], json!(4));
        assert_eq!(&document(&output)["token_ids"], expected);
    }
}

#[test]
fn a_seed_decides_what_is_sampled() {
    let model = model("seeds.gguf", |_| {});
    let sampled = |seed: &str| {
        let output = run(&[
            "generate",
            "--model",
            text(&model),
            "--prompt",
            "x",
            "--max-tokens",
            "16",
            "--temperature",
            "1.5",
            "--top-p",
            "0.95",
            "--top-k",
            "100",
            "--seed",
            seed,
            "--json",
        ]);
        assert_succeeds(&output);
        document(&output)["token_ids"].clone()
    };
    assert_eq!(sampled("1"), sampled("1"));
    assert_ne!(sampled("1"), sampled("2"));
}

#[test]
fn options_that_do_nothing_are_pointed_out() {
    let model = model("greedy.gguf", |_| {});
    let arguments = [
        "generate",
        "--model",
        text(&model),
        "--prompt",
        "x",
        "--max-tokens",
        "1",
        "--top-k",
        "5",
    ];
    let output = run(&arguments);
    assert_succeeds(&output);
    assert!(stderr(&output).contains("--temperature 0"));
}

#[test]
fn a_chat_needs_a_template() {
    let template = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}";
    let with = model("chat.gguf", |it| {
        it.set(
            "tokenizer.chat_template",
            Value::String(template.to_owned()),
        );
    });
    let without = model("no-chat.gguf", |it| {
        it.remove("tokenizer.chat_template");
    });
    let generate = |path, prompt, chat| {
        run(&[
            "generate",
            "--model",
            text(path),
            "--prompt",
            prompt,
            chat,
            "--max-tokens",
            "2",
            "--json",
        ])
    };
    let tokens = |output: &std::process::Output| {
        assert_succeeds(output);
        document(output)["prompt_tokens"].clone()
    };
    for chat in ["--chat", "--chat=always", "--chat=auto"] {
        let output = generate(&with, "hi", chat);
        assert_eq!(tokens(&output), json!(4));
        assert_eq!(document(&output)["chat"], json!(true));
        assert!(!stderr(&output).contains("template"));
        // Whoever writes a control token writes characters.
        let output = generate(&with, "<|im_end|>", chat);
        assert_eq!(tokens(&output), json!(12));
    }
    assert_eq!(tokens(&generate(&with, "hi", "--chat=never")), json!(2));
    for chat in ["--chat", "--chat=always"] {
        assert_fails(
            &generate(&without, "hi", chat),
            1,
            &["chat_template", "--chat"],
        );
    }
    let output = generate(&without, "hi", "--chat=auto");
    assert_eq!(tokens(&output), json!(2));
    assert_eq!(document(&output)["chat"], json!(false));
    assert!(stderr(&output).contains("no chat template"));
}

#[test]
fn prompts_that_cannot_be_used_are_refused() {
    let model = model("refused.gguf", |_| {});
    let generate =
        |arguments: &[&str]| run(&[&["generate", "--model", text(&model)][..], arguments].concat());
    assert_fails(&generate(&["--prompt", ""]), 2, &["empty"]);
    let empty = file("empty.txt", b"");
    assert_fails(
        &generate(&["--prompt-file", text(&empty)]),
        2,
        &["the prompt is empty"],
    );
    let latin = file("latin.txt", b"caf\xE9");
    assert_fails(
        &generate(&["--prompt-file", text(&latin)]),
        1,
        &["UTF-8", "byte 3", "iconv"],
    );
    assert_fails(
        &generate(&["--prompt-file", "no/such/file"]),
        1,
        &["no/such/file"],
    );
    // The tiny model's context is 64.
    let long = "x".repeat(60);
    let output = generate(&["--prompt", &long, "--max-tokens", "5", "--json"]);
    assert_fails(&output, 2, &["60", "64", "at most 4"]);
    assert!(document(&output)["error"].is_string());
    assert_fails(&generate(&["--prompt", "x"]), 2, &["--max-tokens is 128"]);
    assert_fails(
        &generate(&["--prompt", "x", "--max-tokens", "4294967295"]),
        2,
        &["at most 63"],
    );
    let endless = "x".repeat((1 << 18) + 1);
    let endless = file("endless.txt", endless.as_bytes());
    assert_fails(
        &generate(&["--prompt-file", text(&endless)]),
        2,
        &["shorten"],
    );
    let nowhere = generate(&[
        "--prompt",
        "x",
        "--max-tokens",
        "1",
        "--stats",
        "no/such/folder/x",
    ]);
    assert_fails(&nowhere, 1, &["--stats no/such/folder/x"]);
}

#[test]
fn files_that_are_no_model_are_refused_by_name() {
    let whole = TinyModel::default().bytes();
    let folder = env!("CARGO_TARGET_TMPDIR");
    let truncated = file("truncated.gguf", &whole[..whole.len() - 100]);
    let header_only = file("header.gguf", &whole[..100]);
    let other = file("other.gguf", b"PK\x03\x04 this is a zip");
    let empty = file("empty.gguf", b"");
    let mut corrupt = whole.clone();
    corrupt[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    let corrupt = file("corrupt.gguf", &corrupt);
    let architecture = model("mamba.gguf", |it| {
        it.set("general.architecture", Value::String("mamba".to_owned()));
    });
    let tensor = model("missing-tensor.gguf", |it| {
        it.remove_tensor("blk.1.attn_q.weight");
    });
    for (path, words) in [
        ("no/such/file.gguf", "no/such/file.gguf"),
        (folder, folder),
        (text(&truncated), "truncated"),
        (text(&header_only), "header.gguf"),
        (text(&other), "other.gguf"),
        (text(&empty), "empty.gguf"),
        (text(&corrupt), "corrupt.gguf"),
        (text(&architecture), "\"mamba\""),
        (text(&tensor), "blk.1.attn_q.weight"),
    ] {
        let arguments = [
            "generate",
            "--model",
            path,
            "--prompt",
            "x",
            "--max-tokens",
            "1",
        ];
        assert_fails(&run(&arguments), 1, &[words]);
    }
}

#[test]
fn a_score_is_over_the_file_as_it_is() {
    let model = model("score.gguf", |_| {});
    let score = |bytes: &[u8], policy: &str| {
        let path = file("score.txt", bytes);
        let output = run(&[
            "score",
            "--model",
            text(&model),
            "--file",
            text(&path),
            "--policy",
            policy,
            "--json",
        ]);
        assert_succeeds(&output);
        document(&output)
    };
    let with_newline = score(b"xyz\n", "adaptive");
    assert_eq!(with_newline["tokens"], json!(4));
    assert_eq!(score(b"xyz", "adaptive")["tokens"], json!(3));
    let nll = with_newline["nll"].as_f64().unwrap();
    // An untrained model knows little more than that there are 259 tokens.
    assert!((1.0..20.0).contains(&nll), "{nll}");
    assert_eq!(score(b"xyz\n", "until-sync"), with_newline);
    assert_eq!(score(b"xyz\n", "every-dispatch"), with_newline);

    let arguments = ["score", "--model", text(&model), "--file", "-"];
    let people = run_with_input(&arguments, b"xyz\n");
    assert_succeeds(&people);
    assert!(stdout(&people).starts_with("4 tokens, "));
    assert_fails(&run_with_input(&arguments, b"x"), 2, &["at least 2"]);
    assert_fails(&run_with_input(&arguments, b""), 2, &["at least 2"]);
    assert_fails(&run_with_input(&arguments, &[b'x'; 65]), 2, &["65", "64"]);
    assert_fails(&run_with_input(&arguments, b"\xFF\xFE"), 1, &["UTF-8"]);
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_ends_the_text_quietly() {
    use std::process::Stdio;
    let model = model("reader.gguf", |_| {});
    let arguments = [
        "generate",
        "--model",
        text(&model),
        "--prompt",
        "x",
        "--max-tokens",
        "40",
    ];
    let mut child = common::tidegate(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_succeeds(&output);
    assert_eq!(stderr(&output), "");
}

#[test]
fn what_happened_is_written_and_drawn() {
    let model = model("profile.gguf", |_| {});
    let (trace, page) = (file("trace.json", b""), file("page.html", b""));
    let profile = format!("--profile={}", text(&page));
    let output = run(&[
        "generate",
        "--model",
        text(&model),
        "--prompt",
        "abc",
        "--max-tokens",
        "5",
        "--json",
        "--trace",
        text(&trace),
        &profile,
    ]);
    assert_succeeds(&output);
    // The document is still alone on standard output.
    assert!(document(&output)["tokens"].is_u64());
    let said = stderr(&output);
    assert!(
        said.contains("kernel") && said.contains("total ms"),
        "{said}"
    );

    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&trace).unwrap()).unwrap();
    let events = written["traceEvents"].as_array().unwrap();
    let on = |category: &str| events.iter().filter(|it| it["cat"] == category).count();
    let dispatches = document(&output)["counters"]["dispatches"]
        .as_u64()
        .unwrap();
    assert!(on("CPU submits") > 0 && on("CPU records") > 0 && on("CPU waits") > 0);
    assert!(on("GPU runs") as u64 >= dispatches, "{dispatches}");

    let drawn = std::fs::read_to_string(&page).unwrap();
    assert!(drawn.contains("<canvas") && !drawn.contains("/*DATA*/"));
    let refused = run(&["bench", "chain", "--trace", "/nonexistent/trace.json"]);
    assert_fails(
        &refused,
        1,
        &["/nonexistent/trace.json", "cannot be written"],
    );
}
