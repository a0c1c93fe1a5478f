//! How far the device goes. Each program here is wrong and gives right bytes on a device that lacks the one hostility that the test is about.

use crate::support::*;
use tidegate_core::{
    Batch, Device, DeviceError, GraphId, MemoryId, MemoryKind, PipelineId, Replay,
};
use tidegate_sim::{Faults, Rule, Setup, Sim, Stall, kernels};

/// More polls than any submission outlives on a device that is not late.
const POLLS: usize = 60;

/// Copies from staging memory, polls, and takes it for granted that the bytes have been read by then.
fn overwrites_staging_after_polls(sim: &Sim) -> Vec<u8> {
    sim.write(MemoryId(UPLOAD), 0, &words(1)).unwrap();
    let draft = batch().host_reads().copy(whole(UPLOAD), whole(0));
    draft.submit(sim, 0, 1);
    for _ in 0..POLLS {
        sim.completed(0).unwrap();
    }
    sim.write(MemoryId(UPLOAD), 0, &words(2)).unwrap();
    wait(sim, 0, 1);
    read(sim, whole(0))
}

#[test]
fn staging_is_read_at_the_last_legal_moment() {
    for seed in SEEDS {
        let with = |late| Setup {
            late: Some(late),
            ..Setup::unified()
        };
        let prompt = rig_with(seed, with(false));
        assert_eq!(overwrites_staging_after_polls(&prompt), words(1));
        prompt.assert_clean();
        let late = rig_with(seed, with(true));
        overwrites_staging_after_polls(&late);
        assert_eq!(rules(&late), [Rule::HostRace], "seed {seed}");
    }
    let wrong = SEEDS.filter(|seed| {
        let setup = Setup {
            late: Some(true),
            ..Setup::unified()
        };
        overwrites_staging_after_polls(&rig_with(*seed, setup)) != words(1)
    });
    assert!(wrong.count() > 8);
}

#[test]
fn one_seed_in_four_is_late_unless_the_setup_says() {
    let late = (0..64).filter(|seed| {
        let sim = rig(*seed);
        let draft = batch().host_reads().fill(whole(0), 1);
        draft.submit(&sim, 0, 1);
        (0..POLLS).all(|_| sim.completed(0).unwrap() == 0)
    });
    let count = late.count();
    assert!((8..=24).contains(&count), "{count}");
}

#[test]
fn a_late_device_runs_nothing_that_is_not_needed() {
    for seed in SEEDS {
        let setup = Setup {
            late: Some(true),
            trace: true,
            ..Setup::unified()
        };
        let sim = rig_with(seed, setup);
        batch().fill(whole(0), 1).submit(&sim, 0, 1);
        batch().fill(whole(1), 1).submit(&sim, 1, 1);
        wait(&sim, 0, 1);
        let trace = sim.trace();
        assert!(!trace.contains("run q1:1"), "seed {seed}\n{trace}");
        // A loop of polls ends nevertheless.
        assert!((0..70).any(|_| sim.completed(1).unwrap() == 1));
    }
}

/// Memory is freed while a fill may still write to it, and another allocation, with a number never used before, is made.
#[test]
fn freed_memory_belongs_to_the_next_allocation_at_once() {
    let right = words(5);
    let mut wrong = 0;
    for seed in SEEDS {
        let setup = Setup {
            late: Some(true),
            ..Setup::unified()
        };
        let sim = rig_with(seed, setup);
        batch().fill(whole(0), 7).submit(&sim, 0, 1);
        sim.free(MemoryId(0));
        sim.allocate(MemoryId(20), BYTES, MemoryKind::Device)
            .unwrap();
        sim.write(MemoryId(20), 0, &right).unwrap();
        wait(&sim, 0, 1);
        assert_eq!(rules(&sim)[0], Rule::InUse);
        wrong += usize::from(read(&sim, whole(20)) != right);
    }
    assert!(wrong > SEEDS.count() / 2, "{wrong}");
}

/// Two launches that nothing orders write all of a buffer: a word may hold bytes of both.
#[test]
fn launches_interleave_by_byte() {
    let torn = SEEDS.filter(|seed| {
        let sim = rig(*seed);
        let word = region(0, 0, 4);
        let draft = batch()
            .open(ALL, ALL)
            .host_reads()
            .launch(FILL_INDEX, &[word], &[0x1111_1111])
            .launch(FILL_INDEX, &[word], &[0x2222_2222]);
        draft.submit(&sim, 0, 1);
        wait(&sim, 0, 1);
        assert_eq!(rules(&sim), [Rule::Race]);
        let bytes = read(&sim, word);
        bytes.contains(&0x11) && bytes.contains(&0x22)
    });
    assert!(torn.count() > 0);
}

#[test]
fn the_host_runs_out_of_memory_as_planned() {
    let sim = rig(3);
    sim.arm(Faults {
        polls: vec![1],
        waits: vec![2],
        pipelines_memory: vec![1],
        ..Faults::default()
    });
    let out = |it: Result<(), DeviceError>| it == Err(DeviceError::OutOfMemory);
    batch().fill(whole(0), 1).submit(&sim, 0, 1);
    assert!(out(sim.completed(0).map(|_| ())));
    assert!(sim.completed(0).is_ok());
    assert!(sim.wait(ticket(0, 1), LONG_NS).unwrap());
    assert!(out(sim.wait(ticket(0, 1), LONG_NS).map(|_| ())));
    assert!(sim.wait(ticket(0, 1), LONG_NS).unwrap());
    let (kernel, code) = kernels::add();
    let create = || sim.create_pipeline(PipelineId(20), &kernel, &code);
    assert!(out(create()));
    assert_eq!(create(), Ok(()));
    sim.assert_clean();
}

#[test]
fn a_queue_stalls_from_a_submission_on() {
    for seed in SEEDS {
        let sim = rig(seed);
        sim.arm(Faults {
            stalls: vec![Stall {
                queue: 0,
                after: 1,
                waits: None,
            }],
            ..Faults::default()
        });
        batch().fill(whole(0), 1).submit(&sim, 0, 1);
        batch().fill(whole(1), 1).submit(&sim, 0, 2);
        wait(&sim, 0, 1);
        assert_eq!(sim.wait(ticket(0, 2), LONG_NS), Ok(false));
        sim.release(0);
        wait(&sim, 0, 2);
    }
}

#[test]
fn a_graph_lives_until_it_is_given_back() {
    let sim = rig(0);
    let body = batch().fill(whole(0), 1).0;
    let mut replayed = Batch::default();
    replayed.replay = Some(Replay {
        graph: GraphId(4),
        version: 1,
        body: body.into(),
    });
    sim.submit(&replayed, ticket(0, 1)).unwrap();
    wait(&sim, 0, 1);
    assert_eq!(sim.live().graphs, 1);
    sim.forget_graph(GraphId(4));
    assert_eq!(sim.live().graphs, 0);
    sim.assert_clean();
}
