//! That validation is silent means something only if it can speak: a program without a barrier is reported.

mod common;

use common::*;
use tidegate_core::{Access, Barrier, Batch, Stages};

const SUM: &str = "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    y[id.x] = x[id.x] + 1u;
}";

/// A fill, a launch that reads what it wrote, and between the two a barrier or none.
fn messages(barrier_between: bool) -> Vec<String> {
    let rig = Rig::new(&checked());
    let (x, y) = (rig.buffer(64), rig.buffer(64));
    let access = [
        (0, 0, Access::Read, false),
        (0, 1, Access::ReadWrite, false),
    ];
    let pipeline = rig.pipeline(SUM, &kernel(&access, None));
    let mut batch = Batch::default();
    fill(&mut batch, x, 1);
    if barrier_between {
        let it = Barrier {
            before: Stages::TRANSFER,
            after: Stages::COMPUTE,
        };
        barrier(&mut batch, it);
    }
    launch(&mut batch, pipeline, &[x, y], &[], [1, 1, 1]);
    rig.wait(rig.submit(&batch));
    rig.end()
}

#[test]
fn a_missing_barrier_is_reported_by_the_validation_layer() {
    assert_eq!(messages(true), Vec::<String>::new());
    let found = messages(false);
    let hazard = |it: &String| it.contains("SYNC-HAZARD-READ-AFTER-WRITE");
    assert!(found.iter().any(hazard), "{found:?}");
}
