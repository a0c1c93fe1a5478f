//! Allocations: one buffer each, in memory that the sub-allocator shares out, mapped for good where the host can see it.

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use ash::{ext, vk};
use gpu_allocator::vulkan::{
    Allocation, AllocationCreateDesc, AllocationScheme, Allocator, AllocatorCreateDesc,
};
use gpu_allocator::{AllocationError, AllocationSizes, AllocatorDebugSettings, MemoryLocation};
use tidegate_core::{DeviceError, HostAccess, MemoryId, MemoryKind};

use crate::Options;
use crate::debug;
use crate::device::Logical;
use crate::error::{OpenError, refused};
use crate::heap::Types;
use crate::slots::{Slot, Slots};
use crate::support::Support;

/// What every buffer may be used for.
const USAGE: vk::BufferUsageFlags = vk::BufferUsageFlags::from_raw(
    vk::BufferUsageFlags::STORAGE_BUFFER.as_raw()
        | vk::BufferUsageFlags::UNIFORM_BUFFER.as_raw()
        | vk::BufferUsageFlags::INDIRECT_BUFFER.as_raw()
        | vk::BufferUsageFlags::TRANSFER_SRC.as_raw()
        | vk::BufferUsageFlags::TRANSFER_DST.as_raw(),
);

/// What kernels that find their buffers by address may rely on: the alignment of WGSL's widest vectors.
pub(crate) const ADDRESS_ALIGN: u64 = 16;

/// Driver allocations left to others and to the blocks that the sub-allocator keeps when empty.
const DRIVER_ALLOCATIONS_SPARE: usize = 16;

struct Heap {
    allocator: Allocator,
    /// Every driver allocation.
    blocks: HashMap<vk::DeviceMemory, Block>,
    blocks_max: usize,
}

/// A driver allocation, as far as the sub-allocator lets it be seen.
struct Block {
    memory_type: u32,
    bytes: u64,
    used: u64,
}

/// A device's memory.
pub(crate) struct Memory {
    heap: Mutex<Option<Heap>>,
    slots: RwLock<Slots>,
    properties: vk::PhysicalDeviceMemoryProperties,
    types: Types,
    /// Granularity of flushes.
    atom: u64,
    bytes_max: u64,
    physical: vk::PhysicalDevice,
    budget: bool,
    usage: vk::BufferUsageFlags,
}

impl Memory {
    pub(crate) fn new(
        instance: &ash::Instance,
        device: &Logical,
        support: &Support,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let mut debug_settings = AllocatorDebugSettings::default();
        debug_settings.log_leaks_on_shutdown = false;
        let (least, most) = (options.block_bytes_min, options.block_bytes_max);
        let allocator = Allocator::new(&AllocatorCreateDesc {
            instance: instance.clone(),
            device: device.raw.clone(),
            physical_device: support.raw,
            debug_settings,
            buffer_device_address: support.features.addresses(),
            allocation_sizes: AllocationSizes::new(least, least)
                .with_max_device_memblock_size(most)
                .with_max_host_memblock_size(most),
        })
        .map_err(|_| OpenError::Driver {
            call: "vkGetPhysicalDeviceMemoryProperties",
            result: vk::Result::ERROR_UNKNOWN,
        })?;
        let types = Types::choose(&support.memory);
        let driver_max = support.limits.max_memory_allocation_count as usize;
        Ok(Self {
            heap: Mutex::new(Some(Heap {
                allocator,
                blocks: HashMap::new(),
                blocks_max: driver_max.saturating_sub(DRIVER_ALLOCATIONS_SPARE).max(1),
            })),
            slots: RwLock::default(),
            properties: support.memory,
            types,
            atom: support.limits.non_coherent_atom_size.max(1),
            bytes_max: support.capabilities(options).allocation_bytes_max,
            physical: support.raw,
            budget: support.has(ext::memory_budget::NAME),
            usage: if support.features.addresses() {
                USAGE | vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS
            } else {
                USAGE
            },
        })
    }

    /// Every slot, for the length of one batch's recording.
    pub(crate) fn slots(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
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
        let info = vk::BufferCreateInfo::default()
            .size(bytes)
            .usage(self.usage);
        // SAFETY: the size is not zero and within the device's limit. VUID-VkBufferCreateInfo-size-00912.
        let buffer = unsafe { device.raw.create_buffer(&info, None) }
            .map_err(|result| device.error("vkCreateBuffer", result))?;
        let slot = match self.place(device, buffer, bytes, kind) {
            Ok(slot) => slot,
            Err(error) => {
                // SAFETY: made above and used by nothing. VUID-vkDestroyBuffer-buffer-00922.
                unsafe { device.raw.destroy_buffer(buffer, None) };
                return Err(error);
            }
        };
        debug::name(device.debug.as_ref(), buffer, || format!("memory {}", id.0));
        let access = HostAccess {
            write: slot.host.is_some(),
            read: slot.host.is_some()
                && self
                    .flags(kind)
                    .contains(vk::MemoryPropertyFlags::HOST_CACHED),
        };
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let index = id.0 as usize;
        if slots.0.len() <= index {
            slots.0.resize_with(index + 1, || None);
        }
        if slots.0[index].is_some() {
            drop(slots);
            self.release(device, slot);
            return Err(refused(format!("memory {} exists already", id.0)));
        }
        slots.0[index] = Some(slot);
        Ok(access)
    }

    pub(crate) fn free(&self, device: &Logical, id: MemoryId) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.0.get_mut(id.0 as usize).and_then(Option::take);
        drop(slots);
        if let Some(slot) = slot {
            self.release(device, slot);
        }
    }

    /// Finds memory for a buffer and binds it.
    fn place(
        &self,
        device: &Logical,
        buffer: vk::Buffer,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<Slot, DeviceError> {
        // SAFETY: the buffer was made on this device. VUID-vkGetBufferMemoryRequirements-buffer-parameter.
        let needs = unsafe { device.raw.get_buffer_memory_requirements(buffer) };
        let kind_type = 1 << self.types.of(kind);
        if needs.memory_type_bits & kind_type == 0 {
            return Err(refused(format!(
                "the driver allows no buffer in the memory that {kind:?} needs"
            )));
        }
        let coherent = self
            .flags(kind)
            .contains(vk::MemoryPropertyFlags::HOST_COHERENT);
        let exact = vk::MemoryRequirements {
            memory_type_bits: kind_type,
            alignment: needs.alignment.max(ADDRESS_ALIGN),
            ..needs
        };
        let mut shared = exact;
        if !coherent {
            // A flush or an invalidation covers whole atoms, which no two allocations may share.
            shared.alignment = shared.alignment.max(self.atom);
            shared.size = shared.size.next_multiple_of(self.atom);
        }
        let mut guard = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(heap) = guard.as_mut() else {
            return Err(refused("the device has been dropped"));
        };
        let allocation = heap
            .take(shared, AllocationScheme::GpuAllocatorManaged)
            // No room for a whole block may still be room for this buffer.
            .or_else(|_| heap.take(exact, AllocationScheme::DedicatedBuffer(buffer)))
            .map_err(|error| match error {
                AllocationError::OutOfMemory | AllocationError::FailedToMap(_) => {
                    DeviceError::OutOfMemory
                }
                // vkAllocateMemory returns nothing else that a caller could act upon.
                AllocationError::Internal(_) => DeviceError::OutOfMemory,
                error => refused(error.to_string()),
            })?;
        // SAFETY: the buffer is new and unbound, and the memory came from this device with the alignment, size and type that the
        // buffer asked for. VUID-vkBindBufferMemory-buffer-07459, -memory-01035, -memoryOffset-01036, -size-01037.
        let bound = unsafe {
            device
                .raw
                .bind_buffer_memory(buffer, allocation.memory(), allocation.offset())
        };
        if let Err(result) = bound {
            heap.give(allocation);
            return Err(device.error("vkBindBufferMemory", result));
        }
        drop(guard);
        Ok(Slot {
            buffer,
            address: device.address(buffer, self.usage),
            bytes,
            host: allocation.mapped_ptr().map(NonNull::cast),
            coherent,
            allocation,
        })
    }

    fn release(&self, device: &Logical, slot: Slot) {
        // SAFETY: no submitted batch that uses the buffer can still run: core's promise, or `destroy` has waited. The slot has left the
        // table, so that none will. VUID-vkDestroyBuffer-buffer-00922.
        unsafe { device.raw.destroy_buffer(slot.buffer, None) };
        let mut guard = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(heap) = guard.as_mut() {
            heap.give(slot.allocation);
        }
    }

    pub(crate) fn write(
        &self,
        device: &Logical,
        id: MemoryId,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
        let slots = self.slots();
        let (slot, host) = slots.mapped(id, offset, data.len())?;
        // SAFETY: `mapped` has checked that the bytes lie inside the allocation, which stays mapped while the table is read-locked. Core
        // promises that no batch and no other call touches them meanwhile; `data` is not device memory, which is never lent out.
        unsafe {
            let target = host.as_ptr().add(offset as usize);
            std::ptr::copy_nonoverlapping(data.as_ptr(), target, data.len());
        }
        match self.atoms(slot, offset, data.len()) {
            None => Ok(()),
            // SAFETY: the range is mapped and made of whole atoms. VUID-VkMappedMemoryRange-size-00685, -offset-00687, -size-01389.
            Some(range) => unsafe { device.raw.flush_mapped_memory_ranges(&[range]) }
                .map_err(|result| device.error("vkFlushMappedMemoryRanges", result)),
        }
    }

    pub(crate) fn read(
        &self,
        device: &Logical,
        id: MemoryId,
        offset: u64,
        data: &mut [u8],
    ) -> Result<(), DeviceError> {
        let slots = self.slots();
        let (slot, host) = slots.mapped(id, offset, data.len())?;
        if let Some(range) = self.atoms(slot, offset, data.len()) {
            // SAFETY: as in `write`.
            unsafe { device.raw.invalidate_mapped_memory_ranges(&[range]) }
                .map_err(|result| device.error("vkInvalidateMappedMemoryRanges", result))?;
        }
        // SAFETY: as in `write`, the other way round.
        unsafe {
            let source = host.as_ptr().add(offset as usize);
            std::ptr::copy_nonoverlapping(source, data.as_mut_ptr(), data.len());
        }
        Ok(())
    }

    /// The whole atoms around some bytes, if the memory is not coherent.
    fn atoms(
        &self,
        slot: &Slot,
        offset: u64,
        bytes: usize,
    ) -> Option<vk::MappedMemoryRange<'static>> {
        if slot.coherent || bytes == 0 {
            return None;
        }
        let allocation = &slot.allocation;
        let first = allocation.offset() + offset;
        let start = first / self.atom * self.atom;
        // A dedicated allocation may end within an atom, but then the memory ends there too, which is allowed.
        let end = (first + bytes as u64)
            .next_multiple_of(self.atom)
            .min(allocation.offset() + allocation.size());
        // SAFETY: the handle is only named here; it lives as long as the slot.
        let memory = unsafe { allocation.memory() };
        Some(
            vk::MappedMemoryRange::default()
                .memory(memory)
                .offset(start)
                .size(end - start),
        )
    }

    /// What the driver would still give in the heap that serves `kind`, and what is free in the blocks that serve it already, if the driver says so.
    pub(crate) fn available(&self, instance: &ash::Instance, kind: MemoryKind) -> Option<u64> {
        if !self.budget {
            return None;
        }
        let mut budget = vk::PhysicalDeviceMemoryBudgetPropertiesEXT::default();
        let mut all = vk::PhysicalDeviceMemoryProperties2::default().push_next(&mut budget);
        // SAFETY: the device has the extension. VUID-VkPhysicalDeviceMemoryProperties2-pNext-pNext.
        unsafe { instance.get_physical_device_memory_properties2(self.physical, &mut all) };
        let heap = self.properties.memory_types[self.types.of(kind) as usize].heap_index as usize;
        let unclaimed = budget.heap_budget[heap].saturating_sub(budget.heap_usage[heap]);
        Some(unclaimed.saturating_add(self.free_in_blocks(kind)))
    }

    /// Bytes of the blocks that serve `kind` which no slot has.
    fn free_in_blocks(&self, kind: MemoryKind) -> u64 {
        let memory_type = self.types.of(kind);
        let heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        let blocks = heap.iter().flat_map(|it| it.blocks.values());
        blocks
            .filter(|it| it.memory_type == memory_type)
            .map(|it| it.bytes.saturating_sub(it.used))
            .sum()
    }

    fn flags(&self, kind: MemoryKind) -> vk::MemoryPropertyFlags {
        self.properties.memory_types[self.types.of(kind) as usize].property_flags
    }

    /// Gives everything back.
    ///
    /// # Safety
    /// Nothing on the device runs any more, and the device still lives.
    pub(crate) unsafe fn destroy(&self, device: &Logical) {
        let slots =
            std::mem::take(&mut *self.slots.write().unwrap_or_else(PoisonError::into_inner));
        for slot in slots.0.into_iter().flatten() {
            self.release(device, slot);
        }
        drop(
            self.heap
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    /// Lets go of everything without giving it back, and without the lock, which in a child of fork may be held for ever.
    pub(crate) fn leak(&mut self) {
        let heap = self.heap.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::forget(heap.take());
    }
}

impl Heap {
    /// Takes memory of the one type left in the requirements.
    fn take(
        &mut self,
        requirements: vk::MemoryRequirements,
        allocation_scheme: AllocationScheme,
    ) -> Result<Allocation, AllocationError> {
        let before = self.allocator.capacity();
        let allocation = self.allocator.allocate(&AllocationCreateDesc {
            name: "",
            requirements,
            location: MemoryLocation::Unknown,
            linear: true,
            allocation_scheme,
        })?;
        // What grew is a new block, as the sub-allocator makes one at a time.
        let grown = self.allocator.capacity() - before;
        // SAFETY: the handle is only compared here.
        let memory = unsafe { allocation.memory() };
        let block = self.blocks.entry(memory).or_insert(Block {
            memory_type: requirements.memory_type_bits.trailing_zeros(),
            bytes: grown,
            used: 0,
        });
        block.used += allocation.size();
        // Whether a block has room is known once it was asked, so that the limit is held against new ones afterwards.
        if grown > 0 && self.blocks.len() > self.blocks_max {
            self.give(allocation);
            return Err(AllocationError::OutOfMemory);
        }
        Ok(allocation)
    }

    fn give(&mut self, allocation: Allocation) {
        let bytes = allocation.size();
        // SAFETY: the handle is only compared here.
        let memory = unsafe { allocation.memory() };
        let before = self.allocator.capacity();
        if self.allocator.free(allocation).is_err() {
            // The sub-allocator's own books are wrong; the memory stays allocated until the device goes.
            return;
        }
        if self.allocator.capacity() < before {
            self.blocks.remove(&memory);
        } else if let Some(block) = self.blocks.get_mut(&memory) {
            // The last block of a type is kept when it is empty.
            block.used -= bytes;
        }
    }
}

#[cfg(test)]
impl Memory {
    pub(crate) fn hold(&self, then: impl FnOnce()) {
        let _locks = (self.slots.write().unwrap(), self.heap.lock().unwrap());
        then();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Select, VulkanDevice};
    use tidegate_core::Device;

    const MIB: u64 = 1 << 20;

    fn open(blocks_max: usize) -> VulkanDevice {
        let mut options = Options::default();
        (options.block_bytes_min, options.block_bytes_max) = (4 * MIB, 4 * MIB);
        let device = VulkanDevice::open(&Select::Best, &options).unwrap();
        let heap = |it: &mut Option<Heap>| it.as_mut().unwrap().blocks_max = blocks_max;
        heap(&mut device.memory.heap.lock().unwrap());
        device
    }

    fn allocate(device: &VulkanDevice, id: u32, bytes: u64) -> Result<(), DeviceError> {
        let made = device.allocate(MemoryId(id), bytes, MemoryKind::Device);
        made.map(|_| ())
    }

    #[test]
    fn blocks_that_are_there_are_used_when_no_new_one_may_be_made() {
        let device = open(1);
        let full = Err(DeviceError::OutOfMemory);
        for id in 0..4 {
            assert_eq!(allocate(&device, id, MIB), Ok(()));
        }
        for bytes in [MIB, 64 * MIB] {
            assert_eq!(allocate(&device, 4, bytes), full);
        }
        device.free(MemoryId(2));
        assert_eq!(allocate(&device, 4, 64 * MIB), full);
        assert_eq!(allocate(&device, 4, MIB), Ok(()));
        // An empty block is kept, and is no new one.
        for id in [0, 1, 3, 4] {
            device.free(MemoryId(id));
        }
        assert_eq!(allocate(&device, 0, 2 * MIB), Ok(()));
        assert_eq!(allocate(&device, 1, 4 * MIB), full);
    }

    #[test]
    fn what_is_free_in_blocks_is_available() {
        let device = open(100);
        let free = || device.memory.free_in_blocks(MemoryKind::Device);
        assert_eq!(free(), 0);
        allocate(&device, 0, MIB).unwrap();
        assert_eq!(free(), 3 * MIB);
        for kind in [MemoryKind::Device, MemoryKind::Upload, MemoryKind::Readback] {
            let all = device.memory_available(kind);
            assert!(all.is_none_or(|it| it >= device.memory.free_in_blocks(kind)));
        }
        // Memory of its own has nothing to spare, and leaves nothing behind.
        allocate(&device, 1, 8 * MIB).unwrap();
        assert_eq!(free(), 3 * MIB);
        device.free(MemoryId(1));
        assert_eq!(free(), 3 * MIB);
        device.free(MemoryId(0));
        assert_eq!(free(), 4 * MIB);
    }
}
