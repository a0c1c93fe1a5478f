//! Events: values that grow, which command buffers and the host wait for and signal.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::gpu::Gpu;
use crate::rules::{Rule, lock};

/// An event's value and who waits for it.
pub(crate) struct Event {
    value: Mutex<Value>,
    changed: Condvar,
    gpu: Arc<Gpu>,
}

/// Called once with the value that was reached.
type Listener = Box<dyn FnOnce(u64) + Send>;

#[derive(Default)]
struct Value {
    now: u64,
    listeners: Vec<(u64, Listener)>,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("value", &self.value())
            .finish_non_exhaustive()
    }
}

impl Event {
    pub(crate) fn new(gpu: &Arc<Gpu>) -> Arc<Self> {
        Arc::new(Self {
            value: Mutex::default(),
            changed: Condvar::new(),
            gpu: Arc::clone(gpu),
        })
    }

    pub(crate) fn value(&self) -> u64 {
        lock(&self.value).now
    }

    /// Sets the value from the host, and tells the device. A value below the event's own changes nothing.
    pub(crate) fn set(&self, value: u64) {
        let _ = self.raise(value);
        self.gpu.wake();
    }

    /// Sets the value. The device, which calls this under its lock, looks again by itself.
    pub(crate) fn signal(&self, value: u64) {
        if let Err(now) = self.raise(value) {
            let text = format!("a signal of {value} where {now} was");
            self.gpu.world.noted(Rule::EventValue, text);
        }
    }

    /// Sets the value, unless the event has more already.
    fn raise(&self, value: u64) -> Result<(), u64> {
        let mut it = lock(&self.value);
        if value < it.now {
            return Err(it.now);
        }
        it.now = value;
        let (due, rest) = std::mem::take(&mut it.listeners)
            .into_iter()
            .partition(|(at, _)| *at <= value);
        it.listeners = rest;
        drop(it);
        self.changed.notify_all();
        for (_, listener) in due {
            self.gpu.call(Box::new(move || listener(value)));
        }
        Ok(())
    }

    /// Calls `listener` on the thread for handlers once the value is reached.
    pub(crate) fn listen(&self, at: u64, listener: Listener) {
        let mut it = lock(&self.value);
        let now = it.now;
        if now < at {
            it.listeners.push((at, listener));
            return;
        }
        drop(it);
        self.gpu.call(Box::new(move || listener(now)));
    }

    /// Waits on the host. False if the time passed first.
    pub(crate) fn wait(&self, value: u64, timeout: Duration) -> bool {
        let end = Instant::now().checked_add(timeout);
        let mut it = lock(&self.value);
        while it.now < value {
            let left = end.map_or(Duration::from_secs(3600), |end| {
                end.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(it, left);
            it = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }
}
