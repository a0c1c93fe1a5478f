//! What happened when: recording, submissions, what the device ran, and waits, on the device's own clock ([`Device::now_ns`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use crate::batch::Batch;
use crate::command::{Command, Ticket};
use crate::context::{Context, Shared};
use crate::device::Device;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::policy::Cause;
use crate::state::State;

/// When a device ran one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The submission.
    pub ticket: Ticket,
    /// The command's index in [`Batch::commands`](crate::Batch::commands), barriers counted.
    pub command: u32,
    /// When it began, as [`Device::now_ns`] counts.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

/// What was traced.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// In no particular order.
    pub events: Vec<TraceEvent>,
    /// Events that found no room.
    pub dropped: u64,
}

/// Something that took time.
#[derive(Clone, Debug)]
pub struct TraceEvent {
    /// What it was.
    pub kind: TraceKind,
    /// The submission that it belongs to.
    pub ticket: Ticket,
    /// When it began, in nanoseconds since some moment.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

/// What an event was.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TraceKind {
    /// The host recorded a batch: from its first command until it was cut.
    Record {
        /// Commands, barriers not counted.
        commands: u32,
    },
    /// The host handed a batch to the device, which includes its translation.
    Submit {
        /// Why it was cut.
        cause: Cause,
        /// Commands, barriers not counted.
        commands: u32,
        /// Barriers.
        barriers: u32,
    },
    /// The device ran a command. Commands that no barrier orders overlap, and their times with them.
    Run {
        /// The kernel's name; `copy`, `fill` or `upload` for those.
        name: TraceName,
        /// Bytes that it was given.
        bytes: u64,
        /// Workgroups; 0 if it is no launch.
        workgroups: u64,
    },
    /// The host waited for the submission.
    Wait,
}

/// A name in a trace.
#[derive(Clone)]
pub struct TraceName(Name);

#[derive(Clone)]
enum Name {
    Kernel(Arc<Kernel>),
    Transfer(&'static str),
}

impl TraceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Kernel(kernel) => &kernel.name,
            Name::Transfer(name) => name,
        }
    }
}

impl fmt::Debug for TraceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// A trace that is being taken.
#[derive(Debug)]
pub(crate) struct Tracer {
    trace: Trace,
    events_max: usize,
    /// Whether the device will say when it ran commands.
    tells: bool,
    /// When it began. What was being encoded then has no timestamps.
    began_ns: u64,
    /// What each submission's commands are, until the device says when it ran them.
    labels: HashMap<(u32, u64), Vec<Option<Label>>>,
    labels_len: usize,
}

#[derive(Clone, Debug)]
struct Label {
    name: TraceName,
    bytes: u64,
    workgroups: u64,
}

impl Tracer {
    pub(crate) fn add(&mut self, event: TraceEvent) {
        if self.trace.events.len() + self.labels_len < self.events_max {
            self.trace.events.push(event);
        } else {
            self.trace.dropped += 1;
        }
    }

    fn label(&mut self, ticket: Ticket, labels: Vec<Option<Label>>) {
        let count = labels.iter().flatten().count();
        if self.trace.events.len() + self.labels_len + count <= self.events_max {
            self.labels_len += count;
            self.labels.insert((ticket.queue, ticket.value), labels);
        } else {
            self.trace.dropped += count as u64;
        }
    }

    /// The trace. Commands of which the device told no time are missing in it.
    fn finish(mut self, timings: &[Timing]) -> Trace {
        let mut missing = self.labels_len;
        for timing in timings {
            let labels = self.labels.get(&(timing.ticket.queue, timing.ticket.value));
            let label = labels.and_then(|it| it.get(timing.command as usize)?.clone());
            if let Some(label) = label {
                missing = missing.saturating_sub(1);
                self.trace.events.push(TraceEvent {
                    kind: TraceKind::Run {
                        name: label.name,
                        bytes: label.bytes,
                        workgroups: label.workgroups,
                    },
                    ticket: timing.ticket,
                    start_ns: timing.start_ns,
                    end_ns: timing.end_ns,
                });
            }
        }
        self.trace.dropped += missing as u64;
        self.trace
    }
}

impl<D: Device> Context<D> {
    /// Starts a trace of at most `events_max` events, and forgets one that was being taken. A device without a clock says 0 of all times. Says whether the device will tell when it ran commands.
    ///
    /// While it is taken every command costs two timestamps on the device, and graphs are not replayed but translated anew.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub fn start_trace(&self, events_max: usize) -> Result<bool, Error> {
        self.0.check_forked()?;
        // So that a trace which another thread ends does not turn this one's times off. Without the state: a device may have to wait until a batch is encoded.
        let _alone = self
            .0
            .tracing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.0.state().check_lost()?;
        let tells = self.0.device.set_timing(true);
        // What an earlier trace left.
        self.0.device.take_timings(&mut Vec::new());
        let mut state = self.0.state();
        for lane in &mut state.lanes {
            (lane.began_ns, lane.began_taken_ns) = (0, 0);
        }
        state.tracer = Some(Box::new(Tracer {
            trace: Trace::default(),
            events_max,
            tells,
            began_ns: self.0.device.now_ns(),
            labels: HashMap::new(),
            labels_len: 0,
        }));
        Ok(tells)
    }

    /// Ends a trace and gives it; empty if none was being taken. Commands that have not run by now are missing in it, and counted as dropped. A lost device's trace says what led to the loss.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn end_trace(&self) -> Result<Trace, Error> {
        self.0.check_forked()?;
        let _alone = self
            .0
            .tracing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let tracer = self.0.state().tracer.take();
        let mut timings = Vec::new();
        self.0.device.take_timings(&mut timings);
        self.0.device.set_timing(false);
        Ok(tracer.map_or_else(Trace::default, |it| it.finish(&timings)))
    }
}

impl<D: Device> Shared<D> {
    /// Notes that the host waited for `ticket` since `start`.
    pub(crate) fn trace_wait(&self, state: &mut State, ticket: Ticket, start_ns: u64, end_ns: u64) {
        if let Some(tracer) = &mut state.tracer {
            tracer.add(TraceEvent {
                kind: TraceKind::Wait,
                ticket,
                start_ns,
                end_ns,
            });
        }
    }
}

impl State {
    /// Notes a batch that has been handed over.
    pub(crate) fn trace_submission(
        &mut self,
        (queue, value, batch): (u32, u64, &Batch),
        cause: Cause,
        (start_ns, end_ns): (u64, u64),
    ) {
        let Self {
            tracer: Some(tracer),
            pipelines,
            lanes,
            ..
        } = self
        else {
            return;
        };
        if start_ns < tracer.began_ns {
            return;
        }
        let ticket = Ticket { queue, value };
        let body = batch.body();
        let labels: Vec<Option<Label>> = body
            .commands
            .iter()
            .map(|command| {
                let (name, bytes, workgroups) = match command {
                    Command::Barrier(_) => return None,
                    Command::Launch(it) => {
                        let kernel = Arc::clone(pipelines.kernel(it.pipeline)?);
                        let bytes = body.bindings(it).iter().map(|it| it.bytes).sum();
                        let grid = it.grid.map(u64::from);
                        let workgroups = grid.into_iter().fold(1, u64::saturating_mul);
                        (Name::Kernel(kernel), bytes, workgroups)
                    }
                    Command::Upload { target, .. } => (Name::Transfer("upload"), target.bytes, 0),
                    Command::Copy { target, .. } => (Name::Transfer("copy"), target.bytes, 0),
                    Command::Fill { target, .. } => (Name::Transfer("fill"), target.bytes, 0),
                };
                Some(Label {
                    name: TraceName(name),
                    bytes,
                    workgroups,
                })
            })
            .collect();
        let commands = labels.iter().flatten().count() as u32;
        let barriers = labels.len() as u32 - commands;
        let began = std::mem::take(&mut lanes[queue as usize].began_taken_ns);
        if began > 0 {
            tracer.add(TraceEvent {
                kind: TraceKind::Record { commands },
                ticket,
                start_ns: began,
                end_ns: start_ns.max(began),
            });
        }
        tracer.add(TraceEvent {
            kind: TraceKind::Submit {
                cause,
                commands,
                barriers,
            },
            ticket,
            start_ns,
            end_ns,
        });
        if tracer.tells {
            tracer.label(ticket, labels);
        }
    }
}
