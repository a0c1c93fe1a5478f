//! MTLComputeCommandEncoder.

use std::collections::HashSet;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use objc2::rc::Retained;
use objc2::runtime::{NSObject, NSObjectProtocol};
use objc2::{AnyThread, DefinedClass, Message, define_class, msg_send};
use objc2_foundation::{NSRange, NSString};
use objc2_metal::{
    MTLBarrierScope, MTLBuffer, MTLCommandBuffer, MTLCommandEncoder, MTLComputeCommandEncoder,
    MTLComputePipelineState, MTLDevice, MTLDispatchType, MTLFence, MTLResource, MTLResourceUsage,
    MTLSize,
};

use crate::gpu::FenceUse;
use crate::gpu::work::{Bound, Dispatch, Order, Work};
use crate::kernel::Argument;
use crate::metal::buffer::SoftBuffer;
use crate::metal::command_buffer::SoftCommandBuffer;
use crate::metal::device::{THREADGROUP_BYTES_MAX, THREADS_MAX};
use crate::metal::encoder::Core;
use crate::metal::library::SoftPipeline;
use crate::metal::lifetime::Claim;
use crate::metal::memory::{Memory, Use};
use crate::metal::{Protocol, soft};
use crate::rules::{Rule, lock};

pub(crate) struct Ivars {
    core: Core,
    concurrent: bool,
    /// Boxed: the memory of a dead object stays, and should be small.
    state: Mutex<Box<State>>,
}

#[derive(Default)]
struct State {
    pipeline: Option<Retained<SoftPipeline>>,
    slots: [Option<Slot>; SLOTS],
    threadgroup: Vec<usize>,
    /// The meeting point of the last barrier, and the commands since.
    join: Option<usize>,
    since: Vec<usize>,
    /// Barriers over some resources: the commands before them, and the resources.
    barriers: Vec<(usize, HashSet<u64>)>,
    /// Buffers of each dispatch.
    uses: Vec<(usize, HashSet<u64>)>,
}

/// What is bound to an index.
#[derive(Clone)]
enum Slot {
    Buffer {
        memory: Arc<Memory>,
        /// The object, if the command buffer retains what it uses.
        kept: Option<Retained<SoftBuffer>>,
        offset: usize,
    },
    Bytes(Arc<[u128]>, usize),
}

/// Slots of the buffer argument table, on every device.
const SLOTS: usize = 31;
const SET_BYTES_MAX: usize = 4096;

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLComputeCommandEncoder"]
    #[ivars = Ivars]
    pub(crate) struct SoftCompute;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftCompute {}

    unsafe impl MTLCommandEncoder for SoftCompute {
        #[unsafe(method_id(label))]
        fn label_(&self) -> Option<Retained<NSString>> {
            self.ivars().core.label.get()
        }

        #[unsafe(method(setLabel:))]
        fn set_label_(&self, label: Option<&NSString>) {
            self.ivars().core.label.set(label);
        }

        #[unsafe(method_id(device))]
        fn device_(&self) -> Retained<Protocol<dyn MTLDevice>> {
            self.ivars().core.buffer.device()
        }

        #[unsafe(method(endEncoding))]
        fn end_(&self) {
            self.ivars().core.end();
        }

        #[unsafe(method(insertDebugSignpost:))]
        fn signpost_(&self, _text: &NSString) {}

        #[unsafe(method(pushDebugGroup:))]
        fn push_group_(&self, _text: &NSString) {}

        #[unsafe(method(popDebugGroup))]
        fn pop_group_(&self) {}
    }

    unsafe impl MTLComputeCommandEncoder for SoftCompute {
        #[unsafe(method(dispatchType))]
        fn dispatch_type_(&self) -> MTLDispatchType {
            if self.ivars().concurrent {
                MTLDispatchType::Concurrent
            } else {
                MTLDispatchType::Serial
            }
        }

        #[unsafe(method(setComputePipelineState:))]
        fn set_pipeline_(&self, pipeline: &Protocol<dyn MTLComputePipelineState>) {
            let core = &self.ivars().core;
            core.open("setComputePipelineState");
            let pipeline: &SoftPipeline = soft(core.world(), pipeline.as_ref());
            lock(&self.ivars().state).pipeline = Some(pipeline.retain());
        }

        #[unsafe(method(setBuffer:offset:atIndex:))]
        fn set_buffer_(
            &self,
            buffer: Option<&Protocol<dyn MTLBuffer>>,
            offset: usize,
            index: usize,
        ) {
            self.set_buffer(buffer, offset, index);
        }

        #[unsafe(method(setBuffers:offsets:withRange:))]
        fn set_buffers_(
            &self,
            buffers: NonNull<*const Protocol<dyn MTLBuffer>>,
            offsets: NonNull<usize>,
            range: NSRange,
        ) {
            for at in 0..range.length {
                // SAFETY: the caller's arrays, as long as the range.
                let (buffer, offset) =
                    unsafe { (buffers.add(at).read().as_ref(), offsets.add(at).read()) };
                self.set_buffer(buffer, offset, range.location + at);
            }
        }

        #[unsafe(method(setBufferOffset:atIndex:))]
        fn set_offset_(&self, offset: usize, index: usize) {
            let it = self.ivars();
            it.core.open("setBufferOffset");
            let mut state = lock(&it.state);
            let slot = state.slots.get_mut(index).and_then(Option::as_mut);
            match slot {
                Some(Slot::Buffer {
                    memory,
                    offset: old,
                    ..
                }) if offset < memory.len() => *old = offset,
                _ => {
                    drop(state);
                    it.core.world().broke(Rule::BufferOffset, format!("setBufferOffset {offset} at index {index}, beyond a buffer or with none"));
                }
            }
        }

        #[unsafe(method(setBytes:length:atIndex:))]
        fn set_bytes_(&self, bytes: NonNull<c_void>, len: usize, index: usize) {
            self.set_bytes(bytes, len, index);
        }

        #[unsafe(method(setThreadgroupMemoryLength:atIndex:))]
        fn set_threadgroup_(&self, len: usize, index: usize) {
            let it = self.ivars();
            it.core.open("setThreadgroupMemoryLength");
            let fits = len.is_multiple_of(16) && len <= THREADGROUP_BYTES_MAX && index < SLOTS;
            it.core.world().require(fits, Rule::ThreadgroupMemory, || {
                format!("{len} bytes at index {index}")
            });
            let mut state = lock(&it.state);
            if state.threadgroup.len() <= index {
                state.threadgroup.resize(index + 1, 0);
            }
            state.threadgroup[index] = len;
        }

        #[unsafe(method(dispatchThreadgroups:threadsPerThreadgroup:))]
        fn dispatch_(&self, groups: MTLSize, size: MTLSize) {
            self.dispatch(groups, size);
        }

        #[unsafe(method(dispatchThreads:threadsPerThreadgroup:))]
        fn dispatch_threads_(&self, threads: MTLSize, size: MTLSize) {
            let whole = |threads: usize, size: usize| size > 0 && threads.is_multiple_of(size);
            let all = whole(threads.width, size.width)
                && whole(threads.height, size.height)
                && whole(threads.depth, size.depth);
            self.ivars()
                .core
                .world()
                .require(all, Rule::NotModelled, || {
                    "dispatchThreads with threadgroups of different sizes".to_owned()
                });
            let groups = MTLSize {
                width: threads.width / size.width.max(1),
                height: threads.height / size.height.max(1),
                depth: threads.depth / size.depth.max(1),
            };
            self.dispatch(groups, size);
        }

        #[unsafe(method(memoryBarrierWithScope:))]
        fn barrier_(&self, scope: MTLBarrierScope) {
            let it = self.ivars();
            it.core.open("memoryBarrierWithScope");
            it.core
                .world()
                .require(scope.0 & 1 != 0, Rule::BarrierScope, || {
                    format!("scope {} has no buffers", scope.0)
                });
            let mut state = lock(&it.state);
            if !state.since.is_empty() {
                let after = std::mem::take(&mut state.since)
                    .into_iter()
                    .chain(state.join)
                    .collect();
                state.join = Some(it.core.push(None, after, &[]));
            }
        }

        #[unsafe(method(memoryBarrierWithResources:count:))]
        fn barrier_resources_(
            &self,
            resources: NonNull<NonNull<Protocol<dyn MTLResource>>>,
            count: usize,
        ) {
            let it = self.ivars();
            it.core.open("memoryBarrierWithResources");
            let id = |at: usize| {
                // SAFETY: the caller's array, as long as it says.
                let resource = unsafe { resources.add(at).read().as_ref() };
                let buffer: &SoftBuffer = soft(it.core.world(), resource.as_ref());
                buffer.ivars().memory.id
            };
            let ids = (0..count).map(id).collect();
            let len = it.core.len();
            lock(&it.state).barriers.push((len, ids));
        }

        #[unsafe(method(useResource:usage:))]
        fn use_resource_(&self, resource: &Protocol<dyn MTLResource>, _usage: MTLResourceUsage) {
            self.ivars().core.open("useResource");
            let _: &SoftBuffer = soft(self.ivars().core.world(), resource.as_ref());
        }

        #[unsafe(method(updateFence:))]
        fn update_fence_(&self, fence: &Protocol<dyn MTLFence>) {
            self.ivars().core.fence(fence, FenceUse::Update);
        }

        #[unsafe(method(waitForFence:))]
        fn wait_fence_(&self, fence: &Protocol<dyn MTLFence>) {
            self.ivars().core.fence(fence, FenceUse::Wait);
        }
    }
);

impl SoftCompute {
    pub(crate) fn new(buffer: &Retained<SoftCommandBuffer>, concurrent: bool) -> Retained<Self> {
        let this = Self::alloc().set_ivars(Ivars {
            core: Core::new(buffer, "MTLComputeCommandEncoder"),
            concurrent,
            state: Mutex::default(),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }

    fn bind(&self, index: usize, slot: Option<Slot>) {
        let it = self.ivars();
        it.core
            .world()
            .require(index < SLOTS, Rule::BufferIndex, || {
                format!("index {index} of {SLOTS}")
            });
        let old = lock(&it.state)
            .slots
            .get_mut(index)
            .map(|at| std::mem::replace(at, slot));
        drop(old);
    }

    fn set_buffer(&self, buffer: Option<&Protocol<dyn MTLBuffer>>, offset: usize, index: usize) {
        let core = &self.ivars().core;
        core.open("setBuffer");
        let slot = buffer.map(|buffer| {
            let buffer: &SoftBuffer = soft(core.world(), buffer.as_ref());
            let memory = &buffer.ivars().memory;
            let len = memory.len();
            core.world().require(offset < len, Rule::BufferOffset, || {
                format!("offset {offset} of a buffer of {len} bytes at index {index}")
            });
            Slot::Buffer {
                memory: Arc::clone(memory),
                kept: (!core.unretained()).then(|| buffer.retain()),
                offset,
            }
        });
        self.bind(index, slot);
    }

    fn set_bytes(&self, bytes: NonNull<c_void>, len: usize, index: usize) {
        let core = &self.ivars().core;
        core.open("setBytes");
        let fits = len > 0 && len <= SET_BYTES_MAX;
        core.world().require(fits, Rule::SetBytesLength, || {
            format!("{len} bytes at index {index}")
        });
        let mut words = vec![0u128; len.div_ceil(16)];
        // SAFETY: the caller's bytes, and room for as many.
        unsafe {
            words
                .as_mut_ptr()
                .cast::<u8>()
                .copy_from_nonoverlapping(bytes.as_ptr().cast(), len)
        };
        self.bind(index, Some(Slot::Bytes(words.into(), len)));
    }

    fn dispatch(&self, groups: MTLSize, size: MTLSize) {
        let it = self.ivars();
        let world = it.core.world();
        it.core.open("a dispatch");
        let pipeline = lock(&it.state).pipeline.clone();
        let Some(pipeline) = pipeline else {
            world.broke(
                Rule::NoPipeline,
                format!("in the encoder `{}`", it.core.label.text()),
            );
            return;
        };
        let kernel = &pipeline.ivars().kernel;
        let (threads, max) = (
            size.width * size.height * size.depth,
            pipeline.ivars().threads_max.min(THREADS_MAX),
        );
        let some = threads > 0 && groups.width * groups.height * groups.depth > 0;
        world.require(some, Rule::EmptyDispatch, || {
            format!("{}: {groups:?} threadgroups of {size:?}", kernel.name)
        });
        world.require(threads <= max, Rule::ThreadgroupSize, || {
            format!("{}: {threads} threads where {max} are allowed", kernel.name)
        });
        let (slots, threadgroup) = {
            let state = lock(&it.state);
            (state.slots.clone(), state.threadgroup.clone())
        };
        self.check(&kernel.name, &kernel.arguments, &slots, &threadgroup);
        let narrow = |it: MTLSize| {
            [it.width, it.height, it.depth].map(|it| u32::try_from(it).unwrap_or(u32::MAX))
        };
        let takes = |slot: usize| {
            kernel
                .arguments
                .iter()
                .any(|it| matches!(it, Argument::Buffer { slot: at, .. } if *at == slot))
        };
        let bound = |(index, slot): (usize, &Option<Slot>)| {
            slot.as_ref()
                .filter(|_| takes(index))
                .map(|slot| self.bound(slot))
        };
        let dispatch = Dispatch {
            kernel: Arc::clone(kernel),
            pipeline: Claim::new(&pipeline.ivars().lifetime),
            bound: slots.iter().enumerate().map(bound).collect(),
            threadgroup,
            groups: narrow(groups),
            size: narrow(size),
            order: Order {
                seed: world.below(u64::MAX),
            },
        };
        self.push(dispatch);
    }

    fn bound(&self, slot: &Slot) -> Bound {
        let core = &self.ivars().core;
        match slot {
            Slot::Bytes(words, _) => Bound::Bytes(Arc::clone(words)),
            Slot::Buffer {
                kept: Some(buffer),
                offset,
                ..
            } => Bound::Buffer(core.claim(buffer, *offset)),
            Slot::Buffer { memory, offset, .. } => {
                memory.lifetime.check_alive();
                Bound::Buffer(Use::new(memory, *offset))
            }
        }
    }

    /// Names what the kernel takes and is not there, or is too short.
    fn check(
        &self,
        kernel: &str,
        arguments: &[Argument],
        slots: &[Option<Slot>; SLOTS],
        threadgroup: &[usize],
    ) {
        let world = self.ivars().core.world();
        for argument in arguments {
            match *argument {
                Argument::Buffer {
                    slot, bytes, align, ..
                } => {
                    let (len, offset) = match &slots[slot] {
                        Some(Slot::Buffer { memory, offset, .. }) => {
                            (memory.len() - offset, *offset)
                        }
                        Some(Slot::Bytes(_, len)) => (*len, 0),
                        None => (0, 0),
                    };
                    world.require(len >= bytes, Rule::MissingBuffer, || {
                        let have = if slots[slot].is_some() { format!("{len} bytes") } else { "nothing".to_owned() };
                        format!("{kernel} takes at least {bytes} bytes at index {slot}, and {have} is bound")
                    });
                    world.require(offset.is_multiple_of(align.max(1)), Rule::BufferOffset, || format!("{kernel}: offset {offset} at index {slot}, whose type is aligned to {align}"));
                }
                Argument::Threadgroup { index, bytes } => {
                    let len = threadgroup.get(index).copied().unwrap_or(0);
                    world.require(len >= bytes, Rule::ThreadgroupMemory, || format!("{kernel} takes {bytes} bytes of threadgroup memory at index {index}, and {len} are set"));
                }
            }
        }
        let total: usize = threadgroup.iter().sum();
        world.require(
            total <= THREADGROUP_BYTES_MAX,
            Rule::ThreadgroupMemory,
            || format!("{kernel}: {total} bytes of threadgroup memory in all"),
        );
    }

    /// A serial encoder runs one dispatch after another; a concurrent one orders them only by its barriers.
    fn push(&self, dispatch: Dispatch) {
        let it = self.ivars();
        let work = Work::Dispatch(dispatch);
        let memory: Vec<_> = work
            .uses()
            .iter()
            .map(|it| Arc::clone(&it.memory))
            .collect();
        let ids: HashSet<u64> = memory.iter().map(|it| it.id).collect();
        let mut state = lock(&it.state);
        let mut after: Vec<usize> = state.join.into_iter().collect();
        for (len, barrier) in state
            .barriers
            .iter()
            .filter(|(_, barrier)| !barrier.is_disjoint(&ids))
        {
            let before = state
                .uses
                .iter()
                .filter(|(at, used)| at < len && !used.is_disjoint(barrier));
            after.extend(before.map(|(at, _)| *at));
        }
        let memory: Vec<&Arc<Memory>> = memory.iter().collect();
        let at = it.core.push(Some(work), after, &memory);
        state.uses.push((at, ids));
        if it.concurrent {
            state.since.push(at);
        } else {
            state.join = Some(at);
        }
    }
}
