//! A buffer's bytes, which outlive the object if a command buffer still uses them.

use std::alloc::{Layout, alloc, dealloc};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::rules::Rule;
use crate::world::World;

/// Bytes that host and device share.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Tells buffers apart, also after one has taken another's place.
    pub(crate) id: u64,
    bytes: *mut u8,
    len: usize,
    /// Whether Metal orders what uses it.
    pub(crate) tracked: bool,
    /// Commands not yet complete of command buffers that do not retain the buffer.
    unretained: AtomicUsize,
    released: AtomicBool,
    world: Arc<World>,
}

// SAFETY: the bytes are raw memory that the device's threads and the host share as on a GPU; whoever reads or writes them goes through raw pointers.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// Fresh memory is not zero.
const FRESH: u8 = 0xa5;
/// Memory of a released buffer.
const RELEASED: u8 = 0xde;
const ALIGN: usize = 4096;

impl Memory {
    /// Memory filled with poison; nothing if there is none.
    pub(crate) fn new(world: &Arc<World>, len: usize, tracked: bool) -> Option<Arc<Self>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let layout = Layout::from_size_align(len, ALIGN).ok()?;
        if !world.allocate(len as u64) {
            return None;
        }
        // SAFETY: a buffer's length is not 0, as its maker has checked.
        let bytes = unsafe { alloc(layout) };
        if bytes.is_null() {
            world.free(len as u64);
            return None;
        }
        // SAFETY: `len` bytes were allocated.
        unsafe { bytes.write_bytes(FRESH, len) };
        Some(Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            bytes,
            len,
            tracked,
            unretained: AtomicUsize::new(0),
            released: AtomicBool::new(false),
            world: Arc::clone(world),
        }))
    }

    pub(crate) fn bytes(&self) -> *mut u8 {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Names a use of a buffer whose object is gone.
    pub(crate) fn check_alive(&self) {
        if self.released.load(Ordering::Acquire) {
            self.world.broke(
                Rule::UsedAfterRelease,
                format!(
                    "a buffer of {} bytes, by a command buffer without retained references",
                    self.len
                ),
            );
        }
    }

    /// Notes that the buffer's object is gone, which no pending command buffer that does not retain it allows.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Release);
        let pending = self.unretained.load(Ordering::Acquire);
        if pending > 0 {
            // SAFETY: `len` bytes, and the commands that use them have no right to.
            unsafe { self.bytes.write_bytes(RELEASED, self.len) };
            self.world.broke(
                Rule::ReleasedWhilePending,
                format!(
                    "a buffer of {} bytes, used by {pending} commands of command buffers without retained references that have not completed",
                    self.len
                ),
            );
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.world.free(self.len as u64);
        // SAFETY: allocated in `new` with this layout, and nobody has it any more.
        unsafe {
            dealloc(
                self.bytes,
                Layout::from_size_align_unchecked(self.len, ALIGN),
            )
        };
    }
}

/// A command's claim on a buffer's memory until its command buffer has completed.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) memory: Arc<Memory>,
    pub(crate) offset: usize,
    /// Whether it counts as pending.
    counted: AtomicBool,
}

impl Use {
    pub(crate) fn new(memory: &Arc<Memory>, offset: usize) -> Self {
        Self {
            memory: Arc::clone(memory),
            offset,
            counted: AtomicBool::new(false),
        }
    }

    /// Notes that a command buffer which does not retain the buffer is committed.
    pub(crate) fn commit_unretained(&self) {
        self.memory.check_alive();
        if !self.counted.swap(true, Ordering::AcqRel) {
            self.memory.unretained.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Where it begins.
    pub(crate) fn bytes(&self) -> *mut u8 {
        // SAFETY: the offset was checked against the length when the command was encoded.
        unsafe { self.memory.bytes.add(self.offset) }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if *self.counted.get_mut() {
            self.memory.unretained.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
