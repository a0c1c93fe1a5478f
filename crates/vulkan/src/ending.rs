//! The end of the process. In `exit` a driver takes itself down, while other threads go on: NVIDIA's (580.159.04, 2026-11) ends the process by a signal if one of them is in any call then, or makes
//! one later. So that `exit` first waits, within a bound, until every thread has come out of the driver, and lets none in again.

use std::cell::Cell;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use crate::gate::Gate;
use crate::sync::AtomicU64;

static GATE: Gate = Gate(AtomicU64::new(0));

thread_local! {
    /// Whether this is the thread that ends the process.
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// How long a call waits for the end of the process before it says that it is near. A program that does not read errors shows none this way, and one whose end waits for its threads gets there.
const PAUSE: Duration = Duration::from_millis(500);

/// The right to call a driver. The process does not end meanwhile, unless that takes too long.
#[derive(Debug)]
pub(crate) struct Inside(&'static Gate);

impl Inside {
    /// None once the process is ending.
    pub(crate) fn enter() -> Option<Self> {
        Self::through(&GATE)
    }

    fn through(gate: &'static Gate) -> Option<Self> {
        gate.enter().then(|| Self(gate))
    }

    /// The same, but tells so only after a while, for a call that has to say something to its caller.
    pub(crate) fn enter_or_pause() -> Option<Self> {
        let inside = Self::enter();
        if inside.is_none() && !ENDS.get() {
            thread::sleep(PAUSE);
        }
        inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Whether the process is ending: what would be long in the driver comes out.
pub(crate) fn has_begun() -> bool {
    GATE.is_closed()
}

/// Has `exit` close the gate before it comes to what has been registered until now. Called, once each, after the calls in which a driver loads its parts: what they register runs later.
///
/// Not on Windows, which ends all other threads before it tells anybody.
pub(crate) fn notice(once: &Once) {
    #[cfg(unix)]
    once.call_once(|| {
        // SAFETY: the function may run at any time, on any thread, and any number of times: it closes the gate and waits. It is there as long as this library: the C library runs it where it
        // unloads one. It fails only for want of memory, and then nobody waits. POSIX, "atexit".
        let _ = unsafe { atexit(end) };
    });
}

#[cfg(unix)]
unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> std::ffi::c_int;
}

#[cfg(unix)]
extern "C" fn end() {
    /// Longer than a sleep in the driver. Only what is compiled takes longer.
    const WAIT: Duration = Duration::from_secs(2);
    const LOOK: Duration = Duration::from_micros(50);
    // Who is inside in a child of fork is not there.
    if crate::fork::check().is_err() {
        return;
    }
    ENDS.set(true);
    GATE.close();
    let start = std::time::Instant::now();
    while !GATE.is_empty() && start.elapsed() < WAIT {
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static OWN: Gate = Gate(AtomicU64::new(0));

    /// Who is refused was never inside.
    #[test]
    fn whoever_enters_leaves_once() {
        let inside = Inside::through(&OWN);
        OWN.close();
        assert!(inside.is_some() && Inside::through(&OWN).is_none());
        assert!(!OWN.is_empty());
        drop(inside);
        assert!(OWN.is_empty() && Inside::through(&OWN).is_none());
        assert!(OWN.is_empty());
    }
}
