//! The decoder's kernels: WGSL, put together for a model's shape and a device's kind.

use std::collections::HashMap;
use std::fmt::Write as _;

use tidegate::{Device, Kernel};

use crate::config::{Config, RopeStyle};
use crate::error::Error;
use crate::format::Format;
#[cfg(any(test, feature = "testing"))]
use crate::format::Packing;

/// What a matrix product does with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Then {
    /// Stores it.
    Store,
    /// Adds it to what is there.
    Add,
    /// Stores `silu(first half) * second half`.
    Gate,
}

/// How a matrix product is shared out: see `kernels/matmul.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    workgroup: u32,
    lanes: u32,
    rows: u32,
    tokens: u32,
}

/// A matrix product's kernel, and how many rows and tokens one workgroup computes.
#[derive(Debug)]
pub(crate) struct Matmul {
    pub(crate) kernel: Kernel,
    pub(crate) outputs: u32,
    pub(crate) tokens: u32,
}

/// The source of every kernel for a model's shape, by name, matrix products for every format, ending and number of tokens: for golden files.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn sources(config: &Config, software: bool) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for packing in Packing::ALL {
        for then in [Then::Store, Then::Add, Then::Gate] {
            for single in [true, false] {
                let shape = Shape::of(software, single, then);
                let name = format!("{packing:?}-{then:?}-{}", shape.tokens);
                sources.push((name, matmul_source(packing.into(), then, shape)));
            }
        }
    }
    // Queries and keys in one packing, values in another.
    let mixed = Format {
        first: Packing::Q4K,
        rest: Some((Packing::Q6K, 2048)),
    };
    let shape = Shape::of(software, true, Then::Store);
    let source = matmul_source(mixed, Then::Store, shape);
    sources.push(("Q4K-Q6K-Store-1".to_owned(), source));
    if !software {
        sources.extend([
            ("norm".to_owned(), NORM.to_owned()),
            ("rope".to_owned(), rope_source(config)),
            ("attention".to_owned(), attention_source(config)),
            ("argmax".to_owned(), ARGMAX.to_owned()),
            ("nll".to_owned(), NLL.to_owned()),
        ]);
        let embed = |packing: Packing| (format!("{packing:?}"), embed_source(packing.into()));
        sources.extend(Packing::ALL.map(embed));
    }
    sources
}

/// Compiled kernels. Matrix products are compiled when a model first needs their format.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub(crate) norm: Kernel,
    pub(crate) rope: Kernel,
    pub(crate) attention: Kernel,
    pub(crate) argmax_parts: Kernel,
    pub(crate) argmax_pick: Kernel,
    pub(crate) score: Kernel,
    pub(crate) embed: Kernel,
    matmuls: HashMap<(Format, Then, bool), Matmul>,
}

/// Logits that one workgroup of the first stage of the argmax looks at: `CHUNK` in `kernels/argmax.wgsl`.
pub(crate) const ARGMAX_CHUNK: u32 = 1024;

const NORM: &str = include_str!("kernels/norm.wgsl");
const ARGMAX: &str = include_str!("kernels/argmax.wgsl");
const NLL: &str = include_str!("kernels/nll.wgsl");

impl Kernels {
    /// Compiles what a model with this embedding table and these matrices needs.
    pub(crate) fn new(
        device: &Device,
        config: &Config,
        embedding: Format,
        matrices: &[(Format, Then)],
    ) -> Result<Self, Error> {
        let compile = |source: &str, name: &str| -> Result<Kernel, Error> {
            Ok(device.module_from_wgsl(source)?.kernel(name)?)
        };
        let software = device.capabilities().software;
        let mut matmuls = HashMap::new();
        for (format, then) in matrices {
            for single in [true, false] {
                let shape = Shape::of(software, single, *then);
                let kernel = compile(&matmul_source(*format, *then, shape), "matmul")?;
                let made = Matmul {
                    kernel,
                    outputs: shape.workgroup / shape.lanes * shape.outputs(*then),
                    tokens: shape.tokens,
                };
                matmuls.insert((*format, *then, single), made);
            }
        }
        Ok(Self {
            norm: compile(NORM, "norm")?,
            rope: compile(&rope_source(config), "rope")?,
            attention: compile(&attention_source(config), "attention")?,
            argmax_parts: compile(ARGMAX, "parts")?,
            argmax_pick: compile(ARGMAX, "pick")?,
            score: compile(NLL, "score")?,
            embed: compile(&embed_source(embedding), "embed")?,
            matmuls,
        })
    }

    /// The matrix product for one token, or for several.
    pub(crate) fn matmul(&self, format: Format, then: Then, single: bool) -> &Matmul {
        &self.matmuls[&(format, then, single)]
    }
}

impl Shape {
    /// A software device spends a microsecond on each workgroup, and dearly on barriers and loads, and has no parallelism to fill: each invocation takes whole rows, and eight of
    /// them, so that what it loads of the input is used eight times (on two cores of a shared machine 8 and 16 rows decoded at 9 to 10 tokens/s, 4 rows at 6 to 8). A GPU shares
    /// a row among lanes.
    fn of(software: bool, single: bool, then: Then) -> Self {
        let pair = if then == Then::Gate { 2 } else { 1 };
        match (software, single) {
            (true, single) => Self {
                workgroup: 32,
                lanes: 1,
                rows: 8,
                tokens: if single { 1 } else { 4 },
            },
            (false, single) => Self {
                workgroup: 64,
                lanes: 8,
                rows: pair,
                tokens: if single { 1 } else { 4 },
            },
        }
    }

    /// Rows of the output that one invocation computes.
    fn outputs(self, then: Then) -> u32 {
        if then == Then::Gate {
            self.rows / 2
        } else {
            self.rows
        }
    }
}

fn matmul_source(format: Format, then: Then, shape: Shape) -> String {
    let constants = [
        ("WORKGROUP", shape.workgroup),
        ("LANES", shape.lanes),
        ("ROWS", shape.rows),
        ("OUTPUTS", shape.outputs(then)),
        ("TOKENS", shape.tokens),
    ];
    let flags = [
        ("SHARED", shape.lanes > 1),
        ("GATED", then == Then::Gate),
        ("ADD", then == Then::Add),
    ];
    let body = choose(include_str!("kernels/matmul.wgsl"), &flags);
    define(&constants) + &format.source() + &body
}

fn embed_source(format: Format) -> String {
    format.source() + include_str!("kernels/embed.wgsl")
}

fn rope_source(config: &Config) -> String {
    let flags = [("BIAS", config.architecture.attention_bias())];
    define(&head_constants(config)) + &choose(include_str!("kernels/rope.wgsl"), &flags)
}

fn attention_source(config: &Config) -> String {
    let mut source = define(&head_constants(config));
    let workgroup = (config.head_elements / 2).next_power_of_two().max(64);
    source += &define(&[("WORKGROUP", workgroup)]);
    let scale = 1.0 / (config.head_elements as f32).sqrt();
    // Writing to a string cannot fail.
    let _ = writeln!(source, "const SCALE = {scale:?}f;");
    source + include_str!("kernels/attention.wgsl")
}

fn head_constants(config: &Config) -> [(&'static str, u32); 4] {
    let stride = match config.architecture.rope_style() {
        RopeStyle::InterleavedPairs => 1,
        RopeStyle::RotateHalf => config.head_elements / 2,
    };
    [
        ("HEADS", config.heads),
        ("HEADS_KV", config.heads_kv),
        ("HEAD_PAIRS", config.head_elements / 2),
        ("PAIR_STRIDE", stride),
    ]
}

fn define(constants: &[(&str, u32)]) -> String {
    constants
        .iter()
        .map(|(name, value)| format!("const {name} = {value}u;\n"))
        .collect()
}

/// Keeps the lines between `//#if FLAG`, `//#else` and `//#endif` that the flags choose. WGSL has no conditional compilation, and what a constant
/// condition leaves out is still compiled: workgroup memory that nothing uses would still be cleared.
fn choose(source: &str, flags: &[(&str, bool)]) -> String {
    let mut kept = String::new();
    let mut keep = true;
    for line in source.lines() {
        match line.trim().strip_prefix("//#") {
            Some("else") => keep = !keep,
            Some("endif") => keep = true,
            Some(condition) => {
                let flag = condition.trim_start_matches("if ");
                keep = flags.iter().any(|(name, set)| *name == flag && *set);
            }
            None if keep => {
                kept.push_str(line);
                kept.push('\n');
            }
            None => {}
        }
    }
    kept
}
