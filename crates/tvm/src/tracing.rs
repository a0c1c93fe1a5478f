//! Traces: for people, and for timers. A device takes one at a time, so that they share it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tidegate::{Device, Event, Trace};

use crate::cards::{Card, lock, runtime};
use crate::error::{Result, bail};

/// Events of a trace, of all its parts together: some 100 MB of them.
const EVENTS_MAX: usize = 1 << 20;

/// Whether a trace for people is being taken.
static ON: AtomicBool = AtomicBool::new(false);

/// The trace of a device.
#[derive(Debug, Default)]
pub(crate) struct Tracing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Those who have begun, and not ended yet.
    users: usize,
    /// Whether the device tells when it ran commands.
    tells: bool,
    /// Whether people's trace is one of the users.
    people: bool,
    /// What was taken so far, for all of them.
    parts: Vec<Arc<Trace>>,
    /// The ends of streams that were freed meanwhile: their work is traced too.
    freed: Vec<Event>,
}

impl Tracing {
    /// Begins, or joins in. Says whether the device tells when it ran commands.
    pub(crate) fn begin(&self, device: &Device) -> bool {
        let mut state = lock(&self.0);
        if state.users == 0 {
            // A lost device tells nothing, and says so to whoever uses it.
            state.tells = device.start_trace(EVENTS_MAX).unwrap_or(false);
        }
        state.users += 1;
        state.tells
    }

    /// Begins for people, once: a device may be opened while their trace starts.
    pub(crate) fn begin_for_people(&self, device: &Device) {
        if !std::mem::replace(&mut lock(&self.0).people, true) {
            self.begin(device);
        }
    }

    /// Ends for people. Nothing if their trace has not begun here.
    fn end_for_people(&self, card: &Card) -> Result<Vec<Arc<Trace>>> {
        if std::mem::take(&mut lock(&self.0).people) {
            self.end(card)
        } else {
            Ok(Vec::new())
        }
    }

    /// Ends, for one who has begun: everything since the first of those who are at it began.
    pub(crate) fn end(&self, card: &Card) -> Result<Vec<Arc<Trace>>> {
        let mut state = lock(&self.0);
        let freed = std::mem::take(&mut state.freed);
        // What has not run yet would be missing, for the others too. Nobody records until the next trace has begun, so that nothing is.
        card.while_idle(&freed, || {
            state.parts.extend(card.device.end_trace().map(Arc::new));
            let parts = state.parts.clone();
            state.users = state.users.saturating_sub(1);
            if state.users == 0 {
                state.parts.clear();
            } else {
                let held: usize = parts.iter().map(|it| it.events().len()).sum();
                let again = card.device.start_trace(EVENTS_MAX.saturating_sub(held));
                state.tells = again.unwrap_or(false);
            }
            parts
        })
    }

    /// Notes the end of a stream that is freed.
    pub(crate) fn freed(&self, end: Event) {
        let mut state = lock(&self.0);
        if state.users > 0 {
            state
                .freed
                .retain(|it| !matches!(it.is_complete(), Ok(true)));
            state.freed.push(end);
        }
    }

    /// Ends, for one who does not want to know.
    pub(crate) fn abandon(&self, device: &Device) {
        let mut state = lock(&self.0);
        state.users = state.users.saturating_sub(1);
        if state.users == 0 {
            (state.parts, state.freed) = (Vec::new(), Vec::new());
            drop(device.end_trace());
        }
    }
}

#[cfg(test)]
impl Tracing {
    pub(crate) fn users(&self) -> usize {
        lock(&self.0).users
    }

    pub(crate) fn freed_len(&self) -> usize {
        lock(&self.0).freed.len()
    }
}

/// Begins a trace of all devices, also of those that are opened later.
pub(crate) fn start() -> Result<()> {
    if ON.swap(true, Ordering::Relaxed) {
        bail!("a trace is being taken already");
    }
    for card in runtime().open_cards() {
        card.tracing.begin_for_people(&card.device);
    }
    Ok(())
}

/// Ends the trace of the open device at a position. The first ends all.
pub(crate) fn stop(position: i32) -> Result<Option<Trace>> {
    if position == 0 && !ON.swap(false, Ordering::Relaxed) {
        bail!("no trace is being taken");
    }
    let cards = runtime().open_cards();
    match usize::try_from(position).ok().and_then(|it| cards.get(it)) {
        Some(card) => {
            let parts = card.tracing.end_for_people(card)?;
            let parts = parts.into_iter().map(Arc::unwrap_or_clone);
            Ok(Some(Trace::joined(parts)))
        }
        None => Ok(None),
    }
}

/// What each kernel took, in JSON.
pub(crate) fn kernels(trace: &Trace) -> String {
    let rows: Vec<_> = trace
        .kernels()
        .into_iter()
        .map(|it| json!({ "name": it.name, "count": it.count, "total_ns": it.total_ns, "longest_ns": it.longest_ns }))
        .collect();
    json!(rows).to_string()
}

pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}
