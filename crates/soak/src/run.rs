//! Hands seeds to threads, until one fails, none is left or the time is over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tidegate_measure::counted;

use crate::Plan;
use crate::device::Target;
use crate::progress::Progress;

/// What came of a soak.
pub(crate) struct Outcome {
    /// Histories that ran to their end.
    pub(crate) cases: u64,
    pub(crate) took: Duration,
    pub(crate) failure: Option<Found>,
}

/// A seed that fails, with all that is needed to repeat it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) seed: u64,
    /// What is wrong.
    pub(crate) detail: String,
    /// The seed's calls, and those of them that are enough, a line each.
    pub(crate) calls: usize,
    pub(crate) history: String,
    pub(crate) calls_enough: usize,
    /// The devices, the limits and the faults.
    pub(crate) setting: String,
    /// The last batches that the device was given.
    pub(crate) batches: String,
}

/// A history that takes longer hangs: nothing may wait without a bound, and on the slowest device here one takes seconds.
const CASE_MAX: Duration = Duration::from_secs(120);

pub(crate) fn run(target: &Target, plan: &Plan) -> Outcome {
    let started = Instant::now();
    let next = AtomicU64::new(plan.seeds.start);
    let cases = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let running: Vec<Mutex<Option<(u64, Instant)>>> =
        (0..plan.threads).map(|_| Mutex::default()).collect();
    let (sender, found) = channel();
    let mut progress = Progress::new(plan);
    let panics = std::panic::take_hook();
    // A panic is a failure, and its words are in the report.
    std::panic::set_hook(Box::new(|_| {}));
    let failure = std::thread::scope(|scope| {
        for now in &running {
            let (next, cases, stop) = (&next, &cases, &stop);
            let sender = sender.clone();
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= plan.seeds.end {
                        return;
                    }
                    note(now, Some((seed, Instant::now())));
                    let result = target.run(seed, plan.commands);
                    note(now, None);
                    if let Err(found) = result {
                        stop.store(true, Ordering::Relaxed);
                        let _ = sender.send(*found);
                        return;
                    }
                    cases.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        drop(sender);
        loop {
            match found.recv_timeout(Duration::from_millis(100)) {
                Ok(found) => return Some(found),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            progress.set(cases.load(Ordering::Relaxed));
            if plan.time.is_some_and(|it| started.elapsed() >= it) {
                stop.store(true, Ordering::Relaxed);
            }
            end_if_stuck(target, plan, &running);
        }
    });
    std::panic::set_hook(panics);
    drop(progress);
    Outcome {
        cases: cases.into_inner(),
        took: started.elapsed(),
        failure,
    }
}

fn note(now: &Mutex<Option<(u64, Instant)>>, value: Option<(u64, Instant)>) {
    *now.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

/// A thread that hangs cannot be ended, so the program is, with the seed's name and the status of a failure.
fn end_if_stuck(target: &Target, plan: &Plan, running: &[Mutex<Option<(u64, Instant)>>]) {
    for now in running {
        let now = *now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seed, since)) = now
            && since.elapsed() > CASE_MAX
        {
            let words = format!(
                "seed {seed} on {} with {} has not ended in {} s, nor has its shrinking:\n{}",
                target.name(),
                counted(plan.commands as u64, "call"),
                CASE_MAX.as_secs(),
                target.history(seed, plan.commands),
            );
            use std::io::Write as _;
            let _ = writeln!(std::io::stdout(), "{words}");
            std::process::exit(1);
        }
    }
}
