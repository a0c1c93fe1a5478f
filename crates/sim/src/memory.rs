//! The bytes of one allocation, with enough of their past to answer a read that is not allowed to rely on them.

use std::ops::Range;

use tidegate_core::{Access, HostAccess, MemoryId, MemoryKind};

use crate::clock::{Clock, Stamp};
use crate::prng::Prng;
use crate::shadow::Shadow;

/// One allocation.
///
/// Every byte has its newest value in the order of execution, the value before that, and the writer. Values are kept XOR the
/// poison byte, so that fresh memory is all zeros and the system hands out its pages only when they are touched: a large
/// staging ring costs a short test nothing.
pub(crate) struct Memory {
    /// Cleared by `free`: commands that still run then meet poison.
    pub(crate) live: bool,
    /// The allocation that got the bytes after this one was freed.
    pub(crate) heir: Option<MemoryId>,
    pub(crate) kind: MemoryKind,
    pub(crate) host: HostAccess,
    pub(crate) shadow: Shadow,
    /// The last command of each lane that touches it.
    pub(crate) uses: Clock,
    poison: u8,
    now: Vec<u8>,
    old: Vec<u8>,
    writers: Vec<Stamp>,
}

impl Memory {
    pub(crate) fn new(bytes: u64, kind: MemoryKind, host: HostAccess, prng: &mut Prng) -> Self {
        let len = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            live: true,
            heir: None,
            kind,
            host,
            shadow: Shadow::new(bytes),
            uses: Clock::ZERO,
            poison: poison(prng),
            now: vec![0; len],
            old: vec![0; len],
            writers: vec![Stamp::default(); len],
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.now.len() as u64
    }

    /// Poisons everything, with a byte other than before.
    pub(crate) fn free(&mut self, prng: &mut Prng) {
        let len = self.now.len();
        self.live = false;
        self.poison = poison(prng);
        self.now = vec![0; len];
        self.old = vec![0; len];
        self.writers = vec![Stamp::default(); len];
    }

    /// Reads from `start` on. Bytes of writers that the reader does not see come out old, new or as poison.
    pub(crate) fn read(
        &self,
        start: usize,
        into: &mut [u8],
        prng: &mut Prng,
        sees: impl Fn(Stamp) -> bool,
    ) {
        let end = start + into.len();
        for (byte, kept) in into.iter_mut().zip(&self.now[start..end]) {
            *byte = kept ^ self.poison;
        }
        for run in self.unseen(start..end, sees) {
            let old = &self.old[run.clone()];
            let target = &mut into[run.start - start..run.end - start];
            mislead(target, old, self.poison, prng);
        }
    }

    /// Writes from `start` on. The value before stays readable to those who do not see the write.
    pub(crate) fn write(&mut self, start: usize, bytes: &[u8], who: Stamp) {
        let range = start..start + bytes.len();
        self.old[range.clone()].copy_from_slice(&self.now[range.clone()]);
        for (kept, byte) in self.now[range.clone()].iter_mut().zip(bytes) {
            *kept = byte ^ self.poison;
        }
        self.writers[range].fill(who);
    }

    /// A launch begins that may write any byte of `range`, so from now on it is the writer of all of them. If it also reads
    /// them, bytes that it does not see become what it happens to see, as when a stale cache line is written back.
    pub(crate) fn claim(
        &mut self,
        range: Range<usize>,
        access: Access,
        who: Stamp,
        prng: &mut Prng,
        sees: impl Fn(Stamp) -> bool,
    ) {
        if access == Access::ReadWrite {
            for run in self.unseen(range.clone(), sees) {
                for at in run {
                    match prng.below(3) {
                        0 => self.now[at] = self.old[at],
                        1 => self.now[at] = 0,
                        _ => {}
                    }
                }
            }
        }
        self.old[range.clone()].copy_from_slice(&self.now[range.clone()]);
        self.writers[range].fill(who);
    }

    /// A workgroup ends: stores the bytes that it changed, and only those, so that workgroups do not undo each other.
    pub(crate) fn store(&mut self, start: usize, before: &[u8], after: &[u8], who: Stamp) {
        for (at, (before, after)) in before.iter().zip(after).enumerate() {
            if before != after {
                self.now[start + at] = after ^ self.poison;
                self.writers[start + at] = who;
            }
        }
    }

    /// The runs of `range` whose writer is not seen. Empty unless the program is wrong.
    fn unseen(&self, range: Range<usize>, sees: impl Fn(Stamp) -> bool) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut at = range.start;
        for same in self.writers[range].chunk_by(PartialEq::eq) {
            let run = at..at + same.len();
            at = run.end;
            if !sees(same[0]) {
                runs.push(run);
            }
        }
        runs
    }
}

/// Makes `bytes`, which are new, what a reader without visibility gets: all old, all poison, all new, or a mixture.
fn mislead(bytes: &mut [u8], old: &[u8], poison: u8, prng: &mut Prng) {
    let choice = prng.below(4);
    for (byte, old) in bytes.iter_mut().zip(old) {
        let choice = if choice == 3 { prng.below(3) } else { choice };
        match choice {
            0 => *byte = old ^ poison,
            1 => *byte = poison,
            _ => {}
        }
    }
}

/// Never 0, which a careless test takes for a right answer.
fn poison(prng: &mut Prng) -> u8 {
    0xa0 | (prng.next_u8() & 0x1f) | 1
}
