//! No input may panic, hang or exhaust the stack.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use proptest::prelude::*;
use tidegate_shader::{Module, MslOptions, SpirvOptions};

const SOURCES: [&str; 6] = [
    include_str!("in/half.wgsl"),
    include_str!("in/layout.wgsl"),
    include_str!("in/matmul.wgsl"),
    include_str!("in/pod.wgsl"),
    include_str!("in/reduce.wgsl"),
    include_str!("in/saxpy.wgsl"),
];

/// Fragments that lead a parser astray more often than random bytes do.
const FRAGMENTS: [&str; 20] = [
    "{",
    "}",
    "(",
    ")",
    "<",
    ">",
    "[",
    "]",
    ";",
    ",",
    "0",
    "-1",
    "4294967295u",
    "1e400",
    "array<",
    "vec3<f32>",
    "atomic<u32>",
    "&",
    "override o: u32;",
    "/*",
];

/// Everything that can be asked of a module.
fn ask(module: &Module) {
    for kernel in module.kernels() {
        let _ = module.spirv(&kernel.name, &SpirvOptions::default());
        let _ = module.spirv_text(
            &kernel.name,
            &SpirvOptions {
                debug_names: true,
                ..SpirvOptions::default()
            },
        );
        let _ = module.msl(&kernel.name, &MslOptions::default());
    }
    let _ = module
        .with_constants(&[("tile", 8.0)])
        .map(|module| module.kernels().len());
}

fn wgsl(source: &str) {
    match Module::from_wgsl(source) {
        Ok(module) => ask(&module),
        Err(error) => drop(error.to_string()),
    }
}

fn spirv(words: &[u32]) {
    match Module::from_spirv(words) {
        Ok(module) => ask(&module),
        Err(error) => drop(error.to_string()),
    }
}

/// Every kernel of every source as SPIR-V.
fn words() -> Vec<Vec<u32>> {
    let modules = SOURCES.map(|source| Module::from_wgsl(source).unwrap());
    let write = |module: &Module| {
        let options = SpirvOptions {
            debug_names: true,
            ..SpirvOptions::default()
        };
        let kernels = module.kernels().iter();
        kernels
            .map(|kernel| module.spirv(&kernel.name, &options).unwrap())
            .collect::<Vec<_>>()
    };
    modules.iter().flat_map(write).collect()
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn random_text(text in ".{0,200}") {
        wgsl(&text);
    }

    #[test]
    fn random_fragments(parts in prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 0..60)) {
        let body = parts.join(" ");
        wgsl(&body);
        wgsl(&format!("@compute @workgroup_size(1) fn k() {{ {body} }}"));
    }

    #[test]
    fn mutated_wgsl(
        source in prop::sample::select(&SOURCES[..]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(&FRAGMENTS[..])), 1..4),
    ) {
        let mut text: Vec<char> = source.chars().collect();
        for (at, removed, inserted) in edits {
            let start = at.index(text.len());
            let end = (start + removed).min(text.len());
            text.splice(start..end, inserted.chars());
        }
        wgsl(&text.into_iter().collect::<String>());
    }

    #[test]
    fn random_words(mut words in prop::collection::vec(any::<u32>(), 0..200)) {
        spirv(&words);
        if let Some(magic) = words.first_mut() {
            *magic = 0x0723_0203;
        }
        spirv(&words);
    }

    #[test]
    fn random_instructions(parts in prop::collection::vec((1..6_u32, 0..400_u32, prop::collection::vec(0..12_u32, 5)), 0..40)) {
        let mut words = vec![0x0723_0203, 0x0001_0300, 0, 100, 0];
        for (length, opcode, operands) in parts {
            words.push(length << 16 | opcode);
            words.extend(operands.iter().take(length as usize - 1));
        }
        spirv(&words);
    }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn mutated_spirv(
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u32>(), 0..64_u32]), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for mut words in words() {
            for (at, word) in &edits {
                let at = at.index(words.len());
                words[at] = *word;
            }
            if let Some(cut) = &cut {
                words.truncate(cut.index(words.len()));
            }
            spirv(&words);
        }
    }
}

fn body(statements: &str) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read_write> d: array<u32>;
         var<immediate> k: u32;
         @compute @workgroup_size(1) fn f() {{ {statements} }}"
    )
}

/// Each of these overflowed the two megabytes of a test's stack before there was a limit.
#[test]
fn depth_is_limited() {
    let declarations = |n: usize, one: &dyn Fn(usize) -> String, last: &str| {
        (1..n).rev().map(one).collect::<String>() + last
    };
    let chains = [
        body(&format!("d[0] = k{};", " + k".repeat(100_000))),
        body(&format!("d[0] = {}k;", "~".repeat(100_000))),
        body(&format!(
            "d[0] = {}k{};",
            "(".repeat(100_000),
            ")".repeat(100_000)
        )),
        body(&format!(
            "d[0] = {}0{};",
            "d[".repeat(100_000),
            "]".repeat(100_000)
        )),
        body(&format!(
            "var v = vec2(k); d[0] = v{};",
            ".xy".repeat(100_000)
        )),
        body(&format!(
            "if k == 0u {{}} {}",
            "else if k == 1u {}".repeat(50_000)
        )),
        body(&format!("{}{}", "{".repeat(100_000), "}".repeat(100_000))),
        body(&format!(
            "var v: {}u32{};",
            "array<".repeat(50_000),
            ", 1>".repeat(50_000)
        )),
        body(&format!("d[0] = k // \u{2028} {};", " + k".repeat(100_000))),
        declarations(
            20_000,
            &|n| format!("const c{n} = c{};", n - 1),
            "const c0 = 1;",
        ),
        declarations(
            20_000,
            &|n| format!("alias a{n} = a{};", n - 1),
            "alias a0 = u32;",
        ),
        declarations(
            20_000,
            &|n| format!("fn f{n}() {{ f{}(); }}", n - 1),
            "fn f0() {}",
        ),
    ];
    for chain in chains {
        let error = Module::from_wgsl(&chain).unwrap_err().to_string();
        assert!(error.contains("at most"), "{error}");
    }
    let long = " ".repeat(Module::WGSL_BYTES_MAX + 1);
    assert!(
        Module::from_wgsl(&long)
            .unwrap_err()
            .to_string()
            .contains("bytes of WGSL")
    );
}

/// Each is just within its limit, and goes all the way through on a test's stack.
#[test]
fn what_the_limits_allow_fits_the_stack() {
    let depth = Module::WGSL_DEPTH_MAX - 10;
    let count = Module::WGSL_DECLARATIONS_MAX - 10;
    let functions: String = (1..count)
        .rev()
        .map(|n| format!("fn f{n}() {{ f{}(); }}", n - 1))
        .collect();
    for source in [
        body(&format!("d[0] = k{};", " + k".repeat(depth))),
        body(&format!("d[0] = {}k;", "~".repeat(depth))),
        body(&format!(
            "if k == 0u {{}} {}",
            "else if k == 1u {}".repeat(depth / 2)
        )),
        body(&format!(
            "{}d[0] = k;{}",
            "loop { if k == 0u { break; } ".repeat(120),
            "}".repeat(120)
        )),
        functions
            + "fn f0() {}"
            + &body(&format!("f{}();", count - 1)).replace("fn f()", "fn main()"),
    ] {
        let module = Module::from_wgsl(&source).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(module.kernels().len(), 1);
        ask(&module);
    }
}

/// A failure prints its input in full, so no file is kept.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}
