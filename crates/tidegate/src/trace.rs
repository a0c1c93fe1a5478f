//! What happened when, for people and for trace viewers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tidegate_core::{TraceEvent, TraceKind};

/// A trace that [`Device::end_trace`](crate::Device::end_trace) gave: the host's recording, submissions and waits, and what the device ran, on one clock.
#[derive(Clone, Debug)]
pub struct Trace {
    /// By the time when they began.
    events: Vec<TraceEvent>,
    /// The row of each within its track: what overlaps stands in different rows.
    rows: Vec<u32>,
    dropped: u64,
}

/// What the launches of one kernel took on the device, or all copies, fills or small uploads.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KernelTime {
    /// The kernel's name; `copy`, `fill` or `upload` for those.
    pub name: String,
    /// How often it ran.
    pub count: u64,
    /// Nanoseconds on the device, all together. Launches that run at the same time count in full each.
    pub total_ns: u64,
    /// Nanoseconds of the longest.
    pub longest_ns: u64,
    /// Bytes that it was given, all together. A kernel need not touch all of them.
    pub bytes: u64,
}

/// One event of a trace, as a timeline shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slice {
    /// The line that it stands on, as `queue 0: GPU runs`.
    pub track: String,
    /// What it is called.
    pub name: String,
    /// When it began, in nanoseconds from the first event.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

/// A line of the trace: the device's or the host's side of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    Record,
    Submit,
    Run,
    Wait,
}

impl Track {
    fn of(kind: &TraceKind) -> Option<Self> {
        match kind {
            TraceKind::Record { .. } => Some(Self::Record),
            TraceKind::Submit { .. } => Some(Self::Submit),
            TraceKind::Run { .. } => Some(Self::Run),
            TraceKind::Wait => Some(Self::Wait),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Record => "CPU records",
            Self::Submit => "CPU submits",
            Self::Run => "GPU runs",
            Self::Wait => "CPU waits",
        }
    }
}

impl Trace {
    pub(crate) fn new(raw: tidegate_core::Trace) -> Self {
        let mut events = raw.events;
        events.sort_by_key(|it| (it.start_ns, it.end_ns));
        let mut ends: BTreeMap<(u32, Option<Track>), Vec<u64>> = BTreeMap::new();
        let row = |event: &TraceEvent| {
            let key = (event.ticket.queue, Track::of(&event.kind));
            let ends = ends.entry(key).or_default();
            let free = ends.iter().position(|end| *end <= event.start_ns);
            let row = free.unwrap_or(ends.len());
            match ends.get_mut(row) {
                Some(end) => *end = event.end_ns,
                None => ends.push(event.end_ns),
            }
            row as u32
        };
        Self {
            rows: events.iter().map(row).collect(),
            events,
            dropped: raw.dropped,
        }
    }

    /// Traces of one device that were taken one after the other, as one.
    #[must_use]
    pub fn joined(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut raw = tidegate_core::Trace::default();
        for part in parts {
            raw.events.extend(part.events);
            raw.dropped += part.dropped;
        }
        Self::new(raw)
    }

    /// Everything that was traced, by the time when it began.
    pub fn events(&self) -> &[TraceEvent] {
        &self.events
    }

    /// Events that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What each kernel took on the device, the longest in total first. Empty on a device that cannot tell.
    pub fn kernels(&self) -> Vec<KernelTime> {
        let mut kernels: BTreeMap<&str, KernelTime> = BTreeMap::new();
        for event in &self.events {
            let TraceKind::Run { name, bytes, .. } = &event.kind else {
                continue;
            };
            let took = event.end_ns.saturating_sub(event.start_ns);
            let name = name.as_str();
            let row = kernels.entry(name).or_insert_with(|| KernelTime {
                name: name.to_owned(),
                count: 0,
                total_ns: 0,
                longest_ns: 0,
                bytes: 0,
            });
            row.count += 1;
            row.total_ns += took;
            row.longest_ns = row.longest_ns.max(took);
            row.bytes += bytes;
        }
        let mut rows: Vec<_> = kernels.into_values().collect();
        rows.sort_by(|a, b| b.total_ns.cmp(&a.total_ns).then(a.name.cmp(&b.name)));
        rows
    }

    /// Nanoseconds during which the device ran at least one command, and from the first event to the last.
    pub fn busy_ns(&self) -> (u64, u64) {
        let first = self.events.iter().map(|it| it.start_ns).min().unwrap_or(0);
        let last = self.events.iter().map(|it| it.end_ns).max().unwrap_or(0);
        let (mut busy, mut until) = (0, 0);
        // They are sorted by when they began.
        let runs = self.events.iter();
        for event in runs.filter(|it| matches!(it.kind, TraceKind::Run { .. })) {
            let start = event.start_ns.max(until);
            busy += event.end_ns.saturating_sub(start);
            until = until.max(event.end_ns);
        }
        (busy, last - first)
    }

    /// The trace as Chrome and Perfetto read it: JSON in the Trace Event Format, a track for each side of each queue, times in microseconds from the first event.
    pub fn to_json(&self) -> String {
        let mut json = String::from("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
        let mut separator = "";
        let tracks = self.tracks();
        for (at, track) in tracks.iter().enumerate() {
            let (id, name) = (at + 1, track_name(*track));
            // Writing to a string does not fail, here and below.
            let _ = write!(
                json,
                "{separator}\n{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":{id},\"args\":{{\"name\":\"{name}\"}}}}"
            );
            separator = ",";
        }
        let first = self.events.first().map_or(0, |it| it.start_ns);
        for (event, key) in self.drawn() {
            let track = key.1;
            let id = tracks.binary_search(&key).map_or(0, |it| it + 1);
            let start = microseconds(event.start_ns - first);
            let took = microseconds(event.end_ns.saturating_sub(event.start_ns));
            let name = escaped(&label(event));
            let _ = write!(
                json,
                "{separator}\n{{\"ph\":\"X\",\"name\":\"{name}\",\"cat\":\"{}\",\"pid\":1,\"tid\":{id},\"ts\":{start},\"dur\":{took},\"args\":{{\"ticket\":{}{}}}}}",
                track.name(),
                event.ticket.value,
                details(&event.kind)
            );
            separator = ",";
        }
        json.push_str("\n]}\n");
        json
    }

    /// The trace as a timeline shows it, by the time when each event began.
    pub fn slices(&self) -> impl Iterator<Item = Slice> {
        let first = self.events.first().map_or(0, |it| it.start_ns);
        self.drawn().map(move |(event, key)| Slice {
            track: track_name(key),
            name: label(event),
            start_ns: event.start_ns - first,
            end_ns: event.end_ns.max(event.start_ns) - first,
        })
    }

    /// The events that have a track, each with its queue, track and row.
    fn drawn(&self) -> impl Iterator<Item = (&TraceEvent, (u32, Track, u32))> {
        let all = self.events.iter().zip(&self.rows);
        all.filter_map(|(event, row)| {
            let track = Track::of(&event.kind)?;
            Some((event, (event.ticket.queue, track, *row)))
        })
    }

    /// The tracks that have events, in the order in which they are shown.
    fn tracks(&self) -> Vec<(u32, Track, u32)> {
        let mut tracks: Vec<_> = self.drawn().map(|it| it.1).collect();
        tracks.sort_unstable();
        tracks.dedup();
        tracks
    }
}

fn track_name((queue, track, row): (u32, Track, u32)) -> String {
    let name = track.name();
    match row {
        0 => format!("queue {queue}: {name}"),
        more => format!("queue {queue}: {name} ({})", more + 1),
    }
}

/// What an event is called.
fn label(event: &TraceEvent) -> String {
    match &event.kind {
        TraceKind::Record { commands } => format!("record {commands}"),
        TraceKind::Submit { cause, .. } => format!("submit ({})", cause.name()),
        TraceKind::Run { name, .. } => name.as_str().to_owned(),
        _ => "wait".to_owned(),
    }
}

/// More members of an event's `args`, each after a comma.
fn details(kind: &TraceKind) -> String {
    match kind {
        TraceKind::Record { commands } => format!(",\"commands\":{commands}"),
        TraceKind::Submit {
            commands, barriers, ..
        } => format!(",\"commands\":{commands},\"barriers\":{barriers}"),
        TraceKind::Run {
            bytes, workgroups, ..
        } => format!(",\"bytes\":{bytes},\"workgroups\":{workgroups}"),
        _ => String::new(),
    }
}

/// Nanoseconds in microseconds, exactly.
fn microseconds(nanoseconds: u64) -> String {
    format!("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000)
}

/// A string's inside in JSON. (RFC 8259, section 7.)
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use tidegate_core::Ticket;

    use super::*;

    /// Viewers drop what overlaps in one track.
    #[test]
    fn what_overlaps_stands_in_rows_of_its_own() {
        let event = |start_ns, end_ns| TraceEvent {
            kind: TraceKind::Wait,
            ticket: Ticket { queue: 0, value: 1 },
            start_ns,
            end_ns,
        };
        let trace = Trace::new(tidegate_core::Trace {
            events: vec![event(0, 10), event(5, 8), event(8, 20), event(10, 12)],
            dropped: 0,
        });
        let rows: Vec<_> = trace.slices().map(|it| it.track).collect();
        let (one, two) = ("queue 0: CPU waits", "queue 0: CPU waits (2)");
        assert_eq!(rows, [one, two, two, one]);
        assert_eq!(trace.to_json().matches("thread_name").count(), 2);
        let twice = Trace::joined([trace.clone(), trace]);
        assert_eq!(twice.events().len(), 8);
        assert!(twice.events().is_sorted_by_key(|it| it.start_ns));
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("a\"b\\c\n\u{1}é"), "a\\\"b\\\\c\\u000a\\u0001é");
    }

    #[test]
    fn times_are_exact() {
        assert_eq!(microseconds(0), "0.000");
        assert_eq!(microseconds(1_234_567), "1234.567");
    }
}
