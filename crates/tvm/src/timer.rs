//! Timers, on the device's clock where it has one.
//!
//! A timer takes a trace. Its work is what runs under the tickets between two events of its stream, and its time is from the begin of the first command to the end of the last. Neither start nor stop waits
//! for the device. A device that tells no times is timed by the host's clock, and then both wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tidegate::{Ticket, Trace, TraceKind};

use crate::cards::{Card, lock, runtime};
use crate::error::Result;

/// A stretch of a stream's work that is timed.
#[derive(Debug)]
pub(crate) struct Timer {
    card: Arc<Card>,
    stream: u64,
    began: Mark,
    ended: Option<Mark>,
    /// Whether its trace has ended.
    done: bool,
}

/// A moment of a stream.
#[derive(Debug)]
struct Mark {
    tickets: Vec<Ticket>,
    at: Instant,
}

/// Whether devices tell when they ran a command, as far as is known.
static TELLS: AtomicBool = AtomicBool::new(true);

impl Timer {
    pub(crate) fn start(index: i32, stream: u64) -> Result<Self> {
        let card = runtime().card(index)?;
        let began = mark(&card, stream)?;
        card.tracing.begin(&card.device);
        Ok(Self {
            card,
            stream,
            began,
            ended: None,
            done: false,
        })
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        self.ended = Some(mark(&self.card, self.stream)?);
        Ok(())
    }

    /// Waits for the work, and says how long it took.
    pub(crate) fn elapsed_ns(&mut self) -> Result<i64> {
        if self.ended.is_none() {
            self.stop()?;
        }
        let Some(ended) = &self.ended else {
            return Ok(0);
        };
        self.done = true;
        let parts = self.card.tracing.end(&self.card)?;
        let by_host = (ended.at - self.began.at).as_nanos();
        let took = match self.measure(&parts, ended) {
            Some(ns) => ns.into(),
            None if nothing_ran(&self.began, ended) => 0,
            None => {
                TELLS.store(false, Ordering::Relaxed);
                by_host
            }
        };
        Ok(i64::try_from(took).unwrap_or(i64::MAX))
    }

    /// From the begin of the first command to the end of the last. Nothing if that is not known.
    fn measure(&self, parts: &[Trace], ended: &Mark) -> Option<u64> {
        let value = |mark: &Mark, queue| {
            mark.tickets
                .iter()
                .find(|it| it.queue == queue)
                .map(|it| it.value)
        };
        let inside = |ticket: Ticket| {
            let (low, high) = (value(&self.began, ticket.queue), value(ended, ticket.queue));
            high.is_some_and(|high| ticket.value <= high)
                && low.is_none_or(|low| ticket.value > low)
        };
        if parts.iter().any(|it| it.dropped() > 0) {
            return None;
        }
        let runs = parts.iter().flat_map(Trace::events);
        let runs = runs.filter(|it| matches!(it.kind, TraceKind::Run { .. }) && inside(it.ticket));
        let span = runs.fold(None, |span: Option<(u64, u64)>, it| {
            let (first, last) = span.unwrap_or((it.start_ns, it.end_ns));
            Some((first.min(it.start_ns), last.max(it.end_ns)))
        });
        span.map(|(first, last)| last - first)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if !self.done && runtime().may_free() {
            self.card.tracing.abandon(&self.card.device);
        }
    }
}

fn mark(card: &Card, stream: u64) -> Result<Mark> {
    let event = card.device.event();
    let line = card.line(stream)?;
    let mut line = lock(&line);
    line.flush()?;
    line.record(&event)?;
    if !TELLS.load(Ordering::Relaxed) || card.device.capabilities().backend == "metal" {
        line.synchronize()?;
    }
    Ok(Mark {
        tickets: event.tickets(),
        at: Instant::now(),
    })
}

fn nothing_ran(began: &Mark, ended: &Mark) -> bool {
    began.tickets == ended.tickets
}
