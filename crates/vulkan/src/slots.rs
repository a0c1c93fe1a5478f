//! The table of allocations, which batches are encoded from.

use std::ptr::NonNull;

use ash::vk;
use gpu_allocator::vulkan::Allocation;
use tidegate_core::{DeviceError, MemoryId, Region};

use crate::error::refused;

/// An allocation.
pub(crate) struct Slot {
    pub(crate) buffer: vk::Buffer,
    /// Where kernels find it; 0 on a device without addresses.
    pub(crate) address: vk::DeviceAddress,
    pub(crate) bytes: u64,
    pub(crate) allocation: Allocation,
    /// The first byte, if the host can see it.
    pub(crate) host: Option<NonNull<u8>>,
    pub(crate) coherent: bool,
}

// SAFETY: `host` points into memory that stays mapped, at the same address for every thread, until the slot is freed. All access goes
// through `Memory::write` and `Memory::read`, which check the bounds; that no two accesses race is core's promise.
unsafe impl Send for Slot {}
// SAFETY: as for `Send`.
unsafe impl Sync for Slot {}

/// Slots by the index that core gave.
#[derive(Default)]
pub(crate) struct Slots(pub(crate) Vec<Option<Slot>>);

impl Slots {
    /// The buffer that holds `region`.
    #[inline]
    pub(crate) fn buffer(&self, region: &Region) -> Result<vk::Buffer, DeviceError> {
        match self.0.get(region.memory.0 as usize) {
            Some(Some(slot)) if region.end() <= slot.bytes => Ok(slot.buffer),
            _ => Err(refused(format!("{region} lies outside any allocation"))),
        }
    }

    /// Where kernels find `region`.
    #[inline]
    pub(crate) fn address(&self, region: &Region) -> Result<vk::DeviceAddress, DeviceError> {
        match self.0.get(region.memory.0 as usize) {
            Some(Some(slot)) if region.end() <= slot.bytes => Ok(slot.address + region.offset),
            _ => Err(refused(format!("{region} lies outside any allocation"))),
        }
    }

    /// The slot that holds these bytes, and its first byte.
    pub(crate) fn mapped(
        &self,
        id: MemoryId,
        offset: u64,
        bytes: usize,
    ) -> Result<(&Slot, NonNull<u8>), DeviceError> {
        let slot = self.0.get(id.0 as usize).and_then(Option::as_ref);
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
        Ok((slot, host))
    }
}
