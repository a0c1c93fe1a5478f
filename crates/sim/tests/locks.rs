//! What takes long holds nobody up: others record meanwhile.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod nosy;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nosy::{Call, Nosy};
use tidegate_core::{
    Arguments, Context, Device, Graph, Limits, Memory, MemoryKind, Policy, Stream,
};
use tidegate_sim::{Sim, kernels};

const BYTES: u64 = 256;
/// So many that to place their barriers takes longer than a system keeps a thread from running.
const LAUNCHES: usize = 200_000;
/// A busy machine may stop any thread for as long as a call takes. It does not do so every time.
const TRIES: u32 = 20;

fn arguments<D: Device>(x: &Memory<D>, with: impl FnOnce(Arguments<'_>)) {
    with(Arguments {
        regions: &[x.region(0, BYTES).unwrap()],
        scalars: &[1, 0, 0, 0, 1, 0, 0, 0],
        aliasing: false,
    });
}

fn capture<D: Device>(stream: &mut Stream<D>, buffers: &[Memory<D>], launches: usize) {
    let (kernel, code) = kernels::affine();
    let kernel = stream.context().pipeline(kernel, &code).unwrap();
    stream.begin_capture().unwrap();
    for x in buffers.iter().cycle().take(launches) {
        arguments(x, |it| stream.launch(&kernel, [1, 1, 1], it).unwrap());
    }
}

/// Looks at the state again and again, and keeps how long it had to wait at most.
#[derive(Default)]
struct Neighbour {
    looks: AtomicU64,
    longest_ns: AtomicU64,
    is_over: AtomicBool,
}

impl Neighbour {
    fn live(&self, context: &Context<Sim>) {
        let mut last = Instant::now();
        while !self.is_over.load(Ordering::Acquire) {
            context.counters();
            let now = Instant::now();
            let gap = (now - last).as_nanos() as u64;
            self.longest_ns.fetch_max(gap, Ordering::AcqRel);
            self.looks.fetch_add(1, Ordering::AcqRel);
            last = now;
            std::thread::yield_now();
        }
    }

    /// Until it has looked again from the beginning.
    fn meet(&self) {
        let before = self.looks.load(Ordering::Acquire);
        while self.looks.load(Ordering::Acquire) < before + 2 {
            std::thread::yield_now();
        }
    }

    /// How long a call took, and the longest time in it during which the neighbour got nowhere.
    fn beside(&self, call: impl FnOnce()) -> (Duration, Duration) {
        self.meet();
        self.longest_ns.store(0, Ordering::Release);
        let start = Instant::now();
        call();
        let took = start.elapsed();
        self.meet();
        let longest = self.longest_ns.load(Ordering::Acquire);
        (took, Duration::from_nanos(longest))
    }
}

fn assert_some_let_others_work(what: &str, calls: &[(Duration, Duration)]) {
    let held = |it: &(Duration, Duration)| it.1 > it.0 / 2;
    assert!(!calls.iter().all(held), "{what} holds others up: {calls:?}");
}

/// The barriers of a whole graph are placed without the state.
#[test]
fn a_large_graph_holds_nobody_up() {
    let limits = Limits {
        commands_max: 1 << 20,
        inline_bytes_max: 1 << 30,
        ..Limits::default()
    };
    let context = Context::new(Sim::new(5), limits);
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let buffers: Vec<_> = (0..300)
        .map(|_| context.allocate(BYTES, MemoryKind::Device).unwrap())
        .collect();
    let neighbour = Neighbour::default();
    std::thread::scope(|scope| {
        scope.spawn(|| neighbour.live(&context));
        let mut made: Option<Graph<Sim>> = None;
        let mut calls = Vec::new();
        for _ in 0..TRIES {
            capture(&mut stream, &buffers, LAUNCHES);
            calls.push(neighbour.beside(|| made = Some(stream.end_capture().unwrap())));
            if calls.last().is_some_and(|it| it.1 < it.0 / 2) {
                break;
            }
        }
        let mut graph = made.unwrap();
        assert_eq!(graph.submissions(), 1);
        let mut changes = Vec::new();
        for at in 0..TRIES as usize {
            let call = || {
                arguments(&buffers[(at + 1) % buffers.len()], |it| {
                    graph.set_arguments(&mut stream, 0, it).unwrap();
                });
            };
            changes.push(neighbour.beside(call));
        }
        neighbour.is_over.store(true, Ordering::Release);
        assert_some_let_others_work("the end of a capture", &calls);
        assert_some_let_others_work("a change of arguments", &changes);
    });
}

/// A backend's tables of pipelines and graphs may be in use for as long as a batch is encoded: whoever drops a kernel or a graph waits for that with no lock of core's held. A
/// kernel that another thread makes meanwhile gets no number that the device still has.
#[test]
fn what_is_dropped_is_destroyed_while_others_record() {
    let (asks, asked) = channel();
    let (answers, answered) = channel::<()>();
    let (says, said) = channel();
    let sim = Sim::new(5);
    let nosy = Nosy::new(sim.clone(), move |call| {
        if call == Call::Destroy {
            let _ = asks.send(());
            let _ = says.send(answered.recv_timeout(Duration::from_secs(2)).is_ok());
        }
    });
    let context = Context::new(nosy, Limits::default());
    let other = context.clone();
    let thread = std::thread::spawn(move || {
        let mut made = Vec::new();
        for () in asked.iter().take(2) {
            let (kernel, code) = kernels::affine();
            made.push(other.pipeline(kernel, &code).unwrap());
            let _ = answers.send(());
        }
        made
    });
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let buffers = [context.allocate(BYTES, MemoryKind::Device).unwrap()];
    capture(&mut stream, &buffers, 1);
    let graph = stream.end_capture().unwrap();
    stream.launch_graph(&graph).unwrap();
    stream.synchronize().unwrap();
    // Its kernel is the graph's alone.
    drop(graph);
    let seen: Vec<bool> = said.try_iter().collect();
    assert_eq!(seen, [true, true]);
    assert_eq!(thread.join().unwrap().len(), 2);
    sim.assert_clean();
}
