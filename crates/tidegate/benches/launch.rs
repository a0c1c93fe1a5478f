//! What one launch costs the CPU: recorded, encoded and handed over, and by hand. Each sample is [`LAUNCHES`] launches that depend on one another.
//!
//! `cargo bench -p tidegate --bench launch`, on a software device with `LP_NUM_THREADS=0`.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::cell::RefCell;

use divan::Bencher;
use divan::counter::ItemsCount;
use tidegate::{Buffer, Device, Kernel, Options, Policy, Status, Stream};
use tidegate_core::{Access, Binding, Code, Kernel as Interface};
use tidegate_shader::{Module, SpirvOptions};
use tidegate_vulkan::{RawChain, Select};

const LAUNCHES: u32 = 256;

const ONE: &str = "
    @group(0) @binding(0) var<storage, read_write> x: array<u32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        x[id.x] = x[id.x] * 1664525u + 1013904223u;
    }";

const THREE: &str = "
    @group(0) @binding(0) var<storage> a: array<u32>;
    @group(0) @binding(1) var<storage> b: array<u32>;
    @group(0) @binding(2) var<storage, read_write> c: array<u32>;
    struct S { factor: u32, offset: u32 } var<immediate> s: S;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        c[id.x] = a[id.x] * s.factor + b[id.x] + s.offset;
    }";

/// The same with its scalars in a uniform block.
const THREE_UNIFORM: &str = "
    @group(0) @binding(0) var<storage> a: array<u32>;
    @group(0) @binding(1) var<storage> b: array<u32>;
    @group(0) @binding(2) var<storage, read_write> c: array<u32>;
    struct S { factor: u32, offset: u32 }
    @group(0) @binding(3) var<uniform> s: S;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        c[id.x] = a[id.x] * s.factor + b[id.x] + s.offset;
    }";

fn main() {
    divan::main();
}

/// What a sample launches.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// One buffer, always the same.
    One,
    /// Three buffers and two scalars that change.
    Three,
    /// One buffer, and for the second half of the launches another.
    TwoChains,
}

struct Setup {
    work: Work,
    stream: Stream,
    kernel: Kernel,
    buffers: Vec<Buffer<u32>>,
}

impl Setup {
    fn new(work: Work, background_start: bool, policy: Policy) -> Self {
        let options = Options::default().with_background_start(background_start);
        Self::with(work, policy, &options)
    }

    fn with(work: Work, policy: Policy, options: &Options) -> Self {
        let device = Device::open(options).unwrap();
        let source = match work {
            Work::One | Work::TwoChains => ONE,
            Work::Three => THREE,
        };
        let kernel = device.module_from_wgsl(source).unwrap();
        let mut stream = device.stream_with(policy).unwrap();
        let buffers = (0..4).map(|_| stream.zeros(1024).unwrap()).collect();
        Self {
            work,
            kernel: kernel.kernel("main").unwrap(),
            buffers,
            stream,
        }
    }

    fn record(&mut self) {
        for at in 0..LAUNCHES {
            let buffer = |offset: u32| &self.buffers[((at + offset) % 3) as usize];
            let done = match self.work {
                Work::One => self.stream.launch(&self.kernel, 16, (&self.buffers[3],)),
                Work::TwoChains => {
                    let buffer = &self.buffers[(2 * at / LAUNCHES) as usize];
                    self.stream.launch(&self.kernel, 16, (buffer,))
                }
                Work::Three => {
                    let arguments = (buffer(0), &self.buffers[3], buffer(1), at, 1_u32);
                    self.stream.launch(&self.kernel, 16, arguments)
                }
            };
            done.unwrap();
        }
    }
}

const CASES: [(Work, bool); 3] = [
    (Work::One, false),
    (Work::Three, false),
    (Work::Three, true),
];

/// Recording alone. The second part of an argument says whether the thread that starts work is there.
#[divan::bench(args = CASES, sample_count = 200, sample_size = 1)]
fn record(bencher: Bencher<'_, '_>, (work, background_start): (Work, bool)) {
    let setup = RefCell::new(Setup::new(work, background_start, Policy::UntilSync));
    bencher
        .counter(ItemsCount::new(LAUNCHES))
        .with_inputs(|| setup.borrow_mut().stream.synchronize().unwrap())
        .bench_local_values(|()| setup.borrow_mut().record());
}

const SUBMITTED: [(Work, bool); 5] = [
    (Work::One, false),
    (Work::One, true),
    (Work::Three, false),
    (Work::TwoChains, false),
    (Work::TwoChains, true),
];

/// Encoding and handing over what was recorded. The second part of an argument says whether it is reordered.
#[divan::bench(args = SUBMITTED, sample_count = 200, sample_size = 1)]
fn submit(bencher: Bencher<'_, '_>, (work, reorder): (Work, bool)) {
    let mut options = Options::default().with_background_start(false);
    options.limits.reorder = reorder;
    let setup = RefCell::new(Setup::with(work, Policy::UntilSync, &options));
    bencher
        .counter(ItemsCount::new(LAUNCHES))
        .with_inputs(|| {
            let mut setup = setup.borrow_mut();
            setup.stream.synchronize().unwrap();
            setup.record();
        })
        .bench_local_values(|()| setup.borrow_mut().stream.flush().unwrap());
}

/// What changes between two launches of a graph.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    /// A scalar that is pushed.
    Immediate,
    /// A scalar in a uniform block.
    Uniform,
}

/// Changing one launch of a graph, and launching it.
#[divan::bench(args = [Change::Nothing, Change::Immediate, Change::Uniform], sample_count = 200, sample_size = 1)]
fn relaunch(bencher: Bencher<'_, '_>, change: Change) {
    let options = Options::default().with_background_start(false);
    let device = Device::open(&options).unwrap();
    let source = match change {
        Change::Uniform => THREE_UNIFORM,
        _ => THREE,
    };
    let kernel = device.module_from_wgsl(source).unwrap();
    let kernel = kernel.kernel("main").unwrap();
    let mut stream = device.stream_with(Policy::UntilSync).unwrap();
    let buffers: Vec<Buffer<u32>> = (0..3).map(|_| stream.zeros(1024).unwrap()).collect();
    let [a, b, c] = [0, 1, 2].map(|at| &buffers[at]);
    let captured = stream.capture(|stream| {
        (0..LAUNCHES).try_for_each(|it| stream.launch(&kernel, 16, (a, b, c, it, 1_u32)))
    });
    let graph = RefCell::new(captured.unwrap());
    let stream = RefCell::new(stream);
    let mut value = 0_u32;
    bencher
        .with_inputs(|| {
            stream.borrow_mut().synchronize().unwrap();
            value += 1;
            value
        })
        .bench_local_values(|value| {
            let (stream, graph) = (&mut *stream.borrow_mut(), &mut *graph.borrow_mut());
            if !matches!(change, Change::Nothing) {
                let changed = graph.set_arguments(stream, 0, (a, b, c, value, 1_u32));
                changed.unwrap();
            }
            stream.launch_graph(graph).unwrap();
        });
}

/// From recording three launches until they are complete, when nobody submits them or waits for them.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn start_unasked(bencher: Bencher<'_, '_>) {
    let setup = RefCell::new(Setup::new(Work::One, true, Policy::Adaptive));
    bencher.bench_local(|| {
        let setup = &mut *setup.borrow_mut();
        for _ in 0..3 {
            let done = setup.stream.launch(&setup.kernel, 16, (&setup.buffers[3],));
            done.unwrap();
        }
        // Asking submits nothing.
        while setup.stream.query().unwrap() != Status::Idle {
            std::hint::spin_loop();
        }
    });
}

/// One barrier and one dispatch each, with the descriptors bound once.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn by_hand(bencher: Bencher<'_, '_>) {
    let module = Module::from_wgsl(ONE).unwrap();
    let words = module.spirv("main", &SpirvOptions::default()).unwrap();
    let kernel = Interface {
        name: "main".to_owned(),
        workgroup_size: [64, 1, 1],
        bindings: vec![Binding {
            group: 0,
            binding: 0,
            name: "x".to_owned(),
            access: Access::ReadWrite,
            uniform: false,
            bytes_min: 4,
        }],
        scalars: None,
    };
    let mut raw = RawChain::open(&Select::Best, &tidegate_vulkan::Options::default()).unwrap();
    raw.prepare(&kernel, &Code::Spirv(words), LAUNCHES, 16)
        .unwrap();
    bencher
        .counter(ItemsCount::new(LAUNCHES))
        .bench_local(|| raw.record().unwrap());
}
