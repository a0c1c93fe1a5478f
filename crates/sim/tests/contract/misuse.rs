//! Calls that make no sense: each is recorded in words, and none panics or hangs.

use crate::support::*;
use tidegate_core::{
    Batch, Code, Command, Device, DeviceError, MemoryId, MemoryKind, PipelineId, Span,
};
use tidegate_sim::{Rule, Setup, Sim, kernels};

/// Submits `draft` as the only batch and returns the rules that it broke. The device goes on working.
fn verdict(draft: Draft) -> Vec<Rule> {
    let sim = rig(3);
    draft.submit(&sim, 0, 1);
    let found = rules(&sim);
    let _ = sim.wait(ticket(0, 1), LONG_NS).unwrap();
    batch()
        .open(ALL, ALL)
        .host_reads()
        .fill(whole(3), 5)
        .submit(&sim, 0, 2);
    wait(&sim, 0, 2);
    assert_eq!(read(&sim, whole(3)), words(5));
    found
}

#[test]
fn regions_must_exist() {
    let outside = region(0, BYTES - 4, 8);
    for (region, rule) in [
        (outside, Rule::Range),
        (region(0, 8, 0), Rule::Range),
        (region(0, u64::MAX - 3, 8), Rule::Range),
        (whole(9), Rule::Dead),
    ] {
        assert_eq!(verdict(batch().fill(region, 1)), [rule]);
        assert_eq!(verdict(batch().launch(AFFINE, &[region], &[1, 1])), [rule]);
    }
    assert_eq!(verdict(batch().copy(whole(0), outside)), [Rule::Range]);
    assert_eq!(verdict(batch().copy(outside, whole(0))), [Rule::Range]);
}

#[test]
fn transfers_must_be_aligned_and_sound() {
    assert_eq!(verdict(batch().fill(region(0, 2, 4), 1)), [Rule::Align]);
    assert_eq!(verdict(batch().fill(region(0, 4, 6), 1)), [Rule::Align]);
    assert_eq!(
        verdict(batch().upload(region(0, 2, 4), &[0; 4])),
        [Rule::Align]
    );
    assert_eq!(
        verdict(batch().upload(region(0, 4, 8), &[0; 4])),
        [Rule::Range]
    );
    assert_eq!(
        verdict(batch().copy(region(0, 2, 4), region(1, 0, 4))),
        [Rule::Align]
    );
    assert_eq!(
        verdict(batch().copy(region(0, 0, 4), region(1, 0, 8))),
        [Rule::Range]
    );
    assert_eq!(
        verdict(batch().copy(region(0, 0, 8), region(0, 4, 8))),
        [Rule::Range]
    );
}

#[test]
fn launches_must_fit_their_kernel() {
    let launch = |regions: &[_], scalars: &[u32]| batch().launch(AFFINE, regions, scalars);
    assert_eq!(verdict(launch(&[whole(0)], &[1])), [Rule::Range]);
    assert_eq!(
        verdict(launch(&[whole(0), whole(1)], &[1, 1])),
        [Rule::Range]
    );
    assert_eq!(verdict(launch(&[region(0, 4, 16)], &[1, 1])), [Rule::Align]);
    assert_eq!(
        verdict(batch().launch(PipelineId(30), &[whole(0)], &[])),
        [Rule::Dead]
    );
    for grid in [[0, 1, 1], [1, 1, 70_000]] {
        let mut draft = launch(&[whole(0)], &[1, 1]);
        if let Some(Command::Launch(it)) = draft.0.commands.last_mut() {
            it.grid = grid;
        }
        assert_eq!(verdict(draft), [Rule::Range]);
    }
    let mut draft = launch(&[whole(0)], &[1, 1]);
    draft.0.push_data(&[0; 4]);
    if let Some(Command::Launch(it)) = draft.0.commands.last_mut() {
        it.scalars.start = 1;
    }
    assert_eq!(verdict(draft), [Rule::Align]);
}

#[test]
fn scalars_in_a_uniform_block_are_bound_last() {
    let block = region(1, 64, 16);
    assert_eq!(
        verdict(batch().launch(AFFINE_UNIFORM, &[whole(0)], &[])),
        [Rule::Range]
    );
    assert_eq!(
        verdict(batch().launch(AFFINE_UNIFORM, &[whole(0), region(1, 16, 16)], &[])),
        [Rule::Align]
    );
    holds(&words(7 * 3 + 1), |sim| {
        let draft = batch().host_reads().fill(whole(0), 7);
        let draft = draft.upload(region(1, 64, 8), &[3, 0, 0, 0, 1, 0, 0, 0]);
        let draft = draft.barrier(ALL, ALL);
        draft
            .launch(AFFINE_UNIFORM, &[whole(0), block], &[])
            .submit(sim, 0, 1);
        wait(sim, 0, 1);
        read(sim, whole(0))
    });
}

#[test]
fn a_block_sum_sums_each_block() {
    let right: Vec<u8> = [64u32 * 7; 4]
        .iter()
        .flat_map(|it| it.to_le_bytes())
        .collect();
    holds(&right, |sim| {
        let draft = batch().host_reads().fill(whole(0), 7).barrier(ALL, ALL);
        draft
            .launch(BLOCK_SUM, &[whole(0), region(1, 0, 16)], &[])
            .submit(sim, 0, 1);
        wait(sim, 0, 1);
        read(sim, region(1, 0, 16))
    });
}

#[test]
fn limits_hold() {
    let mut setup = Setup::unified();
    setup.capabilities.binding_bytes_max = 512;
    setup.capabilities.binding_align = 256;
    let sim = rig_with(0, setup);
    batch()
        .launch(AFFINE, &[whole(0)], &[1, 1])
        .submit(&sim, 0, 1);
    batch()
        .launch(AFFINE, &[region(0, 64, 64)], &[1, 1])
        .submit(&sim, 0, 2);
    assert_eq!(rules(&sim), [Rule::Range, Rule::Align]);

    let mut setup = Setup::default();
    setup.capabilities.allocation_bytes_max = 64;
    setup.capabilities.allocations_max = 1;
    let sim = Sim::with(0, setup);
    let allocate = |id, bytes| sim.allocate(MemoryId(id), bytes, MemoryKind::Device);
    assert_eq!(allocate(0, 128), Err(DeviceError::OutOfMemory));
    allocate(0, 64).unwrap();
    allocate(1, 64).unwrap();
    assert_eq!(rules(&sim), [Rule::Range, Rule::Range]);

    let sim = Sim::new(0);
    sim.allocate(MemoryId(0), 8, MemoryKind::Device).unwrap();
    sim.allocate(MemoryId(1), 24, MemoryKind::Device).unwrap();
    assert_eq!(rules(&sim), [Rule::Align, Rule::Align]);
}

#[test]
fn spans_must_lie_in_their_arenas() {
    let mut draft = batch().launch(AFFINE, &[whole(0)], &[1, 1]);
    draft.0.regions.clear();
    assert_eq!(refused(&draft.0), [Rule::Range]);
    let mut draft = batch().upload(region(0, 0, 4), &[0; 4]);
    if let Some(Command::Upload { data, .. }) = draft.0.commands.last_mut() {
        *data = Span { start: 4, len: 4 };
    }
    assert_eq!(refused(&draft.0), [Rule::Range]);
}

fn refused(batch: &Batch) -> Vec<Rule> {
    let sim = rig(0);
    sim.submit(batch, ticket(0, 1)).unwrap();
    rules(&sim)
}

#[test]
fn tickets_must_grow_and_exist() {
    let sim = rig(0);
    let fill = || batch().fill(whole(0), 1).open(ALL, ALL);
    fill().submit(&sim, 0, 5);
    fill().submit(&sim, 0, 5);
    fill().submit(&sim, 0, 4);
    fill().submit(&sim, 2, 1);
    assert_eq!(rules(&sim), [Rule::Ticket; 3]);
    fill().wait(1, 1).submit(&sim, 0, 6);
    fill().wait(0, 5).submit(&sim, 0, 7);
    fill().wait(9, 1).submit(&sim, 0, 8);
    assert_eq!(rules(&sim), [Rule::Ticket; 6]);
    assert_eq!(sim.wait(ticket(0, 9), LONG_NS), Ok(false));
    assert_eq!(sim.wait(ticket(5, 1), LONG_NS), Ok(false));
    assert_eq!(sim.completed(5), Ok(0));
    assert_eq!(rules(&sim), [Rule::Ticket; 9]);
    wait(&sim, 0, 8);
}

#[test]
fn an_empty_batch_completes_and_is_reported() {
    let sim = rig(0);
    batch().submit(&sim, 0, 1);
    wait(&sim, 0, 1);
    assert_eq!(rules(&sim), [Rule::Call]);
}

#[test]
fn objects_are_made_and_given_back_once() {
    let sim = rig(0);
    sim.allocate(MemoryId(0), 16, MemoryKind::Device).unwrap();
    sim.free(MemoryId(0));
    sim.free(MemoryId(0));
    sim.free(MemoryId(99));
    sim.write(MemoryId(0), 0, &[1]).unwrap();
    sim.read(MemoryId(1), BYTES, &mut [1]).unwrap();
    assert_eq!(
        rules(&sim),
        [Rule::Dead, Rule::Dead, Rule::Dead, Rule::Dead, Rule::Range]
    );
    let (kernel, code) = kernels::add();
    sim.create_pipeline(ADD, &kernel, &code).unwrap();
    sim.destroy_pipeline(ADD);
    sim.destroy_pipeline(ADD);
    assert_eq!(rules(&sim)[5..], [Rule::Dead, Rule::Dead]);
}

#[test]
fn what_the_device_lacks_is_refused_by_name() {
    let sim = Sim::new(0);
    let (kernel, code) = kernels::affine();
    let refusal = |kernel: &_, code: &_| match sim.create_pipeline(PipelineId(0), kernel, code) {
        Err(DeviceError::Refused { detail }) => detail,
        other => panic!("{other:?}"),
    };
    assert!(refusal(&kernel, &Code::Spirv(vec![])).contains("affine"));
    let mut wide = kernel.clone();
    wide.workgroup_size = [64, 64, 1];
    assert!(refusal(&wide, &code).contains("[64, 64, 1]"));
    let mut many = kernel.clone();
    many.bindings = vec![many.bindings[0].clone(); 17];
    assert!(refusal(&many, &code).contains("17 bindings"));
    let mut pushy = kernel;
    pushy.scalars.as_mut().unwrap().bytes = 132;
    assert!(refusal(&pushy, &code).contains("132 bytes"));
    sim.assert_clean();
    assert_eq!(sim.live().pipelines, 0);
}

#[test]
#[should_panic(
    expected = "1 violations of the Device contract:\nDead: m7 is freed and does not exist"
)]
fn assert_clean_says_what_is_wrong() {
    let sim = Sim::new(0);
    sim.free(MemoryId(7));
    sim.assert_clean();
}
