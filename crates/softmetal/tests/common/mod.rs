//! A device, a queue, and short ways to use them.
#![allow(dead_code, reason = "each test file uses a part")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::ProtocolObject;
use objc2_foundation::NSString;
use objc2_metal::{
    MTLBuffer, MTLCommandBuffer, MTLCommandEncoder as _, MTLCommandQueue, MTLComputeCommandEncoder,
    MTLComputePipelineState, MTLCreateSystemDefaultDevice, MTLDevice, MTLLibrary as _,
    MTLResourceOptions, MTLSize,
};
use tidegate_shader::{BoundsChecks, Module, MslOptions};
use tidegate_softmetal::{Observer, Rule, Setup};

pub(crate) type Device = Retained<ProtocolObject<dyn MTLDevice>>;
pub(crate) type Queue = Retained<ProtocolObject<dyn MTLCommandQueue>>;
pub(crate) type Buffer = Retained<ProtocolObject<dyn MTLBuffer>>;
pub(crate) type Pipeline = Retained<ProtocolObject<dyn MTLComputePipelineState>>;
pub(crate) type CommandBuffer = Retained<ProtocolObject<dyn MTLCommandBuffer>>;
pub(crate) type Compute = ProtocolObject<dyn MTLComputeCommandEncoder>;

/// Blocks are counted for the whole process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Gpu {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
}

pub(crate) const SHARED: MTLResourceOptions = MTLResourceOptions::StorageModeShared;
pub(crate) const UNTRACKED: MTLResourceOptions = MTLResourceOptions::HazardTrackingModeUntracked;

impl Gpu {
    pub(crate) fn new() -> Self {
        let device = MTLCreateSystemDefaultDevice().expect("a device");
        let queue = device.newCommandQueue().expect("a queue");
        Self { device, queue }
    }

    pub(crate) fn buffer(&self, len: usize) -> Buffer {
        self.device
            .newBufferWithLength_options(len, SHARED)
            .expect("memory")
    }

    /// An untracked buffer that holds these words.
    pub(crate) fn words(&self, words: &[u32]) -> Buffer {
        let buffer = self
            .device
            .newBufferWithLength_options(4 * words.len(), UNTRACKED)
            .expect("memory");
        write(&buffer, words);
        buffer
    }

    pub(crate) fn floats(&self, floats: &[f32]) -> Buffer {
        let words: Vec<u32> = floats.iter().map(|it| it.to_bits()).collect();
        self.words(&words)
    }

    pub(crate) fn pipeline(&self, msl: &str, name: &str) -> Result<Pipeline, String> {
        let text = |it: Retained<objc2_foundation::NSError>| it.localizedDescription().to_string();
        let library = self
            .device
            .newLibraryWithSource_options_error(&NSString::from_str(msl), None)
            .map_err(text)?;
        let function = library
            .newFunctionWithName(&NSString::from_str(name))
            .ok_or("no function")?;
        self.device
            .newComputePipelineStateWithFunction_error(&function)
            .map_err(text)
    }

    /// Runs one dispatch of a WGSL kernel. Its buffers go to its bindings in order, `scalars` to its immediates.
    pub(crate) fn run(&self, kernel: &Wgsl, buffers: &[&Buffer], scalars: &[u32], groups: usize) {
        let commands = self.queue.commandBuffer().expect("a command buffer");
        let encoder = commands.computeCommandEncoder().expect("an encoder");
        kernel.encode(&encoder, buffers, scalars, groups);
        encoder.endEncoding();
        commands.commit();
        commands.waitUntilCompleted();
        assert!(commands.error().is_none(), "{:?}", commands.error());
    }
}

/// A kernel written by naga, with its slots.
pub(crate) struct Wgsl {
    pub(crate) pipeline: Pipeline,
    msl: tidegate_shader::Msl,
    size: [u32; 3],
}

impl Wgsl {
    pub(crate) fn new(gpu: &Gpu, source: &str, name: &str) -> Self {
        let module = Module::from_wgsl(source).expect("WGSL");
        let msl = module
            .msl(name, &MslOptions::new(BoundsChecks::Checked))
            .expect("MSL");
        let pipeline = gpu
            .pipeline(&msl.source, &msl.entry_point)
            .expect("a pipeline");
        let kernel = module
            .kernels()
            .iter()
            .find(|it| it.name == name)
            .expect("the kernel");
        Self {
            pipeline,
            size: kernel.workgroup_size,
            msl,
        }
    }

    pub(crate) fn encode(
        &self,
        encoder: &Compute,
        buffers: &[&Buffer],
        scalars: &[u32],
        groups: usize,
    ) {
        encoder.setComputePipelineState(&self.pipeline);
        for (buffer, slot) in buffers.iter().zip(&self.msl.buffers) {
            bind(encoder, buffer, slot.slot as usize);
        }
        if let Some(slot) = self.msl.scalars_slot {
            bytes(encoder, scalars, slot as usize);
        }
        if let Some(sizes) = &self.msl.sizes {
            let len = |at: &(u32, u32)| {
                let index = self
                    .msl
                    .buffers
                    .iter()
                    .position(|it| (it.group, it.binding) == *at)
                    .expect("a binding");
                buffers[index].length() as u32
            };
            let lens: Vec<u32> = sizes.bindings.iter().map(len).collect();
            bytes(encoder, &lens, sizes.slot as usize);
        }
        for (index, len) in self.msl.threadgroup_bytes.iter().enumerate() {
            // SAFETY: a threadgroup index of the kernel.
            unsafe { encoder.setThreadgroupMemoryLength_atIndex(*len as usize, index) };
        }
        let [x, y, z] = self.size.map(|it| it as usize);
        dispatch(encoder, groups, [x, y, z]);
    }
}

pub(crate) fn bind(encoder: &Compute, buffer: &Buffer, slot: usize) {
    // SAFETY: the buffer lives until the command buffer has completed.
    unsafe { encoder.setBuffer_offset_atIndex(Some(buffer), 0, slot) };
}

pub(crate) fn bytes(encoder: &Compute, words: &[u32], slot: usize) {
    let start = NonNull::from(words).cast();
    // SAFETY: the slice's own bytes.
    unsafe { encoder.setBytes_length_atIndex(start, size_of_val(words), slot) };
}

pub(crate) fn dispatch(encoder: &Compute, groups: usize, [width, height, depth]: [usize; 3]) {
    let groups = MTLSize {
        width: groups,
        height: 1,
        depth: 1,
    };
    encoder.dispatchThreadgroups_threadsPerThreadgroup(
        groups,
        MTLSize {
            width,
            height,
            depth,
        },
    );
}

pub(crate) fn write(buffer: &Buffer, words: &[u32]) {
    assert!(size_of_val(words) <= buffer.length());
    // SAFETY: inside the buffer, and nothing runs.
    unsafe {
        buffer
            .contents()
            .cast::<u32>()
            .as_ptr()
            .copy_from_nonoverlapping(words.as_ptr(), words.len())
    };
}

pub(crate) fn read(buffer: &Buffer) -> Vec<u32> {
    // SAFETY: the whole buffer, and nothing runs.
    unsafe {
        std::slice::from_raw_parts(
            buffer.contents().cast::<u32>().as_ptr(),
            buffer.length() / 4,
        )
    }
    .to_vec()
}

pub(crate) fn read_floats(buffer: &Buffer) -> Vec<f32> {
    read(buffer).into_iter().map(f32::from_bits).collect()
}

/// Runs a test on a device of its own and expects that nothing is wrong at its end.
pub(crate) fn clean(seed: u64, test: impl FnOnce(&Gpu)) {
    let _alone = alone();
    let observer = Observer::new(Setup::seeded(seed));
    autoreleasepool(|_| test(&Gpu::new()));
    assert_eq!(observer.faults_at_end(), []);
}

/// Breaks rules on a device of its own, each of which is named, and expects that these are all.
pub(crate) fn breaking(rules: &[Rule], test: impl FnOnce(&Gpu)) {
    let _alone = alone();
    let observer = Observer::new(Setup::default());
    autoreleasepool(|_| test(&Gpu::new()));
    let found: Vec<Rule> = observer.faults_at_end().iter().map(|it| it.rule).collect();
    assert_eq!(found, rules);
}

pub(crate) fn commands(gpu: &Gpu) -> CommandBuffer {
    gpu.queue.commandBuffer().expect("a command buffer")
}

/// Expects that a call breaks a rule, and that the rule's name is in what it unwinds with.
#[track_caller]
pub(crate) fn broken(rule: Rule, call: impl FnOnce()) {
    let payload =
        catch_unwind(AssertUnwindSafe(call)).expect_err(&format!("{rule} was not noticed"));
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .unwrap_or_default();
    assert!(
        text.contains(&format!("Metal rule {rule} broken")),
        "{rule} expected: {text}"
    );
}
