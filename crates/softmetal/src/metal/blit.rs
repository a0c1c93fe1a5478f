//! MTLBlitCommandEncoder.

use std::sync::{Arc, Mutex};

use objc2::rc::Retained;
use objc2::runtime::{NSObject, NSObjectProtocol};
use objc2::{AnyThread, DefinedClass, define_class, msg_send};
use objc2_foundation::{NSRange, NSString};
use objc2_metal::{
    MTLBlitCommandEncoder, MTLBuffer, MTLCommandBuffer, MTLCommandEncoder, MTLDevice, MTLFence,
    MTLResource,
};

use crate::gpu::FenceUse;
use crate::gpu::work::Work;
use crate::metal::buffer::SoftBuffer;
use crate::metal::command_buffer::SoftCommandBuffer;
use crate::metal::encoder::Core;
use crate::metal::memory::Memory;
use crate::metal::{Protocol, soft};
use crate::rules::{Rule, lock};

pub(crate) struct Ivars {
    core: Core,
    /// Tracked buffers, and the commands that use them.
    tracked: Mutex<Vec<(u64, usize)>>,
}

/// What macOS asks of offsets and sizes.
const ALIGN: usize = 4;

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLBlitCommandEncoder"]
    #[ivars = Ivars]
    pub(crate) struct SoftBlit;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftBlit {}

    unsafe impl MTLCommandEncoder for SoftBlit {
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

    unsafe impl MTLBlitCommandEncoder for SoftBlit {
        #[unsafe(method(copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:))]
        fn copy_(
            &self,
            source: &Protocol<dyn MTLBuffer>,
            source_offset: usize,
            target: &Protocol<dyn MTLBuffer>,
            target_offset: usize,
            bytes: usize,
        ) {
            self.copy(source, source_offset, target, target_offset, bytes);
        }

        #[unsafe(method(fillBuffer:range:value:))]
        fn fill_(&self, target: &Protocol<dyn MTLBuffer>, range: NSRange, value: u8) {
            let core = &self.ivars().core;
            core.open("fillBuffer");
            let target: &SoftBuffer = soft(core.world(), target.as_ref());
            let rules = [Rule::FillAlignment, Rule::FillRange];
            let call = ("fillBuffer", rules);
            self.check(call, target, range.location, range.length);
            let work = Work::Fill {
                target: core.claim(target, range.location),
                bytes: range.length,
                value,
            };
            self.push(work, &[&target.ivars().memory]);
        }

        #[unsafe(method(synchronizeResource:))]
        fn synchronize_(&self, resource: &Protocol<dyn MTLResource>) {
            let core = &self.ivars().core;
            core.open("synchronizeResource");
            let buffer: &SoftBuffer = soft(core.world(), resource.as_ref());
            core.world()
                .require(buffer.is_managed(), Rule::SynchronizeUnmanaged, || {
                    "synchronizeResource of a buffer that is not managed".to_owned()
                });
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

impl SoftBlit {
    pub(crate) fn new(buffer: &Retained<SoftCommandBuffer>) -> Retained<Self> {
        let this = Self::alloc().set_ivars(Ivars {
            core: Core::new(buffer, "MTLBlitCommandEncoder"),
            tracked: Mutex::default(),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }

    /// Holds a range against two rules: how it is aligned, and whether it is inside.
    fn check(
        &self,
        (call, [alignment, range]): (&str, [Rule; 2]),
        buffer: &SoftBuffer,
        offset: usize,
        bytes: usize,
    ) {
        let world = self.ivars().core.world();
        let len = buffer.ivars().memory.len();
        let aligned = offset.is_multiple_of(ALIGN) && bytes.is_multiple_of(ALIGN);
        world.require(aligned, alignment, || {
            format!("{call} of {bytes} bytes at {offset}")
        });
        let inside = bytes > 0 && offset.checked_add(bytes).is_some_and(|end| end <= len);
        world.require(inside, range, || {
            format!("{call} of {bytes} bytes at {offset} of a buffer of {len}")
        });
    }

    fn copy(
        &self,
        source: &Protocol<dyn MTLBuffer>,
        source_offset: usize,
        target: &Protocol<dyn MTLBuffer>,
        target_offset: usize,
        bytes: usize,
    ) {
        let core = &self.ivars().core;
        core.open("copyFromBuffer");
        let source: &SoftBuffer = soft(core.world(), source.as_ref());
        let target: &SoftBuffer = soft(core.world(), target.as_ref());
        let rules = [Rule::BlitAlignment, Rule::BlitRange];
        self.check(("copyFromBuffer", rules), source, source_offset, bytes);
        let to = ("copyFromBuffer to a buffer", rules);
        self.check(to, target, target_offset, bytes);
        let (from, to) = (&source.ivars().memory, &target.ivars().memory);
        let apart = from.id != to.id || source_offset.abs_diff(target_offset) >= bytes;
        core.world().require(apart, Rule::BlitOverlap, || {
            format!("a copy of {bytes} bytes from {source_offset} to {target_offset} of one buffer")
        });
        let work = Work::Copy {
            source: core.claim(source, source_offset),
            target: core.claim(target, target_offset),
            bytes,
        };
        self.push(work, &[from, to]);
    }

    /// Metal orders the commands of one blit encoder as far as they use tracked buffers; no page promises an order of the others.
    fn push(&self, work: Work, memory: &[&Arc<Memory>]) {
        let it = self.ivars();
        let mut tracked = lock(&it.tracked);
        let ids: Vec<u64> = memory
            .iter()
            .filter(|it| it.tracked)
            .map(|it| it.id)
            .collect();
        let before = tracked.iter().filter(|(id, _)| ids.contains(id));
        let after = before.map(|(_, at)| *at).collect();
        let at = it.core.push(Some(work), after, memory);
        tracked.extend(ids.iter().map(|id| (*id, at)));
    }
}
