//! Random histories, judged twice: by the device, and by a model so plain that it cannot share the device's mistakes.
//!
//! The model keeps every access, and finds what is ordered by walking a graph of all commands, byte by byte. It knows nothing
//! of clocks or segments. Where it finds no race, the bytes must be those of the commands run one after the other.

use crate::support::*;
use tidegate_core::{Access, Batch, Command, Device, MemoryId, Region, Stages, Ticket};
use tidegate_sim::{Prng, Rule, Setup, Sim};

/// Bytes of each of the four buffers that histories use: few, so that commands collide.
const SPACE: u64 = 128;
const QUEUES: u32 = 3;

/// One command as the model knows it.
struct Step {
    ticket: Ticket,
    index: usize,
    touches: Vec<(Region, Access)>,
    /// For every earlier step, whether it comes after and sees it.
    sees: Vec<bool>,
}

/// Orders commands by searching a graph: for each, back over the barriers and waits of its queue.
#[derive(Default)]
struct Model {
    steps: Vec<Step>,
    /// Per queue, all that was submitted.
    queues: [Vec<Item>; QUEUES as usize],
    bytes: Vec<Vec<u8>>,
    races: Vec<(Ticket, usize)>,
}

enum Item {
    Open(Vec<Ticket>),
    Close(u64),
    Barrier(Stages, Stages),
    Step(usize, Stages),
}

impl Model {
    fn new() -> Self {
        Self {
            bytes: vec![vec![0; SPACE as usize]; 4],
            ..Self::default()
        }
    }

    fn submit(&mut self, batch: &Batch, ticket: Ticket) {
        let queue = ticket.queue as usize;
        self.queues[queue].push(Item::Open(batch.waits.clone()));
        let opening = batch.opening;
        self.queues[queue].push(Item::Barrier(opening.before, opening.after));
        for (index, command) in batch.commands.iter().enumerate() {
            if let Command::Barrier(it) = command {
                self.queues[queue].push(Item::Barrier(it.before, it.after));
                continue;
            }
            let mut sees = vec![false; self.steps.len()];
            self.walk(queue, self.queues[queue].len(), command.stage(), &mut sees);
            let step = Step {
                ticket,
                index,
                touches: touches(batch, command),
                sees,
            };
            self.judge(&step);
            let number = self.steps.len();
            self.queues[queue].push(Item::Step(number, command.stage()));
            self.steps.push(step);
            self.run(batch, command);
        }
        self.queues[queue].push(Item::Close(ticket.value));
    }

    /// Marks what a command of `stage` at `end` of `queue` comes after, walking back. A barrier that reaches the command hands
    /// on its `before` stages: their earlier commands, and what earlier barriers handed to them.
    fn walk(&self, queue: usize, end: usize, stage: Stages, seen: &mut [bool]) {
        let mut handed_on = Stages::NONE;
        let mut own_batch = true;
        for item in self.queues[queue][..end].iter().rev() {
            match item {
                Item::Barrier(before, after) if meets(*after, stage.union(handed_on)) => {
                    handed_on = handed_on.union(*before);
                }
                Item::Step(step, stage) if handed_on.contains(*stage) => self.mark(*step, seen),
                Item::Open(waits) => {
                    if own_batch || !handed_on.is_empty() {
                        waits.iter().for_each(|it| self.mark_up_to(*it, seen));
                    }
                    own_batch = false;
                }
                _ => {}
            }
        }
    }

    /// Marks the batches up to `ticket` and all that they came after.
    fn mark_up_to(&self, ticket: Ticket, seen: &mut [bool]) {
        for item in &self.queues[ticket.queue as usize] {
            match item {
                Item::Step(step, _) => self.mark(*step, seen),
                Item::Close(value) if *value >= ticket.value => return,
                _ => {}
            }
        }
    }

    fn mark(&self, step: usize, seen: &mut [bool]) {
        seen[step] = true;
        for (seen, sees) in seen.iter_mut().zip(&self.steps[step].sees) {
            *seen |= sees;
        }
    }

    /// A race is a byte whose last write it does not see, or, if it writes, whose reads since then it does not come after.
    /// One race is noted for each region that the command touches.
    fn judge(&mut self, step: &Step) {
        for (region, access) in &step.touches {
            let mut bytes = region.offset..region.end();
            if bytes.any(|byte| self.races(step, *access, region.memory, byte)) {
                self.races.push((step.ticket, step.index));
            }
        }
    }

    fn races(&self, step: &Step, access: Access, memory: MemoryId, byte: u64) -> bool {
        for (earlier, sees) in self.steps.iter().zip(&step.sees).rev() {
            let here = |it: &&(Region, Access)| {
                it.0.memory == memory && (it.0.offset..it.0.end()).contains(&byte)
            };
            let mut touches = earlier.touches.iter().filter(here).peekable();
            let touched = touches.peek().is_some();
            let written = touches.any(|it| it.1.writes());
            if touched && (written || access.writes()) && !sees {
                return true;
            }
            if written {
                return false;
            }
        }
        false
    }

    fn run(&mut self, batch: &Batch, command: &Command) {
        let range = |it: &Region| it.offset as usize..it.end() as usize;
        match command {
            Command::Fill { target, pattern } => {
                let bytes = &mut self.bytes[target.memory.0 as usize][range(target)];
                for chunk in bytes.chunks_mut(4) {
                    chunk.copy_from_slice(&pattern.to_le_bytes());
                }
            }
            Command::Copy { source, target } => {
                let bytes = self.bytes[source.memory.0 as usize][range(source)].to_vec();
                self.bytes[target.memory.0 as usize][range(target)].copy_from_slice(&bytes);
            }
            Command::Upload { target, data } => {
                let bytes = &batch.data[data.range()];
                self.bytes[target.memory.0 as usize][range(target)].copy_from_slice(bytes);
            }
            Command::Launch(launch) => {
                let target = batch.bindings(launch)[0];
                let scalars = batch.scalars(launch);
                let (a, b) = (scalars[0], scalars[4]);
                let bytes = &mut self.bytes[target.memory.0 as usize][range(&target)];
                for chunk in bytes.chunks_mut(4) {
                    let x = u32::from_le_bytes(chunk.try_into().unwrap());
                    let y = x.wrapping_mul(a.into()).wrapping_add(b.into());
                    chunk.copy_from_slice(&y.to_le_bytes());
                }
            }
            _ => {}
        }
    }
}

fn meets(a: Stages, b: Stages) -> bool {
    [COMPUTE, TRANSFER]
        .iter()
        .any(|&it| a.contains(it) && b.contains(it))
}

fn touches(batch: &Batch, command: &Command) -> Vec<(Region, Access)> {
    match command {
        Command::Fill { target, .. } | Command::Upload { target, .. } => {
            vec![(*target, Access::Write)]
        }
        Command::Copy { source, target } => {
            vec![(*source, Access::Read), (*target, Access::Write)]
        }
        Command::Launch(launch) => vec![(batch.bindings(launch)[0], Access::ReadWrite)],
        _ => Vec::new(),
    }
}

/// A random region of a random buffer.
fn some_region(prng: &mut Prng, align: u64) -> Region {
    let blocks = SPACE / align;
    let first = prng.below(blocks);
    let bytes = align * (1 + prng.below((blocks - first).min(64 / align)));
    region(prng.below(4) as u32, first * align, bytes)
}

fn some_stages(prng: &mut Prng) -> Stages {
    *prng
        .pick(&[COMPUTE, TRANSFER, ALL, ALL, ALL, Stages::NONE])
        .unwrap()
}

/// A batch of a few random commands. The more `care`, of 100, the more of the barriers that are needed are there.
fn some_batch(prng: &mut Prng, queue: u32, last: &[u64], care: u64) -> Draft {
    let mut draft = batch();
    let barrier = |prng: &mut Prng| match prng.chance(care, 100) {
        true => (ALL, ALL),
        false => (some_stages(prng), some_stages(prng)),
    };
    let (before, after) = barrier(prng);
    draft = draft.open(before, after);
    for other in (0..QUEUES).filter(|&it| it != queue) {
        let value = last[other as usize];
        if value > 0 && prng.chance(care, 100) {
            draft = draft.wait(other, value);
        } else if value > 0 && prng.chance(1, 3) {
            draft = draft.wait(other, 1 + prng.below(value));
        }
    }
    for _ in 0..1 + prng.below(5) {
        draft = match prng.below(4) {
            0 => draft.fill(some_region(prng, 4), prng.next_u32()),
            1 => {
                let target = some_region(prng, 4);
                let mut bytes = vec![0; target.bytes as usize];
                prng.fill(&mut bytes);
                draft.upload(target, &bytes)
            }
            2 => {
                let source = some_region(prng, 4);
                let mut target = some_region(prng, 4);
                target.memory = MemoryId((source.memory.0 + 1 + prng.below(3) as u32) % 4);
                target.offset = target.offset.min(SPACE - source.bytes);
                target.bytes = source.bytes;
                draft.copy(source, target)
            }
            _ => {
                let scalars = [prng.next_u32() & 0xff, prng.next_u32() & 0xff];
                draft.launch(AFFINE, &[some_region(prng, 16)], &scalars)
            }
        };
        if prng.chance(care, 100) || prng.chance(1, 3) {
            let (before, after) = barrier(prng);
            draft = draft.barrier(before, after);
        }
    }
    draft.host_reads()
}

fn device(seed: u64) -> Sim {
    let mut setup = Setup::unified();
    setup.capabilities.queues = QUEUES;
    setup.trace = true;
    let sim = rig_with(seed, setup);
    for id in 0..4 {
        sim.write(MemoryId(id), 0, &vec![0; SPACE as usize])
            .unwrap();
    }
    sim
}

/// Runs a history of `batches` on a device and on the model; what both think of it, and the bytes of both.
fn history(seed: u64, batches: u64, care: u64) -> (Sim, Model, Vec<Vec<u8>>) {
    let prng = &mut Prng::new(seed ^ 0x5eed);
    let sim = device(seed);
    let mut model = Model::new();
    let mut last = [0; QUEUES as usize];
    for _ in 0..batches {
        let queue = prng.below(u64::from(QUEUES)) as u32;
        let value = last[queue as usize] + 1;
        let draft = some_batch(prng, queue, &last, care);
        last[queue as usize] = value;
        model.submit(&draft.0, ticket(queue, value));
        draft.submit(&sim, queue, value);
    }
    for queue in 0..QUEUES {
        if last[queue as usize] > 0 {
            wait(&sim, queue, last[queue as usize]);
        }
    }
    let bytes = (0..4).map(|id| read(&sim, region(id, 0, SPACE))).collect();
    (sim, model, bytes)
}

#[test]
fn the_race_detector_agrees_with_the_graph_of_all_commands() {
    let (mut clean, mut racy) = (0, 0);
    for seed in 0..3000 {
        let care = [0, 50, 80, 95, 100][(seed % 5) as usize];
        let (sim, model, bytes) = history(seed, 1 + seed % 7, care);
        let found = sim.violations();
        assert!(found.iter().all(|it| it.rule == Rule::Race), "{found:?}");
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.ticket.unwrap(), it.command.unwrap()))
            .collect();
        assert_eq!(
            found,
            model.races[..model.races.len().min(64)],
            "seed {seed}\n{}",
            sim.trace()
        );
        if found.is_empty() {
            assert_eq!(bytes, model.bytes, "seed {seed}\n{}", sim.trace());
            clean += 1;
        } else {
            racy += 1;
        }
    }
    assert!(clean > 500 && racy > 500, "{clean} clean, {racy} racy");
}

#[test]
fn a_history_without_races_gives_the_bytes_of_its_commands_in_order() {
    for seed in 0..300 {
        let (sim, model, bytes) = history(seed, 40, 100);
        if model.races.is_empty() {
            sim.assert_clean();
            assert_eq!(bytes, model.bytes, "seed {seed}");
        }
    }
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    for seed in 0..50 {
        let (first, _, bytes) = history(seed, 10, 60);
        let (second, _, again) = history(seed, 10, 60);
        assert_eq!(bytes, again);
        assert_eq!(first.trace(), second.trace());
        assert_eq!(first.violations(), second.violations());
    }
    assert_ne!(history(1, 10, 60).0.trace(), history(2, 10, 60).0.trace());
}
