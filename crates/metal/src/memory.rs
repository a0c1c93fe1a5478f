//! Allocations: one buffer each, untracked, and shared with the host where the device shares its memory.

use std::ptr::NonNull;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_metal::{MTLBuffer, MTLDevice, MTLResourceOptions};
use tidegate_core::{DeviceError, HostAccess, MemoryId, MemoryKind, Region};

use crate::Options;
use crate::device::Logical;
use crate::error::refused;
use crate::residency::Residency;
use crate::support::Support;

/// An allocation.
pub(crate) struct Slot {
    raw: Retained<ProtocolObject<dyn MTLBuffer>>,
    bytes: u64,
    /// The first byte, if the host can see it.
    host: Option<NonNull<u8>>,
    /// The residency set that it is in.
    set: Option<u32>,
}

// SAFETY: a buffer is made and released by any thread, and its methods that we call (`length`, `contents`) change nothing. `host` points into its memory, which stays
// at the same address until the buffer goes (Metal, "contents()"). All access goes through `Memory::write` and `Memory::read`, which check the bounds; that no two
// accesses race is core's promise.
unsafe impl Send for Slot {}
// SAFETY: as for `Send`.
unsafe impl Sync for Slot {}

/// Slots by the index that core gave.
#[derive(Default)]
pub(crate) struct Slots {
    all: Vec<Option<Slot>>,
    live: u64,
}

impl Slots {
    /// The buffer that holds `region`.
    #[inline]
    pub(crate) fn buffer(
        &self,
        region: &Region,
    ) -> Result<&ProtocolObject<dyn MTLBuffer>, DeviceError> {
        match self.all.get(region.memory.0 as usize) {
            Some(Some(slot)) if region.end() <= slot.bytes => Ok(&slot.raw),
            _ => Err(refused(format!("{region} lies outside any allocation"))),
        }
    }

    /// The address of some bytes that the host can see.
    fn host(&self, id: MemoryId, offset: u64, bytes: usize) -> Result<NonNull<u8>, DeviceError> {
        let slot = self.all.get(id.0 as usize).and_then(Option::as_ref);
        let slot = slot
            .filter(|it| offset.saturating_add(bytes as u64) <= it.bytes)
            .ok_or_else(|| {
                refused(format!(
                    "m{}[{offset}..+{bytes}] lies outside any allocation",
                    id.0
                ))
            })?;
        let host = slot
            .host
            .ok_or_else(|| refused(format!("memory {} is not host-visible", id.0)))?;
        // SAFETY: the offset is within the allocation, and so within the host's address space.
        Ok(unsafe { host.add(offset as usize) })
    }

    fn occupied(&self, id: MemoryId) -> bool {
        self.all.get(id.0 as usize).is_some_and(Option::is_some)
    }
}

/// A device's memory.
pub(crate) struct Memory {
    slots: RwLock<Slots>,
    residency: Residency,
    unified: bool,
    budget: u64,
    bytes_max: u64,
    allocations_max: u64,
}

impl Memory {
    pub(crate) fn new(support: &Support, options: &Options, residency: Residency) -> Self {
        Self {
            slots: RwLock::default(),
            residency,
            unified: support.unified,
            budget: support.budget(options),
            bytes_max: support.capabilities(options).allocation_bytes_max,
            allocations_max: Support::allocations_max(options),
        }
    }

    /// Every slot, for the length of one batch's encoding.
    pub(crate) fn slots(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what is allocated resident, before a batch is committed.
    pub(crate) fn keep_resident(&self) {
        self.residency.keep_alive();
    }

    pub(crate) fn allocate(
        &self,
        device: &Logical,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        if bytes == 0 || bytes > self.bytes_max {
            return Err(refused(format!(
                "an allocation of {bytes} bytes: this device allows 1 to {}",
                self.bytes_max
            )));
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if slots.occupied(id) {
            return Err(refused(format!("memory {} exists already", id.0)));
        }
        // Metal would go on beyond both until the system suffers, or fail in ways that it does not report.
        if slots.live >= self.allocations_max
            || self.used(device).saturating_add(bytes) > self.budget
        {
            return Err(DeviceError::OutOfMemory);
        }
        let (options, access) = self.place(kind);
        let raw = device
            .raw
            .newBufferWithLength_options(bytes as usize, options)
            .ok_or(DeviceError::OutOfMemory)?;
        let host = access.write.then(|| raw.contents().cast());
        let set = self.residency.add(&device.raw, &raw);
        let index = id.0 as usize;
        if slots.all.len() <= index {
            slots.all.resize_with(index + 1, || None);
        }
        slots.all[index] = Some(Slot {
            raw,
            bytes,
            host,
            set,
        });
        slots.live += 1;
        Ok(access)
    }

    /// What the memory of a kind is made with, and how the host reaches it.
    fn place(&self, kind: MemoryKind) -> (MTLResourceOptions, HostAccess) {
        let untracked = MTLResourceOptions::HazardTrackingModeUntracked;
        let shared = MTLResourceOptions::StorageModeShared | untracked;
        match kind {
            // Nothing is lost by sharing where there is one memory, and kernels run no faster on private buffers of it.
            MemoryKind::Device if self.unified => (
                shared,
                HostAccess {
                    write: true,
                    read: true,
                },
            ),
            MemoryKind::Device => (
                MTLResourceOptions::StorageModePrivate | untracked,
                HostAccess::default(),
            ),
            // Written in order and not read by the host.
            MemoryKind::Upload => (
                shared | MTLResourceOptions::CPUCacheModeWriteCombined,
                HostAccess {
                    write: true,
                    read: false,
                },
            ),
            MemoryKind::Readback => (
                shared,
                HostAccess {
                    write: true,
                    read: true,
                },
            ),
        }
    }

    /// Gives an allocation back, or if `keep`, only forgets it.
    pub(crate) fn free(&self, id: MemoryId, keep: bool) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slots.all.get_mut(id.0 as usize).and_then(Option::take) else {
            return;
        };
        slots.live -= 1;
        drop(slots);
        if keep {
            std::mem::forget(slot);
        } else if let Some(set) = slot.set {
            self.residency.remove(set, &slot.raw);
        }
        // Released here. No submitted batch that uses it can still run, which is core's promise: our command buffers do not retain it.
    }

    pub(crate) fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let slots = self.slots();
        let target = slots.host(id, offset, data.len())?;
        // SAFETY: `host` has checked that the bytes lie inside the allocation, which lives while the table is read-locked. Core promises that no batch and no other
        // call touches them meanwhile; `data` is not device memory, which is never lent out. Shared memory is coherent: what the host wrote before a command buffer is
        // committed, the GPU sees (Metal, "Choosing a resource storage mode for Apple GPUs").
        unsafe {
            std::ptr::copy_nonoverlapping(data.as_ptr(), target.as_ptr(), data.len());
        }
        Ok(())
    }

    pub(crate) fn read(
        &self,
        id: MemoryId,
        offset: u64,
        data: &mut [u8],
    ) -> Result<(), DeviceError> {
        let slots = self.slots();
        let source = slots.host(id, offset, data.len())?;
        // SAFETY: as in `write`, the other way round. The batches that wrote these bytes are complete: their command buffers' status was seen to be
        // `Completed` before core was told so.
        unsafe {
            std::ptr::copy_nonoverlapping(source.as_ptr(), data.as_mut_ptr(), data.len());
        }
        Ok(())
    }

    pub(crate) fn available(&self, device: &Logical) -> u64 {
        self.budget.saturating_sub(self.used(device))
    }

    fn used(&self, device: &Logical) -> u64 {
        device.raw.currentAllocatedSize() as u64
    }
}
