//! One queue: what barriers promise, and that nothing else does.

use std::sync::Arc;

use crate::support::*;
use tidegate_core::{Code, Command, Device, HostKernel, PipelineId, Stages};
use tidegate_sim::{Rule, Sim, kernels};

/// Fills buffer 0, then copies it to buffer 1, with `between` in between, and reads buffer 1.
fn fill_then_copy(sim: &Sim, between: impl Fn(Draft) -> Draft) -> Vec<u8> {
    let draft = batch().host_reads().fill(whole(0), 7);
    let draft = between(draft).copy(whole(0), whole(1));
    draft.submit(sim, 0, 1);
    wait(sim, 0, 1);
    read(sim, whole(1))
}

#[test]
fn a_copy_after_a_fill_needs_a_barrier() {
    shows(&[Rule::Race], &words(7), |sim| fill_then_copy(sim, |it| it));
    holds(&words(7), |sim| {
        fill_then_copy(sim, |it| it.barrier(TRANSFER, TRANSFER))
    });
}

#[test]
fn a_barrier_of_other_stages_is_none() {
    for (before, after) in [
        (COMPUTE, COMPUTE),
        (COMPUTE, ALL),
        (ALL, COMPUTE),
        (Stages::NONE, ALL),
        (ALL, Stages::NONE),
    ] {
        shows(&[Rule::Race], &words(7), |sim| {
            fill_then_copy(sim, |it| it.barrier(before, after))
        });
    }
    holds(&words(7), |sim| {
        fill_then_copy(sim, |it| it.barrier(ALL, ALL))
    });
}

#[test]
fn barriers_chain_through_a_stage_with_no_command() {
    holds(&words(7), |sim| {
        fill_then_copy(sim, |it| {
            it.barrier(TRANSFER, COMPUTE).barrier(COMPUTE, TRANSFER)
        })
    });
    shows(&[Rule::Race], &words(7), |sim| {
        fill_then_copy(sim, |it| {
            it.barrier(COMPUTE, TRANSFER).barrier(TRANSFER, COMPUTE)
        })
    });
}

#[test]
fn kernels_and_transfers_are_other_stages() {
    let right: Vec<u8> = (5..5 + BYTES as u32 / 4)
        .flat_map(u32::to_le_bytes)
        .collect();
    let program = |before, after| {
        move |sim: &Sim| {
            let draft = batch().host_reads().launch(FILL_INDEX, &[whole(0)], &[5]);
            let draft = draft.barrier(before, after).copy(whole(0), whole(1));
            draft.submit(sim, 0, 1);
            wait(sim, 0, 1);
            read(sim, whole(1))
        }
    };
    holds(&right, program(COMPUTE, TRANSFER));
    shows(&[Rule::Race], &right, program(COMPUTE, COMPUTE));
    shows(&[Rule::Race], &right, program(TRANSFER, TRANSFER));
}

#[test]
fn a_write_after_a_read_needs_a_barrier() {
    let program = |with: bool| {
        move |sim: &Sim| {
            let mut draft = batch().host_reads().fill(whole(0), 7).barrier(ALL, ALL);
            draft = draft.copy(whole(0), whole(1));
            if with {
                draft = draft.barrier(TRANSFER, TRANSFER);
            }
            draft.fill(whole(0), 9).submit(sim, 0, 1);
            wait(sim, 0, 1);
            read(sim, whole(1))
        }
    };
    holds(&words(7), program(true));
    shows(&[Rule::Race], &words(7), program(false));
}

#[test]
fn a_write_after_a_write_needs_a_barrier_and_mixes_bytes_without() {
    let program = |with: bool| {
        move |sim: &Sim| {
            let mut draft = batch().host_reads().fill(whole(0), 7);
            if with {
                draft = draft.barrier(TRANSFER, TRANSFER);
            }
            draft.fill(whole(0), 9).submit(sim, 0, 1);
            wait(sim, 0, 1);
            read(sim, whole(0))
        }
    };
    holds(&words(9), program(true));
    shows(&[Rule::Race], &words(9), program(false));
    let mixed = SEEDS.filter(|&seed| {
        let bytes = program(false)(&rig(seed));
        bytes.contains(&7) && bytes.contains(&9)
    });
    assert!(mixed.count() > 4, "racing fills are not interleaved");
}

#[test]
fn disjoint_bytes_of_one_buffer_need_no_barrier() {
    let mut right = words(7);
    right[100..200].copy_from_slice(&words(9)[..100]);
    holds(&right, |sim| {
        let draft = batch().host_reads().fill(region(0, 0, 100), 7);
        let draft = draft.fill(region(0, 200, BYTES - 200), 7);
        draft.fill(region(0, 100, 100), 9).submit(sim, 0, 1);
        wait(sim, 0, 1);
        read(sim, whole(0))
    });
}

#[test]
fn one_common_byte_range_is_found_to_the_byte() {
    let sim = rig(1);
    let draft = batch().fill(region(0, 0, 100), 7);
    draft.fill(region(0, 96, 100), 9).submit(&sim, 0, 1);
    let found = sim.violations();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].region, Some(region(0, 96, 4)));
    assert_eq!(found[0].command, Some(1));
    assert_eq!(found[0].ticket, Some(ticket(0, 1)));
    assert_eq!(
        found[0].to_string(),
        "Race, queue 0 ticket 1, command 1, m0[96..100]: writes m0[96..196], which command 0 of queue 0 ticket 1 \
         writes, and nothing orders the two\n    open none -> none\n    fill m0[0..100] 0x00000007\n    \
         fill m0[96..196] 0x00000009"
    );
}

#[test]
fn commands_that_only_read_need_no_barrier() {
    holds(&words(7), |sim| {
        let draft = batch()
            .host_reads()
            .fill(whole(0), 7)
            .barrier(TRANSFER, ALL);
        let draft = draft.copy(whole(0), whole(1)).copy(whole(0), whole(2));
        draft
            .launch(COPY, &[whole(0), whole(3)], &[])
            .submit(sim, 0, 1);
        wait(sim, 0, 1);
        assert_eq!(read(sim, whole(3)), read(sim, whole(2)));
        read(sim, whole(1))
    });
}

#[test]
fn an_earlier_reader_is_not_hidden_by_a_later_one() {
    let sim = rig(0);
    let draft = batch()
        .fill(whole(0), 1)
        .fill(whole(1), 1)
        .barrier(ALL, ALL);
    let draft = draft.launch(COPY, &[whole(0), whole(2)], &[]);
    let draft = draft.launch(SWAP, &[whole(0), whole(1)], &[]);
    draft.submit(&sim, 0, 1);
    assert_eq!(rules(&sim), [Rule::Race]);
}

/// Two batches of one queue, the second opened with `before -> after`.
fn in_two_batches(before: Stages, after: Stages) -> impl Fn(&Sim) -> Vec<u8> {
    move |sim| {
        batch().fill(whole(0), 7).submit(sim, 0, 1);
        let draft = batch().open(before, after).host_reads();
        draft.copy(whole(0), whole(1)).submit(sim, 0, 2);
        wait(sim, 0, 2);
        read(sim, whole(1))
    }
}

#[test]
fn queue_order_gives_nothing_without_the_opening_barrier() {
    shows(
        &[Rule::Race],
        &words(7),
        in_two_batches(Stages::NONE, Stages::NONE),
    );
    shows(&[Rule::Race], &words(7), in_two_batches(COMPUTE, COMPUTE));
    holds(&words(7), in_two_batches(TRANSFER, TRANSFER));
    holds(&words(7), in_two_batches(ALL, ALL));
}

#[test]
fn even_a_completed_batch_is_seen_only_through_the_opening_barrier() {
    shows(&[Rule::Unseen], &words(7), |sim| {
        batch().fill(whole(0), 7).submit(sim, 0, 1);
        wait(sim, 0, 1);
        let draft = batch().host_reads().copy(whole(0), whole(1));
        draft.submit(sim, 0, 2);
        wait(sim, 0, 2);
        read(sim, whole(1))
    });
}

#[test]
fn an_in_place_kernel_without_a_barrier_computes_on_wrong_bytes() {
    let right: Vec<u8> = words(7 * 3 + 1);
    let program = |after| {
        move |sim: &Sim| {
            let draft = batch()
                .host_reads()
                .fill(whole(0), 7)
                .barrier(TRANSFER, after);
            draft.launch(AFFINE, &[whole(0)], &[3, 1]).submit(sim, 0, 1);
            wait(sim, 0, 1);
            read(sim, whole(0))
        }
    };
    holds(&right, program(COMPUTE));
    shows(&[Rule::Race], &right, program(TRANSFER));
}

#[test]
fn workgroups_of_unordered_launches_interleave() {
    let mut mixed = 0;
    for seed in SEEDS {
        let sim = rig(seed);
        let draft = batch().host_reads().launch(FILL_INDEX, &[whole(0)], &[0]);
        let draft = draft.launch(FILL_INDEX, &[whole(0)], &[1 << 16]);
        draft.submit(&sim, 0, 1);
        wait(&sim, 0, 1);
        let bytes = read(&sim, whole(0));
        let high = bytes.chunks(4).filter(|it| it[2] == 1).count();
        mixed += usize::from(high > 0 && high < BYTES as usize / 4);
    }
    assert!(mixed > 4, "racing launches are not interleaved");
}

#[test]
fn an_in_place_kernel_without_visibility_computes_on_wrong_bytes() {
    // The fill is over for certain, so only what the kernel sees can be wrong, not when it runs.
    shows(&[Rule::Unseen], &words(7 * 3 + 1), |sim| {
        batch().fill(whole(0), 7).submit(sim, 0, 1);
        wait(sim, 0, 1);
        let draft = batch().host_reads();
        draft.launch(AFFINE, &[whole(0)], &[3, 1]).submit(sim, 0, 2);
        wait(sim, 0, 2);
        read(sim, whole(0))
    });
}

#[test]
fn a_region_bound_twice_keeps_what_is_written_through_either() {
    let mut right = words(7);
    right[..8].copy_from_slice(&[1, 1, 1, 1, 2, 2, 2, 2]);
    holds(&right, |sim| {
        let (kernel, _) = kernels::swap();
        let code = Code::Host(HostKernel(Arc::new(|_, buffers, _| {
            buffers[0][..4].fill(1);
            buffers[1][4..8].fill(2);
        })));
        sim.create_pipeline(PipelineId(20), &kernel, &code).unwrap();
        let draft = batch().host_reads().fill(whole(0), 7).barrier(ALL, ALL);
        let mut draft = draft.launch(PipelineId(20), &[whole(0), whole(0)], &[]);
        if let Some(Command::Launch(it)) = draft.0.commands.last_mut() {
            it.grid = [1; 3];
        }
        draft.submit(sim, 0, 1);
        wait(sim, 0, 1);
        read(sim, whole(0))
    });
}
