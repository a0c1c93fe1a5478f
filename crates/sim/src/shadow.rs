//! The race detector: for every byte, the last write and the reads since, and a verdict on each new access.
//!
//! The verdict is taken when a batch is submitted, from the promised order alone. It does not depend on how the seed then
//! runs the commands, so a missing barrier is found under every seed.

use std::ops::Range;

use crate::clock::{Clock, Stamp};

/// Bytes that share a history. A segment starts where the one before it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Segment {
    end: u64,
    write: Stamp,
    /// The last read of each lane since that write.
    reads: Clock,
}

/// Who touched the bytes of one allocation.
pub(crate) struct Shadow {
    segments: Vec<Segment>,
}

/// A new access: what it sees, and what it merely comes after.
#[derive(Clone, Copy)]
pub(crate) struct Visit<'a> {
    pub(crate) reads: bool,
    pub(crate) writes: bool,
    /// What is visible to it.
    pub(crate) sees: &'a Clock,
    /// What is over before it starts: `sees`, and what the host had been told was complete before the submission.
    pub(crate) after: &'a Clock,
}

/// Two accesses that the contract does not order.
pub(crate) struct Conflict {
    pub(crate) range: Range<u64>,
    pub(crate) other: Stamp,
    pub(crate) other_writes: bool,
    /// The other is over, but what it wrote is not visible.
    pub(crate) unseen: bool,
}

impl Shadow {
    pub(crate) fn new(bytes: u64) -> Self {
        let untouched = Segment {
            end: bytes,
            write: Stamp::default(),
            reads: Clock::ZERO,
        };
        Self {
            segments: vec![untouched],
        }
    }

    /// The first earlier access of `range` that conflicts with `visit`.
    pub(crate) fn check(&self, range: &Range<u64>, visit: &Visit<'_>) -> Option<Conflict> {
        self.over(range).find_map(|(bytes, segment)| {
            let found = verdict(segment, visit)?;
            Some(Conflict {
                range: bytes,
                ..found
            })
        })
    }

    /// The first earlier access of `range` that the host conflicts with: it is not one of those `told`.
    pub(crate) fn check_host(
        &self,
        range: &Range<u64>,
        writes: bool,
        told: &Clock,
    ) -> Option<(Range<u64>, Stamp)> {
        let visit = Visit {
            reads: !writes,
            writes,
            sees: told,
            after: told,
        };
        self.check(range, &visit).map(|it| (it.range, it.other))
    }

    /// The first write of `range` that `allowed` does not accept.
    pub(crate) fn find_write(
        &self,
        range: &Range<u64>,
        allowed: impl Fn(Stamp) -> bool,
    ) -> Option<(Range<u64>, Stamp)> {
        self.over(range)
            .find(|(_, segment)| !allowed(segment.write))
            .map(|(bytes, segment)| (bytes, segment.write))
    }

    /// Notes a read. Check every access of a command before any of them is noted.
    pub(crate) fn note_read(&mut self, range: &Range<u64>, who: Stamp) {
        let first = self.cut(range.start);
        let last = self.cut(range.end);
        for segment in &mut self.segments[first..last] {
            segment.reads.advance(who.lane(), who.number());
        }
        if self.segments.len() > 16 {
            self.merge();
        }
    }

    /// Notes a write, which is then all that later accesses need to know.
    pub(crate) fn note_write(&mut self, range: &Range<u64>, who: Stamp) {
        let first = self.cut(range.start);
        let last = self.cut(range.end);
        let whole = Segment {
            end: range.end,
            write: who,
            reads: Clock::ZERO,
        };
        self.segments.splice(first..last, [whole]);
    }

    /// The segments that overlap `range`, each with the bytes common to both.
    fn over(&self, range: &Range<u64>) -> impl Iterator<Item = (Range<u64>, &Segment)> {
        let (start, end) = (range.start, range.end);
        let first = self.segments.partition_point(|it| it.end <= start);
        let mut from = start;
        self.segments[first..].iter().map_while(move |segment| {
            let bytes = from..segment.end.min(end);
            from = segment.end;
            (bytes.start < end).then_some((bytes, segment))
        })
    }

    /// Makes a segment start at `at`; its index, or one past the last at the end of the allocation.
    fn cut(&mut self, at: u64) -> usize {
        let index = self.segments.partition_point(|it| it.end <= at);
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.segments[before].end);
        if index == self.segments.len() || start == at {
            return index;
        }
        let head = Segment {
            end: at,
            ..self.segments[index]
        };
        self.segments.insert(index, head);
        index + 1
    }

    fn merge(&mut self) {
        self.segments.dedup_by(|next, kept| {
            let same = next.write == kept.write && next.reads == kept.reads;
            if same {
                kept.end = next.end;
            }
            same
        });
    }
}

/// A read must see the last write. A write must come after the last write and every read since; it need not see them.
fn verdict(segment: &Segment, visit: &Visit<'_>) -> Option<Conflict> {
    let conflict = |other, other_writes, unseen| Conflict {
        range: 0..0,
        other,
        other_writes,
        unseen,
    };
    if !visit.after.covers(segment.write) {
        return Some(conflict(segment.write, true, false));
    }
    if visit.reads && !visit.sees.covers(segment.write) {
        return Some(conflict(segment.write, true, true));
    }
    if visit.writes
        && let Some(read) = segment.reads.beyond(visit.after)
    {
        return Some(conflict(read, false, false));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Lane;
    use crate::prng::Prng;

    const BYTES: u64 = 96;

    /// Random accesses against a record of each byte by itself. Thirty segments and more, so that merging is at work.
    #[test]
    fn segments_keep_what_a_record_of_each_byte_keeps() {
        let prng = &mut Prng::new(11);
        for _ in 0..50 {
            let mut shadow = Shadow::new(BYTES);
            let mut bytes = vec![(Stamp::default(), Clock::ZERO); BYTES as usize];
            for number in 1..200 {
                let start = prng.below(BYTES);
                let range = start..start + 1 + prng.below((BYTES - start).min(9));
                let lane = Lane::of(prng.index(3), prng.index(2));
                let who = Stamp::new(lane, number, prng.chance(1, 2));
                let slots = range.start as usize..range.end as usize;
                if prng.chance(1, 3) {
                    shadow.note_write(&range, who);
                    bytes[slots].fill((who, Clock::ZERO));
                } else {
                    shadow.note_read(&range, who);
                    for slot in &mut bytes[slots] {
                        slot.1.advance(lane, number);
                    }
                }
            }
            for (byte, (write, reads)) in (0..).zip(&bytes) {
                let found: Vec<_> = shadow.over(&(byte..byte + 1)).collect();
                assert_eq!(found.len(), 1);
                assert_eq!(found[0].0, byte..byte + 1);
                assert!(found[0].1.write == *write && found[0].1.reads == *reads);
            }
            assert!(shadow.segments.len() > 16 && shadow.segments.len() <= BYTES as usize);
        }
    }
}
