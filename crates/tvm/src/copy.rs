//! Copies between tensors, on the host and on devices, packed or not.

use tidegate::Slice;

use crate::addresses::Place;
use crate::bridge::Host;
use crate::cards::lock;
use crate::error::{Result, bail};
use crate::tensor::{Home, Runs, Starts, Tensor};

/// What is downloaded at a time, so that results need no more host memory.
const PART_BYTES: usize = 64 << 20;

/// Copies `from` to `to`, element for element in the order of their dimensions. Bytes that go to the host are there when it returns; what comes from the host has been read.
pub(crate) fn copy(from: &Tensor, to: &Tensor, stream: u64) -> Result<()> {
    if from.bytes != to.bytes {
        bail!(
            "a copy of {} bytes to a tensor of {} bytes",
            from.bytes,
            to.bytes
        );
    }
    if from.bytes == 0 {
        return Ok(());
    }
    for (tensor, what) in [(from, "read"), (to, "written")] {
        check(tensor, what)?;
    }
    match (&from.home, &to.home) {
        (Home::Host(source), Home::Device(target)) => {
            upload((source, &from.runs), (target, &to.runs), stream)
        }
        (Home::Device(source), Home::Host(target)) => {
            download((source, &from.runs), (target, &to.runs), stream)
        }
        (Home::Device(source), Home::Device(target)) => {
            let (one, other) = (&source.allocation.card, &target.allocation.card);
            if one.index == other.index {
                within((source, &from.runs), (target, &to.runs), stream)
            } else {
                across((source, &from.runs), (target, &to.runs))
            }
        }
        (Home::Host(_), Home::Host(_)) => {
            bail!("a copy from the host to the host is not the device's")
        }
    }
}

/// Whether all of a tensor lies in its allocation.
fn check(tensor: &Tensor, what: &str) -> Result<()> {
    let Some((low, high)) = tensor.runs.span() else {
        bail!("a tensor's strides reach further than memory does");
    };
    let Home::Device(place) = &tensor.home else {
        return Ok(());
    };
    let begins = i128::from(place.offset) + i128::from(low);
    let ends = i128::from(place.offset) + i128::from(high);
    let size = place.allocation.bytes;
    if begins < 0 || ends > i128::from(size) {
        bail!("a copy would have {what} bytes {begins}..{ends} of an allocation of {size} bytes");
    }
    Ok(())
}

type Side<'a, T> = (&'a T, &'a Runs);

fn upload(from: Side<'_, Host>, to: Side<'_, Place>, stream: u64) -> Result<()> {
    let line = to.0.allocation.card.line(stream)?;
    let mut line = lock(&line);
    for (source, target, len) in Pieces::new(from.1, to.1) {
        let data = from.0.bytes(source, len)?;
        line.upload(to.0.slice(target, len)?, data)?;
    }
    Ok(())
}

fn download(from: Side<'_, Place>, to: Side<'_, Host>, stream: u64) -> Result<()> {
    if from.1.is_packed() && to.1.is_packed() {
        return to
            .0
            .with_bytes(0, to.1.bytes, |data| read(from.0, 0, data, stream));
    }
    // The whole span at once: pieces may be many and small.
    let (low, span) = fetch(from, stream)?;
    for (source, target, len) in Pieces::new(from.1, to.1) {
        let data = part(&span, source - low, len)?;
        to.0.with_bytes(target, len, |target| {
            target.copy_from_slice(data);
            Ok(())
        })?;
    }
    Ok(())
}

/// A copy on one device, a command for each piece.
fn within(from: Side<'_, Place>, to: Side<'_, Place>, stream: u64) -> Result<()> {
    let line = to.0.allocation.card.line(stream)?;
    let mut line = lock(&line);
    for (source, target, len) in Pieces::new(from.1, to.1) {
        line.copy(from.0.slice(source, len)?, to.0.slice(target, len)?)?;
    }
    Ok(())
}

/// A copy from one device to another, through the host. Either device orders it after the work that was recorded there, whatever the stream.
fn across(from: Side<'_, Place>, to: Side<'_, Place>) -> Result<()> {
    let (low, span) = fetch(from, 0)?;
    let line = to.0.allocation.card.line(0)?;
    let mut line = lock(&line);
    for (source, target, len) in Pieces::new(from.1, to.1) {
        let data = part(&span, source - low, len)?;
        line.upload(to.0.slice(target, len)?, data)?;
    }
    Ok(())
}

/// All bytes from a tensor's lowest to its highest, and where the lowest is.
fn fetch(from: Side<'_, Place>, stream: u64) -> Result<(i64, Vec<u8>)> {
    let Some((low, high)) = from.1.span() else {
        bail!("a tensor's strides reach further than memory does");
    };
    let mut span = vec![0; usize::try_from(high - low).unwrap_or(usize::MAX)];
    read(from.0, low, &mut span, stream)?;
    Ok((low, span))
}

/// Reads the bytes from `offset` on, and waits for them without holding the stream.
fn read(from: &Place, offset: i64, target: &mut [u8], stream: u64) -> Result<()> {
    let line = from.allocation.card.line(stream)?;
    let mut at = offset;
    for part in target.chunks_mut(PART_BYTES) {
        let source = from.slice(at, part.len() as u64)?;
        let pending = lock(&line).download(source)?;
        pending.wait_into(part)?;
        at += part.len().cast_signed() as i64;
    }
    Ok(())
}

fn part(span: &[u8], offset: i64, len: u64) -> Result<&[u8]> {
    let start = usize::try_from(offset).ok();
    let found = start.and_then(|it| span.get(it..it.checked_add(usize::try_from(len).ok()?)?));
    match found {
        Some(found) => Ok(found),
        None => bail!("a copy reaches outside of its tensor"),
    }
}

impl Place {
    /// `len` bytes from `offset` on, counted from this place.
    fn slice(&self, offset: i64, len: u64) -> Result<Slice<'_, u8>> {
        let start = self.offset.wrapping_add_signed(offset);
        let range = usize::try_from(start)
            .ok()
            .and_then(|start| Some(start..start.checked_add(usize::try_from(len).ok()?)?));
        match range {
            Some(range) => Ok(self.allocation.buffer.slice(range)?),
            None => bail!("a copy reaches outside of its tensor"),
        }
    }
}

/// The bytes of two tensors of one size, in pieces that are in one piece in both: where each begins there, and how long it is.
struct Pieces<'a> {
    sides: [(Starts<'a>, i64, u64, u64); 2],
    left: u64,
}

impl<'a> Pieces<'a> {
    fn new(from: &'a Runs, to: &'a Runs) -> Self {
        let side = |runs: &'a Runs| (runs.starts(), 0, 0, runs.bytes);
        Self {
            sides: [side(from), side(to)],
            left: from.total(),
        }
    }
}

impl Iterator for Pieces<'_> {
    type Item = (i64, i64, u64);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        for (starts, at, left, bytes) in &mut self.sides {
            if *left == 0 {
                (*at, *left) = (starts.next()?, *bytes);
            }
        }
        let len = self.sides[0].2.min(self.sides[1].2);
        let item = (self.sides[0].1, self.sides[1].1, len);
        for (_, at, left, _) in &mut self.sides {
            *at = at.wrapping_add_unsigned(len);
            *left -= len;
        }
        self.left = self.left.saturating_sub(len);
        Some(item)
    }
}
