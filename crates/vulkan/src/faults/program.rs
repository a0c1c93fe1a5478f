//! A small program that makes every call which can fail, and what must come out of it.

use tidegate_core::{
    Access, Arguments, Binding, Code, Context, Error, Graph, Kernel, Limits, Memory, MemoryKind,
    Pipeline, Policy, ScalarPlace, Scalars, Stream,
};

use crate::VulkanDevice;

type Vulkan = VulkanDevice;

const WORDS: usize = 2048;
const BYTES: u64 = 4 * WORDS as u64;
const GRID: [u32; 3] = [WORDS as u32 / 64, 1, 1];

const STEP: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(1) @binding(0) var<storage, read> y: array<u32>;
@compute @workgroup_size(64) fn step(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] = x[id.x] * 3u + y[id.x];
}";

const ADD: &str = "
struct S { by: u32 }
var<immediate> s: S;
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn add(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] = x[id.x] + s.by;
}";

fn compile(wgsl: &str) -> Code {
    let module = naga::front::wgsl::parse_str(wgsl).unwrap();
    let all = naga::valid::Capabilities::all();
    let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), all)
        .validate(&module)
        .unwrap();
    let options = naga::back::spv::Options::default();
    Code::Spirv(naga::back::spv::write_vec(&module, &info, &options, None).unwrap())
}

fn kernel(name: &str, bindings: &[(u32, Access)], scalar_bytes: u32) -> Kernel {
    let bindings = bindings.iter().map(|(group, access)| Binding {
        group: *group,
        binding: 0,
        name: format!("b{group}"),
        access: *access,
        uniform: false,
        bytes_min: 4,
    });
    Kernel {
        name: name.to_owned(),
        workgroup_size: [64, 1, 1],
        bindings: bindings.collect(),
        scalars: (scalar_bytes > 0).then_some(Scalars {
            place: ScalarPlace::PushConstants,
            bytes: scalar_bytes,
            members: Vec::new(),
        }),
    }
}

/// The kernels, compiled once.
pub(super) struct Kernels {
    step: (Kernel, Code),
    add: (Kernel, Code),
}

impl Kernels {
    pub(super) fn new() -> Self {
        let both = [(0, Access::ReadWrite), (1, Access::Read)];
        Self {
            step: (kernel("step", &both, 0), compile(STEP)),
            add: (kernel("add", &both[..1], 4), compile(ADD)),
        }
    }

    pub(super) fn add(&self, context: &Context<Vulkan>) -> Result<Pipeline<Vulkan>, Error> {
        context.pipeline(self.add.0.clone(), &self.add.1)
    }
}

/// Limits that make the program meet a ring that is full.
pub(super) fn limits() -> Limits {
    Limits {
        staging_bytes: 3 * BYTES,
        wait_ns: 5_000_000_000,
        ..Limits::default()
    }
}

/// What memory ran out for, in the order of the errors.
#[derive(Debug, Default)]
pub(super) struct Refusals(pub(super) Vec<Error>);

impl Refusals {
    /// Does something again as long as memory is short.
    fn again<T>(&mut self, mut what: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        loop {
            match what() {
                Err(error @ (Error::OutOfMemory { .. } | Error::SubmissionOutOfMemory))
                    if self.0.len() < 32 =>
                {
                    self.0.push(error);
                }
                other => return other,
            }
        }
    }
}

pub(super) fn launch(
    stream: &mut Stream<Vulkan>,
    add: &Pipeline<Vulkan>,
    x: &Memory<Vulkan>,
    by: u32,
) -> Result<(), Error> {
    let arguments = Arguments {
        regions: &[x.region(0, x.bytes())?],
        scalars: &by.to_ne_bytes(),
        aliasing: false,
    };
    stream.launch(add, [(x.bytes() / 256) as u32, 1, 1], arguments)
}

fn step(
    stream: &mut Stream<Vulkan>,
    step: &Pipeline<Vulkan>,
    x: &Memory<Vulkan>,
    y: &Memory<Vulkan>,
) -> Result<(), Error> {
    let arguments = Arguments {
        regions: &[x.region(0, BYTES)?, y.region(0, BYTES)?],
        scalars: &[],
        aliasing: false,
    };
    stream.launch(step, GRID, arguments)
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|it| it.to_ne_bytes()).collect()
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let words = bytes.chunks_exact(4);
    words
        .map(|it| u32::from_ne_bytes(it.try_into().unwrap()))
        .collect()
}

fn graph(
    stream: &mut Stream<Vulkan>,
    refusals: &mut Refusals,
    (stepper, adder): (&Pipeline<Vulkan>, &Pipeline<Vulkan>),
    (x, y): (&Memory<Vulkan>, &Memory<Vulkan>),
) -> Result<Graph<Vulkan>, Error> {
    refusals.again(|| stream.begin_capture())?;
    refusals.again(|| launch(stream, adder, x, 11))?;
    refusals.again(|| step(stream, stepper, x, y))?;
    refusals.again(|| stream.upload(y, 0, &bytes(&[5; 4])))?;
    refusals.again(|| stream.end_capture())
}

/// Runs the program and gives what is in `x` and `y` at its end.
pub(super) fn run(
    context: &Context<Vulkan>,
    kernels: &Kernels,
    policy: Policy,
    refusals: &mut Refusals,
) -> Result<[Vec<u32>; 2], Error> {
    let allocate = || context.allocate(BYTES, MemoryKind::Device);
    let stepper = refusals.again(|| context.pipeline(kernels.step.0.clone(), &kernels.step.1))?;
    let adder = refusals.again(|| kernels.add(context))?;
    let mut stream = refusals.again(|| context.stream(policy))?;
    let (x, y) = (refusals.again(allocate)?, refusals.again(allocate)?);
    refusals.again(|| stream.upload(&x, 0, &bytes(&[1; WORDS])))?;
    refusals.again(|| stream.upload(&y, 0, &bytes(&[2; WORDS])))?;
    for round in 0..4 {
        refusals.again(|| step(&mut stream, &stepper, &x, &y))?;
        refusals.again(|| launch(&mut stream, &adder, &x, round))?;
        // Work uses the buffer, so that this goes through the ring.
        refusals.again(|| stream.upload(&y, 0, &bytes(&[round; WORDS])))?;
    }
    // Enough that the policy asks on the way how far the device is.
    for _ in 0..40 {
        refusals.again(|| launch(&mut stream, &adder, &x, 1))?;
    }
    refusals.again(|| stream.copy(&x, 0, &y, 64, 64))?;
    refusals.again(|| stream.fill(&y, 256, 64, &9_u32.to_ne_bytes()))?;
    let graph = graph(&mut stream, refusals, (&stepper, &adder), (&x, &y))?;
    for _ in 0..2 {
        refusals.again(|| stream.launch_graph(&graph))?;
    }
    // On a trace, which makes timestamps.
    context.start_trace(1000)?;
    refusals.again(|| launch(&mut stream, &adder, &x, 100))?;
    refusals.again(|| stream.flush())?;
    let event = context.event();
    stream.record(&event)?;
    let mut results = [Vec::new(), Vec::new()];
    for (memory, result) in [&x, &y].into_iter().zip(&mut results) {
        let download = refusals.again(|| stream.download(memory, 0, BYTES))?;
        let mut target = vec![0; BYTES as usize];
        refusals.again(|| download.wait_into(&mut target))?;
        *result = words(&target);
    }
    refusals.again(|| event.synchronize())?;
    refusals.again(|| stream.synchronize())?;
    context.end_trace()?;
    Ok(results)
}

/// What the program must give.
pub(super) fn expected() -> [Vec<u32>; 2] {
    let (mut x, mut y) = (vec![1_u32; WORDS], vec![2_u32; WORDS]);
    let add = |x: &mut Vec<u32>, by: u32| x.iter_mut().for_each(|it| *it += by);
    let step = |x: &mut Vec<u32>, y: &[u32]| {
        x.iter_mut().zip(y).for_each(|(x, y)| *x = *x * 3 + y);
    };
    for round in 0..4 {
        step(&mut x, &y);
        add(&mut x, round);
        y.fill(round);
    }
    add(&mut x, 40);
    y[16..32].copy_from_slice(&x[..16]);
    y[64..80].fill(9);
    for _ in 0..2 {
        add(&mut x, 11);
        step(&mut x, &y);
        y[..4].fill(5);
    }
    add(&mut x, 100);
    [x, y]
}
