//! Planned faults: each comes when it was planned, is reported as the contract says, and leaves the device usable or lost.

use crate::support::*;
use tidegate_core::{Device, DeviceError, MemoryId, MemoryKind, PipelineId, Ticket};
use tidegate_sim::{Failure, Faults, Setup, Sim, Stall, kernels};

fn armed(seed: u64, faults: Faults) -> Sim {
    let sim = rig(seed);
    sim.arm(faults);
    sim
}

fn fill() -> Draft {
    batch().open(ALL, ALL).host_reads().fill(whole(0), 7)
}

const OUT_OF_MEMORY: DeviceError = DeviceError::OutOfMemory;

#[test]
fn allocations_run_out_of_memory_as_planned() {
    let allocate = |sim: &Sim, id, kind| sim.allocate(MemoryId(id), 16, kind).map(|_| ());
    let sim = armed(
        0,
        Faults {
            allocations: vec![2],
            ..Faults::default()
        },
    );
    assert_eq!(allocate(&sim, 10, MemoryKind::Device), Ok(()));
    assert_eq!(allocate(&sim, 11, MemoryKind::Device), Err(OUT_OF_MEMORY));
    assert_eq!(allocate(&sim, 11, MemoryKind::Device), Ok(()));

    sim.arm(Faults {
        kinds: vec![MemoryKind::Upload],
        ..Faults::default()
    });
    assert_eq!(allocate(&sim, 12, MemoryKind::Device), Ok(()));
    assert_eq!(allocate(&sim, 13, MemoryKind::Upload), Err(OUT_OF_MEMORY));

    let used = sim.live().bytes;
    sim.arm(Faults {
        budget_bytes: Some(used + 16),
        ..Faults::default()
    });
    assert_eq!(sim.memory_available(MemoryKind::Device), Some(16));
    assert_eq!(allocate(&sim, 14, MemoryKind::Device), Ok(()));
    assert_eq!(allocate(&sim, 15, MemoryKind::Device), Err(OUT_OF_MEMORY));
    sim.free(MemoryId(14));
    assert_eq!(allocate(&sim, 15, MemoryKind::Device), Ok(()));
    sim.assert_clean();
}

#[test]
fn memory_is_as_large_as_the_capabilities_say() {
    let mut setup = Setup::default();
    setup.capabilities.memory_bytes = 64;
    let sim = Sim::with(0, setup);
    sim.allocate(MemoryId(0), 48, MemoryKind::Device).unwrap();
    let second = sim.allocate(MemoryId(1), 32, MemoryKind::Device);
    assert_eq!(second, Err(OUT_OF_MEMORY));
}

#[test]
fn a_submission_that_ran_out_of_memory_can_be_made_again() {
    let sim = armed(
        0,
        Faults {
            submits: vec![1],
            ..Faults::default()
        },
    );
    assert_eq!(sim.submit(&fill().0, ticket(0, 1)), Err(OUT_OF_MEMORY));
    assert_eq!(sim.live().submissions, 0);
    fill().submit(&sim, 0, 1);
    wait(&sim, 0, 1);
    assert_eq!(read(&sim, whole(0)), words(7));
    sim.assert_clean();
}

#[test]
fn host_accesses_and_pipelines_fail_as_planned() {
    let sim = armed(
        0,
        Faults {
            writes: vec![1],
            reads: vec![1],
            pipelines: vec![1],
            ..Faults::default()
        },
    );
    assert_eq!(sim.write(MemoryId(0), 0, &[1]), Err(OUT_OF_MEMORY));
    assert_eq!(sim.write(MemoryId(0), 0, &[2]), Ok(()));
    let mut byte = [9];
    assert_eq!(sim.read(MemoryId(0), 0, &mut byte), Err(OUT_OF_MEMORY));
    assert_eq!(byte, [9]);
    assert_eq!(sim.read(MemoryId(0), 0, &mut byte), Ok(()));
    assert_eq!(byte, [2]);
    let (kernel, code) = kernels::add();
    let create = || sim.create_pipeline(PipelineId(20), &kernel, &code);
    assert!(matches!(create(), Err(DeviceError::Refused { detail }) if detail.contains("add")));
    assert_eq!(create(), Ok(()));
    sim.assert_clean();
}

fn is_lost<T: std::fmt::Debug>(result: Result<T, DeviceError>) -> bool {
    matches!(result, Err(DeviceError::Lost { .. }))
}

fn assert_all_lost(sim: &Sim) {
    assert!(is_lost(sim.submit(&fill().0, ticket(0, 100))));
    assert!(is_lost(sim.completed(0)));
    assert!(is_lost(sim.wait(ticket(0, 1), LONG_NS)));
    assert!(is_lost(sim.write(MemoryId(0), 0, &[0])));
    assert!(is_lost(sim.read(MemoryId(0), 0, &mut [0])));
    assert!(is_lost(sim.allocate(MemoryId(50), 16, MemoryKind::Device)));
    let (kernel, code) = kernels::add();
    assert!(is_lost(sim.create_pipeline(PipelineId(50), &kernel, &code)));
    assert_eq!(sim.memory_available(MemoryKind::Device), None);
    for id in 0..6 {
        sim.free(MemoryId(id));
    }
    for id in 0..kernels::all().len() as u32 {
        sim.destroy_pipeline(PipelineId(id));
    }
    sim.assert_clean();
    assert_eq!((sim.live().bytes, sim.live().pipelines), (0, 0));
}

#[test]
fn a_device_lost_at_any_call_stays_lost_and_takes_everything_back() {
    for call in 1..6 {
        for seed in SEEDS {
            let sim = armed(
                seed,
                Faults {
                    lost_at_call: Some(call),
                    ..Faults::default()
                },
            );
            let results = [
                sim.submit(&fill().0, ticket(0, 1)).is_err(),
                sim.submit(&fill().0, ticket(0, 2)).is_err(),
                sim.completed(0).is_err(),
                sim.wait(ticket(0, 1), LONG_NS).is_err(),
                sim.read(MemoryId(1), 0, &mut [0]).is_err(),
            ];
            let expected: Vec<bool> = (1..6).map(|it| it >= call).collect();
            assert_eq!(results.to_vec(), expected);
            assert_all_lost(&sim);
        }
    }
    let sim = rig(0);
    sim.lose("unplugged");
    let lost = Err(DeviceError::Lost {
        detail: "unplugged".to_owned(),
    });
    assert_eq!(sim.completed(0), lost);
}

#[test]
fn a_device_lost_while_it_runs_a_submission_completes_none_from_there_on() {
    for seed in SEEDS {
        let sim = armed(
            seed,
            Faults {
                lost_in: Some(ticket(0, 2)),
                ..Faults::default()
            },
        );
        let submitted = (1..4).try_for_each(|value| sim.submit(&fill().0, ticket(0, value)));
        let waited = submitted.and_then(|()| sim.wait(ticket(0, 2), LONG_NS));
        assert!(is_lost(waited), "seed {seed}");
        assert_all_lost(&sim);
    }
}

/// Three submissions, of which the second fails: what `completed` and `wait` say until the third is complete.
fn failing(seed: u64, named: bool) -> (Sim, Vec<DeviceError>) {
    let failure = Failure {
        ticket: ticket(0, 2),
        named,
    };
    let sim = armed(
        seed,
        Faults {
            failures: vec![failure],
            ..Faults::default()
        },
    );
    fill().submit(&sim, 0, 1);
    let draft = batch().open(ALL, ALL).host_reads();
    draft
        .launch(AFFINE, &[whole(0)], &[3, 1])
        .submit(&sim, 0, 2);
    let draft = batch().open(ALL, ALL).host_reads().fill(whole(1), 9);
    draft.submit(&sim, 0, 3);
    let mut errors = Vec::new();
    for _ in 0..10 {
        match sim.wait(ticket(0, 3), LONG_NS) {
            Ok(true) => return (sim, errors),
            Ok(false) => {}
            Err(error) => errors.push(error),
        }
    }
    panic!("seed {seed}: the third submission never completes");
}

#[test]
fn a_failed_submission_is_reported_once_and_the_device_works_on() {
    let mut spoilt = 0;
    for seed in SEEDS {
        for named in [false, true] {
            let (sim, errors) = failing(seed, named);
            let kernels = if named { vec![AFFINE] } else { Vec::new() };
            let expected = DeviceError::Failed {
                ticket: ticket(0, 2),
                kernels,
                detail: "failed as planned".to_owned(),
            };
            assert_eq!(errors, [expected], "seed {seed}");
            assert_eq!(read(&sim, whole(1)), words(9));
            spoilt += usize::from(read(&sim, whole(0)) != words(22));
            assert_eq!(sim.completed(0), Ok(3));
            sim.assert_clean();
        }
    }
    assert!(
        spoilt > 20,
        "a failed submission mostly leaves right results: {spoilt}"
    );
}

#[test]
fn a_failure_may_come_out_of_a_call_for_another_queue() {
    let elsewhere = SEEDS.filter(|&seed| {
        let failure = Failure {
            ticket: ticket(0, 1),
            named: false,
        };
        let sim = armed(
            seed,
            Faults {
                failures: vec![failure],
                ..Faults::default()
            },
        );
        fill().submit(&sim, 0, 1);
        batch().wait(0, 1).fill(whole(1), 1).submit(&sim, 1, 1);
        sim.wait(Ticket { queue: 1, value: 1 }, LONG_NS).is_err()
    });
    let count = elsewhere.count();
    assert!(count > 0 && count < SEEDS.count());
}

#[test]
fn a_stalled_queue_times_out_until_it_is_released() {
    for seed in SEEDS {
        let stall = |waits| Faults {
            stalls: vec![Stall {
                queue: 0,
                after: 0,
                waits,
            }],
            ..Faults::default()
        };
        let sim = armed(seed, stall(None));
        fill().submit(&sim, 0, 1);
        batch().wait(0, 1).fill(whole(1), 1).submit(&sim, 1, 1);
        batch().host_reads().fill(whole(2), 5).submit(&sim, 1, 2);
        for _ in 0..3 {
            assert_eq!(sim.wait(ticket(0, 1), LONG_NS), Ok(false));
            assert_eq!(sim.wait(ticket(1, 1), LONG_NS), Ok(false));
            assert_eq!(sim.completed(0), Ok(0));
        }
        sim.release(0);
        wait(&sim, 1, 2);
        sim.assert_clean();

        let sim = armed(seed, stall(Some(2)));
        fill().submit(&sim, 0, 1);
        let waits: Vec<bool> = (0..3)
            .map(|_| sim.wait(ticket(0, 1), LONG_NS).unwrap())
            .collect();
        assert_eq!(waits, [false, false, true]);
    }
}

#[test]
fn a_short_wait_may_time_out_and_polling_gets_there() {
    let mut timed_out = 0;
    for seed in SEEDS {
        let sim = rig(seed);
        fill().submit(&sim, 0, 1);
        timed_out += usize::from(!sim.wait(ticket(0, 1), 1000).unwrap());
        let polls = (0..200).take_while(|_| sim.completed(0).unwrap() == 0);
        assert!(polls.count() < 100, "seed {seed}");
        assert_eq!(read(&sim, whole(0)), words(7));
    }
    assert!(timed_out > 2);
}

#[test]
fn submissions_run_early_or_late_and_completion_lags() {
    let (mut at_once, mut late, mut lagging) = (0, 0, 0);
    for seed in 0..128 {
        let setup = Setup {
            trace: true,
            ..Setup::unified()
        };
        let sim = rig_with(seed, setup);
        // Many, so that a few pieces run by chance do not complete them all.
        for value in 1..20 {
            fill().submit(&sim, 0, value);
        }
        let complete = |sim: &Sim| sim.trace().contains("complete q0:19");
        at_once += usize::from(complete(&sim));
        for _ in 0..5 {
            let value = sim.completed(0).unwrap();
            lagging += usize::from(complete(&sim) && value < 19);
        }
        late += usize::from(!complete(&sim));
    }
    assert!(
        at_once > 2 && late > 2 && lagging > 2,
        "{at_once} {late} {lagging}"
    );
}
