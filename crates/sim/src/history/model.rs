//! The sequential model: every call takes effect at once, in the order of the calls.

use super::op::{Init, Op, Part, Which};
use crate::prng::Prng;

/// Buffers as arrays of bytes, and what is in the other slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    buffers: Vec<Option<Vec<u8>>>,
    streams: Vec<bool>,
    downloads: Vec<Option<Vec<u8>>>,
    /// What was counted since the last reset.
    pub counts: Counts,
}

/// The counters that are a function of the calls alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Launches.
    pub dispatches: u64,
    /// Uploads.
    pub cpu_to_gpu: u64,
    /// Downloads.
    pub gpu_to_cpu: u64,
    /// Copies between buffers.
    pub gpu_to_gpu: u64,
}

/// The bytes that an upload's seed stands for.
pub(crate) fn upload_bytes(seed: u64, bytes: u64) -> Vec<u8> {
    let mut data = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    Prng::new(seed).fill(&mut data);
    data
}

fn set<T>(slots: &mut Vec<T>, at: usize, value: T)
where
    T: Default,
{
    if slots.len() <= at {
        slots.resize_with(at + 1, T::default);
    }
    slots[at] = value;
}

impl Model {
    /// The buffers that exist: slot and bytes.
    pub fn buffers(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let slots = self.buffers.iter().enumerate();
        slots.filter_map(|(slot, it)| Some((slot, it.as_deref()?)))
    }

    /// The bytes of the buffer in a slot.
    pub fn buffer(&self, slot: usize) -> Option<&[u8]> {
        self.buffers.get(slot)?.as_deref()
    }

    /// The streams that exist.
    pub fn streams(&self) -> impl Iterator<Item = usize> {
        (0..self.streams.len()).filter(|it| self.has_stream(*it))
    }

    /// Whether a stream is in a slot.
    pub fn has_stream(&self, slot: usize) -> bool {
        self.streams.get(slot) == Some(&true)
    }

    /// What the download in a slot must return.
    pub fn download(&self, slot: usize) -> Option<&[u8]> {
        self.downloads.get(slot)?.as_deref()
    }

    /// Whether a call's slots hold what it needs and its ranges fit. Others are left out.
    pub fn admits(&self, op: &Op) -> bool {
        let fits = |it: &Part| {
            let end = usize::try_from(it.offset + it.bytes).unwrap_or(usize::MAX);
            self.buffer(it.buffer).is_some_and(|b| end <= b.len())
        };
        match op {
            Op::Upload(stream, part, _) | Op::Fill(stream, part, _) => {
                self.has_stream(*stream) && fits(part)
            }
            Op::Download(stream, part, _) => self.has_stream(*stream) && fits(part),
            Op::Copy(stream, from, to) => {
                self.has_stream(*stream) && fits(from) && fits(to) && !from.overlaps(to)
            }
            Op::Launch(stream, which, parts, _) => {
                let clash = |at: usize| {
                    (0..at).any(|other| {
                        (which.writes(at) || which.writes(other))
                            && parts[at].overlaps(&parts[other])
                    })
                };
                self.has_stream(*stream) && parts.iter().all(fits) && !(0..parts.len()).any(clash)
            }
            Op::Buffer { stream, .. } => self.has_stream(*stream),
            Op::DropBuffer(slot) => self.buffer(*slot).is_some(),
            Op::DropStream(stream)
            | Op::Policy(stream, _)
            | Op::Record(stream, _)
            | Op::Wait(stream, _)
            | Op::Flush(stream)
            | Op::Query(stream)
            | Op::Synchronize(stream) => self.has_stream(*stream),
            Op::Take(slot) | Op::Peek(slot) | Op::Forget(slot) => self.download(*slot).is_some(),
            Op::Stream(..)
            | Op::EventQuery(_)
            | Op::EventSync(_)
            | Op::Counters
            | Op::ResetCounters
            | Op::DropPipeline(_) => true,
        }
    }

    /// Takes a call that it admits.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Stream(slot, _) => set(&mut self.streams, *slot, true),
            Op::DropStream(slot) => self.streams[*slot] = false,
            Op::Buffer {
                buffer,
                bytes,
                init,
                ..
            } => {
                let content = match init {
                    Init::Upload(seed) => {
                        self.counts.cpu_to_gpu += 1;
                        upload_bytes(*seed, *bytes)
                    }
                    Init::Fill(byte) => upload_bytes(0, *bytes).iter().map(|_| *byte).collect(),
                };
                set(&mut self.buffers, *buffer, Some(content));
            }
            Op::DropBuffer(slot) => self.buffers[*slot] = None,
            Op::Upload(_, part, seed) => {
                self.counts.cpu_to_gpu += 1;
                let data = upload_bytes(*seed, part.bytes);
                self.part(part).copy_from_slice(&data);
            }
            Op::Fill(_, part, pattern) => {
                for chunk in self.part(part).chunks_mut(pattern.len()) {
                    chunk.copy_from_slice(pattern);
                }
            }
            Op::Copy(_, from, to) => {
                self.counts.gpu_to_gpu += 1;
                let data = self.part(from).to_vec();
                self.part(to).copy_from_slice(&data);
            }
            Op::Launch(_, which, parts, scalars) => {
                self.counts.dispatches += 1;
                self.launch(*which, parts, *scalars);
            }
            Op::Download(_, part, slot) => {
                self.counts.gpu_to_cpu += 1;
                let data = self.part(part).to_vec();
                set(&mut self.downloads, *slot, Some(data));
            }
            Op::Take(slot) | Op::Forget(slot) => self.downloads[*slot] = None,
            Op::ResetCounters => self.counts = Counts::default(),
            _ => {}
        }
    }

    fn part(&mut self, part: &Part) -> &mut [u8] {
        let (start, bytes) = (part.offset as usize, part.bytes as usize);
        match self.buffers.get_mut(part.buffer) {
            Some(Some(buffer)) => &mut buffer[start..start + bytes],
            _ => &mut [],
        }
    }

    fn launch(&mut self, which: Which, parts: &[Part], [a, b]: [u32; 2]) {
        let inputs: Vec<Vec<u32>> = parts.iter().map(|it| words(self.part(it))).collect();
        let least = inputs.iter().map(Vec::len).min().unwrap_or(0);
        let outputs: Vec<(usize, Vec<u32>)> = match which {
            Which::Affine | Which::AffineUniform => {
                let all = inputs[0].iter();
                vec![(0, all.map(|x| x.wrapping_mul(a).wrapping_add(b)).collect())]
            }
            Which::FillIndex => {
                let all = 0..inputs[0].len() as u32;
                vec![(0, all.map(|i| a.wrapping_add(i)).collect())]
            }
            Which::Add => {
                let sums = inputs[0].iter().zip(&inputs[1]).take(least);
                vec![(2, sums.map(|(x, y)| x.wrapping_add(*y)).collect())]
            }
            Which::Copy => vec![(1, inputs[0][..least].to_vec())],
            Which::Swap => vec![
                (0, inputs[1][..least].to_vec()),
                (1, inputs[0][..least].to_vec()),
            ],
        };
        for (at, output) in outputs {
            let target = self.part(&parts[at]);
            for (bytes, word) in target.chunks_exact_mut(4).zip(output) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let chunks = bytes.chunks_exact(4);
    chunks
        .map(|it| u32::from_le_bytes([it[0], it[1], it[2], it[3]]))
        .collect()
}
