//! What the program says to wrong usage, and with which status.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

/// The status, and what it said on standard error.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-bench"));
    let output = command.args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    for (wrong, words) in [
        (["--device", "99"], "99"),
        (["--device", "no such device"], "no such device"),
        (["--device", ""], "empty"),
        (["--rounds", "29"], "30..=100000"),
        (["--rounds", "-1"], "30..=100000"),
        (["--workgroups", "0"], "1..=16384"),
        (["--rows", "no such row"], "no row"),
    ] {
        let (status, said) = run(&wrong);
        assert_eq!(status, Some(2), "{wrong:?}: {said}");
        assert!(said.contains(words), "{wrong:?}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_work() {
    let (status, said) = run(&["--plot", "/nonexistent/bench.svg"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("cannot be written"), "{said}");
    assert!(!said.contains("rows"), "{said}");
}
