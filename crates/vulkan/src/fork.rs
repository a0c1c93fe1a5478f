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

#[cfg(all(test, unix))]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use tidegate_core::{Device, DeviceError, GraphId, MemoryId, MemoryKind, PipelineId};

    use crate::{Options, Select, VulkanDevice};

    unsafe extern "C" {
        fn fork() -> i32;
        fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
        fn kill(process: i32, signal: i32) -> i32;
        fn _exit(status: i32) -> !;
    }

    /// Whatever another thread holds at the moment of the fork: no call of the child waits for it.
    #[test]
    fn a_child_takes_no_lock() {
        let options = Options {
            validation: true,
            ..Options::default()
        };
        let device = VulkanDevice::open(&Select::Best, &options).unwrap();
        let id = MemoryId(0);
        device.allocate(id, 16, MemoryKind::Upload).unwrap();
        let device = std::sync::Arc::new(device);
        let (held, hold) = (mpsc::channel(), mpsc::channel::<()>());
        let thread = {
            let device = std::sync::Arc::clone(&device);
            std::thread::spawn(move || {
                device.hold_every_lock(|| {
                    held.0.send(()).unwrap();
                    let _ = hold.1.recv();
                });
            })
        };
        held.1.recv().unwrap();
        // SAFETY: the child makes the calls that are tested, which take no lock, and ends.
        let process = unsafe { fork() };
        if process == 0 {
            let lost = |result: Result<(), DeviceError>| matches!(result, Err(DeviceError::Lost { detail }) if detail.contains("fork"));
            let refused = lost(device.write(id, 0, &[1]))
                && lost(device.read(id, 0, &mut [1]))
                && lost(device.completed(0).map(|_| ()));
            device.free(id);
            device.destroy_pipeline(PipelineId(0));
            device.forget_graph(GraphId(1));
            device.take_timings(&mut Vec::new());
            device.validation_messages();
            let _ = device.memory_available(MemoryKind::Device);
            // SAFETY: the other thread, which shares the device, is not in this process. The value is not used again.
            unsafe { std::ptr::drop_in_place(std::sync::Arc::as_ptr(&device).cast_mut()) };
            // SAFETY: ends the process.
            unsafe { _exit(if refused { 3 } else { 4 }) };
        }
        let start = Instant::now();
        let mut status = 0;
        // SAFETY: our own child, and a place for its status.
        while unsafe { waitpid(process, &mut status, 1) } != process {
            if start.elapsed() > Duration::from_secs(10) {
                // SAFETY: our own child, which has not been waited for.
                unsafe { kill(process, 9) };
                panic!("the child hangs");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(hold.0);
        thread.join().unwrap();
        assert_eq!((status & 0x7f, status >> 8), (0, 3));
    }
}
