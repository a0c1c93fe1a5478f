//! Injected faults: each comes once, where it was asked for, and looks as Metal's own would.
#![cfg(metal_soft)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use block2::RcBlock;
use common::{CommandBuffer, Gpu, SHARED, alone};
use objc2::msg_send;
use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::{AnyObject, ProtocolObject};
use objc2_foundation::{NSArray, NSError, NSRange, NSString};
use objc2_metal::{
    MTLBlitCommandEncoder as _, MTLCommandBuffer as _, MTLCommandBufferDescriptor,
    MTLCommandBufferEncoderInfo, MTLCommandBufferEncoderInfoErrorKey, MTLCommandBufferErrorDomain,
    MTLCommandBufferErrorOption, MTLCommandBufferStatus, MTLCommandEncoder as _,
    MTLCommandEncoderErrorState, MTLCommandQueue as _, MTLCreateSystemDefaultDevice,
    MTLDevice as _, MTLFence, MTLSharedEvent as _,
};
use tidegate_softmetal::{Failure, Fault, Observer, Rule, Setup, Target};

fn observe(faults: Vec<Fault>, test: impl FnOnce(&Observer)) {
    let _alone = alone();
    let mut setup = Setup::default();
    setup.faults = faults;
    let observer = Observer::new(setup);
    autoreleasepool(|_| test(&observer));
    assert_eq!(observer.faults_at_end(), []);
    assert_eq!(observer.pending(), []);
}

/// A command buffer with one encoder of each label, that says in an error how far each came.
fn labelled(gpu: &Gpu, labels: &[&str]) -> CommandBuffer {
    let descriptor = MTLCommandBufferDescriptor::new();
    descriptor.setErrorOptions(MTLCommandBufferErrorOption::EncoderExecutionStatus);
    descriptor.setRetainedReferences(true);
    let commands = gpu
        .queue
        .commandBufferWithDescriptor(&descriptor)
        .expect("a command buffer");
    let buffer = gpu.buffer(64);
    for label in labels {
        let encoder = commands.blitCommandEncoder().expect("an encoder");
        encoder.setLabel(Some(&NSString::from_str(label)));
        encoder.fillBuffer_range_value(&buffer, NSRange::new(0, 64), 1);
        encoder.endEncoding();
    }
    commands
}

#[test]
fn nothing_where_memory_or_a_device_should_be() {
    observe(
        vec![
            Fault::NoDevice,
            Fault::NoQueue,
            Fault::NoBuffer(1),
            Fault::NoCommandBuffer(0),
            Fault::NoEvent(0),
        ],
        |_| {
            assert!(MTLCreateSystemDefaultDevice().is_none());
            let device = MTLCreateSystemDefaultDevice().expect("a device");
            assert!(device.newCommandQueue().is_none());
            let queue = device.newCommandQueue().expect("a queue");
            assert!(queue.commandBuffer().is_none() && queue.commandBuffer().is_some());
            assert!(device.newSharedEvent().is_none() && device.newSharedEvent().is_some());
            let buffer = || device.newBufferWithLength_options(16, SHARED);
            let first = buffer();
            assert!(first.is_some() && buffer().is_none() && buffer().is_some());
        },
    );
}

#[test]
fn a_page_fault_names_the_encoder() {
    let fault = Fault::Fails(Failure {
        target: Target::Encoder("second".to_owned()),
        code: 3,
        signals: Some(false),
    });
    observe(vec![fault], |_| {
        let gpu = Gpu::new();
        let commands = labelled(&gpu, &["first", "second", "third"]);
        let event = gpu.device.newSharedEvent().expect("an event");
        commands.encodeSignalEvent_value(ProtocolObject::from_ref(&*event), 5);
        let code = Arc::new(AtomicIsize::new(0));
        let seen = Arc::clone(&code);
        let handler = RcBlock::new(
            move |commands: std::ptr::NonNull<
                ProtocolObject<dyn objc2_metal::MTLCommandBuffer>,
            >| {
                // SAFETY: Metal passes the command buffer.
                let error = unsafe { commands.as_ref() }.error();
                seen.store(error.map_or(-1, |it| it.code()), Ordering::Release);
            },
        );
        // SAFETY: the block may run on any thread.
        unsafe { commands.addCompletedHandler(RcBlock::as_ptr(&handler)) };
        drop(handler);
        commands.commit();
        commands.waitUntilCompleted();
        while code.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        assert_eq!(
            (commands.status(), code.load(Ordering::Acquire)),
            (MTLCommandBufferStatus::Error, 3)
        );
        assert_eq!(event.signaledValue(), 0);
        let error = commands.error().expect("an error");
        // SAFETY: the framework's constants.
        let (domain, key) = unsafe {
            (
                MTLCommandBufferErrorDomain,
                MTLCommandBufferEncoderInfoErrorKey,
            )
        };
        assert_eq!(
            (error.code(), &*error.domain(), domain.to_string().as_str()),
            (3, domain, "MTLCommandBufferErrorDomain")
        );
        let infos = error
            .userInfo()
            .objectForKey(key)
            .expect("what is known of the encoders");
        let infos = infos.downcast::<NSArray>().expect("an array");
        let state = |at: usize| {
            // SAFETY: what Metal puts there.
            let info: Retained<ProtocolObject<dyn MTLCommandBufferEncoderInfo>> =
                unsafe { Retained::cast_unchecked(infos.objectAtIndex(at)) };
            (info.label().to_string(), info.errorState())
        };
        assert_eq!(
            state(1),
            ("second".to_owned(), MTLCommandEncoderErrorState::Faulted)
        );
        assert_eq!(state(0).0, "first");
        // The device works on.
        let next = labelled(&gpu, &["second"]);
        next.commit();
        next.waitUntilCompleted();
        assert_eq!(
            (next.status(), next.error()),
            (MTLCommandBufferStatus::Completed, None)
        );
    });
}

#[test]
fn the_nth_command_buffer_fails_and_may_signal_all_the_same() {
    let fault = Fault::Fails(Failure {
        target: Target::Commit(1),
        code: 2,
        signals: Some(true),
    });
    observe(vec![fault], |_| {
        let gpu = Gpu::new();
        let event = gpu.device.newSharedEvent().expect("an event");
        let all: Vec<CommandBuffer> = (1..=3)
            .map(|value| {
                let commands = labelled(&gpu, &["only"]);
                // A signal waits for no earlier command buffer by itself.
                commands.encodeWaitForEvent_value(ProtocolObject::from_ref(&*event), value - 1);
                commands.encodeSignalEvent_value(ProtocolObject::from_ref(&*event), value);
                commands.commit();
                commands
            })
            .collect();
        assert!(event.waitUntilSignaledValue_timeoutMS(3, 10_000));
        let codes = all.iter().map(|it| {
            it.waitUntilCompleted();
            it.error().map_or(0, |it| it.code())
        });
        assert_eq!(codes.collect::<Vec<_>>(), [0, 2, 0]);
    });
}

/// A command buffer whose one encoder waits for the fence or updates it.
fn fenced(gpu: &Gpu, fence: &ProtocolObject<dyn MTLFence>, update: bool) -> CommandBuffer {
    let commands = gpu.queue.commandBuffer().expect("a command buffer");
    let encoder = commands.blitCommandEncoder().expect("an encoder");
    if update {
        encoder.fillBuffer_range_value(&gpu.buffer(64), NSRange::new(0, 64), 1);
        encoder.updateFence(fence);
    } else {
        encoder.waitForFence(fence);
    }
    encoder.endEncoding();
    commands.commit();
    commands.waitUntilCompleted();
    commands
}

#[test]
fn a_failed_encoder_does_not_update_its_fence() {
    for told in [false, true] {
        let _alone = alone();
        let observer = Observer::new(Setup::default());
        autoreleasepool(|_| {
            let gpu = Gpu::new();
            let fence = gpu.device.newFence().expect("a fence");
            observer.inject(Fault::Fails(Failure {
                target: Target::Commit(0),
                code: 3,
                signals: None,
            }));
            let failed = fenced(&gpu, &fence, true);
            if told {
                assert_eq!(failed.status(), MTLCommandBufferStatus::Error);
            }
            fenced(&gpu, &fence, false);
            fenced(&gpu, &fence, true);
            fenced(&gpu, &fence, false);
        });
        let rules = observer.faults_at_end().into_iter().map(|it| it.rule);
        let expected = [Rule::FenceUse];
        assert_eq!(rules.collect::<Vec<_>>(), expected[..usize::from(told)]);
    }
}

#[test]
fn an_event_may_have_its_value_before_the_status_says_so() {
    let _alone = alone();
    let early = (0..40).filter(|seed| {
        let observer = Observer::new(Setup::seeded(*seed));
        let status = autoreleasepool(|_| {
            let gpu = Gpu::new();
            let event = gpu.device.newSharedEvent().expect("an event");
            let commands = labelled(&gpu, &["only"]);
            commands.encodeSignalEvent_value(ProtocolObject::from_ref(&*event), 1);
            commands.commit();
            assert!(event.waitUntilSignaledValue_timeoutMS(1, 10_000));
            let status = commands.status();
            commands.waitUntilCompleted();
            status
        });
        assert_eq!(observer.faults_at_end(), []);
        status != MTLCommandBufferStatus::Completed
    });
    assert!(early.count() > 0);
}

#[test]
fn a_command_buffer_that_never_completes() {
    let _alone = alone();
    let observer = Observer::new(Setup::default());
    autoreleasepool(|_| {
        let gpu = Gpu::new();
        observer.inject(Fault::Hangs(Target::Commit(0)));
        let event = gpu.device.newSharedEvent().expect("an event");
        let commands = labelled(&gpu, &["stuck"]);
        commands.encodeSignalEvent_value(ProtocolObject::from_ref(&*event), 1);
        commands.commit();
        assert!(!event.waitUntilSignaledValue_timeoutMS(1, 50));
        assert_eq!(
            (commands.status(), event.signaledValue()),
            (MTLCommandBufferStatus::Committed, 0)
        );
    });
    assert_eq!(observer.violations(), []);
}

#[test]
fn memory_runs_out_at_the_limits() {
    let _alone = alone();
    let mut setup = Setup::default();
    (
        setup.buffer_bytes_max,
        setup.working_set_bytes,
        setup.resources_max,
    ) = (1 << 20, 1 << 20, 3);
    let observer = Observer::new(setup);
    autoreleasepool(|_| {
        let device = MTLCreateSystemDefaultDevice().expect("a device");
        let buffer = |len| device.newBufferWithLength_options(len, SHARED);
        assert_eq!(
            (
                device.maxBufferLength(),
                device.recommendedMaxWorkingSetSize()
            ),
            (1 << 20, 1 << 20)
        );
        assert!(buffer((1 << 20) + 4).is_none());
        let (a, b, c) = (buffer(1 << 20), buffer(1 << 20), buffer(4));
        assert!(a.is_some() && b.is_some() && c.is_none());
        assert_eq!(device.currentAllocatedSize(), 2 << 20);
        drop(b);
        let (b, c) = (buffer(4), buffer(4));
        assert!(b.is_some() && c.is_some() && buffer(4).is_none());
    });
    assert_eq!(observer.faults_at_end(), []);
}

unsafe extern "C-unwind" {
    fn dispatch_data_create(
        bytes: *const u8,
        len: usize,
        queue: *const u8,
        destructor: *const u8,
    ) -> *mut AnyObject;
}

#[test]
fn a_compiled_library_is_refused() {
    observe(vec![Fault::NoPipeline(0)], |_| {
        let gpu = Gpu::new();
        for (bytes, expected) in [
            (*b"MTLB", "cannot run a compiled library"),
            (*b"oops", "Invalid library file"),
        ] {
            // SAFETY: libdispatch copies the bytes, and the caller owns the data.
            let data = unsafe {
                Retained::from_raw(dispatch_data_create(
                    bytes.as_ptr(),
                    4,
                    std::ptr::null(),
                    std::ptr::null(),
                ))
            }
            .expect("data");
            // SAFETY: the method's own types.
            let library: Result<Retained<AnyObject>, Retained<NSError>> =
                unsafe { msg_send![&*gpu.device, newLibraryWithData: &*data, error: _] };
            let text = library
                .expect_err("a refusal")
                .localizedDescription()
                .to_string();
            assert!(text.contains(expected), "{text}");
        }
        let source = "kernel void f(device uint* out [[buffer(0)]]) { out[0] = 1; }";
        assert_eq!(
            gpu.pipeline(source, "f").expect_err("a refusal"),
            "an injected refusal"
        );
        assert!(gpu.pipeline(source, "f").is_ok());
    });
}
