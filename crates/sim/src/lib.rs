//! A device that is as hostile as the [`Device`](tidegate_core::Device) contract allows, and a function of its seed.
//!
//! Software drivers run commands in order, and real ones nearly always do. A missing barrier, a wait for the wrong ticket, a
//! staging buffer used again too early: all give right numbers there, until they do not. This device gives wrong numbers at
//! once, says which rule was broken and where, and does the same again for the same seed and the same calls. It needs no GPU,
//! no clock and no thread.
//!
//! **If you write a backend, read this crate first.** It is the contract in a form that can be run. `device.rs` has the calls,
//! `order.rs` what a barrier and a wait promise, `shadow.rs` what follows from that for two accesses of one byte, and `run.rs`
//! all that a device may do with the freedom that is left.
//!
//! ```
//! use tidegate_core::{Batch, Command, Device, MemoryId, MemoryKind, Region, Ticket};
//! use tidegate_sim::{Rule, Setup, Sim};
//!
//! let sim = Sim::with(1, Setup::unified());
//! let region = |memory| Region { memory: MemoryId(memory), offset: 0, bytes: 64 };
//! sim.allocate(MemoryId(0), 64, MemoryKind::Device)?;
//! sim.allocate(MemoryId(1), 64, MemoryKind::Device)?;
//!
//! let mut batch = Batch::default();
//! batch.commands.push(Command::Fill { target: region(0), pattern: 7 });
//! // Command::Barrier(transfer -> transfer) is missing here.
//! batch.commands.push(Command::Copy { source: region(0), target: region(1) });
//! sim.submit(&batch, Ticket { queue: 0, value: 1 })?;
//!
//! let found = &sim.violations()[0];
//! assert_eq!((found.rule, found.command), (Rule::Race, Some(1)));
//! println!("{found}"); // names both commands and the bytes, and prints the batch
//! # Ok::<(), tidegate_core::DeviceError>(())
//! ```
//!
//! # Two witnesses
//! Every defect is caught twice, by means that share little:
//!
//! 1. **A verdict.** When a batch is submitted, each of its accesses is compared with earlier ones of the same bytes, by what
//!    barriers and waits promise and nothing else. The verdict is exact: it holds for every schedule, so it comes under every seed, and
//!    a program without one has no race. It lands in [`Sim::violations`]. It knows of a kernel what the kernel's
//!    interface says: a binding that may be written counts as written in full.
//! 2. **Wrong bytes.** The commands then run in an order that the seed picks among all legal ones, cut into pieces between
//!    bytes or workgroups. A read that was promised nothing gets the old byte, the new byte or poison. A test that
//!    compares results with a sequential model sees what a user would see.
//!
//! # What is promised
//! - *A barrier* `before -> after` orders every earlier command of the queue in a `before` stage before every later one in an
//!   `after` stage, and makes the writes of the former visible to the latter. Barriers chain: compute -> transfer, then
//!   transfer -> compute, orders compute after compute. A batch's opening barrier is no different.
//! - *Queue order* promises nothing. Two batches of a queue overlap unless an opening barrier says otherwise, even when the host
//!   knows the first to be complete.
//! - *A wait* for a ticket covers every batch of that queue up to it, as tickets complete in order, and all that those came
//!   after. It counts for the batch that has it. Later batches have it only if a barrier hands it on.
//! - *Completion*, once `completed` or `wait` has told the host, means that the batch is over: its memory may be freed, or written
//!   by another queue or by the host. It does not make its writes visible: to a queue that takes a wait or a barrier, to the host `host_reads`
//!   of the very batch that wrote.
//! - *A host write* is visible to every batch submitted after it. To one submitted before, it is a race.
//!
//! A read must see the last write of each byte. A write must come after the last write and after every read since; it need
//! not see them. Everything else is a [`Violation`].
//!
//! # What the seed decides
//! - When a submission runs: within `submit`, at one of the next polls, or not before somebody waits (or after 64 polls, so that
//!   a loop of polls ends).
//! - Which piece of which command runs next, of all that may. Waiting for one ticket may run others, or none but what it needs.
//! - How far [`completed`](tidegate_core::Device::completed) lags behind, whether a wait of less than a millisecond times out, and
//!   which call reports a failed submission.
//! - What unpromised reads get, and the poison in fresh and freed memory.
//!
//! One seed in four is *late*: nothing runs before somebody waits for it or for what needs it, or has polled 64 times. And freed memory belongs to the next
//! allocation at once: what still runs on it writes there.
//!
//! # Faults
//! [`Faults`] is a plan: out of memory at a call of any method, by kind of memory or above a budget; a device lost at a call or while
//! it runs a submission; failed submissions; queues that stall from a submission on; refused pipelines. Give it in the [`Setup`] or
//! [`arm`](Sim::arm) it later.
//!
//! # Speed
//! 200 commands on buffers of 4 KiB take about 3 ms when this crate is optimised (`examples/throughput.rs`), and ten times as
//! much when it is not. Memory does not grow with the length of a run, except by violations (at most 64 are kept) and the trace, if one is asked for.
#![forbid(unsafe_code)]

mod check;
mod clock;
mod device;
mod fault;
mod graph;
pub mod history;
pub mod kernels;
mod memory;
mod objects;
mod order;
mod pass_on;
mod prng;
mod queue;
mod run;
mod setup;
mod shadow;
mod state;
mod task;
mod violation;

pub use crate::device::Sim;
pub use crate::fault::{Failure, Faults, Stall};
pub use crate::prng::Prng;
pub use crate::setup::{Live, Peaks, Setup};
pub use crate::violation::{Rule, Violation};
