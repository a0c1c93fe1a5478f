//! Device memory: allocated once, used again when no work needs it, given back when it runs short.

use std::fmt;

use crate::command::{MemoryId, Region, Ticket};
use crate::context::{Context, Shared};
use crate::device::{Device, DeviceError, MemoryKind};
use crate::error::Error;
use crate::memory::{Row, Side, capacity};
use crate::policy::Cause;
use crate::state::State;

/// Device memory that belongs to its holder. Dropping it never waits and never submits: the bytes are used again only
/// after the last work that touches them is complete.
pub struct Memory<D: Device> {
    pub(crate) context: Context<D>,
    pub(crate) id: MemoryId,
    bytes: u64,
}

impl<D: Device> Memory<D> {
    /// Size in bytes, as asked for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The context that it belongs to.
    pub fn context(&self) -> &Context<D> {
        &self.context
    }

    /// Names `bytes` bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn region(&self, offset: u64, bytes: u64) -> Result<Region, Error> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.bytes => Ok(Region {
                memory: self.id,
                offset,
                bytes,
            }),
            _ => Err(Error::OutOfRange {
                offset,
                bytes,
                size: self.bytes,
            }),
        }
    }
}

impl<D: Device> fmt::Debug for Memory<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("id", &self.id)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl<D: Device> Drop for Memory<D> {
    fn drop(&mut self) {
        let shared = &self.context.0;
        let mut state = shared.state();
        state.release(self.id);
        shared.trim_excess(&mut state);
    }
}

/// What an allocation found too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Short {
    /// Bytes, within the limit of its side.
    Side,
    /// Allocations, of which the device holds so many.
    Allocations,
    /// Memory that the device or the system would give.
    System,
}

/// Waits for the device that one allocation may make before it gives up. Each wait ends with at least one more submission complete.
const WAITS_MAX: u32 = 64;

impl<D: Device> Context<D> {
    /// Allocates memory whose content is unspecified: it may be what an earlier holder left there.
    ///
    /// Freed memory of about the same size is used again once its last work is complete. When memory runs short, completed work is retired, freed memory is given
    /// back to the system, and as a last resort the oldest work that holds freed memory is waited for.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManyAllocations`], [`Error::OutOfMemory`], [`Error::Lost`]; where work is waited for, [`Error::Stalled`], [`Error::SubmissionOutOfMemory`] and [`Error::Failed`].
    pub fn allocate(&self, bytes: u64, kind: MemoryKind) -> Result<Memory<D>, Error> {
        self.0.check_forked()?;
        let allowed = self.capabilities().allocation_bytes_max;
        let size = match capacity(bytes) {
            Some(size) if bytes <= allowed => size.min(allowed.max(256)),
            _ => {
                return Err(Error::TooLarge {
                    requested: bytes,
                    allowed,
                });
            }
        };
        let id = self.0.allocate(size, bytes, kind)?;
        Ok(Memory {
            context: self.clone(),
            id,
            bytes,
        })
    }
}

impl<D: Device> Shared<D> {
    /// Allocates `size` bytes, of which somebody asked for `bytes`. Where memory is short, the oldest work that holds freed memory is waited for.
    pub(crate) fn allocate(
        &self,
        size: u64,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<MemoryId, Error> {
        let mut waits = 0;
        loop {
            let short = match self.allocate_now(size, kind)? {
                Ok(id) => return Ok(id),
                Err(short) => short,
            };
            let helps = |it: MemoryKind| short != Short::Side || it.side() == kind.side();
            let oldest = self.state().oldest_freed(helps);
            let Some(ticket) = oldest.filter(|_| waits < WAITS_MAX) else {
                return Err(self.no_room(short, bytes, kind));
            };
            waits += 1;
            self.submit(ticket.queue, ticket.value, Cause::Memory)?;
            self.state().counters.stalls += 1;
            self.wait_submitted(ticket)?;
        }
    }

    /// Allocates without waiting, or says what there is too little of.
    fn allocate_now(&self, size: u64, kind: MemoryKind) -> Result<Result<MemoryId, Short>, Error> {
        let mut state = self.state();
        state.check_lost()?;
        if let Some(id) = self.reuse(&mut state, size, kind)? {
            return Ok(Ok(id));
        }
        let held = state.held(kind).saturating_add(size);
        let excess = held.saturating_sub(self.allowed(kind));
        if excess > 0 && self.trim(&mut state, excess, |it| it.side() == kind.side()) < excess {
            return Ok(Err(Short::Side));
        }
        let allocations_max = self.device.capabilities().allocations_max;
        if state.memory.live >= allocations_max && self.trim(&mut state, 1, |_| true) == 0 {
            return Ok(Err(Short::Allocations));
        }
        for _ in 0..2 {
            let id = state.memory.reserve();
            // Counted before the lock is given up, so that several threads together stay inside the limit.
            state.count_held(kind, size.cast_signed());
            state.counters.memory_bytes += size;
            drop(state);
            let available = self.device.memory_available(kind);
            let short = available.is_some_and(|it| it < size);
            let made = if short {
                Err(DeviceError::OutOfMemory)
            } else {
                self.device.allocate(id, size, kind)
            };
            state = self.state();
            match made {
                Ok(host) => {
                    let row = Row {
                        capacity: size,
                        kind,
                        host,
                        uses: Vec::new(),
                        host_busy: 0,
                        pins: 0,
                        dropped: false,
                    };
                    state.memory.insert(id, row);
                    state.counters.allocations += 1;
                    state.note_memory_peak();
                    return Ok(Ok(id));
                }
                Err(error) => {
                    state.memory.remove(id);
                    state.count_held(kind, -size.cast_signed());
                    state.counters.memory_bytes -= size;
                    if error != DeviceError::OutOfMemory {
                        return Err(state.note(error));
                    }
                }
            }
            if self.trim(&mut state, u64::MAX, |_| true) == 0 {
                break;
            }
        }
        Ok(Err(Short::System))
    }

    /// Takes freed memory of the same size whose last work is complete.
    fn reuse(
        &self,
        state: &mut State,
        size: u64,
        kind: MemoryKind,
    ) -> Result<Option<MemoryId>, Error> {
        let Some(id) = state.memory.oldest_cached(kind, size) else {
            return Ok(None);
        };
        if !state.unused(id) {
            for queue in 0..state.lanes.len() {
                self.poll(state, queue as u32)?;
            }
            if !state.unused(id) {
                return Ok(None);
            }
        }
        state.memory.take_cached(kind, size);
        if let Some(row) = state.memory.row_mut(id) {
            row.uses.clear();
        }
        state.counters.cached_bytes -= size;
        state.counters.memory_bytes += size;
        Ok(Some(id))
    }

    /// Gives freed memory of the kinds that `choose` picks, and that no work uses, back to the system until `excess` bytes are gone; returns how many are.
    pub(crate) fn trim(
        &self,
        state: &mut State,
        excess: u64,
        choose: impl Fn(MemoryKind) -> bool,
    ) -> u64 {
        let State {
            memory,
            lanes,
            lost,
            ..
        } = state;
        let mut freed = 0;
        let gone = memory.drain_cached(|row| {
            let unused = row
                .before(true)
                .all(|(queue, value)| value <= lanes[queue as usize].completed);
            let pick = freed < excess && choose(row.kind) && (unused || lost.is_some());
            freed += if pick { row.capacity } else { 0 };
            pick
        });
        for id in gone {
            if let Some(row) = state.memory.remove(id) {
                state.count_held(row.kind, -row.capacity.cast_signed());
            }
            self.device.free(id);
        }
        state.counters.cached_bytes -= freed;
        freed
    }

    /// Gives back what is cached beyond the limit; all of it once the device is lost. Due whenever memory was let go.
    pub(crate) fn trim_excess(&self, state: &mut State) {
        let cached = state.counters.cached_bytes;
        if state.lost.is_some() {
            self.trim(state, u64::MAX, |_| true);
        } else if cached > self.limits.cached_bytes_max {
            self.trim(state, cached - self.limits.cached_bytes_max, |_| true);
        }
    }

    /// Bytes that may be held, in use and cached, on the side of `kind`.
    fn allowed(&self, kind: MemoryKind) -> u64 {
        match kind.side() {
            Side::Device => {
                let device = self.device.capabilities().memory_bytes;
                self.limits.memory_bytes_max.min(device)
            }
            Side::Host => self.limits.host_bytes_max,
        }
    }

    /// Why an allocation found no room although all was tried.
    fn no_room(&self, short: Short, requested: u64, kind: MemoryKind) -> Error {
        match short {
            Short::Allocations => Error::TooManyAllocations {
                allowed: self.device.capabilities().allocations_max,
            },
            Short::Side | Short::System => self.out_of_memory(requested, kind),
        }
    }

    pub(crate) fn out_of_memory(&self, requested: u64, kind: MemoryKind) -> Error {
        Error::OutOfMemory {
            requested,
            in_use: self.state().held(kind),
            allowed: self.allowed(kind),
        }
    }
}

impl State {
    /// Keeps an allocation that its holder has dropped. One that a graph uses stays what it is until the graph is dropped too.
    pub(crate) fn release(&mut self, id: MemoryId) {
        if let Some(row) = self.memory.row_mut(id) {
            row.dropped = row.pins > 0;
            if row.dropped {
                return;
            }
            let capacity = row.capacity;
            self.memory.cache(id);
            self.counters.memory_bytes -= capacity;
            self.counters.cached_bytes += capacity;
            let cached = self.counters.cached_bytes;
            self.counters.cached_peak = self.counters.cached_peak.max(cached);
        }
    }

    /// Keeps an allocation alive for a graph.
    pub(crate) fn pin(&mut self, id: MemoryId) {
        if let Some(row) = self.memory.row_mut(id) {
            row.pins += 1;
        }
    }

    /// A graph does not need it any more.
    pub(crate) fn unpin(&mut self, id: MemoryId) {
        if let Some(row) = self.memory.row_mut(id) {
            row.pins = row.pins.saturating_sub(1);
            if row.pins == 0 && row.dropped {
                self.release(id);
            }
        }
    }

    /// Whether no work that is not complete touches an allocation.
    fn unused(&self, id: MemoryId) -> bool {
        let region = Region {
            memory: id,
            offset: 0,
            bytes: 0,
        };
        self.idle(region, true)
    }

    /// The next ticket whose completion frees some memory of the kinds that `choose` picks.
    fn oldest_freed(&self, choose: impl Fn(MemoryKind) -> bool) -> Option<Ticket> {
        self.memory
            .all_cached()
            .filter_map(|id| self.memory.row(id))
            .filter(|row| choose(row.kind))
            .flat_map(|row| row.before(true))
            .filter(|(queue, value)| *value > self.lane(*queue).completed)
            .min_by_key(|(_, value)| *value)
            .map(|(queue, value)| Ticket { queue, value })
    }

    /// Bytes held, in use and cached, on the side of `kind`: the device's, or the host's.
    fn held(&self, kind: MemoryKind) -> u64 {
        match kind.side() {
            Side::Device => self.device_bytes,
            Side::Host => self.host_bytes,
        }
    }

    fn count_held(&mut self, kind: MemoryKind, change: i64) {
        let held = match kind.side() {
            Side::Device => &mut self.device_bytes,
            Side::Host => &mut self.host_bytes,
        };
        *held = held.saturating_add_signed(change);
    }

    fn note_memory_peak(&mut self) {
        let now = self.counters.memory_bytes + self.counters.cached_bytes;
        self.counters.memory_peak = self.counters.memory_peak.max(now);
    }
}
