//! Kernels that find their buffers by address keep what kernels with descriptors promise, on whatever Vulkan device there is.
#![cfg(feature = "vulkan")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidegate::{Device, Options};

fn open() -> Device {
    let options = Options::default().with_validation(true);
    Device::open(&options).unwrap_or_else(|it| panic!("this test needs Vulkan: {it}"))
}

/// An index out of range reaches nothing but the part that is bound, wherever in the buffer it lies and however long it is.
#[test]
fn a_checked_kernel_stays_inside_the_bound_part() {
    let device = open();
    let source = "
        @group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> length: array<u32, 1>;
        @compute @workgroup_size(64)
        fn poke(@builtin(global_invocation_id) id: vec3<u32>) {
            x[id.x + 5u] = 7u;
            if id.x == 0u { length[0] = arrayLength(&x); }
        }";
    let kernel = device.module_from_wgsl(source).unwrap();
    let kernel = kernel.kernel("poke").unwrap();
    let mut stream = device.stream().unwrap();
    let x = stream.zeros::<u32>(1024).unwrap();
    let length = stream.zeros::<u32>(1).unwrap();
    for (start, len) in [(64, 16), (128, 64), (512, 6), (1008, 16)] {
        stream.fill(&x, 0).unwrap();
        let part = x.slice(start..start + len).unwrap();
        stream.launch(&kernel, 4, (part, &length)).unwrap();
        let values = stream.download(&x).unwrap().wait().unwrap();
        let written = |at: usize| (start + 5..start + len).contains(&at);
        for (at, value) in values.iter().enumerate() {
            assert_eq!(*value == 7, written(at), "word {at} of {start}+{len}");
        }
        assert_eq!(
            stream.download(&length).unwrap().wait().unwrap(),
            [len as u32]
        );
    }
    drop(stream);
    assert_eq!(device.validation_messages(), Vec::<String>::new());
}

/// Arguments that change from launch to launch, kernels that take turns and whose blocks have one size, vectors, structures, atomics, and an array behind a header.
#[test]
fn arguments_reach_the_kernel_that_they_are_for() {
    let device = open();
    let source = "
        struct Item { v: vec3<f32>, n: u32 }
        struct Items { count: atomic<u32>, items: array<Item> }
        @group(0) @binding(0) var<storage, read_write> all: Items;
        @group(0) @binding(1) var<storage> v: array<vec4<f32>>;
        struct S { scale: f32, at: u32 } var<immediate> s: S;
        @compute @workgroup_size(1) fn put() {
            let place = atomicAdd(&all.count, 1u);
            all.items[s.at].v = v[s.at].xyz * s.scale;
            all.items[s.at].n = place + arrayLength(&all.items) * 100u;
        }
        @group(0) @binding(2) var<storage, read_write> w: array<vec4<f32>>;
        @compute @workgroup_size(1) fn swap() { w[s.at] = v[s.at].wzyx + s.scale * f32(arrayLength(&w)); }";
    let module = device.module_from_wgsl(source).unwrap();
    let [put, swap] = ["put", "swap"].map(|it| module.kernel(it).unwrap());
    let mut stream = device.stream().unwrap();
    let v: Vec<f32> = (0..32).map(|it| it as f32).collect();
    let v = stream.upload_new(&v).unwrap();
    let w = stream.zeros::<f32>(32).unwrap();
    let all = stream.zeros::<u32>(4 + 8 * 4).unwrap();
    for at in 0..8_u32 {
        let scale = 2.0 + at as f32;
        stream.launch(&put, 1, (&all, &v, scale, at)).unwrap();
        stream.launch(&swap, 1, (&v, &w, scale, at)).unwrap();
    }
    let all = stream.download(&all).unwrap().wait().unwrap();
    let w = stream.download(&w).unwrap().wait().unwrap();
    assert_eq!(all[0], 8);
    for at in 0..8 {
        let scale = 2.0 + at as f32;
        let item = &all[4 + 4 * at..][..4];
        for lane in 0..3 {
            let value = (4 * at + lane) as f32;
            assert_eq!(f32::from_bits(item[lane]), value * scale);
            assert_eq!(w[4 * at + lane], (4 * at + 3 - lane) as f32 + scale * 8.0);
        }
        assert_eq!(item[3], at as u32 + 800);
    }
    drop(stream);
    assert_eq!(device.validation_messages(), Vec::<String>::new());
}

/// Kernels whose blocks have one size read the same arguments in different ways.
#[test]
fn a_kernel_does_not_read_what_was_pushed_for_another() {
    let device = open();
    let source = "
        @group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(1) fn first() { x[0] = arrayLength(&x); y[0] = 1u; }
        @compute @workgroup_size(1) fn second() { x[1] = 1u; y[1] = arrayLength(&y); }";
    let module = device.module_from_wgsl(source).unwrap();
    let [first, second] = ["first", "second"].map(|it| module.kernel(it).unwrap());
    let mut stream = device.stream_with(tidegate::Policy::UntilSync).unwrap();
    let x = stream.zeros::<u32>(10).unwrap();
    let y = stream.zeros::<u32>(20).unwrap();
    stream.launch(&first, 1, (&x, &y)).unwrap();
    stream.launch(&second, 1, (&x, &y)).unwrap();
    let x = stream.download(&x).unwrap();
    let y = stream.download(&y).unwrap();
    assert_eq!(x.wait().unwrap()[..2], [10, 1]);
    assert_eq!(y.wait().unwrap()[..2], [1, 20]);
    drop(stream);
    assert_eq!(device.validation_messages(), Vec::<String>::new());
}
