//! What one device is set up with, and what it saw: its seed, its limits, the faults that it has in store, and the rules broken on it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::rules::{Rule, Violation, lock, record, violations};

/// How the next device of a thread is made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setup {
    /// Fixes delays and orders, as far as threads allow.
    pub seed: u64,
    /// The longest that a committed command buffer lies idle, in microseconds.
    pub delay_us_max: u64,
    /// The device's largest buffer, in bytes.
    pub buffer_bytes_max: u64,
    /// What the device recommends to allocate in all, in bytes.
    pub working_set_bytes: u64,
    /// Resources that may exist at a time; Metal fails near 499,000.
    pub resources_max: u64,
    /// Whether host and device share memory.
    pub unified: bool,
    /// Whether the system has residency sets.
    pub residency_sets: bool,
    /// Faults from the start.
    pub faults: Vec<Fault>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 0,
            delay_us_max: 200,
            buffer_bytes_max: 8 << 30,
            working_set_bytes: 12 << 30,
            resources_max: 499_000,
            unified: true,
            residency_sets: true,
            faults: Vec::new(),
        }
    }
}

impl Setup {
    /// The usual device with another seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }
}

/// Which command buffer fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The one committed after this many others of the device.
    Commit(u64),
    /// The next that has an encoder of this label, in that encoder.
    Encoder(String),
}

/// How a command buffer fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which command buffer.
    pub target: Target,
    /// A code of `MTLCommandBufferError`: 2 is a timeout, 3 a page fault, 8 out of memory.
    pub code: isize,
    /// Whether the events that it signals after the fault are signalled all the same. Apple does not say; nothing lets the seed decide.
    pub signals: Option<bool>,
}

/// What is to go wrong, once each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The system has no device. For [`Setup::faults`].
    NoDevice,
    /// The next queue is nil.
    NoQueue,
    /// After this many others, a buffer is nil: no memory is left.
    NoBuffer(u64),
    /// After this many others, a command buffer is nil.
    NoCommandBuffer(u64),
    /// After this many others, a shared event is nil.
    NoEvent(u64),
    /// After this many others, a pipeline is refused.
    NoPipeline(u64),
    /// A command buffer fails.
    Fails(Failure),
    /// A command buffer never completes.
    Hangs(Target),
}

/// What the objects of one device share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    state: Mutex<State>,
    random: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    violations: Vec<Violation>,
    alive: BTreeMap<&'static str, usize>,
}

thread_local! {
    static NEXT: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

impl World {
    fn new(setup: Setup) -> Arc<Self> {
        let state = State {
            faults: setup.faults.clone(),
            ..State::default()
        };
        Arc::new(Self {
            random: AtomicU64::new(mix(setup.seed)),
            state: Mutex::new(state),
            bytes: AtomicU64::new(0),
            setup,
        })
    }

    /// That of the thread's observer; without one a new one, seeded with `TIDEGATE_SOFTMETAL_SEED`.
    pub(crate) fn current() -> Arc<Self> {
        NEXT.with_borrow(Clone::clone).unwrap_or_else(|| {
            let seed = std::env::var("TIDEGATE_SOFTMETAL_SEED").ok();
            let seed = seed.and_then(|it| it.parse().ok());
            Self::new(Setup::seeded(seed.unwrap_or(0)))
        })
    }

    /// A number below `bound`, which is not 0 (SplitMix64).
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let at = self.random.fetch_add(step, Ordering::Relaxed);
        mix(at.wrapping_add(step)) % bound.max(1)
    }

    /// Names a broken rule. Unwinds, unless the thread unwinds already.
    pub(crate) fn broke(&self, rule: Rule, detail: impl Into<String>) {
        let violation = self.noted(rule, detail);
        if !std::thread::panicking() {
            std::panic::panic_any(violation.to_string());
        }
    }

    /// Names a broken rule on a thread of the device, where nobody would catch a panic.
    pub(crate) fn noted(&self, rule: Rule, detail: impl Into<String>) -> Violation {
        let violation = record(rule, detail.into());
        lock(&self.state).violations.push(violation.clone());
        violation
    }

    /// Names a broken rule unless `holds`.
    pub(crate) fn require(&self, holds: bool, rule: Rule, detail: impl FnOnce() -> String) {
        if !holds {
            self.broke(rule, detail());
        }
    }

    /// Takes the first fault that `due` says has come. `due` may count down.
    pub(crate) fn fault(&self, mut due: impl FnMut(&mut Fault) -> bool) -> Option<Fault> {
        let mut state = lock(&self.state);
        let at = state.faults.iter_mut().position(&mut due)?;
        Some(state.faults.remove(at))
    }

    /// Takes the first fault that `left` gives a count of, once the count has come to 0. True if there was one.
    pub(crate) fn counted(&self, left: impl Fn(&mut Fault) -> Option<&mut u64>) -> bool {
        self.fault(|it| left(it).is_some_and(counted)).is_some()
    }

    /// Counts allocated bytes. False if the device has no room.
    pub(crate) fn allocate(&self, bytes: u64) -> bool {
        let resources = lock(&self.state)
            .alive
            .get("MTLBuffer")
            .copied()
            .unwrap_or(0);
        let add = |now: u64| {
            now.checked_add(bytes)
                .filter(|it| *it <= self.setup.working_set_bytes * 2)
        };
        (resources as u64) < self.setup.resources_max
            && self
                .bytes
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
                .is_ok()
    }

    pub(crate) fn free(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn allocated(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Counts a fault's delay down; true when it has come.
pub(crate) fn counted(left: &mut u64) -> bool {
    if *left == 0 {
        return true;
    }
    *left -= 1;
    false
}

fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Counts one object of a device while it lives, under its protocol's name.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) world: Arc<World>,
    class: &'static str,
}

impl Live {
    pub(crate) fn new(world: &Arc<World>, class: &'static str) -> Self {
        *lock(&world.state).alive.entry(class).or_default() += 1;
        Self {
            world: Arc::clone(world),
            class,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(count) = lock(&self.world.state).alive.get_mut(self.class) {
            *count -= 1;
        }
    }
}

/// What lives and belongs to no device.
#[derive(Clone, Copy, Debug)]
struct Strays {
    blocks: usize,
    data: usize,
}

impl Strays {
    fn count() -> Self {
        let census = crate::runtime::census();
        let data = census.objects.get("OS_dispatch_data").copied();
        Self {
            blocks: census.blocks,
            data: data.unwrap_or(0),
        }
    }

    fn exceed(self, before: Self) -> bool {
        self.blocks > before.blocks || self.data > before.data
    }
}

/// Sets up the devices that this thread makes while it exists, and watches them.
#[derive(Debug)]
pub struct Observer {
    world: Arc<World>,
    strays: Strays,
    /// How many violations the process had.
    logged: usize,
}

impl Observer {
    /// From now on this thread's devices are made as `setup` says.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let world = World::new(setup);
        NEXT.set(Some(Arc::clone(&world)));
        Self {
            world,
            strays: Strays::count(),
            logged: violations().len(),
        }
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Fault) {
        lock(&self.world.state).faults.push(fault);
    }

    /// Faults that have not come yet.
    pub fn pending(&self) -> Vec<Fault> {
        lock(&self.world.state).faults.clone()
    }

    /// Rules broken on these devices.
    pub fn violations(&self) -> Vec<Violation> {
        lock(&self.world.state).violations.clone()
    }

    /// Metal objects of these devices that live, by protocol.
    pub fn alive(&self) -> BTreeMap<&'static str, usize> {
        let state = lock(&self.world.state);
        let alive = state.alive.iter().filter(|(_, count)| **count > 0);
        alive.map(|(class, count)| (*class, *count)).collect()
    }

    /// Bytes of the buffers that live.
    pub fn allocated(&self) -> u64 {
        self.world.allocated()
    }

    /// Everything that is wrong at the end of a test: rules that were broken, and what was leaked. The device's threads let go of their last objects a moment after a
    /// wait returns, so that it waits for them, but not for long. Blocks, libdispatch's data and the runtime's own rules belong to no device and count for the process.
    pub fn faults_at_end(&self) -> Vec<Violation> {
        let end = Instant::now() + Duration::from_secs(5);
        let mut strays = Strays::count();
        while (!self.alive().is_empty() || strays.exceed(self.strays)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
            strays = Strays::count();
        }
        let mut all = self.violations();
        let runtimes = [
            Rule::Zombie,
            Rule::OverRelease,
            Rule::NoPool,
            Rule::UnknownSelector,
        ];
        let logged = violations().into_iter().skip(self.logged);
        all.extend(logged.filter(|it| runtimes.contains(&it.rule)));
        all.extend(self.alive().into_iter().map(|(class, count)| Violation {
            rule: Rule::LeakedObject,
            detail: format!("{count} of {class}"),
        }));
        let leaked = [
            (
                Rule::LeakedBlock,
                "blocks",
                strays.blocks,
                self.strays.blocks,
            ),
            (
                Rule::LeakedObject,
                "dispatch data",
                strays.data,
                self.strays.data,
            ),
        ];
        let leaked = leaked.into_iter().filter(|it| it.2 > it.3);
        all.extend(leaked.map(|(rule, what, now, before)| Violation {
            rule,
            detail: format!("{} {what}", now - before),
        }));
        all
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        NEXT.with_borrow_mut(|next| {
            if next.as_ref().is_some_and(|it| Arc::ptr_eq(it, &self.world)) {
                *next = None;
            }
        });
    }
}
