//! Who meets whom, and in which work.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use anyhow::Result;
use tidegate::{Device, Limits, Options, Policy};
use tidegate_measure::{Contender, Sample};

use crate::contest::{Entry, check};
use crate::peer::{self, Peer, PeerRow, PeerWork};
use crate::raw::{
    self, Bind, Family, Gpu, Parameters, RawRow, RawWork, RecordOnly, Signal, Submit,
};
use crate::script::{self, LAUNCHES, Script};
use crate::tide::{self, Mode, Recording, Tide, Two};

/// A contender of any kind.
pub type Row = Box<dyn Contender<anyhow::Error>>;

/// What workloads run on.
#[derive(Debug)]
pub struct Bench {
    /// Tidegate's device.
    pub device: Device,
    /// How it was opened.
    pub options: Options,
    /// Their queues, which hand-written Vulkan uses too. wgpu always takes the first family.
    pub family: Family,
    /// wgpu's device, if it has one: opened when a row first wants it, since a device that only exists may be in others' way.
    pub peer: OnceCell<Option<Rc<Peer>>>,
    /// Parts of `workload/row`; all rows if empty.
    pub rows: Vec<String>,
}

impl Bench {
    fn peer(&self) -> Result<Option<Rc<Peer>>> {
        if let Some(peer) = self.peer.get() {
            return Ok(peer.clone());
        }
        let peer = Peer::open(&self.device.capabilities().name)?.map(Rc::new);
        Ok(self.peer.get_or_init(|| peer).clone())
    }
}

/// One piece of work.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// What a step is.
    pub about: String,
    /// The row that the others are compared with.
    pub reference: &'static str,
    /// Launches of a step, or 0.
    pub launches: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Chain { workgroups: u32 },
    Independent,
    Distinct,
    Upload,
    Allocate,
    Readback,
    Weights { launches: u32 },
    Streams,
    Record,
}

/// Workgroups of a launch, where that is not what is compared.
const WORKGROUPS: u32 = 16;
/// On a software device the weights would not fit, and add nothing.
const WEIGHTS_SOFTWARE: u32 = 8;
/// A launch of more takes milliseconds on a software device, and shows nothing of what is compared here.
const WORKGROUPS_SOFTWARE_MAX: u32 = 256;

impl Workload {
    fn new(name: &str, reference: &'static str, kind: Kind, about: &str) -> Self {
        let launches = match kind {
            Kind::Weights { launches } => launches,
            Kind::Readback => 0,
            _ => LAUNCHES,
        };
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            reference,
            launches,
            kind,
        }
    }

    /// All of them, with the chain at each of these numbers of workgroups.
    pub fn all(workgroups: &[u32], software: bool) -> Vec<Self> {
        let fits = |it: &&u32| !software || **it <= WORKGROUPS_SOFTWARE_MAX;
        let chain = |workgroups: &u32| {
            let about = format!(
                "{LAUNCHES} launches of {}, each of which needs the one before",
                tidegate_measure::counted((*workgroups).into(), "workgroup")
            );
            let kind = Kind::Chain {
                workgroups: *workgroups,
            };
            Self::new(&format!("chain-{workgroups}"), "adaptive", kind, &about)
        };
        let launches = if software { WEIGHTS_SOFTWARE } else { LAUNCHES };
        let weights =
            format!("{launches} launches, each of which reads 4 MiB of weights of its own");
        let mut all: Vec<_> = workgroups.iter().filter(fits).map(chain).collect();
        all.extend([
            Self::new("distinct", "adaptive", Kind::Distinct, "a chain through 262 slots: 3 buffers and a scalar each, wgpu with a bind group each"),
            Self::new("independent", "adaptive", Kind::Independent, "262 launches of which none needs another"),
            Self::new("upload", "adaptive", Kind::Upload, "a chain, with 4 bytes uploaded before every tenth launch"),
            Self::new("allocate", "kept", Kind::Allocate, "a chain, with a scratch buffer that is kept, one kept for each launch, or a new one for each"),
            Self::new("readback",
                "tidegate-copy", Kind::Readback, "4 bytes copied from an idle stream and read"),
            Self::new("weights", "adaptive", Kind::Weights { launches }, &weights),
            Self::new("streams", "one", Kind::Streams, "one chain on one stream, or two chains on two, which share a queue or have one each"),
            Self::new("record", "raw-record-submit", Kind::Record, "recording a chain, the wait for it not counted"),
        ]);
        all
    }

    /// Its rows that are wanted, made and filled.
    ///
    /// # Errors
    /// A device cannot do it.
    pub fn rows(&self, bench: &Bench) -> Result<Vec<Row>> {
        let mut rows = Rows {
            bench,
            workload: &self.name,
            made: Vec::new(),
        };
        match self.kind {
            Kind::Chain { workgroups } => rows.chain(workgroups)?,
            Kind::Independent => rows.independent()?,
            Kind::Distinct => rows.distinct()?,
            Kind::Upload => rows.upload()?,
            Kind::Allocate => rows.allocate()?,
            Kind::Readback => rows.readback()?,
            Kind::Weights { launches } => rows.weights(launches)?,
            Kind::Streams => rows.streams()?,
            Kind::Record => rows.record()?,
        }
        Ok(rows.made)
    }
}

/// The rows of a workload, as they are made.
struct Rows<'a> {
    bench: &'a Bench,
    workload: &'a str,
    made: Vec<Row>,
}

impl Rows<'_> {
    fn wants(&self, row: &str) -> bool {
        let name = format!("{}/{row}", self.workload);
        self.bench.rows.is_empty() || self.bench.rows.iter().any(|it| name.contains(it))
    }

    fn tide(&mut self, script: &Rc<Script>, modes: &[(&'static str, Mode)]) -> Result<()> {
        for (name, mode) in modes {
            if self.wants(name) {
                let runner = Tide::new(&self.bench.device, script, *mode)?;
                self.made.push(Entry::boxed(name, script, runner));
            }
        }
        Ok(())
    }

    /// The rows of raw Vulkan share a device and its memory.
    fn raw(&mut self, script: &Rc<Script>, ways: &[(&'static str, raw::Way)]) -> Result<()> {
        let ways: Vec<_> = ways.iter().filter(|it| self.wants(it.0)).collect();
        if ways.is_empty() {
            return Ok(());
        }
        let work = Rc::new(RefCell::new(RawWork::new(
            &self.gpu(Signal::Timeline)?,
            script,
        )?));
        for (name, way) in ways {
            self.made
                .push(Entry::boxed(name, script, RawRow::new(&work, *way)));
        }
        Ok(())
    }

    fn peer(&mut self, script: &Rc<Script>, ways: &[(&'static str, peer::Way)]) -> Result<()> {
        let ways: Vec<_> = ways.iter().filter(|it| self.wants(it.0)).collect();
        if ways.is_empty() {
            return Ok(());
        }
        let Some(peer) = &self.bench.peer()? else {
            return Ok(());
        };
        let work = Rc::new(RefCell::new(PeerWork::new(peer, script)?));
        for (name, way) in ways {
            self.made
                .push(Entry::boxed(name, script, PeerRow::new(&work, *way)));
        }
        Ok(())
    }

    fn gpu(&self, signal: Signal) -> Result<Rc<Gpu>> {
        let name = &self.bench.device.capabilities().name;
        Ok(Rc::new(Gpu::open(name, self.bench.family, signal)?))
    }

    fn chain(&mut self, workgroups: u32) -> Result<()> {
        let script = script::chain(LAUNCHES, workgroups);
        self.tide(&script, &POLICIES)?;
        self.raw(
            &script,
            &[
                ("raw-each", Submit::Cut(1).into()),
                ("raw-one", Submit::One.into()),
                ("raw-cut-8", Submit::Cut(8).into()),
                ("raw-cut-16", Submit::Cut(16).into()),
                ("raw-cut-32", Submit::Cut(32).into()),
                ("raw-cut-64", Submit::Cut(64).into()),
                ("raw-replay", Submit::Replay.into()),
            ],
        )?;
        self.peer(&script, &[("wgpu-one-pass", peer::Way::Copy)])
    }

    fn independent(&mut self) -> Result<()> {
        let script = script::independent(LAUNCHES, WORKGROUPS);
        self.tide(&script, &POLICIES)?;
        self.raw(
            &script,
            &[
                ("raw-one", Submit::One.into()),
                ("raw-cut-32", Submit::Cut(32).into()),
                ("raw-replay", Submit::Replay.into()),
            ],
        )?;
        self.peer(&script, &[("wgpu-one-pass", peer::Way::Copy)])
    }

    fn distinct(&mut self) -> Result<()> {
        let script = script::distinct(LAUNCHES, WORKGROUPS);
        self.tide(&script, &POLICIES)?;
        let way = |submit, bind| raw::Way {
            submit,
            bind,
            parameters: Parameters::Staging,
        };
        let mut ways = vec![
            ("raw-one-sets", way(Submit::One, Bind::Sets)),
            ("raw-cut-32-sets", way(Submit::Cut(32), Bind::Sets)),
            ("raw-replay", way(Submit::Replay, Bind::Sets)),
        ];
        if self.gpu(Signal::Timeline)?.pushes() {
            ways.push(("raw-one-push", way(Submit::One, Bind::Push)));
            ways.push(("raw-cut-32-push", way(Submit::Cut(32), Bind::Push)));
        }
        self.raw(&script, &ways)?;
        self.peer(&script, &[("wgpu-bind-groups", peer::Way::Copy)])
    }

    fn upload(&mut self) -> Result<()> {
        let script = script::uploads(LAUNCHES, WORKGROUPS);
        self.tide(&script, &POLICIES)?;
        let arguments = script::arguments(LAUNCHES, WORKGROUPS);
        self.tide(&arguments, &[("graph-arguments", Mode::GraphArguments)])?;
        let way = |submit, parameters| raw::Way {
            submit,
            bind: Bind::Sets,
            parameters,
        };
        self.raw(
            &script,
            &[
                ("raw-staging", way(Submit::One, Parameters::Staging)),
                (
                    "raw-staging-cut-32",
                    way(Submit::Cut(32), Parameters::Staging),
                ),
                ("raw-ring", way(Submit::One, Parameters::Ring)),
                ("raw-ring-cut-32", way(Submit::Cut(32), Parameters::Ring)),
                ("raw-replay-ring", way(Submit::Replay, Parameters::Ring)),
            ],
        )?;
        self.peer(
            &script,
            &[
                ("wgpu-write", peer::Way::Write),
                ("wgpu-copy", peer::Way::Copy),
                ("wgpu-slots", peer::Way::Slots),
            ],
        )
    }

    fn allocate(&mut self) -> Result<()> {
        let script = script::scratch(LAUNCHES, WORKGROUPS);
        self.tide(
            &script,
            &[
                ("kept", Mode::Stream(Policy::Adaptive)),
                ("kept-262", Mode::Rotated),
                ("new", Mode::Fresh),
                ("new-waited", Mode::FreshWaited),
            ],
        )
    }

    fn readback(&mut self) -> Result<()> {
        let script = script::readback();
        let store = &script.stores[0];
        if self.wants("tidegate-copy") {
            // Reading device memory in place would be no copy to compare with others'.
            let copying = Device::open(&self.bench.options.clone().with_limits(Limits {
                direct: false,
                ..Limits::default()
            }))?;
            let runner = tide::Readback::new(&copying, store)?;
            self.made
                .push(Entry::boxed("tidegate-copy", &script, runner));
        }
        if self.wants("tidegate-direct") {
            let runner = tide::Readback::new(&self.bench.device, store)?;
            self.made
                .push(Entry::boxed("tidegate-direct", &script, runner));
        }
        for (name, signal, kept) in [
            ("raw-timeline", Signal::Timeline, false),
            ("raw-fence", Signal::Fence, false),
            ("raw-fence-kept", Signal::Fence, true),
        ] {
            if self.wants(name) {
                let runner = raw::Readback::new(&self.gpu(signal)?, store, kept)?;
                self.made.push(Entry::boxed(name, &script, runner));
            }
        }
        if self.wants("wgpu-map")
            && let Some(peer) = &self.bench.peer()?
        {
            let runner = peer::Readback::new(peer, store)?;
            self.made.push(Entry::boxed("wgpu-map", &script, runner));
        }
        Ok(())
    }

    fn weights(&mut self, launches: u32) -> Result<()> {
        let script = script::weights(launches);
        self.tide(&script, &POLICIES[1..])?;
        self.raw(
            &script,
            &[
                ("raw-one", Submit::One.into()),
                ("raw-cut-32", Submit::Cut(32).into()),
                ("raw-replay", Submit::Replay.into()),
            ],
        )?;
        self.peer(&script, &[("wgpu-one-pass", peer::Way::Copy)])
    }

    fn streams(&mut self) -> Result<()> {
        let script = script::chain(LAUNCHES, WORKGROUPS);
        let ways = [
            ("one", "two", Mode::Stream(Policy::Adaptive)),
            ("one-graph", "two-graphs", Mode::Graph),
        ];
        for (one, two, mode) in ways {
            self.tide(&script, &[(one, mode)])?;
            if self.wants(two) {
                self.made
                    .push(Two::boxed(two, &self.bench.device, &script, mode)?);
            }
        }
        for (name, queues) in [("two-sharing", 1), ("two-apart", 2)] {
            if self.wants(name) {
                let options = self.bench.options.clone().with_queues_max(queues);
                let device = Device::open(&options)?;
                let mode = Mode::Stream(Policy::Adaptive);
                self.made.push(Two::boxed(name, &device, &script, mode)?);
            }
        }
        Ok(())
    }

    fn record(&mut self) -> Result<()> {
        let script = script::chain(LAUNCHES, WORKGROUPS);
        for (name, flushes) in [("tidegate-record", false), ("tidegate-record-submit", true)] {
            if self.wants(name) {
                let way = Recorder::Tide(Box::new(Recording::new(
                    &self.bench.device,
                    &script,
                    flushes,
                )?));
                self.made.push(Recorded::boxed(name, &script, way));
            }
        }
        let work = Rc::new(RefCell::new(RawWork::new(
            &self.gpu(Signal::Timeline)?,
            &script,
        )?));
        for (name, submits) in [("raw-record", false), ("raw-record-submit", true)] {
            if self.wants(name) {
                let way = Recorder::Raw {
                    recording: RecordOnly::new(&work),
                    row: RawRow::new(&work, Submit::One),
                    submits,
                };
                self.made.push(Recorded::boxed(name, &script, way));
            }
        }
        Ok(())
    }
}

const POLICIES: [(&str, Mode); 4] = [
    ("every-dispatch", Mode::Stream(Policy::EveryDispatch)),
    ("until-sync", Mode::Stream(Policy::UntilSync)),
    ("adaptive", Mode::Stream(Policy::Adaptive)),
    ("graph", Mode::Graph),
];

/// A row whose clock stops before the wait.
struct Recorded {
    name: &'static str,
    script: Rc<Script>,
    way: Recorder,
}

enum Recorder {
    Tide(Box<Recording>),
    Raw {
        recording: RecordOnly,
        row: RawRow,
        submits: bool,
    },
}

impl Recorded {
    fn boxed(name: &'static str, script: &Rc<Script>, way: Recorder) -> Row {
        Box::new(Self {
            name,
            script: Rc::clone(script),
            way,
        })
    }
}

impl Contender<anyhow::Error> for Recorded {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, steps: u32) -> Result<Sample> {
        let mut sample = Sample::default();
        for _ in 0..steps {
            let start = Instant::now();
            match &mut self.way {
                Recorder::Tide(it) => it.record()?,
                Recorder::Raw {
                    recording,
                    submits: true,
                    ..
                } => recording.submit()?,
                Recorder::Raw { recording, .. } => recording.record()?,
            }
            sample.elapsed += start.elapsed();
            match &mut self.way {
                Recorder::Tide(it) => it.wait()?,
                Recorder::Raw {
                    recording,
                    submits: true,
                    ..
                } => recording.wait()?,
                Recorder::Raw { .. } => {}
            }
        }
        Ok(sample)
    }

    fn check(&mut self) -> Result<()> {
        match &mut self.way {
            Recorder::Tide(it) => check(self.name, it.tide(), &self.script),
            Recorder::Raw { row, .. } => check(self.name, row, &self.script),
        }
    }
}
