//! What kernels get: sizes, offsets and threadgroup memory.
#![cfg(any(target_vendor = "apple", metal_soft))]

mod common;

use common::*;
use tidegate_core::{Access, Batch};
use tidegate_metal::Options;

#[test]
fn the_sizes_of_runtime_arrays_are_their_own() {
    let wgsl = "
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read_write> c: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) at: u32) {
    if at == 0u { c[0] = arrayLength(&a); c[1] = arrayLength(&b); c[2] = arrayLength(&c); }
}";
    let rig = Rig::new(&Options::default());
    let (x, back) = (rig.buffer(256), rig.readback(4));
    let bindings = &[
        (0, 0, Access::Read),
        (0, 1, Access::Read),
        (0, 2, Access::ReadWrite),
    ];
    let pipeline = rig.pipeline(&Source::of(wgsl, bindings));
    let mut batch = Batch::default();
    // One buffer, so that only the offsets of its slots change.
    let (a, b, c) = (part(&x, 0, 100), part(&x, 128, 7), part(&x, 192, 4));
    fill(&mut batch, x, 1);
    barrier(&mut batch, ALL);
    launch(&mut batch, pipeline, &[b, a, c], &[], [1, 1, 1]);
    barrier(&mut batch, ALL);
    launch(&mut batch, pipeline, &[a, b, c], &[], [1, 1, 1]);
    barrier(&mut batch, ALL);
    assert_eq!(rig.copy_and_read(&mut batch, c, back), [100, 7, 4, 1]);
}

#[test]
fn an_argument_moves_within_its_buffer() {
    let rig = Rig::new(&Options::default());
    let (x, back) = (rig.buffer(256), rig.readback(256));
    let pipeline = rig.pipeline(&LCG);
    let mut batch = Batch::default();
    upload(&mut batch, x, &(0..256).collect::<Vec<u32>>());
    barrier(&mut batch, ALL);
    for first in [64, 192] {
        launch(&mut batch, pipeline, &[part(&x, first, 64)], &[], [1, 1, 1]);
    }
    barrier(&mut batch, ALL);
    let steps = |at: u32| (at / 64 % 2) as usize;
    let words: Vec<u32> = (0..256).map(|at| lcg(at, steps(at))).collect();
    assert_eq!(rig.copy_and_read(&mut batch, x, back), words);
}

#[test]
fn threadgroups_have_memory_of_their_own() {
    let wgsl = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
var<workgroup> shared_words: array<u32, 64>;
@compute @workgroup_size(64) fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) at: u32,
) {
    shared_words[at] = x[id.x];
    workgroupBarrier();
    x[id.x] = shared_words[63u - at];
}";
    let rig = Rig::new(&Options::default());
    let (x, back) = (rig.buffer(256), rig.readback(256));
    let pipeline = rig.pipeline(&Source::of(wgsl, LCG.bindings));
    let mut batch = Batch::default();
    upload(&mut batch, x, &(0..256).collect::<Vec<u32>>());
    barrier(&mut batch, ALL);
    launch(&mut batch, pipeline, &[x], &[], [4, 1, 1]);
    barrier(&mut batch, ALL);
    let words: Vec<u32> = (0..256).map(|at| at / 64 * 64 + 63 - at % 64).collect();
    assert_eq!(rig.copy_and_read(&mut batch, x, back), words);
}
