//! Rules about classes rather than about one call of theirs, each broken on purpose; and whether any rule is never broken.
#![cfg(metal_soft)]

mod common;

use common::{bind, breaking, broken, commands, dispatch};
use objc2::rc::Retained;
use objc2::runtime::{NSObject, ProtocolObject};
use objc2::{ffi, sel};
use objc2_metal::{
    MTLCommandBuffer as _, MTLCommandEncoder as _, MTLCommandQueue as _,
    MTLComputeCommandEncoder as _, MTLDevice as _, MTLFence, MTLResidencySetDescriptor, MTLSize,
};
use tidegate_softmetal::Rule;

/// objc2 itself refuses such a message in a build with debug assertions; in others this is what a message asks the runtime first.
#[test]
fn a_selector_that_the_class_does_not_have() {
    breaking(&[Rule::UnknownSelector], |gpu| {
        let device = Retained::as_ptr(&gpu.device).cast_mut().cast();
        broken(Rule::UnknownSelector, || {
            // SAFETY: a living object and a selector; nothing is called.
            let _ = unsafe { ffi::objc_msg_lookup(device, sel!(noSuchSelectorOfMetal)) };
        });
    });
}

#[test]
fn threadgroups_of_different_sizes() {
    breaking(&[Rule::NotModelled], |gpu| {
        let commands = commands(gpu);
        let encoder = commands.computeCommandEncoder().expect("an encoder");
        let line = |width| MTLSize {
            width,
            height: 1,
            depth: 1,
        };
        broken(Rule::NotModelled, || {
            encoder.dispatchThreads_threadsPerThreadgroup(line(65), line(64))
        });
        encoder.endEncoding();
    });
}

#[test]
fn an_object_that_is_not_metals() {
    breaking(&[Rule::ForeignObject], |gpu| {
        let commands = commands(gpu);
        let encoder = commands.blitCommandEncoder().expect("an encoder");
        let object = NSObject::new();
        // SAFETY: wrong on purpose, and refused: it is an object, and no fence.
        let fence = unsafe { &*Retained::as_ptr(&object).cast::<ProtocolObject<dyn MTLFence>>() };
        broken(Rule::ForeignObject, || {
            use objc2_metal::MTLBlitCommandEncoder as _;
            encoder.updateFence(fence)
        });
        encoder.endEncoding();
    });
}

#[test]
fn more_residency_sets_than_a_queue_takes() {
    breaking(&[Rule::ResidencyCount], |gpu| {
        let set = || {
            let descriptor = MTLResidencySetDescriptor::new();
            let made = gpu.device.newResidencySetWithDescriptor_error(&descriptor);
            made.expect("a set")
        };
        for _ in 0..32 {
            gpu.queue.addResidencySet(&set());
        }
        broken(Rule::ResidencyCount, || gpu.queue.addResidencySet(&set()));
    });
}

/// Walks to the mark at the end of its stack and writes there, as a kernel would that calls itself too often.
const DEEP: &str = "#include <metal_stdlib>\n
kernel void deep(device uint* out [[buffer(0)]]) {
    // Without a barrier a kernel needs no stack of its own.
    metal::threadgroup_barrier(metal::mem_flags::mem_none);
    unsigned long here = 0;
    thread volatile unsigned long* at = (thread volatile unsigned long*)((unsigned long)&here & ~7ul);
    while (*at != 0x7469646567617465ul) { at--; }
    *at = 0;
    out[0] = uint(here);
}";

#[test]
fn a_stack_that_is_used_up() {
    breaking(&[Rule::KernelStack], |gpu| {
        let pipeline = gpu.pipeline(DEEP, "deep").expect("a pipeline");
        let out = gpu.buffer(64);
        let commands = commands(gpu);
        let encoder = commands.computeCommandEncoder().expect("an encoder");
        encoder.setComputePipelineState(&pipeline);
        bind(&encoder, &out, 0);
        dispatch(&encoder, 1, [1, 1, 1]);
        encoder.endEncoding();
        commands.commit();
        commands.waitUntilCompleted();
        let error = commands.error().expect("an error");
        let error = error.localizedDescription().to_string();
        let words = "a thread of deep used up its stack";
        assert!(error.contains(words), "{error}");
    });
}

#[test]
fn every_rule_names_a_page_and_is_broken_in_a_test() {
    let tests = [
        include_str!("rules.rs"),
        include_str!("rules_of_classes.rs"),
        include_str!("runtime.rs"),
        include_str!("faults.rs"),
        include_str!("order.rs"),
    ]
    .concat();
    for rule in Rule::ALL {
        let page = rule.page();
        assert!(!page.is_empty() && !page.starts_with('/'), "{rule}");
        // As a test expects it: in a list of rules, or alone.
        let name = rule.to_string();
        let expected = [
            format!("Rule::{name}"),
            format!(" {name},"),
            format!("[{name}"),
            format!("({name},"),
            format!("\"{name}: "),
        ];
        let found = expected.iter().any(|it| tests.contains(it.as_str()));
        assert!(found, "no test breaks {name}");
    }
}
