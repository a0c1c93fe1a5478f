//! A script through Tidegate's public interface.

use std::rc::Rc;

use anyhow::{Result, bail};
use tidegate::{Buffer, Device, Graph, Kernel, Policy, Stream};
use tidegate_measure::{Contender, Sample};

use crate::contest::{Runner, check};
use crate::script::{Launch, Op, Place, Script, Store, mix, parameter};

/// How a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Launch by launch, under a policy.
    Stream(Policy),
    /// As a graph. Uploads are not part of it: the step's parameters go up together before it, each into a slot of its own.
    Graph,
    /// As a graph, of which the arguments that are parameters are changed before each launch of it.
    GraphArguments,
    /// As [`Mode::Fresh`], with buffers that are kept, one for each launch: what other arguments each time cost, without the allocating.
    Rotated,
    /// As [`Mode::Stream`], with store 1 allocated anew for each launch and dropped after it.
    Fresh,
    /// As [`Mode::Fresh`], and before each drop the host waits, as other runtimes do.
    FreshWaited,
}

/// Words from one parameter of a graph to the next: no device asks for a larger alignment.
const APART: usize = 64;

/// A script on a stream of its own.
#[derive(Debug)]
pub struct Tide {
    device: Device,
    stream: Stream,
    script: Rc<Script>,
    mode: Mode,
    kernels: Vec<Kernel>,
    stores: Vec<Vec<Buffer<u32>>>,
    /// A scratch buffer for each launch, for [`Mode::Rotated`].
    kept: Vec<Buffer<u32>>,
    /// A step's parameters, for a graph.
    slots: Option<Buffer<u32>>,
    words: Vec<u32>,
    graph: Option<Graph>,
    steps: u64,
}

impl Tide {
    /// Makes and fills everything.
    ///
    /// # Errors
    /// The device's.
    pub fn new(device: &Device, script: &Rc<Script>, mode: Mode) -> Result<Self> {
        let policy = match mode {
            Mode::Stream(policy) => policy,
            _ => Policy::Adaptive,
        };
        let mut stream = device.stream_with(policy)?;
        let module = device.module_from_wgsl(script.source)?;
        let kernels = script.kernels.iter().map(|it| module.kernel(it.name));
        let kernels = kernels.collect::<Result<_, _>>()?;
        let mut stores = Vec::new();
        for store in &script.stores {
            let slots = (0..store.slots).map(|it| stream.upload_new(&store.content(it)));
            stores.push(slots.collect::<Result<_, _>>()?);
        }
        let uploads = script
            .ops
            .iter()
            .filter(|it| matches!(it, Op::Upload(_)))
            .count();
        let mut made = Self {
            device: device.clone(),
            stream,
            script: Rc::clone(script),
            mode,
            kernels,
            stores,
            kept: Vec::new(),
            slots: None,
            words: vec![0; uploads * APART],
            graph: None,
            steps: 0,
        };
        if mode == Mode::Graph && uploads > 0 {
            made.slots = Some(made.stream.upload_new(&made.words)?);
        }
        if matches!(mode, Mode::Graph | Mode::GraphArguments) {
            made.graph = Some(made.capture()?);
        }
        made.stream.synchronize()?;
        Ok(made)
    }

    fn capture(&mut self) -> Result<Graph> {
        let (script, stores, kernels) = (&self.script, &self.stores, &self.kernels);
        let (slots, parameters) = (&self.slots, script.parameters);
        let mut slot = 0;
        let graph = self.stream.capture(|stream| {
            for op in &script.ops {
                let launch = match op {
                    Op::Upload(index) => {
                        slot = *index as usize * APART;
                        continue;
                    }
                    Op::Launch(launch) => launch,
                };
                let kernel = &kernels[launch.kernel];
                match (slots, &launch.places[..]) {
                    (Some(slots), [x, p]) if Some(p.store) == parameters => {
                        let parameter = slots.slice(slot..slot + 1)?;
                        stream.launch(
                            kernel,
                            script.workgroups,
                            (buffer(stores, *x), parameter),
                        )?;
                    }
                    _ => launch_on(stream, kernel, script.workgroups, launch, stores)?,
                }
            }
            Ok(())
        })?;
        Ok(graph)
    }

    /// Records a step and waits for nothing.
    ///
    /// # Errors
    /// The device's.
    pub fn record(&mut self) -> Result<()> {
        match self.mode {
            Mode::Stream(_) => self.record_stream()?,
            Mode::Graph => self.launch_graph()?,
            Mode::GraphArguments => {
                self.change_arguments()?;
                self.launch_graph()?;
            }
            Mode::Rotated => self.record_rotated()?,
            Mode::Fresh | Mode::FreshWaited => self.record_fresh()?,
        }
        self.steps += 1;
        Ok(())
    }

    fn record_stream(&mut self) -> Result<()> {
        let workgroups = self.script.workgroups;
        for op in &self.script.ops {
            match op {
                Op::Launch(launch) => {
                    let kernel = &self.kernels[launch.kernel];
                    launch_on(&mut self.stream, kernel, workgroups, launch, &self.stores)?;
                }
                Op::Upload(index) => {
                    let store = self.script.parameters.unwrap_or_default();
                    let word = [parameter(self.steps, *index)];
                    self.stream.upload(&self.stores[store][0], &word)?;
                }
            }
        }
        Ok(())
    }

    fn launch_graph(&mut self) -> Result<()> {
        if let Some(slots) = &self.slots {
            for (index, word) in (0..).zip(self.words.iter_mut().step_by(APART)) {
                *word = parameter(self.steps, index);
            }
            self.stream.upload(slots, &self.words)?;
        }
        if let Some(graph) = &self.graph {
            self.stream.launch_graph(graph)?;
        }
        Ok(())
    }

    fn change_arguments(&mut self) -> Result<()> {
        let Some(graph) = &mut self.graph else {
            return Ok(());
        };
        let launches = self.script.ops.iter().filter_map(|it| match it {
            Op::Launch(launch) => Some(launch),
            Op::Upload(_) => None,
        });
        for (at, launch) in launches.enumerate() {
            if let (Some(index), [x, p]) = (launch.parameter, &launch.places[..]) {
                let word = parameter(self.steps, index);
                let arguments = (buffer(&self.stores, *x), buffer(&self.stores, *p), word);
                graph.set_arguments(&mut self.stream, at, arguments)?;
            }
        }
        Ok(())
    }

    fn record_rotated(&mut self) -> Result<()> {
        let (workgroups, x) = (self.script.workgroups, &self.stores[0][0]);
        for _ in self.kept.len()..self.script.ops.len() {
            self.kept.push(self.device.buffer(x.len())?);
        }
        for scratch in &self.kept {
            self.stream
                .launch(&self.kernels[0], workgroups, (x, scratch))?;
        }
        Ok(())
    }

    fn record_fresh(&mut self) -> Result<()> {
        let (workgroups, x) = (self.script.workgroups, &self.stores[0][0]);
        for _ in 0..self.script.ops.len() {
            let scratch = self.device.buffer::<u32>(x.len())?;
            self.stream
                .launch(&self.kernels[0], workgroups, (x, &scratch))?;
            if self.mode == Mode::FreshWaited {
                self.stream.synchronize()?;
            }
        }
        Ok(())
    }

    /// Lets through what is recorded, and does not wait.
    ///
    /// # Errors
    /// The device's.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.stream.flush()?)
    }

    /// Waits for what was recorded.
    ///
    /// # Errors
    /// The device's.
    pub fn synchronize(&mut self) -> Result<()> {
        Ok(self.stream.synchronize()?)
    }
}

fn buffer(stores: &[Vec<Buffer<u32>>], place: Place) -> &Buffer<u32> {
    &stores[place.store][place.slot as usize]
}

fn launch_on(
    stream: &mut Stream,
    kernel: &Kernel,
    workgroups: u32,
    launch: &Launch,
    stores: &[Vec<Buffer<u32>>],
) -> Result<(), tidegate::Error> {
    let at = |place: &Place| buffer(stores, *place);
    // Tuples, as a program has them: a list made at run time would cost more than the launch of a kernel known beforehand.
    match (&launch.places[..], launch.scalar) {
        ([a], None) => stream.launch(kernel, workgroups, (at(a),)),
        ([a, b], None) => stream.launch(kernel, workgroups, (at(a), at(b))),
        ([a, b], Some(s)) => stream.launch(kernel, workgroups, (at(a), at(b), s)),
        ([a, b, c], Some(s)) => stream.launch(kernel, workgroups, (at(a), at(b), at(c), s)),
        // No script has it; Tidegate then says that the arguments do not fit.
        _ => stream.launch(kernel, workgroups, ()),
    }
}

impl Runner for Tide {
    fn step(&mut self) -> Result<()> {
        self.record()?;
        self.synchronize()
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn read(&mut self, place: Place) -> Result<Vec<u32>> {
        let buffer = buffer(&self.stores, place);
        Ok(self.stream.download(buffer)?.wait()?)
    }

    fn counts(&self) -> (u64, u64) {
        let it = self.device.counters();
        (it.submissions, it.barriers)
    }
}

/// Two streams that do the same script, launch by launch in turn.
#[derive(Debug)]
pub struct Two {
    name: &'static str,
    streams: [Tide; 2],
}

impl Two {
    /// On two streams of one device.
    ///
    /// # Errors
    /// The device's.
    pub fn boxed(
        name: &'static str,
        device: &Device,
        script: &Rc<Script>,
        mode: Mode,
    ) -> Result<Box<dyn Contender<anyhow::Error>>> {
        let made = || Tide::new(device, script, mode);
        Ok(Box::new(Self {
            name,
            streams: [made()?, made()?],
        }))
    }

    fn step(&mut self) -> Result<()> {
        let script = Rc::clone(&self.streams[0].script);
        if self.streams[0].graph.is_some() {
            self.streams.iter_mut().try_for_each(Tide::record)?;
        } else {
            for op in &script.ops {
                let Op::Launch(launch) = op else {
                    bail!("two streams have no uploads");
                };
                for it in &mut self.streams {
                    let kernel = &it.kernels[launch.kernel];
                    launch_on(
                        &mut it.stream,
                        kernel,
                        script.workgroups,
                        launch,
                        &it.stores,
                    )?;
                }
            }
            for it in &mut self.streams {
                it.flush()?;
                it.steps += 1;
            }
        }
        self.streams.iter_mut().try_for_each(Tide::synchronize)
    }
}

impl Contender<anyhow::Error> for Two {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, steps: u32) -> Result<Sample> {
        let before = self.streams[0].counts();
        let start = std::time::Instant::now();
        for _ in 0..steps {
            self.step()?;
        }
        let elapsed = start.elapsed();
        let after = self.streams[0].counts();
        Ok(Sample {
            elapsed,
            submissions: after.0 - before.0,
            barriers: after.1 - before.1,
            launches: 0,
        })
    }

    fn check(&mut self) -> Result<()> {
        for it in &mut self.streams {
            let script = Rc::clone(&it.script);
            check(self.name, it, &script)?;
        }
        Ok(())
    }
}

/// Recording alone: what a launch costs the CPU. The wait comes after the clock has stopped.
#[derive(Debug)]
pub struct Recording {
    tide: Tide,
    /// Whether what is recorded is also encoded and submitted.
    flushes: bool,
}

impl Recording {
    /// A stream that holds everything back until it is flushed.
    ///
    /// # Errors
    /// The device's.
    pub fn new(device: &Device, script: &Rc<Script>, flushes: bool) -> Result<Self> {
        Ok(Self {
            tide: Tide::new(device, script, Mode::Stream(Policy::UntilSync))?,
            flushes,
        })
    }

    /// A step's launches.
    ///
    /// # Errors
    /// The device's.
    pub fn record(&mut self) -> Result<()> {
        self.tide.record()?;
        if self.flushes {
            self.tide.flush()?;
        }
        Ok(())
    }

    /// Waits for them.
    ///
    /// # Errors
    /// The device's.
    pub fn wait(&mut self) -> Result<()> {
        self.tide.synchronize()
    }

    /// The stream, to check it.
    pub fn tide(&mut self) -> &mut Tide {
        &mut self.tide
    }
}

/// Each step downloads another word from an idle stream.
#[derive(Debug)]
pub struct Readback {
    stream: Stream,
    buffer: Buffer<u32>,
    device: Device,
    steps: u64,
    mixed: u32,
}

impl Readback {
    /// Makes and fills everything.
    ///
    /// # Errors
    /// The device's.
    pub fn new(device: &Device, store: &Store) -> Result<Self> {
        let mut stream = device.stream()?;
        let buffer = stream.upload_new(&store.content(0))?;
        stream.synchronize()?;
        Ok(Self {
            stream,
            buffer,
            device: device.clone(),
            steps: 0,
            mixed: 0,
        })
    }
}

impl Runner for Readback {
    fn step(&mut self) -> Result<()> {
        let at = (self.steps % self.buffer.len() as u64) as usize;
        let word = self.buffer.slice(at..at + 1)?;
        let mut into = [0];
        self.stream.download(word)?.wait_into(&mut into)?;
        self.mixed = mix(self.mixed, into[0]);
        self.steps += 1;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn read(&mut self, _: Place) -> Result<Vec<u32>> {
        Ok(vec![self.mixed])
    }

    fn counts(&self) -> (u64, u64) {
        let it = self.device.counters();
        (it.submissions, it.barriers)
    }
}
