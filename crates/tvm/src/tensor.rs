//! Tensors as TVM describes them.

use crate::addresses::Place;
use crate::bridge::Host;
use crate::error::{Result, bail};

/// An element's type, as DLPack has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataType {
    pub(crate) code: u8,
    pub(crate) bits: u8,
    pub(crate) lanes: u16,
}

/// DLPack's codes, and TVM's for a pointer.
impl DataType {
    pub(crate) const INT: u8 = 0;
    pub(crate) const UINT: u8 = 1;
    pub(crate) const FLOAT: u8 = 2;
    pub(crate) const HANDLE: u8 = 3;
    pub(crate) const BOOL: u8 = 6;

    /// Bits of an element.
    pub(crate) fn bits_all(self) -> u64 {
        u64::from(self.bits) * u64::from(self.lanes)
    }
}

/// Where a tensor's first element is.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    Host(Host),
    Device(Place),
}

/// A tensor that is copied.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) home: Home,
    /// Bytes of its elements.
    pub(crate) bytes: u64,
    pub(crate) runs: Runs,
}

/// The bytes of a tensor, in the order of its elements: pieces of one length each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs {
    /// Bytes of a piece.
    pub(crate) bytes: u64,
    /// Numbers of pieces, the outermost dimension first, and the bytes from one to the next.
    pub(crate) outer: Vec<(u64, i64)>,
}

impl Runs {
    /// `strides` are in elements; packed without.
    pub(crate) fn new(
        shape: &[i64],
        strides: Option<&[i64]>,
        element: DataType,
    ) -> Result<(Self, u64)> {
        let mut count = 1_u64;
        for len in shape {
            let len = u64::try_from(*len).ok();
            let Some(all) = len.and_then(|it| count.checked_mul(it)) else {
                bail!("a tensor's shape is {shape:?}");
            };
            count = all;
        }
        let Some(bits) = count.checked_mul(element.bits_all()) else {
            bail!("a tensor's shape is {shape:?}");
        };
        let bytes = bits.div_ceil(8);
        let packed = Self {
            bytes,
            outer: Vec::new(),
        };
        let Some(strides) = strides.filter(|_| count > 0) else {
            return Ok((packed, bytes));
        };
        let (mut outer, mut run) = (Vec::new(), 1_i64);
        for (len, stride) in shape.iter().zip(strides).rev() {
            match (len, outer.is_empty() && *stride == run) {
                (1, _) => {}
                (len, true) => run = run.saturating_mul(*len),
                (len, false) => outer.push((*len, *stride)),
            }
        }
        if outer.is_empty() {
            return Ok((packed, bytes));
        }
        if !element.bits_all().is_multiple_of(8) {
            bail!(
                "elements of {} bits are copied only if they are packed",
                element.bits_all()
            );
        }
        let size = i64::try_from(element.bits_all() / 8).unwrap_or(i64::MAX);
        let mut made = Vec::new();
        for (len, stride) in outer.into_iter().rev() {
            let Some(stride) = stride.checked_mul(size) else {
                bail!("a tensor's stride is {stride} elements");
            };
            made.push((len.unsigned_abs(), stride));
        }
        let runs = Self {
            bytes: run.saturating_mul(size).unsigned_abs(),
            outer: made,
        };
        Ok((runs, bytes))
    }

    /// Bytes of all pieces.
    pub(crate) fn total(&self) -> u64 {
        let pieces = self.outer.iter().map(|(len, _)| *len);
        pieces.fold(self.bytes, u64::saturating_mul)
    }

    /// Whether the bytes are in one piece.
    pub(crate) fn is_packed(&self) -> bool {
        self.outer.is_empty()
    }

    /// Where each piece begins, from the tensor's first byte on.
    pub(crate) fn starts(&self) -> Starts<'_> {
        Starts {
            runs: self,
            at: vec![0; self.outer.len()],
            next: Some(0),
        }
    }

    /// First byte and one past the last, from the tensor's first element on.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        let (mut low, mut high) = (0_i64, i64::try_from(self.bytes).ok()?);
        for (len, stride) in &self.outer {
            let reach = stride.checked_mul(i64::try_from(*len).ok()?.checked_sub(1)?)?;
            low = low.checked_add(reach.min(0))?;
            high = high.checked_add(reach.max(0))?;
        }
        Some((low, high))
    }
}

/// See [`Runs::starts`].
#[derive(Clone, Debug)]
pub(crate) struct Starts<'a> {
    runs: &'a Runs,
    /// The next piece, by its number along each dimension.
    at: Vec<u64>,
    next: Option<i64>,
}

impl Iterator for Starts<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        let now = self.next?;
        let mut next = now;
        self.next = None;
        for (at, (len, stride)) in self.at.iter_mut().zip(&self.runs.outer).rev() {
            *at += 1;
            next = next.wrapping_add(*stride);
            if *at < *len {
                self.next = Some(next);
                break;
            }
            next = next.wrapping_sub(stride.wrapping_mul(len.cast_signed()));
            *at = 0;
        }
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F32: DataType = DataType {
        code: DataType::FLOAT,
        bits: 32,
        lanes: 1,
    };

    fn starts(shape: &[i64], strides: &[i64]) -> (u64, Vec<i64>) {
        let (runs, _) = Runs::new(shape, Some(strides), F32).unwrap();
        (runs.bytes, runs.starts().collect())
    }

    #[test]
    fn what_is_packed_is_one_piece() {
        assert_eq!(starts(&[3, 4], &[4, 1]), (48, vec![0]));
        assert_eq!(starts(&[3, 1, 4], &[4, 77, 1]), (48, vec![0]));
        assert_eq!(starts(&[], &[]), (4, vec![0]));
    }

    #[test]
    fn what_is_not_packed_is_pieces_in_order() {
        assert_eq!(starts(&[2, 3], &[8, 1]), (12, vec![0, 32]));
        assert_eq!(starts(&[2, 2], &[1, 2]), (4, vec![0, 8, 4, 12]));
        assert_eq!(starts(&[2], &[-1]), (4, vec![0, -4]));
        assert_eq!(starts(&[2, 2, 2], &[100, 2, 1]), (16, vec![0, 400]));
    }

    #[test]
    fn a_span_is_from_the_lowest_byte_to_the_highest() {
        let span = |shape: &[i64], strides: &[i64]| {
            let made = Runs::new(shape, Some(strides), F32).unwrap();
            made.0.span()
        };
        assert_eq!(span(&[3], &[-2]), Some((-16, 4)));
        assert_eq!(span(&[2, 3], &[8, 2]), Some((0, 52)));
        assert_eq!(span(&[2, 2], &[i64::MAX / 4, 1]), None);
    }

    #[test]
    fn elements_of_parts_of_bytes_are_packed() {
        let int4 = DataType {
            code: DataType::INT,
            bits: 4,
            lanes: 1,
        };
        let (runs, bytes) = Runs::new(&[3, 3], None, int4).unwrap();
        assert_eq!((runs.bytes, bytes), (5, 5));
        assert!(Runs::new(&[2, 2], Some(&[4, 1]), int4).is_err());
    }

    #[test]
    fn shapes_without_end_are_refused() {
        assert!(Runs::new(&[-1], None, F32).is_err());
        assert!(Runs::new(&[i64::MAX, 4], None, F32).is_err());
        assert!(Runs::new(&[2, 2], Some(&[i64::MAX, 1]), F32).is_err());
        // Nothing at all, however far apart.
        let (runs, bytes) = Runs::new(&[0, 2], Some(&[i64::MAX, 1]), F32).unwrap();
        assert_eq!((runs.total(), bytes), (0, 0));
    }
}
