//! Timers, counters, traces, the policy and the end.

use std::ffi::c_void;
use std::panic::catch_unwind;

use super::{RawDevice, RawValue, Text, call, current_stream, give};
use crate::attribute::Answer;
use crate::cards::runtime;
use crate::error::{Result, bail};
use crate::module::Target;
use crate::timer::Timer;
use crate::{counters, tracing};

/// One thread at a time, but not always the same.
const _: () = {
    const fn sent<T: Send>() {}
    sent::<Timer>();
};

/// # Safety
/// `timer` is valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_timer_start(
    device: RawDevice,
    timer: *mut *mut c_void,
) -> i32 {
    call(|| {
        let stream = current_stream(Target::new(device.kind)?, device.index);
        let made = Box::new(Timer::start(runtime().card(device.index)?, stream)?);
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

/// Turns checks of indices on or off, for kernels that are compiled from now on.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tidegate_set_checks(on: i32) -> i32 {
    call(|| {
        runtime().set_checks(on != 0);
        Ok(())
    })
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
