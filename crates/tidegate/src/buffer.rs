//! Typed device memory.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use bytemuck::Pod;
use tidegate_core::Memory;

use crate::Error;
use crate::backend::AnyDevice;

/// `len` elements of `T` on a device. Dropping it never waits: its memory is used again once the last work that touches it is complete.
pub struct Buffer<T> {
    pub(crate) memory: Memory<AnyDevice>,
    len: usize,
    element: PhantomData<fn() -> T>,
}

/// Part of a [`Buffer`], or all of it.
pub struct Slice<'a, T> {
    pub(crate) memory: &'a Memory<AnyDevice>,
    start: usize,
    len: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: Pod> Buffer<T> {
    pub(crate) fn new(memory: Memory<AnyDevice>, len: usize) -> Self {
        Self {
            memory,
            len,
            element: PhantomData,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it, as a slice.
    pub fn as_slice(&self) -> Slice<'_, T> {
        Slice {
            memory: &self.memory,
            start: 0,
            len: self.len,
            element: PhantomData,
        }
    }

    /// Elements `range`.
    ///
    /// # Errors
    /// [`StreamError::OutOfRange`](crate::StreamError::OutOfRange), in bytes.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Slice<'_, T>, Error> {
        self.as_slice().slice(range)
    }
}

impl<'a, T: Pod> Slice<'a, T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Elements `range` of this slice.
    ///
    /// # Errors
    /// [`StreamError::OutOfRange`](crate::StreamError::OutOfRange), in bytes from this slice's start.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Self, Error> {
        let start = match range.start_bound() {
            Bound::Included(it) => *it,
            Bound::Excluded(it) => it.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(it) => it.saturating_add(1),
            Bound::Excluded(it) => *it,
            Bound::Unbounded => self.len,
        };
        if start > end || end > self.len {
            return Err(tidegate_core::Error::OutOfRange {
                offset: bytes::<T>(start),
                bytes: bytes::<T>(end.saturating_sub(start)),
                size: bytes::<T>(self.len),
            }
            .into());
        }
        Ok(Slice {
            memory: self.memory,
            start: self.start + start,
            len: end - start,
            element: PhantomData,
        })
    }

    pub(crate) fn offset(&self) -> u64 {
        bytes::<T>(self.start)
    }

    pub(crate) fn bytes(&self) -> u64 {
        bytes::<T>(self.len)
    }
}

/// Size of `len` elements. Saturates: no buffer is that large, and the request is refused for its size.
pub(crate) fn bytes<T>(len: usize) -> u64 {
    (len as u64).saturating_mul(size_of::<T>() as u64)
}

impl<T> Clone for Slice<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slice<'_, T> {}

impl<'a, T: Pod> From<&'a Buffer<T>> for Slice<'a, T> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        buffer.as_slice()
    }
}

impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("type", &std::any::type_name::<T>())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Slice<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice")
            .field("type", &std::any::type_name::<T>())
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
