//! Each kernel's source.

use super::assemble::Assembly;
use super::shape::{Attention, Matvec, Target};
use super::{Key, Role};
use crate::config::{Config, RopeStyle};
use crate::format::{Format, Packing};

pub(super) const NORM: &str = include_str!("norm.wgsl");
pub(super) const NLL: &str = include_str!("nll.wgsl");

/// How many positions of the past each part of attention has, if it is divided: as many as a workgroup has invocations, where a head's blocks of 32 elements let the next product weigh
/// several workgroups' results. A software device gains nothing by it.
pub(super) fn split(target: Target, config: &Config) -> Option<u32> {
    let divided = !target.software && config.head_elements.is_multiple_of(32);
    divided.then(|| Attention::of(target, config.head_elements).workgroup)
}

/// `load`, `unpack` and `affine`: what `part` does in steps, as fast as they can be.
fn block(format: Format) -> &'static str {
    if format == Packing::Q4.into() {
        include_str!("block_q4.wgsl")
    } else {
        include_str!("block_any.wgsl")
    }
}

/// The product for one token of a piece of a matrix. The output projection's workgroups leave their best from pair `pairs` on.
pub(super) fn matvec(
    target: Target,
    config: &Config,
    key: &Key,
    shape: Matvec,
    pairs: u32,
) -> String {
    let role = key.role;
    let split = split(target, config).filter(|_| role == Role::AttentionOutput);
    let subgroup = target.subgroup.is_some();
    let lanes = target.subgroup.unwrap_or(1);
    let unroll = shape.unroll(key.blocks);
    let flags = [
        ("SUBGROUP", subgroup),
        ("SHARED", !subgroup && shape.lanes > 1),
        ("WIDE", subgroup && shape.lanes > lanes),
        ("LANED", shape.lanes > 1),
        (
            "RAGGED",
            shape.lanes > 1 && !(4 * key.blocks).is_multiple_of(shape.lanes * unroll),
        ),
        ("NORM", role.norms()),
        ("MERGE", split.is_some()),
        ("GATED", role == Role::GateUp),
        ("BIAS", role == Role::Qkv(true)),
        ("ADD", role.adds()),
        ("BEST", role == Role::Head),
    ];
    let source = Assembly::new(&flags).define(&[
        ("WORKGROUP", shape.workgroup),
        ("LANES", shape.lanes),
        ("SUBGROUP", lanes),
        ("SUBGROUPS", shape.workgroup / lanes),
        ("TEAMS", shape.teams()),
        ("ROWS", shape.rows),
        ("OUTPUTS", shape.outputs(role)),
        ("BLOCKS", key.blocks),
        ("UNROLL", unroll),
        ("PIECE_FIRST", key.first),
        ("PIECE_ROWS", key.rows),
        ("PIECE_GROUP", pairs),
        ("HEAD", config.head_elements),
        ("HEADS", config.heads),
        ("SPLIT", split.unwrap_or(1)),
    ]);
    source
        .define_f32("EPSILON", config.norm_epsilon)
        .add(&key.format.source())
        .add(block(key.format))
        .add(include_str!("better.wgsl"))
        .add(include_str!("matvec.wgsl"))
        .finish()
}

/// The product for several tokens: its source, its name, and the outputs and tokens of a workgroup.
pub(super) fn product(
    target: Target,
    role: Role,
    format: Format,
) -> (String, &'static str, u32, u32) {
    let flags = [
        ("GATED", role == Role::GateUp),
        ("BIAS", role == Role::Qkv(true)),
        ("ADD", role.adds()),
    ];
    let source = Assembly::new(&flags);
    if target.software {
        let (workgroup, rows, tokens) = (32, 8, 4);
        let outputs = rows / role.rows_each();
        let constants = [
            ("WORKGROUP", workgroup),
            ("ROWS", rows),
            ("OUTPUTS", outputs),
            ("TOKENS", tokens),
        ];
        let source = source.define(&constants).add(&format.source());
        let source = source.add(include_str!("matmul.wgsl")).finish();
        return (source, "matmul", workgroup * outputs, tokens);
    }
    let outputs = 32 / role.rows_each();
    let source = source.define(&[("OUTPUTS", outputs)]).add(&format.source());
    let source = source.add(include_str!("tile.wgsl")).finish();
    (source, "tile", outputs, 32)
}

pub(crate) fn embed(format: Format) -> String {
    let source = Assembly::new(&[]).add(&format.source());
    source.add(include_str!("embed.wgsl")).finish()
}

pub(super) fn rope(config: &Config) -> String {
    heads(Assembly::new(&[]), config)
        .add(include_str!("cache.wgsl"))
        .add(include_str!("rope.wgsl"))
        .finish()
}

/// Attention of several tokens, or all of it of one.
pub(super) fn attention(target: Target, config: &Config, fused: bool) -> String {
    let shape = Attention::of(target, config.head_elements);
    let subgroup = target.subgroup.is_some();
    let lanes = target.subgroup.unwrap_or(1);
    let split = split(target, config).filter(|_| fused);
    let flags = [
        ("FUSED", fused),
        ("ONE", split.is_some()),
        ("SUBGROUP", subgroup),
    ];
    let source = Assembly::new(&flags).define(&[
        ("WORKGROUP", shape.workgroup),
        ("LANES", lanes),
        ("SUBGROUPS", shape.workgroup / lanes),
        ("PARTS", shape.parts),
        ("FOLDS", shape.folds),
        ("RESTS", shape.parts >> shape.folds),
        ("STEPS", shape.workgroup.div_ceil(shape.parts)),
        // Where attention is not divided one part has every position that there can be.
        ("SPLIT", split.unwrap_or(1 << 30)),
    ]);
    heads(source, config)
        .define_f32("SCALE", 1.0 / (config.head_elements as f32).sqrt())
        .add(include_str!("cache.wgsl"))
        .add(include_str!("attention.wgsl"))
        .finish()
}

/// The end of the argmax over `pairs` pairs, with a table of embeddings of this format if it is bound.
pub(super) fn pick(target: Target, config: &Config, table: Option<Format>, pairs: u32) -> String {
    let embeds = table.is_some();
    let subgroup = target.subgroup.is_some();
    let workgroup = target.wide_workgroup();
    let source = Assembly::new(&[("EMBED", embeds), ("SUBGROUP", subgroup)]).define(&[
        ("WORKGROUP", workgroup),
        ("FOUND", workgroup / target.subgroup.unwrap_or(1)),
        ("COUNT", pairs),
        ("BLOCKS", config.embedding / 32),
        ("VOCABULARY", config.vocabulary),
    ]);
    let source = match table {
        Some(format) => source.add(&format.source()),
        None => source,
    };
    source
        .add(include_str!("better.wgsl"))
        .add(include_str!("pick.wgsl"))
        .finish()
}

fn heads(source: Assembly, config: &Config) -> Assembly {
    let stride = match config.architecture.rope_style() {
        RopeStyle::InterleavedPairs => 1,
        RopeStyle::RotateHalf => config.head_elements / 2,
    };
    source.define(&[
        ("HEADS", config.heads),
        ("HEADS_KV", config.heads_kv),
        ("HEAD_PAIRS", config.head_elements / 2),
        ("CHUNKS", config.head_elements / 8),
        ("PAIR_STRIDE", stride),
    ])
}

/// The source of the kernels for a model's shape, by name: for golden files. Every role has its products with four-bit weights, the output projection with every format.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn sources(config: &Config, target: Target) -> Vec<(String, String)> {
    let formats = Packing::ALL.map(Format::from);
    let q4 = Format::from(Packing::Q4);
    let roles = [
        (
            Role::Qkv(false),
            config.query_width() + 2 * config.key_value_width(),
        ),
        (
            Role::Qkv(true),
            config.query_width() + 2 * config.key_value_width(),
        ),
        (Role::AttentionOutput, config.embedding),
        (Role::GateUp, config.feed_forward),
        (Role::Down, config.embedding),
        (Role::Head, config.vocabulary),
    ];
    let mut sources = vec![
        ("attention".to_owned(), attention(target, config, false)),
        ("attend".to_owned(), attention(target, config, true)),
        ("pick".to_owned(), pick(target, config, Some(q4), 9)),
        ("pick-only".to_owned(), pick(target, config, None, 9)),
    ];
    if !target.software {
        sources.push(("norm".to_owned(), NORM.to_owned()));
        sources.push(("rope".to_owned(), rope(config)));
        sources.push(("nll".to_owned(), NLL.to_owned()));
        sources.extend(Packing::ALL.map(|it| (format!("{it:?}-embed"), embed(it.into()))));
    }
    // Queries and keys in one packing, values in another.
    let mixed = Format {
        first: Packing::Q4K,
        rest: Some((Packing::Q6K, 2048)),
    };
    for format in formats.into_iter().chain([mixed]) {
        for (role, rows) in roles {
            if format != q4 && role != Role::Head {
                continue;
            }
            let columns = match role {
                Role::Down => config.feed_forward,
                Role::AttentionOutput => config.query_width(),
                _ => config.embedding,
            };
            let key = Key {
                role,
                format,
                blocks: columns / 32,
                first: 0,
                rows,
            };
            let shape = Matvec::of(target, role, rows, key.blocks);
            let rest = format.rest.map(|(rest, _)| format!("-{rest:?}"));
            let name = format!("{:?}{}-{role:?}", format.first, rest.unwrap_or_default());
            let name = name.replace(['(', ')'], "-");
            sources.push((name.clone(), matvec(target, config, &key, shape, 0)));
            sources.push((name, product(target, role, format).0));
        }
    }
    sources
}
