//! MSL that naga wrote, run on the software Metal: its results are exact.
#![cfg(metal_soft)]

mod common;

use common::{Gpu, Wgsl, clean, read, read_floats};

const SAXPY: &str = "
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Scalars { a: f32, n: u32 }
var<immediate> p: Scalars;
@compute @workgroup_size(64)
fn saxpy(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < p.n { y[id.x] += p.a * x[id.x]; }
}";

#[test]
fn saxpy() {
    clean(1, |gpu| {
        let kernel = Wgsl::new(gpu, SAXPY, "saxpy");
        let x: Vec<f32> = (0..1000).map(|it| it as f32).collect();
        let (x, y) = (gpu.floats(&x), gpu.floats(&[1.0; 1000]));
        gpu.run(&kernel, &[&x, &y], &[2.5f32.to_bits(), 999], 16);
        let mut expected: Vec<f32> = (0..1000).map(|it| 1.0 + 2.5 * it as f32).collect();
        expected[999] = 1.0;
        assert_eq!(read_floats(&y), expected);
    });
}

const REDUCE: &str = "
@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;
@group(0) @binding(2) var<storage, read_write> total: atomic<u32>;
var<workgroup> part: array<u32, 128>;
@compute @workgroup_size(128)
fn reduce(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    part[local] = input[id.x];
    for (var step = 64u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if local < step { part[local] += part[local + step]; }
    }
    if local == 0u { sums[group.x] = part[0]; atomicAdd(&total, part[0]); }
}";

#[test]
fn reduce_with_barriers_and_atomics() {
    for seed in 0..6 {
        clean(seed, |gpu| {
            let kernel = Wgsl::new(gpu, REDUCE, "reduce");
            let input: Vec<u32> = (0..128 * 70).map(|it| it * it % 1009).collect();
            let (buffer, sums, total) = (gpu.words(&input), gpu.words(&[0; 70]), gpu.words(&[0]));
            gpu.run(&kernel, &[&buffer, &sums, &total], &[], 70);
            let expected: Vec<u32> = input.chunks(128).map(|it| it.iter().sum()).collect();
            assert_eq!(read(&sums), expected);
            assert_eq!(read(&total), [input.iter().sum::<u32>()]);
        });
    }
}

/// As above without the barrier: the result is wrong for some seed, because threads run in either order.
#[test]
fn a_missing_threadgroup_barrier_shows() {
    let racy = REDUCE.replace("        workgroupBarrier();\n", "");
    let mut wrong = 0;
    for seed in 0..8 {
        clean(seed, |gpu| {
            let kernel = Wgsl::new(gpu, &racy, "reduce");
            let input: Vec<u32> = (0..128 * 4).collect();
            let (buffer, sums, total) = (gpu.words(&input), gpu.words(&[0; 4]), gpu.words(&[0]));
            gpu.run(&kernel, &[&buffer, &sums, &total], &[], 4);
            let expected: Vec<u32> = input.chunks(128).map(|it| it.iter().sum()).collect();
            wrong += u32::from(read(&sums) != expected);
        });
    }
    assert!(wrong > 0);
}

const MATMUL: &str = include_str!("../../shader/tests/in/matmul.wgsl");

#[test]
fn tiled_matmul() {
    clean(3, |gpu| {
        let kernel = Wgsl::new(gpu, MATMUL, "matmul");
        let (m, n, k) = (16usize, 16usize, 48usize);
        let a: Vec<f32> = (0..m * k).map(|it| (it * 7 % 11) as f32 - 5.0).collect();
        let b: Vec<f32> = (0..k * n).map(|it| (it * 5 % 13) as f32 - 6.0).collect();
        let (x, y, z) = (
            gpu.floats(&a),
            gpu.floats(&b),
            gpu.floats(&vec![0.0; m * n]),
        );
        gpu.run(
            &kernel,
            &[&x, &y, &z],
            &[m as u32, n as u32, k as u32, 0],
            1,
        );
        let cell = |it: usize| {
            (0..k)
                .map(|t| a[it / n * k + t] * b[t * n + it % n])
                .sum::<f32>()
        };
        assert_eq!(read_floats(&z), (0..m * n).map(cell).collect::<Vec<_>>());
    });
}

const LANES: &str = "
@group(0) @binding(0) var<storage, read_write> out: array<vec4<u32>>;
@compute @workgroup_size(96)
fn lanes(@builtin(local_invocation_index) i: u32, @builtin(subgroup_invocation_id) lane: u32) {
    let sum = subgroupAdd(i);
    let before = subgroupExclusiveAdd(1u);
    let next = subgroupShuffleDown(i, 1u);
    var some = 0u;
    if lane % 2u == 1u { some = subgroupMax(i) + subgroupBallot(lane > 16u).x; }
    out[i] = vec4<u32>(sum, before, next, some);
}";

#[test]
fn simdgroup_operations_in_and_out_of_branches() {
    for seed in 0..4 {
        clean(seed, |gpu| {
            let kernel = Wgsl::new(gpu, LANES, "lanes");
            let out = gpu.words(&[0; 96 * 4]);
            gpu.run(&kernel, &[&out], &[], 1);
            for (i, it) in read(&out).chunks(4).enumerate() {
                let (i, base) = (i as u32, i as u32 / 32 * 32);
                let lane = i % 32;
                let next = if lane == 31 { it[2] } else { i + 1 };
                // Odd lanes above 16 vote.
                let some = if lane % 2 == 1 {
                    base + 31 + 0xaaaa_0000
                } else {
                    0
                };
                assert_eq!(it, [(base..base + 32).sum(), lane, next, some]);
            }
        });
    }
}

const WIDE: &str = "
@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@compute @workgroup_size(1)
fn wide(@builtin(global_invocation_id) id: vec3<u32>) {
    let scale = unpack2x16float(scales[id.x]);
    let q = quants[id.x];
    for (var i = 0u; i < 4u; i++) {
        out[id.x * 4u + i] = vec4<f32>(unpack4xU8((q[i] >> 4u) & 0x0f0f0f0fu)) * scale.x + scale.y;
    }
}";

#[test]
fn packed_quants_and_halves() {
    clean(0, |gpu| {
        let kernel = Wgsl::new(gpu, WIDE, "wide");
        let quants = [0x1234_5678u32, 0x9abc_def0, 0x0f1e_2d3c, 0xffff_0000];
        // 0.5 and -2.0 as halves.
        let (a, b, out) = (
            gpu.words(&quants),
            gpu.words(&[0xc000_3800]),
            gpu.floats(&[0.0; 16]),
        );
        gpu.run(&kernel, &[&a, &b, &out], &[], 1);
        let nibbles = quants
            .iter()
            .flat_map(|it| it.to_le_bytes())
            .map(|it| f32::from(it >> 4) * 0.5 - 2.0);
        assert_eq!(read_floats(&out), nibbles.collect::<Vec<_>>());
    });
}

#[test]
fn mistakes_come_back_with_their_place() {
    clean(0, |gpu| {
        let source = "#include <metal_stdlib>\nkernel void f(device float* a [[buffer(0)]]) {\n    a[0] = missing(1.0);\n}";
        let error = gpu.pipeline(source, "f").expect_err("a mistake");
        assert!(
            error.contains("program_source:3:12: error: use of undeclared identifier 'missing'"),
            "{error}"
        );
        let error = gpu
            .pipeline(&source.replace("buffer(0)", "bufer(0)"), "f")
            .expect_err("a mistake");
        assert!(
            error.contains("program_source:2:15: error: unknown attribute 'bufer(0)'"),
            "{error}"
        );
        let right = source.replace("missing(1.0)", "1.0");
        assert_eq!(
            gpu.pipeline(&right, "g").expect_err("no such function"),
            "no function"
        );
        assert!(gpu.pipeline(&right, "f").is_ok());
    });
}

#[test]
fn metal_source_as_it_is() {
    let source = "#include <metal_stdlib>\nusing namespace metal;\n
        kernel void f(device uint* out [[buffer(0)]], constant uint& n [[buffer(1)]], uint i [[thread_position_in_grid]], uint l [[thread_index_in_threadgroup]]) {
            threadgroup uint shared[64];
            shared[l] = i * n;
            threadgroup_barrier(mem_flags::mem_threadgroup);
            out[i] = shared[63 - l] + min(l, 3u);
        }";
    clean(2, |gpu| {
        let pipeline = gpu.pipeline(source, "f").expect("a pipeline");
        let out = gpu.words(&[0; 128]);
        run_plain(gpu, &pipeline, &out);
        let expected: Vec<u32> = (0..128)
            .map(|i| (i / 64 * 64 + 63 - i % 64) * 3 + (i % 64).min(3))
            .collect();
        assert_eq!(read(&out), expected);
    });
}

fn run_plain(gpu: &Gpu, pipeline: &common::Pipeline, out: &common::Buffer) {
    use objc2_metal::{
        MTLCommandBuffer as _, MTLCommandEncoder as _, MTLCommandQueue as _,
        MTLComputeCommandEncoder as _,
    };
    let commands = gpu.queue.commandBuffer().expect("a command buffer");
    let encoder = commands.computeCommandEncoder().expect("an encoder");
    encoder.setComputePipelineState(pipeline);
    common::bind(&encoder, out, 0);
    common::bytes(&encoder, &[3], 1);
    common::dispatch(&encoder, 2, [64, 1, 1]);
    encoder.endEncoding();
    commands.commit();
    commands.waitUntilCompleted();
    assert!(commands.error().is_none());
}
