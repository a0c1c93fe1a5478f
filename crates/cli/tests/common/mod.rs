//! Running the program, and looking at what it says.

#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, reason = "only tests call it")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tidegate_llm::testing::{GgufWriter, TinyModel};

/// The program as tests run it. Lavapipe then works on the calling thread.
pub(crate) fn tidegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .args(arguments)
        .env("LP_NUM_THREADS", "0")
        .stdin(Stdio::null());
    command
}

/// Runs it without any Vulkan driver.
pub(crate) fn without_driver(arguments: &[&str]) -> Output {
    let mut command = tidegate(arguments);
    command
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .output()
        .unwrap()
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    tidegate(arguments).output().unwrap()
}

/// Runs it with `input` as its standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = tidegate(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one document on standard output.
pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {:?}, and on standard error {:?}",
            stdout(output),
            stderr(output)
        )
    })
}

/// It ended with this status, said this on standard error, and did not panic.
pub(crate) fn assert_fails(output: &Output, status: i32, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

pub(crate) fn assert_succeeds(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

/// A file for one test.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A tiny model, changed by `change`, in a file of its own.
pub(crate) fn model(name: &str, change: impl FnOnce(&mut GgufWriter)) -> PathBuf {
    let mut writer = TinyModel::default().writer();
    change(&mut writer);
    file(name, &writer.bytes())
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
