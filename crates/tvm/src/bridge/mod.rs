//! The functions that `bridge.cc` calls, and the few things that only C can say. All of the crate's unsafe code is here: it makes values of pointers.
//!
//! A function returns 0, or -1 and keeps the error's text for the thread. None unwinds into C++.

#![allow(unsafe_code, reason = "the seam with C++")]

mod device;
mod module;
mod other;

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::attribute::Answer;
use crate::cards::{self, runtime};
use crate::error::{Error, Result, bail};
use crate::launch::Value;
use crate::module::Target;
use crate::tensor::{DataType, Home, Runs, Tensor};

pub(crate) use module::{metal_module, trusted_module};

/// Addresses have 63 bits, see `addresses`.
const _: () = assert!(
    usize::BITS == 64,
    "TVM's pointers are as wide as addresses are"
);

/// DLPack's `DLDevice`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawDevice {
    kind: i32,
    index: i32,
}

/// DLPack's `DLTensor`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct RawTensor {
    data: *mut c_void,
    device: RawDevice,
    ndim: i32,
    dtype: DataType,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

/// `TVMFFIAny`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawAny {
    kind: i32,
    len: u32,
    bits: u64,
}

/// Bytes that somebody else owns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    data: *const u8,
    len: usize,
}

/// An answer to C++.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct RawValue {
    kind: i32,
    number: i64,
    text: Text,
}

thread_local! {
    /// What the last function of this thread that failed had to say.
    static FAILURE: RefCell<String> = const { RefCell::new(String::new()) };
    /// Bytes that the last function of this thread gave.
    static GIVEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// Bytes that the thread keeps until its next call that gives some.
    fn keep(bytes: Vec<u8>) -> Self {
        GIVEN.with_borrow_mut(|given| {
            *given = bytes;
            Self::of(given)
        })
    }

    /// Its first `len` bytes, which it has, and the others.
    fn split(self, len: usize) -> (Self, Self) {
        let rest = Self {
            data: self.data.wrapping_add(len),
            len: self.len - len,
        };
        (
            Self {
                data: self.data,
                len,
            },
            rest,
        )
    }

    /// # Safety
    /// `data` is valid for `len` bytes while the result is used, or `len` is 0.
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }

    /// # Safety
    /// As [`Self::bytes`].
    unsafe fn str<'a>(self) -> Result<&'a str> {
        // SAFETY: the caller's promise.
        match std::str::from_utf8(unsafe { self.bytes() }) {
            Ok(text) => Ok(text),
            Err(_) => bail!("a name is not text"),
        }
    }
}

/// Runs what a function does, where devices may be used.
fn call(body: impl FnOnce() -> Result<()>) -> i32 {
    anywhere(|| {
        runtime().enter()?;
        body()
    })
}

/// Runs what uses no device and takes no lock, and so works in a forked child too. No panic leaves it: C++ could not be unwound through.
fn anywhere(body: impl FnOnce() -> Result<()>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let error = match outcome {
        Ok(Ok(())) => return 0,
        Ok(Err(Error(text))) => text,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!(
                "a defect of tidegate_tvm, please report it: {}",
                text.unwrap_or("?")
            )
        }
    };
    FAILURE.with_borrow_mut(|failure| *failure = error);
    -1
}

/// The text of this thread's last error, until its next.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_error() -> Text {
    FAILURE.with_borrow(|failure| Text::of(failure.as_bytes()))
}

/// Writes through a pointer that C++ gave for a result.
///
/// # Safety
/// `to` is valid for a write.
unsafe fn give<T>(to: *mut T, value: T) {
    // SAFETY: the caller's promise.
    unsafe { to.write(value) };
}

impl From<Answer> for RawValue {
    fn from(answer: Answer) -> Self {
        let (kind, number, text) = match answer {
            Answer::None => (0, 0, Vec::new()),
            Answer::Number(number) => (1, number, Vec::new()),
            Answer::Text(text) => (2, 0, text.into_bytes()),
        };
        Self {
            kind,
            number,
            text: Text::keep(text),
        }
    }
}

/// # Safety
/// As `tidegate_copy` for one.
unsafe fn tensor(raw: &RawTensor) -> Result<Tensor> {
    let len = usize::try_from(raw.ndim).unwrap_or(0);
    let list = |data: *const i64| match (data.is_null(), len) {
        (true, _) => None,
        (false, 0) => Some(&[][..]),
        // SAFETY: the caller's promise.
        (false, len) => Some(unsafe { std::slice::from_raw_parts(data, len) }),
    };
    let (runs, bytes) = Runs::new(
        list(raw.shape).unwrap_or_default(),
        list(raw.strides),
        raw.dtype,
    )?;
    let address = raw.data.addr() as u64;
    let home = match raw.device.kind {
        // The host's, and what CUDA's and ROCm's runtimes pin there.
        1 | 3 | 11 => {
            let span = runs.span().unwrap_or((0, 0));
            let start = raw
                .data
                .cast::<u8>()
                .wrapping_add(usize::try_from(raw.byte_offset).unwrap_or(usize::MAX));
            Home::Host(Host { start, span })
        }
        _ if bytes == 0 => Home::Host(Host {
            start: ptr::null_mut(),
            span: (0, 0),
        }),
        kind => {
            Target::new(kind)?;
            let mut place = runtime().addresses.find(address)?;
            place.offset = place.offset.saturating_add(raw.byte_offset);
            Home::Device(place)
        }
    };
    Ok(Tensor { home, bytes, runs })
}

/// Memory of the host, for as long as a call of C++ lasts.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    start: *mut u8,
    /// The bytes that are valid, counted from `start`.
    span: (i64, i64),
}

impl Host {
    /// `len` bytes from `offset` on.
    pub(crate) fn bytes(&self, offset: i64, len: u64) -> Result<&[u8]> {
        let (start, len) = self.range(offset, len)?;
        // SAFETY: `range` keeps to what the caller of `tidegate_copy` promised to be valid, for as long as that call lasts; this value does not outlive it. Nobody writes it meanwhile: the same
        // promise, which Python's lock does not keep, as it is free while a copy lasts.
        Ok(unsafe { std::slice::from_raw_parts(start, len) })
    }

    /// Lets `with` write `len` bytes from `offset` on.
    pub(crate) fn with_bytes<T>(
        &self,
        offset: i64,
        len: u64,
        with: impl FnOnce(&mut [u8]) -> Result<T>,
    ) -> Result<T> {
        let (start, len) = self.range(offset, len)?;
        // SAFETY: as in `bytes`. It is the target of the copy, which nobody else reads or writes meanwhile: the caller's promise. The closure has no other way to it, as the other side is a device's.
        with(unsafe { std::slice::from_raw_parts_mut(start, len) })
    }

    fn range(&self, offset: i64, len: u64) -> Result<(*mut u8, usize)> {
        let inside = self.span.0 <= offset
            && i128::from(offset) + i128::from(len) <= i128::from(self.span.1);
        match (usize::try_from(len), isize::try_from(offset)) {
            (Ok(len), Ok(offset)) if inside && !self.start.is_null() => {
                Ok((self.start.wrapping_offset(offset), len))
            }
            _ => bail!("a copy reaches outside of its tensor on the host"),
        }
    }
}

impl RawAny {
    fn value(&self) -> Value {
        match self.kind {
            0 => Value::Pointer(0),
            1 => Value::Int(self.bits.cast_signed()),
            2 => Value::Int((self.bits & 1).cast_signed()),
            3 => Value::Float(f64::from_bits(self.bits)),
            4 => Value::Pointer(self.bits),
            other => Value::Other(other),
        }
    }
}

/// The stream that TVM's user has set for a device, on this thread.
pub(crate) fn current_stream(target: Target, index: i32) -> u64 {
    #[cfg(feature = "bridge")]
    {
        unsafe extern "C" {
            fn TVMFFIEnvGetStream(device_type: i32, device_id: i32) -> *mut c_void;
        }
        let device_type = match target {
            Target::WebGpu => 15,
            Target::Metal => 8,
        };
        // SAFETY: it takes any numbers, from any thread.
        unsafe { TVMFFIEnvGetStream(device_type, index) }.addr() as u64
    }
    #[cfg(not(feature = "bridge"))]
    {
        let _ = (target, index);
        0
    }
}

/// Has children of this process marked when they are forked.
#[cfg(unix)]
pub(crate) fn at_fork() {
    extern "C" fn child() {
        cards::forked();
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function only stores to an atomic, which is allowed in a child. If it cannot be registered, a forked child is not told apart.
        unsafe { libc::pthread_atfork(None, None, Some(child)) };
    });
}

/// Registers everything with TVM. Returns a null pointer, or a text that says what was wrong.
#[cfg(feature = "bridge")]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_register() -> *const std::ffi::c_char {
    unsafe extern "C" {
        fn tidegate_bridge_register(
            name: *const std::ffi::c_char,
            device_type: i32,
        ) -> *const std::ffi::c_char;
    }
    // SAFETY: the name is a C string.
    let failure = unsafe { tidegate_bridge_register(c"webgpu".as_ptr(), 15) };
    if !failure.is_null() || !cfg!(target_vendor = "apple") {
        return failure;
    }
    // SAFETY: as above.
    unsafe { tidegate_bridge_register(c"metal".as_ptr(), 8) }
}
