//! Recording and submitting a batch allocates nothing once warm. In a binary of its own: it counts for the whole process.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use common::*;
use tidegate_core::{Batch, Device};
use tidegate_vulkan::Options;

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_submission_allocates_nothing() {
    for options in every_path() {
        let options = Options {
            validation: false,
            ..options
        };
        let rig = Rig::new(&options);
        let (x, y) = (rig.buffer(64), rig.buffer(64));
        let pipeline = rig.pipeline(&LCG);
        let mut batch = Batch::default();
        let mut round = || {
            batch.clear();
            batch.opening = ALL;
            for _ in 0..50 {
                launch(&mut batch, pipeline, &[x], &[], [1, 1, 1]);
                launch(&mut batch, pipeline, &[y], &[], [1, 1, 1]);
                barrier(&mut batch, COMPUTE);
            }
            barrier(&mut batch, ALL);
            copy(&mut batch, x, y);
            upload(&mut batch, part(&x, 0, 2), &[1, 2]);
            let ticket = rig.ticket(0);
            let before = COUNT.load(Ordering::Relaxed);
            rig.device().submit(&batch, ticket).unwrap();
            assert!(rig.device().wait(ticket, WAIT_NS).unwrap());
            COUNT.load(Ordering::Relaxed) - before
        };
        for _ in 0..5 {
            round();
        }
        let allocations: u64 = (0..100).map(|_| round()).sum();
        assert_eq!(allocations, 0);
    }
}
