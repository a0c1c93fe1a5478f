//! Each of Apple's rules, broken on purpose.
#![cfg(metal_soft)]

mod common;

use std::ptr::NonNull;

use block2::RcBlock;
use common::{
    Buffer, CommandBuffer, Gpu, UNTRACKED, alone, bind, breaking, broken, bytes, commands, dispatch,
};
use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::ProtocolObject;
use objc2_foundation::NSRange;
use objc2_metal::{
    MTLBarrierScope, MTLBlitCommandEncoder as _, MTLBuffer as _, MTLCommandBuffer,
    MTLCommandEncoder as _, MTLCommandQueue as _, MTLComputeCommandEncoder as _, MTLDevice as _,
    MTLResidencySet as _, MTLResidencySetDescriptor, MTLResourceOptions, MTLSharedEvent,
};
use tidegate_softmetal::{Observer, Rule, Setup};

const FILL: &str = "#include <metal_stdlib>\n
struct P { uint value; uint more[4]; };
[[max_total_threads_per_threadgroup(64)]] kernel void fill(device metal::uint4* out [[buffer(0)]], constant P& p [[buffer(1)]], threadgroup uint& t, uint i [[thread_position_in_grid]]) {
    out[i] = p.value;
}";

const DIVERGENT: &str = "#include <metal_stdlib>\n
kernel void divergent(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    if (i == 3) return;
    metal::threadgroup_barrier(metal::mem_flags::mem_none);
    out[i] = i;
}";

#[test]
fn encoders() {
    use Rule::*;
    breaking(
        &[
            TwoOpenEncoders,
            TwoOpenEncoders,
            OpenEncoderAtCommit,
            EndedTwice,
            EncodeAfterEnd,
            EncodeAfterEnd,
            EncoderNeverEnded,
        ],
        |gpu| {
            let event = gpu.device.newSharedEvent().expect("an event");
            let commands = commands(gpu);
            let encoder = commands.computeCommandEncoder().expect("an encoder");
            broken(TwoOpenEncoders, || drop(commands.blitCommandEncoder()));
            broken(TwoOpenEncoders, || {
                commands.encodeSignalEvent_value(ProtocolObject::from_ref(&*event), 1)
            });
            broken(OpenEncoderAtCommit, || commands.commit());
            encoder.endEncoding();
            broken(EndedTwice, || encoder.endEncoding());
            broken(EncodeAfterEnd, || dispatch(&encoder, 1, [1, 1, 1]));
            broken(EncodeAfterEnd, || bytes(&encoder, &[1], 0));
            broken(EncoderNeverEnded, || {
                autoreleasepool(|_| drop(commands.blitCommandEncoder()))
            });
        },
    );
}

#[test]
fn command_buffers() {
    use Rule::*;
    breaking(
        &[
            WaitBeforeCommit,
            CommitTwice,
            EncodeAfterCommit,
            HandlerAfterCommit,
            HandlerUnwound,
            WaitInHandler,
            HandlerUnwound,
        ],
        |gpu| {
            let one = commands(gpu);
            broken(WaitBeforeCommit, || one.waitUntilCompleted());
            one.commit();
            broken(CommitTwice, || one.commit());
            broken(EncodeAfterCommit, || drop(one.computeCommandEncoder()));
            let nothing = RcBlock::new(|_: NonNull<ProtocolObject<dyn MTLCommandBuffer>>| {});
            // SAFETY: the block may run on any thread.
            broken(HandlerAfterCommit, || unsafe {
                one.addCompletedHandler(RcBlock::as_ptr(&nothing))
            });
            one.waitUntilCompleted();
            with_handler(gpu, |_| panic!("out of a handler"));
            with_handler(gpu, |commands| commands.waitUntilCompleted());
        },
    );
}

/// Commits a command buffer with a completion handler, and waits until that has run.
fn with_handler(gpu: &Gpu, call: impl Fn(&ProtocolObject<dyn MTLCommandBuffer>) + 'static) {
    let (send, over) = std::sync::mpsc::channel::<()>();
    let commands = commands(gpu);
    let handler = RcBlock::new(move |it: NonNull<ProtocolObject<dyn MTLCommandBuffer>>| {
        let _send = &send;
        // SAFETY: Metal passes the command buffer.
        call(unsafe { it.as_ref() });
    });
    // SAFETY: the block may run on any thread.
    unsafe { commands.addCompletedHandler(RcBlock::as_ptr(&handler)) };
    drop(handler);
    commands.commit();
    // The block goes when it has run, and its end of the channel with it.
    assert!(over.recv().is_err());
}

#[test]
fn a_queue_without_room() {
    use Rule::*;
    breaking(&[TooManyCommandBuffers], |gpu| {
        let queue = gpu
            .device
            .newCommandQueueWithMaxCommandBufferCount(2)
            .expect("a queue");
        let next = || queue.commandBuffer().expect("a command buffer");
        let (one, two) = (next(), next());
        broken(TooManyCommandBuffers, || drop(queue.commandBuffer()));
        one.commit();
        // Blocks until the first has completed.
        let three = next();
        assert!(one.error().is_none());
        drop((two, three));
    });
}

#[test]
fn buffers() {
    use Rule::*;
    breaking(
        &[BufferLength, PrivateContents, SynchronizeUnmanaged],
        |gpu| {
            broken(BufferLength, || {
                drop(gpu.device.newBufferWithLength_options(0, UNTRACKED))
            });
            let private = gpu
                .device
                .newBufferWithLength_options(64, MTLResourceOptions::StorageModePrivate)
                .expect("memory");
            broken(PrivateContents, || {
                let _ = private.contents();
            });
            let commands = commands(gpu);
            let blit = commands.blitCommandEncoder().expect("an encoder");
            broken(SynchronizeUnmanaged, || {
                blit.synchronizeResource(ProtocolObject::from_ref(&*private))
            });
            blit.endEncoding();
        },
    );
}

#[test]
fn copies_and_fills() {
    use Rule::*;
    breaking(
        &[
            BlitAlignment,
            BlitAlignment,
            BlitRange,
            BlitRange,
            BlitOverlap,
            FillRange,
            FillRange,
            FillAlignment,
            FillAlignment,
        ],
        |gpu| {
            let (a, b) = (gpu.buffer(64), gpu.buffer(32));
            let commands = commands(gpu);
            let blit = commands.blitCommandEncoder().expect("an encoder");
            let copy = |from: &Buffer, at: usize, to: &Buffer, target: usize, len: usize| {
                // SAFETY: wrong on purpose, and refused.
                unsafe {
                    blit.copyFromBuffer_sourceOffset_toBuffer_destinationOffset_size(
                        from, at, to, target, len,
                    )
                };
            };
            broken(BlitAlignment, || copy(&a, 2, &b, 0, 8));
            broken(BlitAlignment, || copy(&a, 0, &b, 0, 7));
            broken(BlitRange, || copy(&a, 0, &b, 0, 64));
            broken(BlitRange, || copy(&a, 0, &b, 0, 0));
            broken(BlitOverlap, || copy(&a, 0, &a, 16, 32));
            let fill = |at, len| blit.fillBuffer_range_value(&b, NSRange::new(at, len), 0);
            broken(FillRange, || fill(16, 32));
            broken(FillRange, || fill(0, 0));
            broken(FillAlignment, || fill(2, 4));
            broken(FillAlignment, || fill(4, 7));
            copy(&a, 0, &a, 32, 32);
            blit.endEncoding();
        },
    );
}

#[test]
fn dispatches() {
    use Rule::*;
    let rules = [
        NoPipeline,
        MissingBuffer,
        MissingBuffer,
        MissingBuffer,
        BufferOffset,
        ThreadgroupMemory,
        ThreadgroupSize,
        EmptyDispatch,
        BufferIndex,
        BufferOffset,
        SetBytesLength,
        SetBytesLength,
        ThreadgroupMemory,
        BarrierScope,
    ];
    breaking(&rules, |gpu| {
        let pipeline = gpu.pipeline(FILL, "fill").expect("a pipeline");
        let out = gpu.buffer(16 * 64);
        let commands = commands(gpu);
        let encoder = commands.computeCommandEncoder().expect("an encoder");
        let run = |threads| dispatch(&encoder, 1, [threads, 1, 1]);
        broken(NoPipeline, || run(64));
        encoder.setComputePipelineState(&pipeline);
        broken(MissingBuffer, || run(64));
        bind(&encoder, &out, 0);
        broken(MissingBuffer, || run(64));
        bytes(&encoder, &[1], 1);
        broken(MissingBuffer, || run(64));
        bytes(&encoder, &[1, 0, 0, 0, 0], 1);
        // SAFETY: wrong on purpose, and refused; at the end all is bound.
        unsafe {
            encoder.setBuffer_offset_atIndex(Some(&out), 4, 0);
            broken(BufferOffset, || run(63));
            encoder.setBuffer_offset_atIndex(Some(&out), 0, 0);
            broken(ThreadgroupMemory, || run(64));
            encoder.setThreadgroupMemoryLength_atIndex(16, 0);
            broken(ThreadgroupSize, || run(65));
            broken(EmptyDispatch, || run(0));
            broken(BufferIndex, || {
                encoder.setBuffer_offset_atIndex(Some(&out), 0, 31)
            });
            broken(BufferOffset, || {
                encoder.setBuffer_offset_atIndex(Some(&out), 16 * 64, 0)
            });
            broken(SetBytesLength, || bytes(&encoder, &[0; 1025], 1));
            broken(SetBytesLength, || bytes(&encoder, &[], 1));
            broken(ThreadgroupMemory, || {
                encoder.setThreadgroupMemoryLength_atIndex(20, 0)
            });
        }
        broken(BarrierScope, || {
            encoder.memoryBarrierWithScope(MTLBarrierScope::Textures)
        });
        run(64);
        encoder.endEncoding();
        commands.commit();
        commands.waitUntilCompleted();
        assert_eq!(common::read(&out), [1; 4 * 64]);
    });
}

#[test]
fn a_divergent_barrier() {
    breaking(&[Rule::DivergentBarrier], |gpu| {
        let pipeline = gpu.pipeline(DIVERGENT, "divergent").expect("a pipeline");
        let out = gpu.buffer(4 * 64);
        let commands = commands(gpu);
        let encoder = commands.computeCommandEncoder().expect("an encoder");
        encoder.setComputePipelineState(&pipeline);
        bind(&encoder, &out, 0);
        dispatch(&encoder, 1, [64, 1, 1]);
        encoder.endEncoding();
        commands.commit();
        commands.waitUntilCompleted();
        let error = commands
            .error()
            .expect("an error")
            .localizedDescription()
            .to_string();
        assert!(
            error.contains("in divergent a barrier was not reached by every thread"),
            "{error}"
        );
    });
}

/// Fills `out`, once the event has the value 1, in a command buffer that does not retain what it uses.
fn unretained(
    gpu: &Gpu,
    out: &Buffer,
    event: &ProtocolObject<dyn MTLSharedEvent>,
) -> CommandBuffer {
    let commands = gpu
        .queue
        .commandBufferWithUnretainedReferences()
        .expect("a command buffer");
    commands.encodeWaitForEvent_value(ProtocolObject::from_ref(event), 1);
    let blit = commands.blitCommandEncoder().expect("an encoder");
    blit.fillBuffer_range_value(out, NSRange::new(0, 64), 1);
    blit.endEncoding();
    commands
}

const ONE: &str = "kernel void f(device uint* out [[buffer(0)]]) { out[0] = 1; }";

#[test]
fn a_pipeline_released_while_pending() {
    breaking(&[Rule::ReleasedWhilePending], |gpu| {
        let (out, pipeline) = (gpu.buffer(64), gpu.pipeline(ONE, "f").expect("a pipeline"));
        let event = gpu.device.newSharedEvent().expect("an event");
        let pending = autoreleasepool(|_| {
            let commands = gpu
                .queue
                .commandBufferWithUnretainedReferences()
                .expect("a command buffer");
            commands.encodeWaitForEvent_value(ProtocolObject::from_ref(&*event), 2);
            let encoder = commands.computeCommandEncoder().expect("an encoder");
            encoder.setComputePipelineState(&pipeline);
            bind(&encoder, &out, 0);
            dispatch(&encoder, 1, [1, 1, 1]);
            encoder.endEncoding();
            drop(encoder);
            commands
        });
        pending.commit();
        broken(Rule::ReleasedWhilePending, || drop(pipeline));
        event.setSignaledValue(2);
        pending.waitUntilCompleted();
    });
}

#[test]
fn a_fence_released_while_pending() {
    breaking(&[Rule::ReleasedWhilePending], |gpu| {
        let fence = gpu.device.newFence().expect("a fence");
        let event = gpu.device.newSharedEvent().expect("an event");
        let pending = autoreleasepool(|_| {
            let commands = gpu
                .queue
                .commandBufferWithUnretainedReferences()
                .expect("a command buffer");
            commands.encodeWaitForEvent_value(ProtocolObject::from_ref(&*event), 2);
            let encoder = commands.blitCommandEncoder().expect("an encoder");
            encoder.updateFence(&fence);
            encoder.endEncoding();
            commands
        });
        pending.commit();
        broken(Rule::ReleasedWhilePending, || drop(fence));
        event.setSignaledValue(2);
        pending.waitUntilCompleted();
    });
}

#[test]
fn lifetimes_of_unretained_references() {
    use Rule::*;
    breaking(
        &[ReleasedWhilePending, UsedAfterRelease, UsedAfterRelease],
        |gpu| {
            let out = gpu.buffer(64);
            let event = gpu.device.newSharedEvent().expect("an event");
            let pending = unretained(gpu, &out, &event);
            pending.commit();
            broken(ReleasedWhilePending, || drop(out));
            event.setSignaledValue(1);
            pending.waitUntilCompleted();
            let out = gpu.buffer(64);
            let late = unretained(gpu, &out, &event);
            drop(out);
            broken(UsedAfterRelease, || late.commit());
            let out = gpu.buffer(64);
            let pipeline = gpu.pipeline(ONE, "f").expect("a pipeline");
            let commands = gpu
                .queue
                .commandBufferWithUnretainedReferences()
                .expect("a command buffer");
            let encoder = commands.computeCommandEncoder().expect("an encoder");
            encoder.setComputePipelineState(&pipeline);
            bind(&encoder, &out, 0);
            drop(out);
            broken(UsedAfterRelease, || dispatch(&encoder, 1, [1, 1, 1]));
            encoder.endEncoding();
        },
    );
}

#[test]
fn events_fences_and_residency() {
    use Rule::*;
    breaking(
        &[EventValue, FenceUse, FenceUse, ResidencyUncommitted],
        |gpu| {
            let event = gpu.device.newSharedEvent().expect("an event");
            event.setSignaledValue(5);
            event.setSignaledValue(4);
            assert_eq!(event.signaledValue(), 5);
            let late = commands(gpu);
            late.encodeSignalEvent_value(ProtocolObject::from_ref(&*event), 4);
            late.commit();
            late.waitUntilCompleted();
            assert_eq!(event.signaledValue(), 5);
            let fence = gpu.device.newFence().expect("a fence");
            let other = gpu.device.newCommandQueue().expect("a queue");
            for (queue, update) in [(&gpu.queue, false), (&gpu.queue, true), (&other, false)] {
                let commands = queue.commandBuffer().expect("a command buffer");
                let encoder = commands.computeCommandEncoder().expect("an encoder");
                if update {
                    encoder.updateFence(&fence);
                } else {
                    encoder.waitForFence(&fence);
                }
                encoder.endEncoding();
                commands.commit();
                commands.waitUntilCompleted();
            }
            let set = gpu
                .device
                .newResidencySetWithDescriptor_error(&MTLResidencySetDescriptor::new())
                .expect("a set");
            let buffer = gpu.buffer(64);
            set.addAllocation(ProtocolObject::from_ref(&*buffer));
            broken(ResidencyUncommitted, || set.requestResidency());
            set.commit();
            set.requestResidency();
            assert_eq!((set.allocationCount(), set.allocatedSize()), (1, 64));
            gpu.queue.addResidencySet(&set);
        },
    );
}

#[test]
fn what_is_left_at_the_end() {
    let _alone = alone();
    let observer = Observer::new(Setup::default());
    let (leaked, block) = autoreleasepool(|_| {
        let gpu = Gpu::new();
        let block = RcBlock::new(|| {});
        (Retained::into_raw(gpu.buffer(64)), RcBlock::into_raw(block))
    });
    let found: Vec<String> = observer
        .faults_at_end()
        .iter()
        .map(|it| format!("{}: {}", it.rule, it.detail))
        .collect();
    assert_eq!(
        found,
        [
            "LeakedObject: 1 of MTLBuffer",
            "LeakedObject: 1 of MTLDevice",
            "LeakedBlock: 1 blocks"
        ]
    );
    // SAFETY: what was leaked above, once.
    unsafe {
        drop(Retained::from_raw(leaked));
        drop(RcBlock::from_raw(block));
    }
    assert_eq!(observer.faults_at_end(), []);
}
