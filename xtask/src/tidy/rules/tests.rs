use super::*;

fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

/// The lines that the rule objects to.
fn lines(findings: Vec<Finding>) -> Vec<usize> {
    findings.into_iter().map(|finding| finding.line).collect()
}

fn tracked(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

#[test]
fn a_file_has_at_most_500_lines_before_its_tests() {
    let line = "fn f() {}\n";
    let tests = "#[cfg(test)]\nmod tests {}\n";
    assert!(line_budget(&source("a.rs", &line.repeat(500)), &[]).is_empty());
    assert_eq!(
        line_budget(&source("a.rs", &line.repeat(501)), &[]).len(),
        1
    );
    assert!(
        line_budget(
            &source("a.rs", &(line.repeat(500) + tests + &line.repeat(900))),
            &[]
        )
        .is_empty()
    );
    assert_eq!(
        line_budget(&source("a.rs", &(line.repeat(501) + tests)), &[]).len(),
        1
    );
    assert!(line_budget(&source("crates/core/tests/a.rs", &line.repeat(900)), &[]).is_empty());
}

#[test]
fn an_exception_to_the_budget_only_goes_down() {
    let longer = [("a.rs", 600, "a table")];
    let lines = |count: usize| line_budget(&source("a.rs", &"x\n".repeat(count)), &longer);
    assert!(lines(600).is_empty());
    assert!(lines(601)[0].text.contains("ends at 600"));
    assert!(lines(580)[0].text.contains("lower its exception"));
    assert!(lines(100)[0].text.contains("lower its exception"));
}

#[test]
fn exceptions_have_a_reason() {
    assert!(LONGER.iter().all(|(.., reason)| !reason.is_empty()));
}

#[test]
fn open_ends_name_an_issue() {
    let text = [
        "// TO_DO(#12): later",
        "// TO_DO: later",
        "// TO_DO(soon)",
        "// FIX_ME(#1)",
        "MASTO_DON",
        "// TO_DO(#)",
    ];
    let text = text.join("\n").replace("O_D", "OD").replace("X_M", "XM");
    assert_eq!(lines(open_ends(&source("a.rs", &text))), [2, 3, 4, 6]);
}

#[test]
fn the_debug_macro_is_found() {
    let text = "db_g!(x);\nlet y = db_g!(x);\nmy_db_g!(x);".replace("db_g", "dbg");
    assert_eq!(lines(debug_macro(&source("a.rs", &text))), [1, 2]);
}

#[test]
fn names_say_something() {
    let text = [
        "pub struct BufferMan_ager;",
        "pub(crate) fn upload_hel_per() {}",
        "mod ut_il;",
        "fn g_et_size() -> u64 {",
        "struct Utility;",
        "fn utilisation() {}",
        "// struct Man_ager",
        "pub async fn buffer<T>(helper: T) {}",
        "enum GPUHel_pers {",
        "const widgets: [get_x; 2]",
    ];
    let replaced = [
        ("Man_ager", "Manager"),
        ("el_per", "elper"),
        ("ut_il", "util"),
        ("g_et", "get"),
    ];
    let text = replaced
        .iter()
        .fold(text.join("\n"), |text, (from, to)| text.replace(from, to));
    assert_eq!(lines(names(&source("a.rs", &text))), [1, 2, 3, 4, 9]);
    assert_eq!(file_name(&source("crates/core/src/utils.rs", "")).len(), 1);
    assert_eq!(file_name(&source("crates/core/src/hazard.rs", "")).len(), 0);
}

#[test]
fn names_are_split_into_words() {
    assert_eq!(words_of("StagingRing2"), ["staging", "ring"]);
    assert_eq!(words_of("staging_ring"), ["staging", "ring"]);
    assert_eq!(words_of("GPUQueue"), ["gpu", "queue"]);
}

#[test]
fn machine_paths_are_found() {
    let text = [
        "cd /RO_OT/repo",
        "\"/HO_ME/me\"",
        "https://host/HO_ME/x",
        "/WO_RK/main",
        "/WO_RKspace",
        "target/WO_RK/x",
        "`/WO_RK`",
        "$XDG/RO_OT",
        "root of the repository",
    ];
    let text = text
        .join("\n")
        .replace("/RO_OT", concat!("/ro", "ot"))
        .replace("/HO_ME", concat!("/ho", "me"))
        .replace("/WO_RK", concat!("/wo", "rk"));
    assert_eq!(lines(machine_paths(&source("a.md", &text))), [1, 2, 4, 7]);
}

#[test]
fn links_lead_somewhere() {
    let tracked = tracked(&[
        "README.md",
        "docs/perf.md",
        "LICENSE-MIT",
        "crates/core/src/lib.rs",
    ]);
    let text = [
        "[a](docs/perf.md) and [gone](docs/gone.md)",
        "[anchor](#here) [site](https://example.org/x) [core](crates/core/) [part](docs/perf.md#part)",
        "[`code`](LICENSE-MIT) and `[x](not/a/link.md)`",
        "<img src=\"docs/gone.png\">",
        "```",
        "[in](a/fence.md)",
        "```",
        "[later]: docs/none.md",
        "[out](../other.md)",
    ];
    assert_eq!(
        lines(links(&source("README.md", &text.join("\n")), &tracked)),
        [1, 4, 8, 9]
    );
    let from_docs = source(
        "docs/perf.md",
        "[up](../README.md) [here](perf.md) [all](..) [no](README.md)",
    );
    assert_eq!(links(&from_docs, &tracked).len(), 1);
}

#[test]
fn the_core_stands_alone() {
    let bad = "[dependencies]\n# why\nlog = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n";
    assert_eq!(
        lines(no_dependency(&source("crates/core/Cargo.toml", bad))),
        [3]
    );
    let lib = |text| forbids_unsafe(&source("crates/core/src/lib.rs", text));
    assert_eq!(lib("//! Core.\n").len(), 1);
    assert!(lib("#![forbid(unsafe_code)]\n").is_empty());
    assert!(forbids_unsafe(&source("crates/vulkan/src/lib.rs", "")).is_empty());
}

#[test]
fn the_rules_pass_their_own_rules() {
    for (path, text) in [
        ("a/rules.rs", include_str!("../rules.rs")),
        ("a/tests/rules.rs", include_str!("tests.rs")),
    ] {
        assert_eq!(all(&source(path, text), &BTreeSet::new()), []);
    }
}
