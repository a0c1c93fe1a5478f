//! What core knows of each allocation: its size, and which tickets still use it.

use std::collections::{BTreeMap, VecDeque};

use crate::command::MemoryId;
use crate::device::{HostAccess, MemoryKind};

/// The last tickets of one queue that read and wrote an allocation; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Use {
    pub(crate) queue: u32,
    pub(crate) read: u64,
    pub(crate) write: u64,
}

/// What has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Device,
    Host,
}

impl MemoryKind {
    /// Whose limit memory counts against.
    pub(crate) fn side(self) -> Side {
        match self {
            Self::Device => Side::Device,
            Self::Upload | Self::Readback => Side::Host,
        }
    }
}

/// One allocation.
#[derive(Debug)]
pub(crate) struct Row {
    /// Size with rounding.
    pub(crate) capacity: u64,
    pub(crate) kind: MemoryKind,
    pub(crate) host: HostAccess,
    /// One entry a queue that used it. Nearly always one entry in all.
    pub(crate) uses: Vec<Use>,
    /// Threads that copy to or from it in place right now; nothing else may be recorded on it meanwhile.
    pub(crate) host_busy: u32,
    /// Graphs that use it.
    pub(crate) pins: u32,
    /// Its holder has dropped it, and a graph still uses it.
    pub(crate) dropped: bool,
}

impl Row {
    /// Whether the host may look at what the device writes here.
    pub(crate) fn host_sees(&self) -> bool {
        self.host.read || self.host.write || self.kind == MemoryKind::Readback
    }

    /// Notes a use by ticket `value` of `queue`.
    pub(crate) fn note(&mut self, queue: u32, value: u64, write: bool) {
        let at = match self.uses.iter().position(|it| it.queue == queue) {
            Some(at) => at,
            None => {
                self.uses.push(Use {
                    queue,
                    ..Use::default()
                });
                self.uses.len() - 1
            }
        };
        if write {
            self.uses[at].write = value;
        } else {
            self.uses[at].read = value;
        }
    }

    /// The ticket values, by queue, that an access must come after.
    pub(crate) fn before(&self, write: bool) -> impl Iterator<Item = (u32, u64)> {
        self.uses.iter().map(move |it| {
            let value = if write {
                it.read.max(it.write)
            } else {
                it.write
            };
            (it.queue, value)
        })
    }
}

/// Size that a request is rounded up to: a multiple of an eighth of its power of two, so that at most an eighth is lost and freed
/// memory fits later requests of about the same size.
pub(crate) fn capacity(bytes: u64) -> Option<u64> {
    let bytes = bytes.max(256);
    let step = (1_u64 << bytes.ilog2()) / 8;
    bytes.checked_next_multiple_of(step)
}

/// The rows, by index, and the freed allocations that wait for reuse.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    rows: Vec<Option<Row>>,
    vacant: Vec<u32>,
    /// Freed allocations of the same kind and capacity, oldest first.
    cached: BTreeMap<(MemoryKind, u64), VecDeque<MemoryId>>,
    pub(crate) live: u64,
}

impl Memory {
    pub(crate) fn row(&self, id: MemoryId) -> Option<&Row> {
        self.rows.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn row_mut(&mut self, id: MemoryId) -> Option<&mut Row> {
        self.rows.get_mut(id.0 as usize)?.as_mut()
    }

    /// Takes an index for an allocation about to be made.
    pub(crate) fn reserve(&mut self) -> MemoryId {
        self.live += 1;
        if let Some(index) = self.vacant.pop() {
            return MemoryId(index);
        }
        self.rows.push(None);
        // The device's limit on allocations is checked first, and is below 2^32.
        MemoryId(u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX))
    }

    pub(crate) fn insert(&mut self, id: MemoryId, row: Row) {
        self.rows[id.0 as usize] = Some(row);
    }

    /// Gives an index back, with its row if it had one.
    pub(crate) fn remove(&mut self, id: MemoryId) -> Option<Row> {
        self.live -= 1;
        self.vacant.push(id.0);
        self.rows[id.0 as usize].take()
    }

    /// Keeps a freed allocation for reuse.
    pub(crate) fn cache(&mut self, id: MemoryId) {
        if let Some(row) = self.row(id) {
            let key = (row.kind, row.capacity);
            self.cached.entry(key).or_default().push_back(id);
        }
    }

    /// The oldest freed allocation of a kind and capacity.
    pub(crate) fn oldest_cached(&self, kind: MemoryKind, capacity: u64) -> Option<MemoryId> {
        self.cached.get(&(kind, capacity))?.front().copied()
    }

    /// Takes the allocation that [`Self::oldest_cached`] gave.
    pub(crate) fn take_cached(&mut self, kind: MemoryKind, capacity: u64) -> Option<MemoryId> {
        self.cached.get_mut(&(kind, capacity))?.pop_front()
    }

    /// The freed allocations, those of each size oldest first.
    pub(crate) fn all_cached(&self) -> impl Iterator<Item = MemoryId> {
        self.cached.values().flatten().copied()
    }

    /// Takes out the freed allocations that `choose` picks.
    pub(crate) fn drain_cached(&mut self, mut choose: impl FnMut(&Row) -> bool) -> Vec<MemoryId> {
        let mut taken = Vec::new();
        let rows = &self.rows;
        self.cached.retain(|_, queue| {
            queue.retain(|id| {
                let pick = rows[id.0 as usize].as_ref().is_some_and(&mut choose);
                if pick {
                    taken.push(*id);
                }
                !pick
            });
            !queue.is_empty()
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_loses_at_most_an_eighth() {
        assert_eq!(capacity(0), Some(256));
        assert_eq!(capacity(256), Some(256));
        assert_eq!(capacity(257), Some(288));
        assert_eq!(capacity(u64::MAX), None);
        for bytes in (256..100_000).step_by(37) {
            let rounded = capacity(bytes).unwrap();
            assert!(rounded >= bytes && rounded - bytes <= bytes / 8);
            assert_eq!(rounded % 16, 0);
        }
    }
}
