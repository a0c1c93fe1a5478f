//! The device's contract, on whatever Vulkan device there is, under the validation layer.

mod common;
#[path = "../../core/tests/device/promises.rs"]
mod contract;

use common::*;
use tidegate_core::{Batch, Device};
use tidegate_vulkan::Options;

#[test]
fn a_submission_takes_as_many_descriptor_pools_as_it_needs() {
    let options = Options {
        push_descriptors: false,
        ..checked()
    };
    let rig = Rig::new(&options);
    let (x, back) = (rig.buffer(64 * 32), rig.readback(64 * 32));
    let pipeline = rig.pipeline(&LCG);
    let align = rig.device().capabilities().binding_align.div_ceil(4);
    assert!(align <= 64);
    for round in 0..3 {
        let mut batch = Batch::default();
        fill(&mut batch, x, round);
        barrier(&mut batch, ALL);
        for at in 0..1000 {
            let slice = part(&x, (at % 32) * 64, 64);
            launch(&mut batch, pipeline, &[slice], &[], [1, 1, 1]);
            if at % 32 == 31 {
                barrier(&mut batch, COMPUTE);
            }
        }
        barrier(&mut batch, ALL);
        let got = rig.copy_and_read(&mut batch, x, back);
        for at in 0..32 {
            let steps = if at < 1000 % 32 { 32 } else { 31 };
            assert_eq!(got[at * 64 + 63], lcg(round, steps), "slice {at}");
        }
    }
}
