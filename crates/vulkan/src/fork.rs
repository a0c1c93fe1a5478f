//! Whether this process was forked from the one that opened a device. Drivers do not outlive a fork: their threads are not there in the child, and a lock that one of them held stays
//! held for ever.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::OpenError;

/// Forks on the way from the process that first asked to this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Counts from the first call on. A child made by the bare system call, without the C library's `fork`, is not noticed.
pub(crate) fn process() -> &'static AtomicU32 {
    #[cfg(unix)]
    {
        static COUNTED: OnceLock<()> = OnceLock::new();
        COUNTED.get_or_init(|| {
            // SAFETY: the function does nothing that a child of fork may not do: it adds to a number that lives as long as the program. It fails only for want of memory, and then no
            // fork is noticed. POSIX, "pthread_atfork".
            let _ = unsafe { pthread_atfork(None, None, Some(forked)) };
        });
    }
    &FORKS
}

/// An error in a child of a process that has used Vulkan.
pub(crate) fn check() -> Result<(), OpenError> {
    static FIRST: OnceLock<u32> = OnceLock::new();
    let now = process().load(Ordering::Relaxed);
    if now == *FIRST.get_or_init(|| now) {
        Ok(())
    } else {
        Err(OpenError::Forked)
    }
}

#[cfg(unix)]
unsafe extern "C" {
    fn pthread_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
    ) -> std::ffi::c_int;
}

#[cfg(unix)]
unsafe extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
