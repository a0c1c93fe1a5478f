//! What becomes of faults, which only the software classes can be asked for.
#![cfg(metal_soft)]
#![allow(
    clippy::field_reassign_with_default,
    reason = "the software device's setup may grow"
)]

mod common;

use std::time::{Duration, Instant};

use common::*;
use tidegate_core::{Batch, Device, DeviceError, MemoryId, MemoryKind, PipelineId, Region, Ticket};
use tidegate_metal::{MetalDevice, OpenError, Options, Select};
use tidegate_softmetal::{Failure, Fault, Observer, Setup, Target};

const PAGE_FAULT: isize = 3;
const ACCESS_REVOKED: isize = 4;
const DEVICE_REMOVED: isize = 11;

/// How long a little work may take before it counts as a hang.
const SOON_NS: u64 = 5_000_000_000;

/// A device that is not waited for long when it is dropped.
fn impatient() -> Options {
    Options {
        drop_wait_ns: 1_000_000_000,
        ..Options::default()
    }
}

/// A device that runs later than usual.
fn slow(seed: u64) -> Setup {
    let mut setup = Setup::seeded(seed);
    setup.delay_us_max = 2000;
    setup
}

/// The next batch with an encoder at this place fails there.
fn fails(encoder: usize, code: isize, signals: bool) -> Fault {
    Fault::Fails(Failure {
        target: Target::Encoder(format!("tidegate encoder {encoder}")),
        code,
        signals: Some(signals),
    })
}

/// An upload and a launch, in one compute encoder.
fn work(pipeline: PipelineId, x: Region) -> Batch {
    let mut batch = Batch::default();
    batch.opening = ALL;
    upload(&mut batch, x, &[7; 64]);
    barrier(&mut batch, ALL);
    launch(&mut batch, pipeline, &[x], &[], [1, 1, 1]);
    batch
}

/// A batch works on a queue where another failed.
fn works(rig: &Rig, queue: u32) {
    let (x, back) = (rig.buffer(64), rig.readback(64));
    let mut batch = Batch::default();
    batch.opening = ALL;
    fill(&mut batch, x, 5);
    barrier(&mut batch, ALL);
    copy(&mut batch, x, back);
    batch.host_reads = true;
    let ticket = rig.ticket(queue);
    assert_eq!(rig.device().submit(&batch, ticket), Ok(()));
    rig.wait(ticket);
    assert_eq!(rig.read(&back), vec![5; 64]);
}

fn failure(result: Result<u64, DeviceError>) -> (Ticket, Vec<PipelineId>, String) {
    match result {
        Err(DeviceError::Failed {
            ticket,
            kernels,
            detail,
        }) => (ticket, kernels, detail),
        other => panic!("no failure: {other:?}"),
    }
}

#[test]
fn a_failure_is_told_once_and_names_the_kernels_of_its_encoder() {
    for signals in [false, true] {
        for encoder in [0, 2] {
            let rig = Rig::new(&Options::default());
            let (first, second) = (rig.pipeline(&LCG), rig.pipeline(&LCG));
            let (x, y) = (rig.buffer(64), rig.buffer(64));
            let mut batch = work(first, x);
            barrier(&mut batch, ALL);
            copy(&mut batch, x, y);
            barrier(&mut batch, ALL);
            launch(&mut batch, second, &[y], &[], [1, 1, 1]);
            rig.observer().inject(fails(encoder, PAGE_FAULT, signals));
            let failed = rig.submit(&batch);
            let start = Instant::now();
            assert!(rig.device().wait(failed, SOON_NS).unwrap(), "a hang");
            // No event wakes who waits, if a failed command buffer does not signal.
            let took = start.elapsed();
            assert!(took < Duration::from_nanos(SOON_NS / 2), "noticed late");
            let (ticket, kernels, detail) = failure(rig.device().completed(0));
            assert_eq!(ticket, failed);
            let blamed = if encoder == 0 { first } else { second };
            assert_eq!(kernels, [blamed], "not the encoder's kernels are named");
            assert!(detail.contains("memory that is not there"), "{detail}");
            assert_eq!(rig.device().completed(0), Ok(failed.value));
            works(&rig, 0);
        }
    }
}

#[test]
fn without_a_record_of_encoders_no_kernel_is_blamed() {
    let options = Options {
        blame: false,
        ..Options::default()
    };
    let rig = Rig::new(&options);
    let pipeline = rig.pipeline(&LCG);
    let x = rig.buffer(64);
    rig.observer().inject(Fault::Fails(Failure {
        target: Target::Commit(0),
        code: PAGE_FAULT,
        signals: None,
    }));
    let failed = rig.submit(&work(pipeline, x));
    assert!(rig.device().wait(failed, WAIT_NS).unwrap(), "a hang");
    assert_eq!(failure(rig.device().completed(0)).1, []);
    works(&rig, 0);
}

/// The event says that a command buffer has run, and only the status how: that may come later.
#[test]
fn a_ticket_is_complete_when_the_status_says_so() {
    for seed in 0..20 {
        let rig = Rig::on(slow(seed), &impatient());
        let pipeline = rig.pipeline(&LCG);
        let x = rig.buffer(64);
        rig.observer().inject(fails(0, PAGE_FAULT, true));
        let failed = rig.submit(&work(pipeline, x));
        let end = Instant::now() + Duration::from_nanos(SOON_NS);
        let mut told = Ok(0);
        while told == Ok(0) && Instant::now() < end {
            told = rig.device().completed(0);
        }
        assert_eq!(failure(told).0, failed);
    }
}

#[test]
fn what_rests_on_a_failure_is_not_seen_complete_before_it() {
    for signals in [false, true] {
        for seed in 0..20 {
            let rig = Rig::on(slow(seed), &impatient());
            let pipeline = rig.pipeline(&LCG);
            let (x, y) = (rig.buffer(64), rig.buffer(64));
            rig.observer().inject(fails(0, PAGE_FAULT, signals));
            let failed = rig.submit(&work(pipeline, x));
            let mut batch = Batch::default();
            batch.waits.push(failed);
            copy(&mut batch, x, y);
            let ticket = rig.ticket(1);
            rig.device().submit(&batch, ticket).unwrap();
            // Nobody has looked at queue 0 when queue 1 is waited for.
            assert!(rig.device().wait(ticket, SOON_NS).unwrap(), "a hang");
            assert_eq!(failure(rig.device().completed(0)).0, failed);
            assert_eq!(rig.device().completed(1), Ok(ticket.value));
            works(&rig, 0);
            works(&rig, 1);
        }
    }
}

#[test]
fn later_batches_of_a_queue_go_on_after_a_failure() {
    for signals in [false, true] {
        let rig = Rig::new(&Options::default());
        let pipeline = rig.pipeline(&LCG);
        let x = rig.buffer(64);
        rig.observer().inject(fails(0, PAGE_FAULT, signals));
        let failed = rig.submit(&work(pipeline, x));
        let last = (0..5)
            .map(|_| rig.submit(&work(pipeline, x)))
            .last()
            .unwrap();
        assert!(rig.device().wait(last, WAIT_NS).unwrap(), "a hang");
        assert_eq!(failure(rig.device().completed(0)).0, failed);
        assert_eq!(rig.device().completed(0), Ok(last.value));
        works(&rig, 0);
    }
}

/// A failure is seen while later batches of its queue run: these keep their fences, and the next batch, which has others, comes after them.
#[test]
fn batches_in_flight_when_a_failure_is_seen_still_run() {
    for signals in [false, true] {
        let rig = Rig::new(&Options::default());
        let pipeline = rig.pipeline(&LCG);
        let (x, y, back) = (rig.buffer(1 << 16), rig.buffer(64), rig.readback(1 << 16));
        rig.observer().inject(fails(0, PAGE_FAULT, signals));
        let failed = rig.submit(&work(pipeline, y));
        let mut batch = Batch::default();
        batch.opening = ALL;
        fill(&mut batch, x, 3);
        barrier(&mut batch, ALL);
        rig.submit(&batch);
        batch.clear();
        for _ in 0..3 {
            batch.clear();
            batch.opening = ALL;
            for _ in 0..10 {
                launch(&mut batch, pipeline, &[x], &[], [1 << 10, 1, 1]);
                barrier(&mut batch, ALL);
            }
            rig.submit(&batch);
        }
        assert!(rig.device().wait(failed, WAIT_NS).unwrap(), "a hang");
        assert_eq!(failure(rig.device().completed(0)).0, failed);
        batch.clear();
        batch.opening = ALL;
        let words = rig.copy_and_read(&mut batch, x, back);
        let wrong = words.iter().find(|it| **it != lcg(3, 30));
        assert_eq!(wrong, None);
    }
}

#[test]
fn a_queue_that_is_full_refuses_and_does_not_wait() {
    let rig = Rig::new(&impatient());
    let x = rig.buffer(64);
    rig.observer().inject(Fault::Hangs(Target::Commit(0)));
    let mut batch = Batch::default();
    fill(&mut batch, x, 1);
    let submit = || rig.device().submit(&batch, rig.ticket(0));
    let submitted = (0..1000).take_while(|_| submit().is_ok()).count();
    assert_eq!(submit(), Err(DeviceError::OutOfMemory));
    // As many as docs/metal.md says.
    assert_eq!(submitted, 256);
    assert_eq!(rig.observer().violations(), []);
    rig.abandon();
}

/// The GPU may still use what the caller frees, since command buffers retain nothing.
#[test]
fn what_is_freed_after_a_loss_is_kept_while_a_command_buffer_uses_it() {
    let rig = Rig::new(&impatient());
    let pipeline = rig.pipeline(&LCG);
    let (x, y) = (rig.buffer(64), rig.buffer(64));
    rig.observer().inject(Fault::Hangs(Target::Commit(0)));
    let hangs = rig.ticket(1);
    rig.device().submit(&work(pipeline, y), hangs).unwrap();
    rig.observer().inject(fails(0, DEVICE_REMOVED, false));
    let ticket = rig.submit(&work(pipeline, x));
    let lost = rig.device().wait(ticket, WAIT_NS);
    assert!(matches!(lost, Err(DeviceError::Lost { .. })), "{lost:?}");
    rig.device().free(y.memory);
    rig.device().destroy_pipeline(pipeline);
    assert_eq!(rig.observer().violations(), []);
    rig.abandon();
}

#[test]
fn a_device_that_is_taken_away_is_lost_and_stays_so() {
    for code in [ACCESS_REVOKED, DEVICE_REMOVED] {
        let rig = Rig::new(&Options::default());
        let pipeline = rig.pipeline(&LCG);
        let x = rig.buffer(64);
        rig.observer().inject(fails(0, code, false));
        let ticket = rig.submit(&work(pipeline, x));
        let device = rig.device();
        let lost = device.wait(ticket, WAIT_NS);
        assert!(matches!(lost, Err(DeviceError::Lost { .. })), "{lost:?}");
        let lost = lost.map(|_| ());
        assert_eq!(device.completed(0).map(|_| ()), lost);
        assert_eq!(device.wait(ticket, 0).map(|_| ()), lost);
        assert_eq!(device.submit(&Batch::default(), rig.ticket(0)), lost);
        assert_eq!(device.write(x.memory, 0, &[1]), lost);
        assert_eq!(device.read(x.memory, 0, &mut [1]), lost);
        let more = device.allocate(MemoryId(500), 16, MemoryKind::Device);
        assert_eq!(more.map(|_| ()), lost);
        device.free(x.memory);
        device.destroy_pipeline(pipeline);
    }
}

#[test]
fn nil_command_buffers_and_buffers_are_want_of_memory_and_change_nothing() {
    let rig = Rig::new(&Options::default());
    let pipeline = rig.pipeline(&LCG);
    let (x, back) = (rig.buffer(64), rig.readback(64));
    let mut batch = work(pipeline, x);
    barrier(&mut batch, ALL);
    copy(&mut batch, x, back);
    batch.host_reads = true;
    rig.observer().inject(Fault::NoCommandBuffer(0));
    rig.observer().inject(Fault::NoBuffer(0));
    let ticket = rig.ticket(0);
    assert_eq!(
        rig.device().submit(&batch, ticket),
        Err(DeviceError::OutOfMemory)
    );
    assert_eq!(rig.device().submit(&batch, ticket), Ok(()));
    let id = MemoryId(500);
    let none = rig.device().allocate(id, 16, MemoryKind::Device);
    assert_eq!(none.map(|_| ()), Err(DeviceError::OutOfMemory));
    rig.device().allocate(id, 16, MemoryKind::Device).unwrap();
    rig.wait(ticket);
    assert_eq!(rig.read(&back), vec![lcg(7, 1); 64]);
}

#[test]
fn a_device_that_hangs_is_waited_for_within_a_bound_and_then_abandoned() {
    let options = Options {
        drop_wait_ns: 50_000_000,
        ..Options::default()
    };
    let rig = Rig::new(&options);
    let pipeline = rig.pipeline(&LCG);
    let x = rig.buffer(64);
    rig.observer().inject(Fault::Hangs(Target::Commit(0)));
    let ticket = rig.submit(&work(pipeline, x));
    let start = Instant::now();
    assert_eq!(rig.device().wait(ticket, 30_000_000), Ok(false));
    assert_eq!(rig.device().completed(0), Ok(0));
    rig.abandon();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_device_that_cannot_be_opened_says_why() {
    let with = |fault: Fault| {
        let mut setup = Setup::default();
        setup.faults = vec![fault];
        let observer = Observer::new(setup);
        let opened = MetalDevice::open(&Select::Best, &Options::default());
        let error = opened.err().unwrap();
        let wrong = observer.faults_at_end();
        assert!(wrong.is_empty(), "{wrong:#?}");
        error
    };
    assert!(matches!(with(Fault::NoDevice), OpenError::NoDevice));
    for fault in [Fault::NoQueue, Fault::NoEvent(0), Fault::NoPipeline(0)] {
        let error = with(fault);
        assert!(matches!(error, OpenError::Driver { .. }), "{error}");
    }
}

#[test]
fn the_budget_is_kept_in_bytes() {
    let options = Options {
        memory_bytes_max: Some(1 << 20),
        ..Options::default()
    };
    let rig = Rig::new(&options);
    let device = rig.device();
    assert_eq!(device.capabilities().memory_bytes, 1 << 20);
    let allocate = |index: u32| device.allocate(MemoryId(index), 1 << 18, MemoryKind::Device);
    let made = (0..10).take_while(|it| allocate(*it).is_ok()).count();
    assert_eq!(made, 4);
    let none = allocate(4).map(|_| ());
    assert_eq!(none, Err(DeviceError::OutOfMemory));
    device.free(MemoryId(0));
    let again = allocate(4);
    assert!(again.is_ok(), "what was freed is not given back: {again:?}");
}

#[test]
fn the_budget_is_kept_in_allocations() {
    let most = |allocations_max| Options {
        allocations_max,
        ..Options::default()
    };
    let rig = Rig::new(&most(Some(5)));
    let device = rig.device();
    assert_eq!(device.capabilities().allocations_max, 5);
    let allocate = |index: u32| {
        let kinds = [MemoryKind::Device, MemoryKind::Upload, MemoryKind::Readback];
        let made = device.allocate(MemoryId(index), 16, kinds[index as usize % 3]);
        made.map(|_| ())
    };
    let made = (0..10).take_while(|it| allocate(*it).is_ok()).count();
    assert_eq!(made, 5, "more allocations than are allowed, or fewer");
    assert_eq!(allocate(5), Err(DeviceError::OutOfMemory));
    device.free(MemoryId(2));
    assert_eq!(allocate(2), Ok(()));
    assert_eq!(allocate(5), Err(DeviceError::OutOfMemory));
    // Metal fails beyond, whatever is asked for.
    for asked in [None, Some(u64::MAX)] {
        let rig = Rig::new(&most(asked));
        assert_eq!(rig.device().capabilities().allocations_max, 490_000);
    }
}

/// As core's ring does it: staging bytes are written again as soon as the ticket that reads them is said to be complete.
#[test]
fn staging_memory_is_read_before_it_is_written_again() {
    for seed in 0..4 {
        let rig = Rig::on(slow(seed), &impatient());
        let (staging, _) = rig.memory(64, MemoryKind::Upload);
        let (x, back) = (rig.buffer(64 * 8), rig.readback(64 * 8));
        let mut batch = Batch::default();
        for round in 0..8 {
            let data = bytes(&[round; 64]);
            rig.device().write(staging.memory, 0, &data).unwrap();
            batch.clear();
            copy(&mut batch, staging, part(&x, u64::from(round) * 64, 64));
            let ticket = rig.submit(&batch);
            let end = Instant::now() + Duration::from_nanos(SOON_NS);
            while rig.device().completed(0).unwrap() < ticket.value {
                assert!(Instant::now() < end, "a hang");
            }
        }
        batch.clear();
        batch.opening = ALL;
        let got = rig.copy_and_read(&mut batch, x, back);
        let want: Vec<u32> = (0..64 * 8).map(|it| it / 64).collect();
        assert!(got == want, "staging memory was read too late: {got:?}");
    }
}

#[test]
fn a_gpu_with_memory_of_its_own_is_reached_through_staging() {
    let mut setup = Setup::default();
    setup.unified = false;
    let rig = Rig::on(setup, &Options::default());
    assert!(!rig.device().capabilities().unified);
    let (x, access) = rig.memory(64, MemoryKind::Device);
    assert!(!access.write && !access.read);
    assert!(rig.device().write(x.memory, 0, &[1]).is_err());
    works(&rig, 0);
}

#[test]
fn without_residency_sets_everything_works() {
    for (system, wanted) in [(false, true), (true, false), (true, true)] {
        let mut setup = Setup::default();
        setup.residency_sets = system;
        let options = Options {
            residency_sets: wanted,
            ..Options::default()
        };
        let rig = Rig::on(setup, &options);
        works(&rig, 0);
        // More than one set has room for.
        for index in 0..600 {
            let id = MemoryId(1000 + index);
            rig.device().allocate(id, 16, MemoryKind::Device).unwrap();
        }
        works(&rig, 0);
    }
}
