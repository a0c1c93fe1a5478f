//! What TVM calls a device API.

use std::ffi::c_void;
use std::panic::catch_unwind;
use std::ptr;

use super::{RawDevice, RawTensor, RawValue, Text, call, give, tensor};
use crate::cards::runtime;
use crate::{attribute, copy, launch};

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
/// While it lasts no thread writes the host's memory that is read, and none reads or writes what is written. TVM's user promises that, as for every copy of TVM's: its own runtimes copy with `memcpy`.
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
