//! Real threads: 64 streams on 8 of them, with buffers of their own and buffers that are handed from thread to thread.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tidegate_core::{
    Arguments, Context, Event, Graph, HostAccess, Limits, Memory, MemoryKind, Pipeline, Policy,
    Region, Stream,
};
use tidegate_sim::{Live, Prng, Setup, Sim, kernels};

const THREADS: usize = 8;
const STREAMS: usize = 8;
const BATONS: usize = 24;
const HOPS: u32 = 200;
const WORDS: usize = 96;
/// Far above what a run takes, on a busy machine too: longer is a deadlock.
const WATCHDOG: Duration = Duration::from_secs(240);

/// A buffer together with what it must contain. Whoever holds it may record on it: that is all the order there is.
struct Baton {
    memory: Memory<Sim>,
    words: Vec<u32>,
    hops: u32,
    /// Recorded by the last holder, for some next ones to wait for.
    event: Event<Sim>,
    /// Launches on the buffer, and their scalars. The next holders launch it and change it.
    graph: Option<Graph<Sim>>,
    scalars: Vec<[u32; 2]>,
}

impl Baton {
    fn new(stream: &mut Stream<Sim>, first: u32) -> Self {
        let bytes = 4 * WORDS as u64;
        let memory = stream
            .context()
            .allocate(bytes, MemoryKind::Device)
            .unwrap();
        let words: Vec<u32> = (0..WORDS as u32).map(|it| it + first).collect();
        stream.upload(&memory, 0, &bytes_of(&words)).unwrap();
        Self {
            memory,
            words,
            hops: 0,
            event: stream.context().event(),
            graph: None,
            scalars: Vec::new(),
        }
    }

    fn affine(&mut self, stream: &mut Stream<Sim>, affine: &Pipeline<Sim>, scalars: [u32; 2]) {
        self.launch(stream, affine, scalars);
        self.apply(scalars);
    }

    fn region(&self) -> Region {
        self.memory.region(0, self.memory.bytes()).unwrap()
    }

    fn launch(&self, stream: &mut Stream<Sim>, affine: &Pipeline<Sim>, scalars: [u32; 2]) {
        let region = self.region();
        let block = block_of(affine, scalars);
        let arguments = Arguments {
            regions: &[region],
            scalars: &block,
            aliasing: false,
        };
        let grid = kernels::grid_for(region.bytes);
        stream.launch(affine, grid, arguments).unwrap();
    }

    fn apply(&mut self, [a, b]: [u32; 2]) {
        for word in &mut self.words {
            *word = word.wrapping_mul(a).wrapping_add(b);
        }
    }

    /// Makes a graph of a few launches. The one before may still be in flight.
    fn capture(&mut self, stream: &mut Stream<Sim>, kernels: &[Pipeline<Sim>], prng: &mut Prng) {
        self.scalars.clear();
        stream.begin_capture().unwrap();
        for _ in 0..1 + prng.below(3) {
            let scalars = [prng.next_u32() | 1, prng.next_u32()];
            self.launch(stream, &kernels[prng.index(kernels.len())], scalars);
            self.scalars.push(scalars);
        }
        self.graph = Some(stream.end_capture().unwrap());
    }

    fn replay(&mut self, stream: &mut Stream<Sim>, prng: &mut Prng) {
        let region = self.region();
        let Some(graph) = &mut self.graph else { return };
        if prng.chance(1, 3) {
            let at = prng.index(self.scalars.len());
            self.scalars[at] = [prng.next_u32() | 1, prng.next_u32()];
            let block = block_of(graph.pipeline(at).unwrap(), self.scalars[at]);
            let arguments = Arguments {
                regions: &[region],
                scalars: &block,
                aliasing: false,
            };
            graph.set_arguments(stream, at, arguments).unwrap();
        }
        stream.launch_graph(graph).unwrap();
        for scalars in self.scalars.clone() {
            self.apply(scalars);
        }
    }

    fn upload(&mut self, stream: &mut Stream<Sim>, prng: &mut Prng) {
        let start = prng.index(WORDS);
        for word in &mut self.words[start..] {
            *word = prng.next_u32();
        }
        let data = bytes_of(&self.words[start..]);
        stream
            .upload(&self.memory, 4 * start as u64, &data)
            .unwrap();
    }

    fn check(&self, stream: &mut Stream<Sim>) {
        let bytes = self.memory.bytes();
        let download = stream.download(&self.memory, 0, bytes).unwrap();
        let mut got = vec![0; bytes as usize];
        download.wait_into(&mut got).unwrap();
        assert_eq!(got, bytes_of(&self.words), "after {} hops", self.hops);
    }
}

fn block_of(affine: &Pipeline<Sim>, scalars: [u32; 2]) -> Vec<u8> {
    let mut block = bytes_of(&scalars);
    let size = affine.kernel().scalars.as_ref().unwrap().bytes as usize;
    block.resize(size, 0);
    block
}

fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|it| it.to_le_bytes()).collect()
}

struct Worker {
    prng: Prng,
    streams: Vec<Stream<Sim>>,
    own: Vec<Baton>,
    kernels: Vec<Pipeline<Sim>>,
    inbox: Receiver<Baton>,
    next: Sender<Baton>,
    done: Sender<Baton>,
}

impl Worker {
    fn new(
        context: &Context<Sim>,
        seed: u64,
        inbox: Receiver<Baton>,
        next: Sender<Baton>,
        done: Sender<Baton>,
    ) -> Self {
        let policies = [Policy::EveryDispatch, Policy::UntilSync, Policy::Adaptive];
        let mut streams: Vec<Stream<Sim>> = (0..STREAMS)
            .map(|it| context.stream(policies[it % 3]).unwrap())
            .collect();
        let own = (0..STREAMS as u32).zip(&mut streams);
        let own = own.map(|(it, stream)| Baton::new(stream, it)).collect();
        let kernels = [kernels::affine(), kernels::affine_uniform()];
        let kernels = kernels.map(|(kernel, code)| context.pipeline(kernel, &code).unwrap());
        Self {
            prng: Prng::new(seed),
            streams,
            own,
            kernels: kernels.into(),
            inbox,
            next,
            done,
        }
    }

    /// Works until its inbox is closed or says nothing any more.
    fn run(mut self, expected: usize) {
        let mut seen = 0;
        while seen < expected {
            self.step_on_own();
            let Ok(mut baton) = self.inbox.try_recv() else {
                std::thread::yield_now();
                continue;
            };
            seen += 1;
            let stream = &mut self.streams[self.prng.index(STREAMS)];
            if self.prng.chance(1, 3) {
                stream.wait(&baton.event).unwrap();
            }
            step(&mut baton, stream, &self.kernels, &mut self.prng);
            stream.record(&baton.event).unwrap();
            baton.hops += 1;
            let target = if baton.hops == HOPS {
                &self.done
            } else {
                &self.next
            };
            target.send(baton).unwrap();
        }
        for (baton, stream) in self.own.iter().zip(&mut self.streams) {
            baton.check(stream);
        }
    }

    /// A buffer of the thread's own: any of its streams, never another thread's.
    fn step_on_own(&mut self) {
        let stream = &mut self.streams[self.prng.index(STREAMS)];
        let at = self.prng.index(STREAMS);
        if self.prng.chance(1, 8) {
            self.own[at] = Baton::new(stream, at as u32);
        }
        step(&mut self.own[at], stream, &self.kernels, &mut self.prng);
        match self.prng.below(40) {
            0 => stream.synchronize().unwrap(),
            1 => stream.flush().unwrap(),
            2 => drop(stream.query().unwrap()),
            3 => *stream = stream.context().stream(stream.policy()).unwrap(),
            _ => {}
        }
    }
}

fn step(baton: &mut Baton, stream: &mut Stream<Sim>, kernels: &[Pipeline<Sim>], prng: &mut Prng) {
    match prng.below(12) {
        0 => baton.check(stream),
        3 => baton.capture(stream, kernels, prng),
        4..7 => baton.replay(stream, prng),
        1 => baton.upload(stream, prng),
        2 => {
            // Never waited on.
            drop(stream.download(&baton.memory, 0, 64).unwrap());
        }
        _ => {
            let scalars = [prng.next_u32() | 1, prng.next_u32()];
            baton.affine(stream, &kernels[prng.index(kernels.len())], scalars);
        }
    }
}

fn hammer(seed: u64, access: HostAccess, queues: u32) {
    let mut setup = Setup {
        device_memory: access,
        ..Setup::default()
    };
    setup.capabilities.queues = queues;
    let sim = Sim::with(seed, setup);
    let limits = Limits {
        commands_max: 16,
        in_flight_max: 2,
        staging_bytes: 4096,
        cached_bytes_max: 4096,
        ..Limits::default()
    };
    let context = Context::new(sim.clone(), limits);
    let (done, finished) = channel();
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel()).unzip();
    let mut first = context.stream(Policy::UntilSync).unwrap();
    for at in 0..BATONS {
        let baton = Baton::new(&mut first, at as u32 * 1000);
        senders[at % THREADS].send(baton).unwrap();
    }
    let threads: Vec<_> = inboxes
        .into_iter()
        .enumerate()
        .map(|(at, inbox)| {
            let next = senders[(at + 1) % THREADS].clone();
            let seed = seed ^ (at as u64) << 32;
            let worker = Worker::new(&context, seed, inbox, next, done.clone());
            let hops = (0..BATONS).map(|baton| visits(baton, at)).sum();
            std::thread::spawn(move || worker.run(hops))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let batons: Vec<Baton> = finished.try_iter().collect();
    assert_eq!(batons.len(), BATONS);
    batons.iter().for_each(|it| it.check(&mut first));
    let counters = context.counters();
    assert_eq!(counters.free_syncs, 0);
    assert!(counters.graph_launches > 100, "{counters:?}");
    assert!(
        counters.in_flight_peak <= 2 && counters.commands_peak <= 16,
        "{counters:?}"
    );
    assert!(counters.staging_peak <= 4096, "{counters:?}");
    drop((first, batons, context, senders));
    sim.assert_clean();
    assert_eq!(sim.live(), Live::default());
}

/// How often a baton that starts at thread `baton % THREADS` and takes `HOPS` steps visits `thread`.
fn visits(baton: usize, thread: usize) -> usize {
    let stops = (0..HOPS as usize).map(|hop| (baton + hop) % THREADS);
    stops.filter(|it| *it == thread).count()
}

/// Runs `body`, and fails if it does not end.
fn watched(body: impl FnOnce() + Send + 'static) {
    let (ended, waiting) = channel();
    let thread = std::thread::spawn(move || {
        body();
        ended.send(()).unwrap();
    });
    match waiting.recv_timeout(WATCHDOG) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("no end after {WATCHDOG:?}"),
        _ => thread.join().unwrap(),
    }
}

#[test]
fn threads_share_streams_queues_and_buffers_on_a_discrete_device() {
    watched(|| (0..12).for_each(|seed| hammer(seed, HostAccess::default(), 1 + seed as u32 % 3)));
}

#[test]
fn threads_share_streams_queues_and_buffers_on_a_unified_device() {
    let access = HostAccess {
        write: true,
        read: true,
    };
    watched(move || (0..12).for_each(|seed| hammer(seed, access, 1 + seed as u32 % 3)));
}

#[test]
fn a_stream_moves_between_threads() {
    let sim = Sim::new(3);
    let context = Context::new(sim.clone(), Limits::default());
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let (kernel, code) = kernels::affine();
    let affine = std::sync::Arc::new(context.pipeline(kernel, &code).unwrap());
    let mut baton = Baton::new(&mut stream, 5);
    for step in 0..20 {
        let affine = std::sync::Arc::clone(&affine);
        let thread = std::thread::spawn(move || {
            baton.affine(&mut stream, &affine, [step | 1, 3]);
            (stream, baton)
        });
        (stream, baton) = thread.join().unwrap();
    }
    baton.check(&mut stream);
    sim.assert_clean();
}
