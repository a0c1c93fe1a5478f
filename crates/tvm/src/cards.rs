//! The devices, by TVM's index, and their streams.

use std::collections::HashMap;
use std::env;
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tidegate::{Device, Event, Policy, Stream};

use crate::addresses::{Addresses, Allocation};
use crate::error::{Error, Result, bail};
use crate::found::Found;
use crate::kernel::Kernel;
use crate::tracing::Tracing;

/// A device that is open.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) index: i32,
    pub(crate) device: Device,
    /// TVM's null stream.
    first: Line,
    /// The others, by the handles that TVM has.
    lines: Mutex<HashMap<u64, Line>>,
    pub(crate) tracing: Tracing,
}

/// A stream that several threads may use, one at a time.
pub(crate) type Line = Arc<Mutex<Stream>>;

/// What a process has of this runtime.
#[derive(Debug)]
pub(crate) struct Runtime {
    found: Mutex<Option<Found>>,
    pub(crate) addresses: Addresses,
    policy: Mutex<Option<Policy>>,
    /// Whether kernels check their indices.
    checks: Mutex<Option<bool>>,
    /// An error that a call could not return, for the next one.
    left: Mutex<Option<Error>>,
    has_left: AtomicBool,
    closed: AtomicBool,
    forked: AtomicBool,
    next_line: AtomicU64,
    /// Every kernel that there is, to be forgotten at the end.
    kernels: Mutex<Vec<Weak<Kernel>>>,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// This process's runtime. Nothing of it depends on a device yet.
pub(crate) fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(Runtime::new)
}

impl Runtime {
    fn new() -> Self {
        Self {
            found: Mutex::new(None),
            addresses: Addresses::default(),
            policy: Mutex::new(None),
            checks: Mutex::new(None),
            left: Mutex::new(None),
            has_left: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            forked: AtomicBool::new(false),
            next_line: AtomicU64::new(1),
            kernels: Mutex::default(),
        }
    }

    /// Whether a call may go on. Before any lock: after a fork, a thread that is not here any more may hold one.
    pub(crate) fn enter(&self) -> Result<()> {
        if self.forked.load(Ordering::Relaxed) {
            bail!(
                "this process was forked from one that had opened a device, and a device does not survive a fork: start it anew (multiprocessing's \"spawn\"), or fork before the first use"
            );
        }
        if self.closed.load(Ordering::Relaxed) {
            bail!("the runtime was closed, as the process ends");
        }
        if self.has_left.load(Ordering::Relaxed) {
            self.has_left.store(false, Ordering::Relaxed);
            if let Some(error) = lock(&self.left).take() {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether memory may still be freed: not in a forked child, where it is not ours, and not after the end, when it is gone.
    pub(crate) fn may_free(&self) -> bool {
        !self.forked.load(Ordering::Relaxed) && !self.closed.load(Ordering::Relaxed)
    }

    /// Keeps an error for the next call.
    pub(crate) fn leave(&self, error: Error) {
        lock(&self.left).get_or_insert(error);
        self.has_left.store(true, Ordering::Relaxed);
    }

    /// Number of devices.
    pub(crate) fn len(&self) -> Result<usize> {
        self.with_found(|found| Ok(found.slots.len()))
    }

    /// The device of an index, which is opened if it was not.
    pub(crate) fn card(&self, index: i32) -> Result<Arc<Card>> {
        let policy = self.policy()?;
        self.checks()?;
        self.with_found(|found| found.card(index, policy))
    }

    /// All devices that are open.
    pub(crate) fn open_cards(&self) -> Vec<Arc<Card>> {
        let found = lock(&self.found);
        let slots = found.iter().flat_map(|it| &it.slots);
        slots.filter_map(|it| it.card.clone()).collect()
    }

    fn with_found<T>(&self, with: impl FnOnce(&mut Found) -> Result<T>) -> Result<T> {
        let mut found = lock(&self.found);
        if found.is_none() {
            *found = Some(Found::new()?);
            at_fork();
        }
        match found.as_mut() {
            Some(found) => with(found),
            None => bail!("no device was looked for"),
        }
    }

    /// The policy of every stream: what was set, or the environment's.
    pub(crate) fn policy(&self) -> Result<Policy> {
        let mut policy = lock(&self.policy);
        if let Some(policy) = *policy {
            return Ok(policy);
        }
        let made = match env::var("TIDEGATE_POLICY") {
            Ok(name) => parse_policy(&name)
                .map_err(|Error(why)| Error(format!("TIDEGATE_POLICY: {why}")))?,
            Err(_) => Policy::default(),
        };
        *policy = Some(made);
        Ok(made)
    }

    /// Sets the policy of every stream there is and will be.
    pub(crate) fn set_policy(&self, name: &str) -> Result<()> {
        let made = parse_policy(name)?;
        *lock(&self.policy) = Some(made);
        for card in self.open_cards() {
            for line in card.all_lines() {
                lock(&line).set_policy(made);
            }
        }
        Ok(())
    }

    /// Whether the kernels that are compiled now check their indices: what was set, or the environment's.
    pub(crate) fn checks(&self) -> Result<bool> {
        let mut checks = lock(&self.checks);
        if let Some(checks) = *checks {
            return Ok(checks);
        }
        let made = match env::var("TIDEGATE_CHECKS").as_deref() {
            Ok("on") | Err(_) => true,
            Ok("off") => false,
            Ok(other) => bail!("TIDEGATE_CHECKS is `{other}`: on or off"),
        };
        *checks = Some(made);
        Ok(made)
    }

    /// Says whether kernels that are compiled from now on check their indices.
    pub(crate) fn set_checks(&self, on: bool) {
        *lock(&self.checks) = Some(on);
    }

    /// Memory of a device, and its first address.
    pub(crate) fn allocate(&self, index: i32, bytes: usize, alignment: usize) -> Result<u64> {
        let card = self.card(index)?;
        if alignment > 1 && !alignment.is_power_of_two() {
            bail!("an alignment of {alignment} bytes was asked for, which is not a power of two");
        }
        self.addresses.add(card.allocate(bytes)?)
    }

    /// Remembers a kernel for as long as it lives.
    pub(crate) fn add_kernel(&self, kernel: &Arc<Kernel>) {
        let mut kernels = lock(&self.kernels);
        // As often as it doubles.
        if kernels.len() == kernels.capacity() {
            kernels.retain(|it| it.strong_count() > 0);
        }
        kernels.push(Arc::downgrade(kernel));
    }

    /// Ends the use of every device, as the process ends: drivers do not like to be left at work.
    pub(crate) fn close(&self) {
        if self.forked.load(Ordering::Relaxed) || self.closed.swap(true, Ordering::Relaxed) {
            return;
        }
        self.addresses.clear();
        for kernel in lock(&self.kernels).drain(..) {
            if let Some(kernel) = kernel.upgrade() {
                kernel.forget();
            }
        }
        for card in self.open_cards() {
            // There is nobody left to tell.
            let _ = card.synchronize_all();
        }
        *lock(&self.found) = None;
    }
}

impl Card {
    pub(crate) fn new(index: i32, device: Device, policy: Policy) -> Result<Arc<Self>> {
        let first = Arc::new(Mutex::new(device.stream_with(policy)?));
        Ok(Arc::new(Self {
            index,
            device,
            first,
            lines: Mutex::default(),
            tracing: Tracing::default(),
        }))
    }

    /// Memory on it. Kernels may bind it as any type: any vector of theirs fits at the end.
    pub(crate) fn allocate(self: &Arc<Self>, bytes: usize) -> Result<Allocation> {
        let padded = bytes
            .checked_next_multiple_of(64)
            .map_or(usize::MAX, |it| it.max(64));
        Ok(Allocation {
            card: Arc::clone(self),
            buffer: self.device.buffer::<u8>(padded)?,
            bytes: bytes as u64,
        })
    }

    /// The stream that TVM means by a handle; null is the first.
    pub(crate) fn line(&self, handle: u64) -> Result<Line> {
        if handle == 0 {
            return Ok(Arc::clone(&self.first));
        }
        match lock(&self.lines).get(&handle) {
            Some(line) => Ok(Arc::clone(line)),
            None => bail!(
                "{handle:#x} is not a stream of device {}, or it was freed",
                self.index
            ),
        }
    }

    pub(crate) fn create_line(&self) -> Result<u64> {
        let runtime = runtime();
        let stream = self.device.stream_with(runtime.policy()?)?;
        let handle = runtime.next_line.fetch_add(1, Ordering::Relaxed) << 4;
        lock(&self.lines).insert(handle, Arc::new(Mutex::new(stream)));
        Ok(handle)
    }

    /// Its work goes on; nobody waits for it here.
    pub(crate) fn free_line(&self, handle: u64) -> Result<()> {
        if handle == 0 {
            bail!("the default stream cannot be freed");
        }
        let line = self.line(handle)?;
        let end = self.device.event();
        // What was recorded is freed all the same.
        if lock(&line).record(&end).is_ok() {
            self.tracing.freed(end);
        }
        lock(&self.lines).remove(&handle);
        Ok(())
    }

    /// Waits until the work of a stream is complete. Other threads may record on it meanwhile.
    pub(crate) fn synchronize(&self, handle: u64) -> Result<()> {
        self.wait_for(&self.line(handle)?)
    }

    fn wait_for(&self, line: &Line) -> Result<()> {
        let event = self.device.event();
        lock(line).record(&event)?;
        event.synchronize()?;
        // What failed is told by the stream.
        lock(line).query()?;
        Ok(())
    }

    /// Makes what is recorded on `after` from now on come after what `before` has.
    pub(crate) fn order(&self, before: u64, after: u64) -> Result<()> {
        let event = self.device.event();
        lock(&*self.line(before)?).record(&event)?;
        Ok(lock(&*self.line(after)?).wait(&event)?)
    }

    /// Does something while all work is complete, that of freed streams too, and nobody can record more. It must not use a stream.
    pub(crate) fn while_idle<T>(&self, freed: &[Event], then: impl FnOnce() -> T) -> Result<T> {
        // In this order: whoever holds a stream takes no other lock of these.
        let lines = lock(&self.lines);
        let mut held: Vec<_> = iter::once(&self.first)
            .chain(lines.values())
            .map(|it| lock(it))
            .collect();
        let waited = held.iter_mut().try_for_each(|line| {
            line.synchronize()?;
            Ok(())
        });
        let freed = freed
            .iter()
            .try_for_each(|it| it.synchronize().map_err(Error::from));
        let made = then();
        waited.and(freed).map(|()| made)
    }

    /// Waits until the work of all its streams is complete.
    pub(crate) fn synchronize_all(&self) -> Result<()> {
        for line in self.all_lines() {
            self.wait_for(&line)?;
        }
        Ok(())
    }

    fn all_lines(&self) -> Vec<Line> {
        let mut all = vec![Arc::clone(&self.first)];
        all.extend(lock(&self.lines).values().cloned());
        all
    }
}

/// A lock whose holder panicked is taken all the same: what it guards stays whole.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse_policy(name: &str) -> Result<Policy> {
    match name {
        "adaptive" => Ok(Policy::Adaptive),
        "every-dispatch" => Ok(Policy::EveryDispatch),
        "until-sync" => Ok(Policy::UntilSync),
        _ => bail!("there is no policy `{name}`: adaptive, every-dispatch or until-sync"),
    }
}

/// Marks children of this process, from now on.
fn at_fork() {
    #[cfg(unix)]
    crate::bridge::at_fork();
}

/// Called in a child after a fork: stores a flag, and nothing that a signal handler could not.
pub(crate) fn forked() {
    if let Some(runtime) = RUNTIME.get() {
        runtime.forked.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tidegate::sim::Sim;
    use tidegate::{Limits, Status};

    use super::*;

    /// A simulated device, with two queues.
    pub(crate) fn card(policy: Policy) -> Arc<Card> {
        let device = Device::simulated(Sim::new(7), Limits::default());
        assert!(device.capabilities().queues > 1);
        Card::new(0, device, policy).unwrap()
    }

    #[test]
    fn a_stream_that_another_waits_for_is_submitted() {
        let card = card(Policy::UntilSync);
        let (one, other) = (card.create_line().unwrap(), card.create_line().unwrap());
        let memory = card.allocate(64).unwrap();
        let fill = |handle| {
            let line = card.line(handle).unwrap();
            lock(&line).fill(&memory.buffer, 1_u8).unwrap();
        };
        let status = |handle| lock(&card.line(handle).unwrap()).query().unwrap();
        fill(one);
        assert_eq!(status(one), Status::Pending);
        card.order(one, other).unwrap();
        assert_ne!(status(one), Status::Pending);
        card.free_line(one).unwrap();
        assert!(card.order(one, other).is_err());
        assert!(card.free_line(one).is_err());
        assert!(card.free_line(0).is_err());
        card.synchronize(other).unwrap();
    }

    #[test]
    fn nobody_records_while_all_is_idle() {
        let card = card(Policy::UntilSync);
        let (one, other) = (card.create_line().unwrap(), card.create_line().unwrap());
        let memory = card.allocate(64).unwrap();
        let end = |handle| {
            let event = card.device.event();
            let line = card.line(handle).unwrap();
            lock(&line).fill(&memory.buffer, 1_u8).unwrap();
            lock(&line).record(&event).unwrap();
            event
        };
        let (freed, kept) = (end(one), end(other));
        card.free_line(one).unwrap();
        let line = card.line(other).unwrap();
        let idle = || {
            assert!(freed.is_complete().unwrap() && kept.is_complete().unwrap());
            assert!(line.try_lock().is_err() && card.first.try_lock().is_err());
            assert!(card.lines.try_lock().is_err());
        };
        card.while_idle(std::slice::from_ref(&freed), idle).unwrap();
    }

    #[test]
    fn an_error_that_could_not_be_returned_is_the_next_calls() {
        let runtime = Runtime::new();
        assert_eq!(runtime.enter(), Ok(()));
        runtime.leave(Error("first".to_owned()));
        runtime.leave(Error("second".to_owned()));
        assert_eq!(runtime.enter(), Err(Error("first".to_owned())));
        assert_eq!(runtime.enter(), Ok(()));
        runtime.forked.store(true, Ordering::Relaxed);
        assert!(runtime.enter().is_err());
        assert!(!runtime.may_free());
    }

    #[test]
    fn policies_have_names() {
        assert_eq!(parse_policy("until-sync"), Ok(Policy::UntilSync));
        assert_eq!(parse_policy("every-dispatch"), Ok(Policy::EveryDispatch));
        assert_eq!(parse_policy("adaptive"), Ok(Policy::Adaptive));
        assert!(parse_policy("Adaptive ").is_err());
    }
}
