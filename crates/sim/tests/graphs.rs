//! What graphs promise apart from bytes, each found wrong once.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod nosy;

use std::sync::mpsc::channel;
use std::time::Duration;

use nosy::{Call, Nosy};
use tidegate_core::{
    Arguments, Cause, Context, Device, Error, Graph, Limits, Memory, MemoryKind, Pipeline, Policy,
    Region, Stream, Ticket,
};
use tidegate_sim::{Failure, Faults, Live, Setup, Sim, kernels};

const BYTES: u64 = 256;

fn open(limits: Limits) -> (Sim, Context<Sim>) {
    let sim = Sim::new(5);
    (sim.clone(), Context::new(sim, limits))
}

fn buffer<D: Device>(context: &Context<D>) -> Memory<D> {
    context.allocate(BYTES, MemoryKind::Device).unwrap()
}

fn affine<D: Device>(context: &Context<D>) -> Pipeline<D> {
    let (kernel, code) = kernels::affine();
    context.pipeline(kernel, &code).unwrap()
}

/// `x = x + 1`.
fn launch<D: Device>(stream: &mut Stream<D>, kernel: &Pipeline<D>, x: &Memory<D>) {
    let regions = [x.region(0, BYTES).unwrap()];
    let launched = stream.launch(kernel, [1, 1, 1], plus_one(&regions));
    launched.unwrap();
}

fn plus_one(regions: &[Region]) -> Arguments<'_> {
    Arguments {
        regions,
        scalars: &[1, 0, 0, 0, 1, 0, 0, 0],
        aliasing: false,
    }
}

/// A graph that adds 1 to `x` so many times.
fn adder<D: Device>(stream: &mut Stream<D>, x: &Memory<D>, launches: usize) -> Graph<D> {
    let kernel = affine(stream.context());
    stream.begin_capture().unwrap();
    for _ in 0..launches {
        launch(stream, &kernel, x);
    }
    stream.end_capture().unwrap()
}

fn read<D: Device>(stream: &mut Stream<D>, x: &Memory<D>) -> Vec<u8> {
    let mut bytes = vec![0; x.bytes() as usize];
    let download = stream.download(x, 0, x.bytes()).unwrap();
    download.wait_into(&mut bytes).unwrap();
    bytes
}

#[test]
fn memory_that_a_graph_lets_go_keeps_the_limit_of_the_cache() {
    let limits = Limits {
        cached_bytes_max: 0,
        ..Limits::default()
    };
    let (sim, context) = open(limits);
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let [x, y] = [(); 2].map(|()| buffer(&context));
    let mut graph = adder(&mut stream, &x, 1);
    drop(x);
    assert_eq!(sim.live().allocations, 2);
    let regions = [y.region(0, BYTES).unwrap()];
    let changed = graph.set_arguments(&mut stream, 0, plus_one(&regions));
    changed.unwrap();
    assert_eq!(sim.live().allocations, 1, "after a change");
    drop(y);
    drop(graph);
    assert_eq!(sim.live().allocations, 0, "after the graph");

    let x = buffer(&context);
    let kernel = affine(&context);
    stream.begin_capture().unwrap();
    launch(&mut stream, &kernel, &x);
    drop(x);
    stream.abandon_capture();
    assert_eq!(sim.live().allocations, 0, "after a capture");
}

#[test]
fn arguments_do_not_change_on_a_stream_that_captures() {
    let (_, context) = open(Limits::default());
    let [mut first, mut second] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
    let x = buffer(&context);
    let mut graph = adder(&mut first, &x, 1);
    let regions = [x.region(0, BYTES).unwrap()];
    second.begin_capture().unwrap();
    let changed = graph.set_arguments(&mut second, 0, plus_one(&regions));
    assert!(matches!(changed, Err(Error::Capturing { .. })));
    second.abandon_capture();
    let changed = graph.set_arguments(&mut second, 0, plus_one(&regions));
    changed.unwrap();
}

/// The launches are recorded, and the submission of the first found no memory. They still come before one of the changed graph, on whichever queue.
#[test]
fn a_changed_graph_overtakes_no_older_launch() {
    for launches in 1..=2 {
        let (sim, context) = open(Limits::default());
        let [mut first, mut second] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
        let [x, y] = [(); 2].map(|()| buffer(&context));
        for memory in [&x, &y] {
            first.fill(memory, 0, BYTES, &[0]).unwrap();
        }
        first.synchronize().unwrap();
        let mut graph = adder(&mut first, &x, 1);
        // Each launch tries once, and so does the first change.
        sim.arm(Faults {
            submits: (1..=launches + 1).collect(),
            ..Faults::default()
        });
        for _ in 0..launches {
            first.launch_graph(&graph).unwrap();
        }
        let regions = [y.region(0, BYTES).unwrap()];
        let changed = graph.set_arguments(&mut second, 0, plus_one(&regions));
        assert_eq!(changed, Err(Error::SubmissionOutOfMemory));
        let changed = graph.set_arguments(&mut second, 0, plus_one(&regions));
        changed.unwrap();
        second.launch_graph(&graph).unwrap();
        assert_eq!(read(&mut second, &x)[..4], [launches as u8, 0, 0, 0]);
        assert_eq!(read(&mut second, &y)[..4], [1, 0, 0, 0]);
        sim.assert_clean();
    }
}

/// Whenever a batch is submitted, another stream of the same queue uses the time to record.
#[test]
fn a_busy_neighbour_holds_no_launch_up() {
    let mut setup = Setup::default();
    setup.capabilities.queues = 1;
    let (asks, asked) = channel();
    let (answers, answered) = channel();
    let nosy = Nosy::new(Sim::with(5, setup), move |call| {
        if call == Call::Submit {
            // Nobody answers while recording has to wait.
            let _ = asks.send(());
            let _ = answered.recv_timeout(Duration::from_millis(50));
        }
    });
    let context = Context::new(nosy, Limits::default());
    let [mut stream, mut neighbour] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
    let [x, y] = [(); 2].map(|()| buffer(&context));
    let graph = adder(&mut stream, &x, 1);
    neighbour.fill(&y, 0, BYTES, &[1]).unwrap();
    let thread = std::thread::spawn(move || {
        // At most so often: a launch that is held up is a failure, and no hang.
        for _ in 0..40 {
            match asked.recv_timeout(Duration::from_millis(500)) {
                Ok(()) => neighbour.fill(&y, 0, BYTES, &[1]).unwrap(),
                Err(_) => break,
            }
            let _ = answers.send(());
        }
    });
    stream.launch_graph(&graph).unwrap();
    let causes = context.counters().submissions_by_cause;
    let at = Cause::ALL.iter().position(|it| *it == Cause::Graph);
    assert!(causes[at.unwrap()] <= 4, "{causes:?}");
    thread.join().unwrap();
}

#[test]
fn an_odd_fill_is_kept_once() {
    let limits = Limits {
        staging_bytes: 4096,
        direct: false,
        ..Limits::default()
    };
    let (sim, context) = open(limits);
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = context.allocate(60_000, MemoryKind::Device).unwrap();
    // Both ways: pieces of three bytes that copies of four cannot end at.
    stream.fill(&x, 0, 60_000, &[1, 2, 3]).unwrap();
    assert_eq!(read(&mut stream, &x), [1, 2, 3].repeat(20_000));
    let before = context.counters().memory_bytes;
    stream.begin_capture().unwrap();
    stream.fill(&x, 0, 60_000, &[4, 5, 6]).unwrap();
    let graph = stream.end_capture().unwrap();
    let kept = context.counters().memory_bytes - before;
    assert!(kept < 8192, "{kept} bytes are kept");
    stream.launch_graph(&graph).unwrap();
    assert_eq!(read(&mut stream, &x), [4, 5, 6].repeat(20_000));
    sim.assert_clean();
}

#[test]
fn a_capture_whose_end_finds_no_memory_can_be_ended_again() {
    let (sim, context) = open(Limits::default());
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = context.allocate(8192, MemoryKind::Device).unwrap();
    stream.begin_capture().unwrap();
    stream.upload(&x, 0, &[7; 8192]).unwrap();
    sim.arm(Faults {
        kinds: vec![MemoryKind::Device],
        ..Faults::default()
    });
    let ended = stream.end_capture();
    assert!(matches!(ended, Err(Error::OutOfMemory { .. })), "{ended:?}");
    assert!(stream.is_capturing());
    sim.arm(Faults::default());
    let graph = stream.end_capture().unwrap();
    stream.launch_graph(&graph).unwrap();
    assert_eq!(read(&mut stream, &x), [7; 8192]);
    drop((stream, graph, x, context));
    sim.assert_clean();
    assert_eq!(sim.live(), Live::default());
}

#[test]
fn a_lost_device_captures_nothing() {
    let (sim, context) = open(Limits::default());
    let [mut first, mut second] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
    let [x, y] = [(); 2].map(|()| buffer(&context));
    let kernel = affine(&context);
    let mut graph = adder(&mut first, &x, 1);
    first.begin_capture().unwrap();
    let empty = first.end_capture().unwrap();
    second.begin_capture().unwrap();
    launch(&mut second, &kernel, &x);
    sim.arm(Faults {
        lost_at_call: Some(1),
        ..Faults::default()
    });
    let event = context.event();
    assert!(first.fill(&y, 0, BYTES, &[1]).is_err() || first.synchronize().is_err());
    let regions = [x.region(0, BYTES).unwrap()];
    let calls = [
        second.launch(&kernel, [1, 1, 1], plus_one(&regions)).err(),
        second.upload(&x, 0, &[1; 8]).err(),
        second.fill(&x, 0, BYTES, &[1]).err(),
        second.fill(&x, 0, 12, &[1, 2, 3]).err(),
        second.copy(&x, 0, &y, 0, BYTES).err(),
        second.record(&event).err(),
        second.wait(&event).err(),
        second.end_capture().err(),
        first.begin_capture().err(),
        first.record(&event).err(),
        first.launch_graph(&graph).err(),
        first.launch_graph(&empty).err(),
        graph.set_arguments(&mut first, 0, plus_one(&regions)).err(),
        context.start_trace(10).err(),
    ];
    for (at, error) in calls.iter().enumerate() {
        assert!(matches!(error, Some(Error::Lost(_))), "{at}: {error:?}");
    }
    assert!(context.end_trace().is_ok(), "it says what led to the loss");
}

/// What fails between two parts of a graph is reported by the next call: the graph is launched as a whole.
#[test]
fn a_failure_met_on_the_way_does_not_cut_a_launch_in_two() {
    let limits = Limits {
        commands_max: 1,
        in_flight_max: 1,
        ..Limits::default()
    };
    let (sim, context) = open(limits);
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = buffer(&context);
    let graph = adder(&mut stream, &x, 3);
    let ticket = Ticket { queue: 0, value: 1 };
    let failure = Failure {
        ticket,
        named: false,
    };
    sim.arm(Faults {
        failures: vec![failure],
        ..Faults::default()
    });
    stream.launch_graph(&graph).unwrap();
    assert_eq!(context.counters().dispatches, 3);
    assert!(matches!(stream.flush(), Err(Error::Failed(_))));
    stream.synchronize().unwrap();
    sim.assert_clean();
}

/// The opening of each part orders it after the one before.
#[test]
fn parts_have_no_barrier_at_their_beginning() {
    let limits = Limits {
        commands_max: 2,
        ..Limits::default()
    };
    let (sim, context) = open(limits);
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = buffer(&context);
    stream.fill(&x, 0, BYTES, &[0]).unwrap();
    let graph = adder(&mut stream, &x, 6);
    stream.launch_graph(&graph).unwrap();
    assert_eq!((graph.submissions(), context.counters().barriers), (3, 3));
    assert_eq!(read(&mut stream, &x)[..4], [6, 0, 0, 0]);
    sim.assert_clean();
}

/// All data is ordered without events, so that no history can tell whether the device learns of a wait, and how often.
#[test]
fn a_graphs_wait_for_an_event_reaches_the_device() {
    let setup = Setup {
        trace: true,
        ..Setup::default()
    };
    let sim = Sim::with(1, setup);
    let context = Context::new(sim.clone(), Limits::default());
    let [mut first, mut second] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
    let [x, y] = [(); 2].map(|()| buffer(&context));
    let event = context.event();
    second.begin_capture().unwrap();
    second.wait(&event).unwrap();
    second.fill(&y, 0, BYTES, &[2]).unwrap();
    second.wait(&event).unwrap();
    let graph = second.end_capture().unwrap();
    second.launch_graph(&graph).unwrap();
    for _ in 0..2 {
        first.fill(&x, 0, BYTES, &[1]).unwrap();
        first.record(&event).unwrap();
        second.launch_graph(&graph).unwrap();
    }
    // This queue has waited for that already.
    second.launch_graph(&graph).unwrap();
    second.synchronize().unwrap();
    let trace = sim.trace();
    let batches = trace.split("submit ").filter(|it| it.starts_with("q1"));
    let waits: Vec<Option<&str>> = batches
        .map(|it| {
            it.lines()
                .map(str::trim)
                .find(|it| it.starts_with("wait queue"))
        })
        .collect();
    let wants = [
        None,
        Some("wait queue 0 value 1"),
        Some("wait queue 0 value 2"),
        None,
    ];
    assert_eq!(waits, wants, "{trace}");
    sim.assert_clean();
}

/// Commands of a graph are in order: an event that it records itself orders nothing in it, whatever else the event stood for before.
#[test]
fn a_graph_does_not_wait_for_the_event_that_it_records() {
    let setup = Setup {
        trace: true,
        ..Setup::default()
    };
    let sim = Sim::with(1, setup);
    let context = Context::new(sim.clone(), Limits::default());
    let [mut first, mut second] = [0, 1].map(|_| context.stream(Policy::UntilSync).unwrap());
    let [x, y] = [(); 2].map(|()| buffer(&context));
    let event = context.event();
    first.begin_capture().unwrap();
    first.fill(&x, 0, BYTES, &[1]).unwrap();
    first.record(&event).unwrap();
    first.wait(&event).unwrap();
    let graph = first.end_capture().unwrap();
    second.fill(&y, 0, BYTES, &[2]).unwrap();
    second.record(&event).unwrap();
    first.launch_graph(&graph).unwrap();
    first.synchronize().unwrap();
    let trace = sim.trace();
    assert!(
        trace.contains("replay graph") && !trace.contains("wait queue"),
        "{trace}"
    );
    sim.assert_clean();
}

/// What a graph writes after its arguments were changed, the host may look at, if it may look at them at all.
#[test]
fn changed_arguments_may_be_read_in_place() {
    let (sim, context) = open(Limits::default());
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = buffer(&context);
    let y = context.allocate(BYTES, MemoryKind::Readback).unwrap();
    stream.fill(&y, 0, BYTES, &[0]).unwrap();
    let mut graph = adder(&mut stream, &x, 1);
    let regions = [y.region(0, BYTES).unwrap()];
    let changed = graph.set_arguments(&mut stream, 0, plus_one(&regions));
    changed.unwrap();
    stream.launch_graph(&graph).unwrap();
    stream.synchronize().unwrap();
    let words = read(&mut stream, &y);
    assert!(words.chunks(4).all(|it| it == [1, 0, 0, 0]), "{words:?}");
    sim.assert_clean();
}
