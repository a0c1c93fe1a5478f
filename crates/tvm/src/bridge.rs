//! The functions that `bridge.cc` calls, and the few things that only C can say. All of the crate's unsafe code is here: it makes values of pointers.
//!
//! A function returns 0, or -1 and keeps the error's text for the thread. None unwinds into C++.

#![allow(unsafe_code, reason = "the seam with C++")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use tidegate::{Device, interface};

use crate::attribute::{self, Answer};
use crate::cards::{self, runtime};
use crate::copy;
use crate::counters;
use crate::error::{Error, Result, bail};
use crate::kernel::{Description, Kernel};
use crate::launch::{self, Value};
use crate::module::{Module, Source, Target};
use crate::tensor::{DataType, Home, Runs, Tensor};
use crate::timer::Timer;
use crate::tracing;

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

/// Runs what a function does. No panic leaves it: C++ could not be unwound through.
fn call(body: impl FnOnce() -> Result<()>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime().enter()?;
        body()
    }));
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
/// `value` is valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_attribute(
    device: RawDevice,
    kind: i32,
    value: *mut RawValue,
) -> i32 {
    call(|| {
        let answer = attribute::attribute(device.index, kind)?;
        // SAFETY: the caller's promise.
        unsafe { give(value, answer.into()) };
        Ok(())
    })
}

/// # Safety
/// `name` is valid for reads, `value` for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_property(
    device: RawDevice,
    name: Text,
    value: *mut RawValue,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let answer = attribute::property(device.index, unsafe { name.str() }?)?;
        // SAFETY: the caller's promise.
        unsafe { give(value, answer.into()) };
        Ok(())
    })
}

/// Sets the thread's device.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_set_device(device: RawDevice) -> i32 {
    call(|| {
        launch::set_device(device.index);
        Ok(())
    })
}

/// # Safety
/// `address` is valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_allocate(
    device: RawDevice,
    bytes: usize,
    alignment: usize,
    address: *mut *mut c_void,
) -> i32 {
    call(|| {
        let made = runtime().allocate(device.index, bytes, alignment)?;
        // SAFETY: the caller's promise. The address is never followed.
        unsafe { give(address, ptr::without_provenance_mut(made as usize)) };
        Ok(())
    })
}

/// Frees memory. What is wrong is told by the next call, as this one is made by destructors.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_free(_device: RawDevice, address: *mut c_void) -> i32 {
    let outcome = catch_unwind(|| {
        if !address.is_null() && runtime().may_free() {
            match runtime().addresses.remove(address.addr() as u64) {
                Ok(allocation) => drop(allocation),
                Err(error) => runtime().leave(error),
            }
        }
    });
    if outcome.is_ok() { 0 } else { -1 }
}

/// # Safety
/// Both are valid tensors: `ndim` entries of shape, and of strides if they are not null; memory of the host is valid for all of their elements.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_copy(
    from: *const RawTensor,
    to: *const RawTensor,
    stream: *mut c_void,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let (from, to) = unsafe { (tensor(&*from)?, tensor(&*to)?) };
        copy::copy(&from, &to, stream.addr() as u64)
    })
}

/// # Safety
/// As [`tidegate_copy`] for one.
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
        // SAFETY: `range` keeps to what the caller of `tidegate_copy` promised to be valid, for as long as that call lasts; this value does not outlive it.
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
        // SAFETY: as in `bytes`. It is the target of the copy, which nobody else touches meanwhile, and the closure has no other way to it.
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

/// # Safety
/// `stream` is valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_stream_create(
    device: RawDevice,
    stream: *mut *mut c_void,
) -> i32 {
    call(|| {
        let handle = runtime().card(device.index)?.create_line()?;
        // SAFETY: the caller's promise.
        unsafe { give(stream, ptr::without_provenance_mut(handle as usize)) };
        Ok(())
    })
}

/// Frees a stream; its work goes on.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_stream_free(device: RawDevice, stream: *mut c_void) -> i32 {
    call(|| {
        runtime()
            .card(device.index)?
            .free_line(stream.addr() as u64)
    })
}

/// Fails if there is no such stream.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_stream_check(device: RawDevice, stream: *mut c_void) -> i32 {
    call(|| {
        runtime()
            .card(device.index)?
            .line(stream.addr() as u64)
            .map(drop)
    })
}

/// Waits for a stream.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_stream_synchronize(
    device: RawDevice,
    stream: *mut c_void,
) -> i32 {
    call(|| {
        runtime()
            .card(device.index)?
            .synchronize(stream.addr() as u64)
    })
}

/// Makes a stream wait for another.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_stream_order(
    device: RawDevice,
    before: *mut c_void,
    after: *mut c_void,
) -> i32 {
    call(|| {
        runtime()
            .card(device.index)?
            .order(before.addr() as u64, after.addr() as u64)
    })
}

/// # Safety
/// `format` is valid for reads, `module` for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_create(
    device_type: i32,
    format: Text,
    module: *mut *mut c_void,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let made = Module::new(Target::new(device_type)?, unsafe { format.str() }?)?;
        // SAFETY: the caller's promise.
        unsafe { give(module, Box::into_raw(Box::new(made)).cast()) };
        Ok(())
    })
}

/// # Safety
/// `module` is from [`tidegate_module_create`] and nobody else uses it yet; all else is valid for reads.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_add(
    module: *mut c_void,
    name: Text,
    code: Text,
    shown: Text,
    types: *const DataType,
    types_len: usize,
    tags: *const Text,
    tags_len: usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let (module, name, code) =
            unsafe { (&mut *module.cast::<Module>(), name.str()?, code.bytes()) };
        let types = match types_len {
            0 => Vec::new(),
            // SAFETY: the caller's promise.
            len => unsafe { std::slice::from_raw_parts(types, len) }.to_vec(),
        };
        let tags = (0..tags_len).map(|at| {
            // SAFETY: the caller's promise.
            unsafe { (*tags.add(at)).str() }.map(str::to_owned)
        });
        let description = Description {
            name: name.to_owned(),
            types,
            tags: tags.collect::<Result<_>>()?,
        };
        // SAFETY: the caller's promise.
        let shown = String::from_utf8_lossy(unsafe { shown.bytes() }).into_owned();
        module.add(description, code.to_vec(), shown)
    })
}

/// # Safety
/// `bytes` is valid for reads, `module` for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_load(
    device_type: i32,
    bytes: Text,
    module: *mut *mut c_void,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let made = Module::load(Target::new(device_type)?, unsafe { bytes.bytes() })?;
        // SAFETY: the caller's promise.
        unsafe { give(module, Box::into_raw(Box::new(made)).cast()) };
        Ok(())
    })
}

/// # Safety
/// `module` is from this file and alive.
unsafe fn module<'a>(module: *mut c_void) -> &'a Module {
    // SAFETY: the caller's promise.
    unsafe { &*module.cast::<Module>() }
}

/// # Safety
/// `handle` is a module that is alive, `bytes` valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_save(handle: *mut c_void, bytes: *mut Text) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        unsafe { give(bytes, Text::keep(module(handle).save())) };
        Ok(())
    })
}

/// # Safety
/// `handle` is a module that is alive, `format` valid for reads, `source` for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_source(
    handle: *mut c_void,
    format: Text,
    source: *mut Text,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let text = unsafe { module(handle).source(format.str()?) }?;
        // SAFETY: the caller's promise.
        unsafe { give(source, Text::keep(text.into_bytes())) };
        Ok(())
    })
}

/// Gives a null pointer if there is no such kernel.
///
/// # Safety
/// `handle` is a module that is alive, `name` valid for reads, `kernel` for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_kernel(
    handle: *mut c_void,
    name: Text,
    kernel: *mut *const c_void,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let found = unsafe { module(handle).kernel(name.str()?) }?;
        let raw = found.map_or(ptr::null(), |it| Arc::into_raw(it).cast());
        // SAFETY: the caller's promise.
        unsafe { give(kernel, raw) };
        Ok(())
    })
}

/// # Safety
/// `handle` is a module that is alive, and not used again.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_drop(handle: *mut c_void) {
    // SAFETY: the caller's promise; it was made by `Box::into_raw`. A panic in a destructor would end the process in any case.
    let _ = catch_unwind(|| drop(unsafe { Box::from_raw(handle.cast::<Module>()) }));
}

/// # Safety
/// `kernel` is alive, `arguments` valid for `len` reads.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_kernel_launch(
    kernel: *const c_void,
    arguments: *const RawAny,
    len: i32,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let kernel = unsafe { &*kernel.cast::<Kernel>() };
        let arguments = match usize::try_from(len).unwrap_or(0) {
            0 => &[],
            // SAFETY: the caller's promise.
            len => unsafe { std::slice::from_raw_parts(arguments, len) },
        };
        launch::launch(kernel, arguments.len(), |at| {
            arguments.get(at).map_or(Value::Other(-1), RawAny::value)
        })
    })
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

/// # Safety
/// `kernel` is from [`tidegate_module_kernel`], and not used again.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_kernel_drop(kernel: *const c_void) {
    // SAFETY: the caller's promise; it was made by `Arc::into_raw`.
    let _ = catch_unwind(|| drop(unsafe { Arc::from_raw(kernel.cast::<Kernel>()) }));
}

/// # Safety
/// `timer` is valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_timer_start(
    device: RawDevice,
    timer: *mut *mut c_void,
) -> i32 {
    call(|| {
        let stream = current_stream(Target::new(device.kind)?, device.index);
        let made = Box::new(Timer::start(device.index, stream)?);
        // SAFETY: the caller's promise.
        unsafe { give(timer, Box::into_raw(made).cast()) };
        Ok(())
    })
}

/// # Safety
/// `timer` is a timer that is alive and not used by another thread, or null.
unsafe fn timer<'a>(timer: *mut c_void) -> Result<&'a mut Timer> {
    // SAFETY: the caller's promise.
    match unsafe { timer.cast::<Timer>().as_mut() } {
        Some(timer) => Ok(timer),
        None => bail!("the timer was not started"),
    }
}

/// # Safety
/// `handle` is a timer that is alive and not used by another thread, or null.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_timer_stop(handle: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    call(|| unsafe { timer(handle) }?.stop())
}

/// # Safety
/// `handle` is a timer that is alive and not used by another thread, or null; `ns` is valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_timer_elapsed(handle: *mut c_void, ns: *mut i64) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        unsafe { give(ns, timer(handle)?.elapsed_ns()?) };
        Ok(())
    })
}

/// # Safety
/// `handle` is a timer that is alive and not used again, or null.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_timer_drop(handle: *mut c_void) {
    if !handle.is_null() {
        // SAFETY: the caller's promise; it was made by `Box::into_raw`.
        let _ = catch_unwind(|| drop(unsafe { Box::from_raw(handle.cast::<Timer>()) }));
    }
}

/// A counter by its index, with its name as the value's text; no value after the last.
///
/// # Safety
/// `value` is valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_counter(index: i32, value: *mut RawValue) -> i32 {
    call(|| {
        let counters = counters::counters();
        let found = usize::try_from(index).ok().and_then(|it| counters.get(it));
        let made = match found {
            Some((name, number)) => RawValue {
                kind: 2,
                number: i64::try_from(*number).unwrap_or(i64::MAX),
                text: Text::of(name.as_bytes()),
            },
            None => Answer::None.into(),
        };
        // SAFETY: the caller's promise.
        unsafe { give(value, made) };
        Ok(())
    })
}

/// Starts counting again.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_counters_reset() -> i32 {
    call(|| {
        counters::reset();
        Ok(())
    })
}

/// Sets the policy of all streams.
///
/// # Safety
/// `name` is valid for reads.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_set_policy(name: Text) -> i32 {
    // SAFETY: the caller's promise.
    call(|| runtime().set_policy(unsafe { name.str() }?))
}

/// Begins to trace what all devices do.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_trace_start() -> i32 {
    call(tracing::start)
}

/// Ends the trace of one device: gives a timeline, and what each kernel took, both in JSON; nothing for an index beyond the last. The trace is over with the first call.
///
/// # Safety
/// Both are valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_trace_stop(
    index: i32,
    timeline: *mut RawValue,
    kernels: *mut Text,
) -> i32 {
    call(|| {
        let trace = tracing::stop(index)?;
        let (text, rows) = match trace {
            Some(trace) => (Answer::Text(trace.to_json()), tracing::kernels(&trace)),
            None => (Answer::None, String::new()),
        };
        // Both at once, as the thread keeps what it gave last: the table, then the timeline.
        let (len, found) = (rows.len(), matches!(text, Answer::Text(_)));
        let mut bytes = rows.into_bytes();
        if let Answer::Text(text) = text {
            bytes.extend(text.into_bytes());
        }
        let all = Text::keep(bytes);
        let (rows, text) = all.split(len);
        // SAFETY: the caller's promise.
        unsafe {
            give(kernels, rows);
            give(
                timeline,
                RawValue {
                    kind: if found { 2 } else { 0 },
                    number: 0,
                    text,
                },
            );
        }
        Ok(())
    })
}

/// Ends the use of all devices, as the process ends.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_close() {
    let _ = catch_unwind(|| runtime().close());
}

/// The stream that TVM's user has set for a device, on this thread.
pub(crate) fn current_stream(target: Target, index: i32) -> u64 {
    #[cfg(bridge)]
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
    #[cfg(not(bridge))]
    {
        let _ = (target, index);
        0
    }
}

/// A module of Metal's, which has no checks: TVM's compiler answers for it, as with its own runtime.
pub(crate) fn metal_module(
    device: &Device,
    source: &Source,
    kernel: interface::Kernel,
) -> Result<tidegate::Module> {
    if source.binary {
        // SAFETY: TVM's compiler made the code and the description of its arguments together.
        return Ok(unsafe { device.module_from_metallib(&source.code, vec![kernel]) });
    }
    match std::str::from_utf8(&source.code) {
        // SAFETY: as above.
        Ok(text) => Ok(unsafe { device.module_from_msl(text, vec![kernel]) }),
        Err(_) => bail!("its source is not text"),
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
#[cfg(bridge)]
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
