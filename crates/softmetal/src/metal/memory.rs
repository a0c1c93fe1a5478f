//! A buffer's bytes, which outlive the object if a command buffer still uses them.

use std::alloc::{Layout, alloc, dealloc};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::metal::lifetime::{Claim, Lifetime};
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
    pub(crate) lifetime: Arc<Lifetime>,
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
            lifetime: Lifetime::new(world, format!("a buffer of {len} bytes")),
            world: Arc::clone(world),
        }))
    }

    pub(crate) fn bytes(&self) -> *mut u8 {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Notes that the buffer's object is gone.
    pub(crate) fn release(&self) {
        if self.lifetime.is_pending() {
            // SAFETY: `len` bytes, and the commands that use them have no right to.
            unsafe { self.bytes.write_bytes(RELEASED, self.len) };
        }
        self.lifetime.release();
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

/// A command's use of a buffer, until its command buffer has completed.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) memory: Arc<Memory>,
    pub(crate) offset: usize,
    pub(crate) claim: Claim,
}

impl Use {
    pub(crate) fn new(memory: &Arc<Memory>, offset: usize) -> Self {
        Self {
            memory: Arc::clone(memory),
            offset,
            claim: Claim::new(&memory.lifetime),
        }
    }

    /// Where it begins.
    pub(crate) fn bytes(&self) -> *mut u8 {
        // SAFETY: the offset was checked against the length when the command was encoded.
        unsafe { self.memory.bytes.add(self.offset) }
    }
}
