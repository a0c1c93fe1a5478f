//! Streams on a device that fails: what is reported, to whom, how often, and that the work which can be done is done right.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

use tidegate_core::{
    Arguments, Context, Error, Limits, Memory, MemoryKind, Policy, Status, Stream, Ticket,
};
use tidegate_sim::history::{Case, Op};
use tidegate_sim::{Failure, Faults, Live, Prng, Setup, Sim, Stall, kernels};

fn open(setup: Setup) -> (Sim, Context<Sim>) {
    let sim = Sim::with(11, setup);
    let context = Context::new(sim.clone(), Limits::default());
    (sim, context)
}

fn fails(queue: u32, value: u64) -> Faults {
    let ticket = Ticket { queue, value };
    let failure = Failure {
        ticket,
        named: false,
    };
    Faults {
        failures: vec![failure],
        ..Faults::default()
    }
}

fn buffer(context: &Context<Sim>) -> Memory<Sim> {
    context.allocate(64, MemoryKind::Device).unwrap()
}

fn launch(stream: &mut Stream<Sim>, memory: &Memory<Sim>) -> Result<(), Error> {
    let (kernel, code) = kernels::fill_index();
    let pipeline = stream.context().pipeline(kernel, &code)?;
    let arguments = Arguments {
        regions: &[memory.region(0, 64)?],
        scalars: &[1, 0, 0, 0],
        aliasing: false,
    };
    stream.launch(&pipeline, [1, 1, 1], arguments)
}

fn read(stream: &mut Stream<Sim>, memory: &Memory<Sim>) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; 64];
    stream.download(memory, 0, 64)?.wait_into(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn memory_that_runs_out_at_any_call_changes_nothing() {
    for seed in 0..500 {
        let mut case = Case::new(seed, 200);
        // Of a graph of several submissions a part may have been launched after an error: these cases have either no graph, or only graphs of one.
        if seed % 2 == 0 {
            case.history
                .0
                .retain(|it| !matches!(it, Op::LaunchGraph(..)));
        } else {
            case.limits.commands_max = 4096;
            case.limits.bytes_max = 16 << 30;
            case.limits.inline_bytes_max = 1 << 20;
        }
        let prng = &mut Prng::new(seed ^ 0xfa);
        let mut some = |most: u64| (0..8).map(|_| 1 + prng.below(most)).collect();
        case.setup.faults = Faults {
            allocations: some(60),
            submits: some(60),
            ..Faults::default()
        };
        case.check();
    }
}

/// Seeds 1006305 and 1016897 ended so: the last submission found no memory, and nobody was left to try again.
#[test]
fn work_that_never_reached_the_device_keeps_nothing() {
    let (sim, context) = open(Setup::default());
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = buffer(&context);
    launch(&mut stream, &x).unwrap();
    sim.arm(Faults {
        submits: (1..10).collect(),
        ..Faults::default()
    });
    drop((stream, x, context));
    assert_eq!(sim.live(), Live::default());
    sim.assert_clean();
}

/// What is read in place was computed on one queue from what a failed submission of another queue wrote.
#[test]
fn no_result_rests_on_another_queues_failure() {
    for seed in 0..40 {
        for setup in [Setup::default(), Setup::unified()] {
            let sim = Sim::with(seed, setup);
            let context = Context::new(sim.clone(), Limits::default());
            let [mut first, mut second] =
                [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
            let (x, y) = (buffer(&context), buffer(&context));
            sim.arm(fails(0, 1));
            first.fill(&x, 0, 64, &[1]).unwrap();
            second.copy(&x, 0, &y, 0, 64).unwrap();
            let before = read(&mut second, &y);
            assert!(
                matches!(before, Err(Error::Failed(_))),
                "seed {seed}: {before:?}"
            );
            sim.assert_clean();
        }
    }
}

/// The same, when all that the reading stream has asked about is complete and well.
#[test]
fn no_idle_buffer_hides_another_queues_failure() {
    let mut reached = 0;
    for seed in 0..60 {
        let sim = Sim::with(seed, Setup::unified());
        let context = Context::new(sim.clone(), Limits::default());
        let [mut first, mut second] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
        let (x, y) = (buffer(&context), buffer(&context));
        sim.arm(fails(0, 1));
        first.fill(&x, 0, 64, &[1]).unwrap();
        second.copy(&x, 0, &y, 0, 64).unwrap();
        second.flush().unwrap();
        let status = loop {
            match second.query() {
                Ok(Status::InFlight) => {}
                other => break other,
            }
        };
        if status.is_err() {
            // The device has told of it early, as it may.
            continue;
        }
        reached += 1;
        let got = read(&mut second, &y);
        assert!(matches!(got, Err(Error::Failed(_))), "seed {seed}: {got:?}");
    }
    assert!(reached > 5, "{reached}");
}

/// The stream learns of the failure only when it asks whether the buffer may be read in place.
#[test]
fn what_is_read_in_place_is_not_what_a_failure_left() {
    for seed in 0..40 {
        let sim = Sim::with(seed, Setup::unified());
        let context = Context::new(sim.clone(), Limits::default());
        let mut stream = context.stream(Policy::UntilSync).unwrap();
        let x = buffer(&context);
        sim.arm(fails(0, 1));
        stream.fill(&x, 0, 64, &[1]).unwrap();
        stream.flush().unwrap();
        let got = read(&mut stream, &x);
        assert!(matches!(got, Err(Error::Failed(_))), "seed {seed}: {got:?}");
        // A download that refuses does not speak for its stream, which says it once more.
        let told = stream.flush();
        assert!(matches!(told, Ok(()) | Err(Error::Failed(_))), "{told:?}");
        stream.fill(&x, 0, 64, &[2]).unwrap();
        assert_eq!(read(&mut stream, &x).unwrap(), [2; 64]);
        sim.assert_clean();
    }
}

#[test]
fn a_failure_is_reported_once_to_each_stream_and_names_its_kernels() {
    let (sim, context) = open(Setup::default());
    let [mut first, mut second] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
    let x = buffer(&context);
    sim.arm(fails(0, 1));
    launch(&mut first, &x).unwrap();
    let Err(Error::Failed(fault)) = first.synchronize() else {
        panic!("the failure is not reported");
    };
    assert_eq!(fault.kernels, ["fill_index"]);
    first.synchronize().unwrap();
    assert!(matches!(second.flush(), Err(Error::Failed(_))));
    second.flush().unwrap();
    launch(&mut first, &x).unwrap();
    first.synchronize().unwrap();
    assert_eq!(
        read(&mut second, &x).unwrap()[..8],
        [1, 0, 0, 0, 2, 0, 0, 0]
    );
    sim.assert_clean();
}

#[test]
fn a_lost_device_wakes_everybody_and_takes_nothing_with_it() {
    let (sim, context) = open(Setup::default());
    let [mut first, mut second] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
    let x = buffer(&context);
    sim.arm(Faults {
        lost_in: Some(Ticket { queue: 0, value: 1 }),
        ..Faults::default()
    });
    launch(&mut first, &x).unwrap();
    let event = context.event();
    first.record(&event).unwrap();
    // The device may go as early as in the submission that the download needs.
    let Err(Error::Lost(fault)) = read(&mut second, &x) else {
        panic!("the loss is not reported");
    };
    assert_eq!(fault.kernels, ["fill_index"]);
    assert!(matches!(event.synchronize(), Err(Error::Lost(_))));
    assert!(matches!(first.synchronize(), Err(Error::Lost(_))));
    assert!(matches!(first.query(), Err(Error::Lost(_))));
    assert!(matches!(launch(&mut first, &x), Err(Error::Lost(_))));
    assert!(matches!(
        context.stream(Policy::UntilSync),
        Err(Error::Lost(_))
    ));
    drop((first, second, x, event, context));
    let left = sim.live();
    assert_eq!((left.allocations, left.pipelines), (0, 0));

    let (sim, context) = open(Setup::default());
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = buffer(&context);
    launch(&mut stream, &x).unwrap();
    stream.synchronize().unwrap();
    sim.assert_clean();
}

#[test]
fn the_device_may_be_lost_at_any_call() {
    for call in 1..400 {
        let mut case = Case::new(call, 60);
        case.setup.faults.lost_at_call = Some(call);
        let sim = Sim::with(call, case.setup.clone());
        let result = case.run_on(&sim, sim.clone());
        if let Err(failure) = &result {
            let known =
                failure.detail.contains("lost") || failure.detail.contains("not given back");
            assert!(known, "call {call}: {failure}");
        }
        let left = sim.live();
        assert_eq!((left.allocations, left.pipelines), (0, 0), "call {call}");
        sim.assert_clean();
    }
}

fn stalled(waits: Option<u32>) -> Faults {
    Faults {
        stalls: vec![Stall {
            queue: 0,
            after: 0,
            waits,
        }],
        ..Faults::default()
    }
}

#[test]
fn a_stall_is_an_error_with_the_kernels_of_the_queue_that_stands_still() {
    let (sim, context) = open(Setup::default());
    let [mut first, mut second] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
    let (x, y) = (buffer(&context), buffer(&context));
    sim.arm(stalled(None));
    launch(&mut first, &x).unwrap();
    // The second queue waits for the first one on the device.
    second.copy(&x, 0, &y, 0, 64).unwrap();
    let Err(Error::Stalled { kernels, .. }) = second.synchronize() else {
        panic!("the stall is not reported");
    };
    assert_eq!(kernels, ["fill_index"]);
    sim.release(0);
    second.synchronize().unwrap();
    assert_eq!(read(&mut second, &y).unwrap()[..4], [1, 0, 0, 0]);
    sim.assert_clean();
}

/// A call that returns an error has not been recorded, so that it can be made again.
#[test]
fn a_stall_met_while_recording_neither_loses_nor_repeats_work() {
    let sim = Sim::new(5);
    let limits = Limits {
        in_flight_max: 2,
        ..Limits::default()
    };
    let context = Context::new(sim.clone(), limits);
    let mut stream = context.stream(Policy::EveryDispatch).unwrap();
    let x = buffer(&context);
    stream.fill(&x, 0, 64, &[0]).unwrap();
    stream.synchronize().unwrap();
    let (kernel, code) = kernels::affine();
    let affine = context.pipeline(kernel, &code).unwrap();
    sim.arm(stalled(None));
    let (mut done, mut stalls) = (0_u8, 0);
    for _ in 0..8 {
        let arguments = Arguments {
            regions: &[x.region(0, 64).unwrap()],
            scalars: &[1, 0, 0, 0, 1, 0, 0, 0],
            aliasing: false,
        };
        match stream.launch(&affine, [1, 1, 1], arguments) {
            Ok(()) => done += 1,
            Err(Error::Stalled { .. }) => stalls += 1,
            Err(other) => panic!("{other}"),
        }
    }
    // Two are in flight, and a third has no room.
    assert_eq!((done, stalls), (2, 6));
    sim.release(0);
    while let Err(stall) = stream.synchronize() {
        assert!(matches!(stall, Error::Stalled { .. }), "{stall}");
    }
    let got = read(&mut stream, &x).or_else(|_| read(&mut stream, &x));
    assert_eq!(got.unwrap()[0], done);
    assert_eq!(stream.query().unwrap(), Status::Idle);
    drop((stream, x, affine, context));
    sim.assert_clean();
    assert_eq!(sim.live(), Live::default());
}

#[test]
fn a_flush_and_the_end_of_a_stream_never_wait() {
    for in_flight_max in [1, 2, 16] {
        let sim = Sim::new(5);
        let limits = Limits {
            in_flight_max,
            ..Limits::default()
        };
        let context = Context::new(sim.clone(), limits);
        let x = buffer(&context);
        sim.arm(stalled(None));
        let mut stream = context.stream(Policy::UntilSync).unwrap();
        for _ in 0..in_flight_max {
            stream.fill(&x, 0, 64, &[1]).unwrap();
            stream.flush().unwrap();
        }
        assert_eq!(stream.query().unwrap(), Status::InFlight);
        drop(stream);
        let counters = context.counters();
        assert_eq!(counters.stalls, 0);
        assert_eq!(counters.submissions, u64::from(in_flight_max));
        sim.release(0);
    }
}

#[test]
fn a_stall_that_ends_is_no_error_if_anything_moves() {
    let (sim, context) = open(Setup::default());
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = buffer(&context);
    sim.arm(stalled(Some(1)));
    stream.fill(&x, 0, 64, &[3]).unwrap();
    let first = stream.synchronize();
    assert!(
        matches!(first, Ok(()) | Err(Error::Stalled { .. })),
        "{first:?}"
    );
    stream.synchronize().unwrap();
    assert_eq!(read(&mut stream, &x).unwrap(), [3; 64]);
}

/// The soak found it: a launch was recorded, the host then had no memory to ask how far the device is, and the launch was refused.
#[test]
fn a_call_that_is_refused_is_not_recorded_though_the_host_has_no_memory() {
    for policy in [Policy::Adaptive, Policy::EveryDispatch] {
        let (sim, context) = open(Setup::default());
        let mut stream = context.stream(policy).unwrap();
        let x = buffer(&context);
        stream.fill(&x, 0, 64, &[0]).unwrap();
        stream.flush().unwrap();
        let (kernel, code) = kernels::affine();
        let affine = context.pipeline(kernel, &code).unwrap();
        sim.arm(Faults {
            polls: (1..100).collect(),
            ..Faults::default()
        });
        let mut done = 0;
        for _ in 0..40 {
            let arguments = Arguments {
                regions: &[x.region(0, 64).unwrap()],
                scalars: &[1, 0, 0, 0, 1, 0, 0, 0],
                aliasing: false,
            };
            done += u8::from(stream.launch(&affine, [1, 1, 1], arguments).is_ok());
        }
        assert!(done > 8, "{done}");
        sim.arm(Faults::default());
        assert_eq!(read(&mut stream, &x).unwrap()[0], done);
        sim.assert_clean();
    }
}

/// The soak found it: memory was left behind when the host had none for the context's last wait.
#[test]
fn the_end_of_a_context_waits_again_if_the_host_has_no_memory() {
    let (sim, context) = open(Setup::default());
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = buffer(&context);
    launch(&mut stream, &x).unwrap();
    stream.flush().unwrap();
    sim.arm(Faults {
        polls: vec![1, 3],
        waits: vec![1, 2, 4],
        ..Faults::default()
    });
    drop((stream, x, context));
    assert_eq!(sim.live(), Live::default());
    sim.assert_clean();
}

/// The soak found it: the context knew of the failure, no stream had told of it, and a new one returned what the failure had spoilt.
#[test]
fn a_stream_made_after_a_failure_that_nobody_was_told_of_is_told() {
    for seed in 0..16 {
        for setup in [Setup::default(), Setup::unified()] {
            let sim = Sim::with(seed, setup);
            let context = Context::new(sim.clone(), Limits::default());
            let mut first = context.stream(Policy::UntilSync).unwrap();
            let x = buffer(&context);
            sim.arm(fails(0, 1));
            first.fill(&x, 0, 64, &[1]).unwrap();
            let event = context.event();
            first.record(&event).unwrap();
            // Waits, and reports nothing: an event has no stream.
            event.synchronize().unwrap();
            let mut second = context.stream(Policy::UntilSync).unwrap();
            let got = read(&mut second, &x);
            assert!(matches!(got, Err(Error::Failed(_))), "seed {seed}: {got:?}");
            let mut third = context.stream(Policy::UntilSync).unwrap();
            third.fill(&x, 0, 64, &[2]).unwrap();
            assert_eq!(read(&mut third, &x).unwrap(), [2; 64]);
            sim.assert_clean();
        }
    }
}
