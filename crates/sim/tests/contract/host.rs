//! The host: what it may touch, when, and what it then sees.

use crate::support::*;
use std::sync::Arc;

use tidegate_core::{Code, Device, HostAccess, HostKernel, MemoryId, MemoryKind, PipelineId};
use tidegate_sim::{Rule, Setup, Sim, kernels};

#[test]
fn host_reads_makes_writes_visible_to_the_host() {
    let program = |host_reads| {
        move |sim: &Sim| {
            let mut draft = batch().fill(whole(0), 7);
            draft.0.host_reads = host_reads;
            draft.submit(sim, 0, 1);
            wait(sim, 0, 1);
            read(sim, whole(0))
        }
    };
    holds(&words(7), program(true));
    shows(&[Rule::HostUnseen], &words(7), program(false));
}

#[test]
fn host_reads_of_a_later_batch_does_not_cover_an_earlier_one() {
    shows(&[Rule::HostUnseen], &words(7), |sim| {
        batch().fill(whole(0), 7).submit(sim, 0, 1);
        let draft = batch().open(ALL, ALL).host_reads().fill(whole(1), 8);
        draft.submit(sim, 0, 2);
        wait(sim, 0, 2);
        read(sim, whole(0))
    });
}

#[test]
fn the_host_sees_nothing_before_it_knows_of_completion() {
    shows(&[Rule::HostRace], &words(7), |sim| {
        batch().host_reads().fill(whole(0), 7).submit(sim, 0, 1);
        read(sim, whole(0))
    });
}

/// Stages 7, copies it to buffer 0 on the device, and stages 9 for buffer 1; `patient` waits in between.
fn staged_twice(patient: bool) -> impl Fn(&Sim) -> Vec<u8> {
    move |sim| {
        sim.write(MemoryId(UPLOAD), 0, &words(7)).unwrap();
        let draft = batch().host_reads().copy(whole(UPLOAD), whole(0));
        draft.submit(sim, 0, 1);
        if patient {
            wait(sim, 0, 1);
        }
        sim.write(MemoryId(UPLOAD), 0, &words(9)).unwrap();
        let draft = batch().open(ALL, ALL).copy(whole(UPLOAD), whole(1));
        draft.submit(sim, 0, 2);
        wait(sim, 0, 2);
        read(sim, whole(0))
    }
}

#[test]
fn staging_overwritten_before_its_copy_completed_shows() {
    holds(&words(7), staged_twice(true));
    shows(&[Rule::HostRace], &words(7), staged_twice(false));
}

#[test]
fn other_bytes_of_the_same_staging_buffer_may_be_written() {
    holds(&words(7)[..512], |sim| {
        sim.write(MemoryId(UPLOAD), 0, &words(7)[..512]).unwrap();
        let draft = batch().host_reads();
        let draft = draft.copy(region(UPLOAD, 0, 512), region(0, 0, 512));
        draft.submit(sim, 0, 1);
        sim.write(MemoryId(UPLOAD), 512, &words(9)[..512]).unwrap();
        wait(sim, 0, 1);
        read(sim, region(0, 0, 512))
    });
}

#[test]
fn the_host_may_read_what_a_batch_only_reads() {
    holds(&words(7), |sim| {
        sim.write(MemoryId(0), 0, &words(7)).unwrap();
        batch().copy(whole(0), whole(1)).submit(sim, 0, 1);
        read(sim, whole(0))
    });
}

#[test]
fn readback_space_reused_before_it_was_read_shows() {
    shows(&[Rule::HostRace], &words(7), |sim| {
        batch()
            .fill(whole(0), 7)
            .fill(whole(1), 9)
            .submit(sim, 0, 1);
        let draft = batch().open(ALL, ALL).host_reads();
        draft.copy(whole(0), whole(READBACK)).submit(sim, 0, 2);
        let draft = batch().open(ALL, ALL).host_reads();
        draft.copy(whole(1), whole(READBACK)).submit(sim, 0, 3);
        wait(sim, 0, 2);
        // Waiting again lets the device do more than it was asked for.
        (0..8).for_each(|_| wait(sim, 0, 2));
        let bytes = read(sim, whole(READBACK));
        wait(sim, 0, 3);
        bytes
    });
}

#[test]
fn memory_freed_while_in_use_is_poison_to_its_user() {
    let program = |patient: bool| {
        move |sim: &Sim| {
            batch().fill(whole(0), 7).submit(sim, 0, 1);
            let draft = batch().open(ALL, ALL).host_reads();
            draft.copy(whole(0), whole(1)).submit(sim, 0, 2);
            if patient {
                wait(sim, 0, 2);
            }
            sim.free(MemoryId(0));
            wait(sim, 0, 2);
            read(sim, whole(1))
        }
    };
    holds(&words(7), program(true));
    shows(&[Rule::InUse], &words(7), program(false));
}

#[test]
fn an_id_used_again_while_its_old_memory_is_in_use_is_overwritten() {
    shows(&[Rule::InUse], &words(9), |sim| {
        batch().fill(whole(0), 7).submit(sim, 0, 1);
        sim.free(MemoryId(0));
        sim.allocate(MemoryId(0), BYTES, MemoryKind::Device)
            .unwrap();
        sim.write(MemoryId(0), 0, &words(9)).unwrap();
        wait(sim, 0, 1);
        read(sim, whole(0))
    });
}

#[test]
fn a_pipeline_destroyed_while_in_use_computes_garbage() {
    let program = |patient: bool| {
        move |sim: &Sim| {
            sim.write(MemoryId(0), 0, &words(7)).unwrap();
            let draft = batch().host_reads();
            draft.launch(AFFINE, &[whole(0)], &[1, 2]).submit(sim, 0, 1);
            if patient {
                wait(sim, 0, 1);
            }
            sim.destroy_pipeline(AFFINE);
            wait(sim, 0, 1);
            read(sim, whole(0))
        }
    };
    holds(&words(9), program(true));
    shows(&[Rule::InUse], &words(9), program(false));
}

#[test]
fn fresh_memory_is_poison_and_new_each_time() {
    let sim = rig(5);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        sim.free(MemoryId(0));
        sim.allocate(MemoryId(0), 64, MemoryKind::Device).unwrap();
        let bytes = read(&sim, region(0, 0, 64));
        assert!(bytes.iter().all(|it| *it == bytes[0] && *it != 0));
        seen.insert(bytes[0]);
        sim.write(MemoryId(0), 0, &[0; 64]).unwrap();
    }
    assert!(seen.len() > 4);
    sim.assert_clean();
}

#[test]
fn host_access_follows_the_kind_of_memory() {
    let access = |write, read| HostAccess { write, read };
    let sim = Sim::new(0);
    let kinds = [
        (MemoryKind::Device, access(false, false)),
        (MemoryKind::Upload, access(true, false)),
        (MemoryKind::Readback, access(false, true)),
    ];
    for (id, (kind, expected)) in (0..).map(MemoryId).zip(kinds) {
        assert_eq!(sim.allocate(id, 16, kind), Ok(expected));
        sim.write(id, 0, &[1]).unwrap();
        sim.read(id, 0, &mut [0]).unwrap();
    }
    assert_eq!(rules(&sim), [Rule::Call; 4]);
    let sim = Sim::with(0, Setup::unified());
    let device = sim.allocate(MemoryId(0), 16, MemoryKind::Device);
    assert_eq!(device, Ok(access(true, true)));
}

#[test]
fn a_kernel_that_writes_what_it_reads_is_found() {
    let sim = rig(0);
    let (mut kernel, code) = kernels::affine();
    kernel.bindings[0].access = tidegate_core::Access::Read;
    sim.create_pipeline(PipelineId(20), &kernel, &code).unwrap();
    let draft = batch().launch(PipelineId(20), &[whole(0)], &[3, 1]);
    draft.submit(&sim, 0, 1);
    wait(&sim, 0, 1);
    assert!(rules(&sim).contains(&Rule::Kernel));
}

#[test]
fn a_kernel_that_panics_takes_nothing_with_it() {
    let sim = rig(0);
    let (kernel, _) = kernels::affine();
    let code = Code::Host(HostKernel(Arc::new(|_, _, _| panic!("as planned"))));
    sim.create_pipeline(PipelineId(20), &kernel, &code).unwrap();
    let draft = batch().launch(PipelineId(20), &[whole(0)], &[3, 1]);
    draft.submit(&sim, 0, 1);
    wait(&sim, 0, 1);
    assert!(rules(&sim).iter().all(|it| *it == Rule::Kernel) && !rules(&sim).is_empty());
    batch().host_reads().fill(whole(1), 7).submit(&sim, 0, 2);
    wait(&sim, 0, 2);
    assert_eq!(read(&sim, whole(1)), words(7));
}
