//! Timers, on the device's clock where it has one.
//!
//! A timer takes a trace. Its work is what runs under the tickets between two events of its stream, and its time is from the begin of the first command to the end of the last. Neither start nor stop waits
//! for the device. A device that tells no times is timed by the host's clock, and then both wait.

use std::sync::Arc;
use std::time::Instant;

use tidegate::{Event, Ticket, TraceKind};

use crate::cards::{Card, lock, runtime};
use crate::error::{Result, bail};

/// A stretch of a stream's work that is timed.
#[derive(Debug)]
pub(crate) struct Timer {
    card: Arc<Card>,
    stream: u64,
    /// Whether the device tells when it ran commands.
    tells: bool,
    began: Mark,
    ended: Option<Mark>,
    /// What it took, once its trace has ended.
    took_ns: Option<u64>,
    /// Whether it takes a trace.
    traces: bool,
}

/// A moment of a stream.
#[derive(Debug)]
struct Mark {
    event: Event,
    /// When all before it was complete, on a device that tells no times.
    at: Option<Instant>,
}

impl Timer {
    pub(crate) fn start(card: Arc<Card>, stream: u64) -> Result<Self> {
        let tells = card.tracing.begin(&card.device);
        let began =
            mark(&card, stream, tells).inspect_err(|_| card.tracing.abandon(&card.device))?;
        Ok(Self {
            card,
            stream,
            tells,
            began,
            ended: None,
            took_ns: None,
            traces: true,
        })
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        self.ended = Some(mark(&self.card, self.stream, self.tells)?);
        Ok(())
    }

    /// Waits for the work, and says how long it took.
    pub(crate) fn elapsed_ns(&mut self) -> Result<i64> {
        if self.took_ns.is_none() {
            self.took_ns = Some(self.measure()?);
        }
        let took = self.took_ns.unwrap_or(0);
        Ok(i64::try_from(took).unwrap_or(i64::MAX))
    }

    fn measure(&mut self) -> Result<u64> {
        if self.ended.is_none() {
            self.stop()?;
        }
        let Some(ended) = &self.ended else {
            return Ok(0);
        };
        if let (Some(from), Some(to)) = (self.began.at, ended.at) {
            return Ok(u64::try_from((to - from).as_nanos()).unwrap_or(u64::MAX));
        }
        if !std::mem::take(&mut self.traces) {
            bail!("the timer's measurement failed before: start it again");
        }
        let parts = self.card.tracing.end(&self.card)?;
        let events = parts.iter().flat_map(|it| it.events());
        let mut seen = Seen::default();
        for event in events {
            match event.kind {
                TraceKind::Run { .. } => {
                    seen.runs.push((event.ticket, event.start_ns, event.end_ns));
                }
                TraceKind::Submit { commands, .. } => seen.sent.push((event.ticket, commands)),
                _ => {}
            }
        }
        let took = seen.between(&self.began.event.tickets(), &ended.event.tickets());
        let dropped: u64 = parts.iter().map(|it| it.dropped()).sum();
        match took {
            (took, true) => Ok(took),
            // Nothing was lost, and the device may have run nothing at all.
            (took, false) if dropped == 0 => Ok(took),
            (_, false) => bail!(
                "the timer's work was more than a trace holds ({dropped} events were lost): time fewer calls at once"
            ),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if self.traces && runtime().may_free() {
            self.card.tracing.abandon(&self.card.device);
        }
    }
}

/// What a trace has of all streams' work.
#[derive(Debug, Default)]
struct Seen {
    /// Each command's submission, begin and end.
    runs: Vec<(Ticket, u64, u64)>,
    /// Each submission and its commands.
    sent: Vec<(Ticket, u32)>,
}

impl Seen {
    /// Nanoseconds from the begin of the first command between two moments to the end of the last, and whether each command between them was seen.
    fn between(&self, began: &[Ticket], ended: &[Ticket]) -> (u64, bool) {
        let value = |tickets: &[Ticket], queue| {
            let found = tickets.iter().find(|it| it.queue == queue);
            found.map(|it| it.value)
        };
        let inside = |ticket: Ticket| {
            value(ended, ticket.queue).is_some_and(|high| ticket.value <= high)
                && value(began, ticket.queue).is_none_or(|low| ticket.value > low)
        };
        let mut span: Option<(u64, u64)> = None;
        let mut ran = 0;
        for &(_, start, end) in self.runs.iter().filter(|it| inside(it.0)) {
            let (first, last) = span.unwrap_or((start, end));
            span = Some((first.min(start), last.max(end)));
            ran += 1;
        }
        let sent: Vec<_> = self.sent.iter().filter(|it| inside(it.0)).collect();
        let commands: u64 = sent.iter().map(|it| u64::from(it.1)).sum();
        // A queue counts its submissions, so that a lost one leaves a gap.
        let submissions = ended.iter().map(|it| {
            let low = value(began, it.queue);
            let first = sent.iter().filter(|sent| sent.0.queue == it.queue);
            let first = first.map(|sent| sent.0.value - 1).min();
            it.value - low.or(first).unwrap_or(it.value).min(it.value)
        });
        let whole = ran == commands && submissions.sum::<u64>() == sent.len() as u64;
        let took = span.map_or(0, |(first, last)| last.saturating_sub(first));
        (took, whole)
    }
}

fn mark(card: &Card, stream: u64, tells: bool) -> Result<Mark> {
    let event = card.device.event();
    let line = card.line(stream)?;
    {
        let mut line = lock(&line);
        line.flush()?;
        line.record(&event)?;
    }
    if tells {
        return Ok(Mark { event, at: None });
    }
    // Others may record meanwhile.
    event.synchronize()?;
    lock(&line).query()?;
    Ok(Mark {
        event,
        at: Some(Instant::now()),
    })
}

#[cfg(test)]
mod tests {
    use tidegate::Policy;

    use super::*;
    use crate::cards::tests::card;

    fn ticket(value: u64) -> Ticket {
        Ticket { queue: 0, value }
    }

    #[test]
    fn only_what_is_lost_between_its_marks_spoils_a_time() {
        let mut seen = Seen {
            runs: vec![
                (ticket(2), 5, 10),
                (ticket(3), 20, 30),
                (ticket(4), 25, 60),
                (ticket(5), 70, 90),
            ],
            // Of the second one command is missing.
            sent: vec![
                (ticket(2), 2),
                (ticket(3), 1),
                (ticket(4), 1),
                (ticket(5), 1),
            ],
        };
        let (began, ended) = ([ticket(2)], [ticket(4)]);
        assert_eq!(seen.between(&began, &ended), (40, true));
        assert_eq!(seen.between(&[ticket(1)], &ended), (55, false));
        assert_eq!(seen.between(&[], &ended), (55, false));
        assert_eq!(seen.between(&ended, &ended), (0, true));
        let lost = seen.sent.remove(2);
        assert_eq!(lost.0, ticket(4));
        assert_eq!(seen.between(&began, &ended), (40, false));
        seen.runs.remove(2);
        assert_eq!(seen.between(&began, &ended), (10, false));
    }

    #[test]
    fn a_device_that_tells_no_times_is_waited_for_at_both_marks() {
        let card = card(Policy::UntilSync);
        let memory = card.allocate(64).unwrap();
        let fill = || lock(&card.line(0).unwrap()).fill(&memory.buffer, 1_u8);
        fill().unwrap();
        let mut timer = Timer::start(Arc::clone(&card), 0).unwrap();
        assert!(!timer.tells);
        assert!(timer.began.event.is_complete().unwrap());
        fill().unwrap();
        timer.stop().unwrap();
        let ended = timer.ended.as_ref().unwrap();
        assert!(ended.event.is_complete().unwrap());
        let between = ended.at.unwrap() - timer.began.at.unwrap();
        let took = timer.elapsed_ns().unwrap();
        assert_eq!(u128::try_from(took).unwrap(), between.as_nanos());
        assert_eq!(timer.elapsed_ns(), Ok(took));
    }

    #[test]
    fn a_timer_ends_once_whatever_becomes_of_its_stream() {
        let card = card(Policy::Adaptive);
        let stream = card.create_line().unwrap();
        let mut timer = Timer::start(Arc::clone(&card), stream).unwrap();
        timer.stop().unwrap();
        let memory = card.allocate(64).unwrap();
        lock(&card.line(stream).unwrap())
            .fill(&memory.buffer, 1_u8)
            .unwrap();
        card.free_line(stream).unwrap();
        assert_eq!(card.tracing.freed_len(), 1);
        assert!(Timer::start(Arc::clone(&card), stream).is_err());
        timer.elapsed_ns().unwrap();
        timer.elapsed_ns().unwrap();
        drop(timer);
        assert_eq!(card.tracing.users(), 0);
    }
}
