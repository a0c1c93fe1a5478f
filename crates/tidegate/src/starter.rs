//! Starts work that is still held back when the device has nothing else to do, even if the caller makes no further call.
//!
//! Core has no thread, so this one looks after each open device. While there is work it looks every [`PERIOD`]; after [`ROUNDS_QUIET`] rounds without any it sleeps, and the
//! first launch wakes it, which costs every other launch one load.

mod doze;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tidegate_core::Watch;

use crate::backend::{AnyContext, AnyDevice};
use doze::Doze;

/// What [`doze`] is made of: a model checker gives it its own.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};
    pub(super) use std::thread::{Thread, park};
}

/// Between two looks. The promise is a millisecond; threads wake up late.
const PERIOD: Duration = Duration::from_micros(300);
/// Looks without work before the thread sleeps: some 10 milliseconds, so that a program that records now and then does not wake it each time.
const ROUNDS_QUIET: u32 = 32;

/// Wakes the thread. Clones wake the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bell(Option<Arc<Doze>>);

impl Bell {
    /// Called after work was recorded.
    #[inline]
    pub(crate) fn ring(&self) {
        if let Some(doze) = &self.0 {
            doze.end();
        }
    }
}

/// Ends the thread when it is dropped, and returns when it has ended.
struct Starter {
    /// The process that has the thread.
    process: u32,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Starter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A child of fork has no such thread to wait for. It has no way to panic; if it has, it is over all the same.
            if self.process == std::process::id() {
                let _ = thread.join();
            }
        }
    }
}

/// Looks after `context` until its last handle is dropped. Without a thread, which a system may refuse, work starts when the caller's next call says so.
pub(crate) fn start(context: &AnyContext) -> Bell {
    let ended = Arc::new(AtomicBool::new(false));
    let (watch, stop) = (context.watch(), Arc::clone(&ended));
    let (send, receive) = std::sync::mpsc::sync_channel::<Arc<Doze>>(1);
    let body = move || {
        if let Ok(doze) = receive.recv() {
            run(&watch, &doze, &stop);
        }
    };
    let Ok(thread) = thread::Builder::new()
        .name("tidegate".to_owned())
        .spawn(body)
    else {
        return Bell::default();
    };
    let doze = Arc::new(Doze::new(thread.thread().clone()));
    let _ = send.send(Arc::clone(&doze));
    context.accompany(Box::new(Starter {
        process: std::process::id(),
        ended,
        thread: Some(thread),
    }));
    Bell(Some(doze))
}

fn run(watch: &Watch<AnyDevice>, doze: &Doze, ended: &AtomicBool) {
    let mut quiet = 0;
    while !ended.load(Ordering::Acquire) {
        quiet = if watch.nudge() { 0 } else { quiet + 1 };
        if quiet < ROUNDS_QUIET {
            thread::park_timeout(PERIOD);
            continue;
        }
        doze.off(|| watch.nudge() || ended.load(Ordering::Acquire));
        quiet = 0;
    }
}
