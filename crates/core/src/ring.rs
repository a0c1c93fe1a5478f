//! Bookkeeping of a ring of staging bytes, taken back by ticket. Pure: it holds no memory.

use std::collections::VecDeque;

/// Hands out byte ranges in order, and again only after the ticket that reads them is complete.
///
/// Positions only grow; a byte's offset is its position modulo the size. `reserve` cannot pass `tail`, and while any bytes are out only `release` moves `tail`, by
/// tickets that completed: reuse before the read is impossible by construction.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    bytes: u64,
    head: u64,
    tail: u64,
    /// For each ticket value, in order, the position after its last byte.
    ends: VecDeque<(u64, u64)>,
}

impl Ring {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// Offset of `bytes` free bytes at a multiple of `align` (which divides the ring's size), to be read by ticket `value`; `None` if there is no room.
    pub(crate) fn reserve(&mut self, bytes: u64, align: u64, value: u64) -> Option<u64> {
        if bytes > self.bytes {
            return None;
        }
        let mut start = self.head.next_multiple_of(align);
        if start % self.bytes + bytes > self.bytes {
            start = start.next_multiple_of(self.bytes);
        }
        if self.ends.is_empty() {
            // Nothing is in the way, so that what was skipped is not either.
            self.tail = start;
        }
        let end = start + bytes;
        if end - self.tail > self.bytes {
            return None;
        }
        self.head = end;
        match self.ends.back_mut() {
            Some((last, position)) if *last == value => *position = end,
            _ => self.ends.push_back((value, end)),
        }
        Some(start % self.bytes)
    }

    /// Takes back everything that tickets up to `completed` read.
    pub(crate) fn release(&mut self, completed: u64) {
        while let Some((value, end)) = self.ends.front()
            && *value <= completed
        {
            self.tail = *end;
            self.ends.pop_front();
        }
        if self.ends.is_empty() {
            self.tail = self.head;
        }
    }

    /// The ticket whose completion gives back the oldest bytes.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.ends.front().map(|(value, _)| *value)
    }

    /// Bytes that are not free.
    pub(crate) fn used(&self) -> u64 {
        self.head - self.tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_only_with_their_ticket() {
        let mut ring = Ring::new(64);
        assert_eq!(ring.reserve(32, 4, 1), Some(0));
        assert_eq!(ring.reserve(32, 4, 2), Some(32));
        assert_eq!(ring.reserve(4, 4, 3), None);
        assert_eq!(ring.oldest(), Some(1));
        ring.release(1);
        assert_eq!(ring.reserve(32, 4, 3), Some(0));
        assert_eq!(ring.reserve(4, 4, 3), None);
        ring.release(3);
        assert_eq!(ring.used(), 0);
    }

    #[test]
    fn a_range_never_wraps() {
        let mut ring = Ring::new(64);
        assert_eq!(ring.reserve(48, 16, 1), Some(0));
        ring.release(1);
        assert_eq!(ring.reserve(32, 16, 2), Some(0));
        assert_eq!(ring.reserve(65, 1, 2), None);
    }

    /// What does not fit behind the last bytes has all of an empty ring, wherever those ended.
    #[test]
    fn an_empty_ring_has_room_for_all_that_it_can_hold() {
        let mut ring = Ring::new(64);
        for (value, bytes) in (1..).zip([16, 60, 1, 64, 64, 33, 34]) {
            assert_eq!(ring.used(), 0);
            assert!(ring.reserve(bytes, 4, value).is_some(), "{bytes}");
            ring.release(value);
        }
    }

    /// Random traffic: no two live ranges ever overlap.
    #[test]
    fn live_ranges_are_disjoint() {
        let mut ring = Ring::new(256);
        let mut live: Vec<(u64, std::ops::Range<u64>)> = Vec::new();
        let mut seed = 1_u64;
        let mut value = 1;
        let mut completed = 0;
        for _ in 0..if cfg!(miri) { 500 } else { 20_000 } {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bytes = 1 + (seed >> 33) % 100;
            if let Some(offset) = ring.reserve(bytes, 4, value) {
                let range = offset..offset + bytes;
                assert!(range.end <= 256);
                for (_, other) in &live {
                    assert!(range.end <= other.start || other.end <= range.start);
                }
                live.push((value, range));
            } else {
                completed = ring.oldest().unwrap();
                ring.release(completed);
            }
            live.retain(|(value, _)| completed < *value);
            if seed.is_multiple_of(5) {
                value += 1;
            }
            value = value.max(completed + 1);
        }
    }
}
