//! Which of a device's memory types serves which kind of memory. Pure.

use ash::vk;
use tidegate_core::MemoryKind;

/// The memory type for each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types {
    device: u32,
    upload: u32,
    readback: u32,
}

impl Types {
    /// Chooses among a device's types.
    ///
    /// Vulkan promises a type that is host-visible and coherent, and one that is device-local.
    pub(crate) fn choose(memory: &vk::PhysicalDeviceMemoryProperties) -> Self {
        use vk::MemoryPropertyFlags as Flag;
        // Each needs a feature that is off, or is not for buffers that kernels read.
        let unfit = Flag::PROTECTED
            | Flag::LAZILY_ALLOCATED
            | Flag::DEVICE_COHERENT_AMD
            | Flag::DEVICE_UNCACHED_AMD
            | Flag::RDMA_CAPABLE_NV;
        let main = main_heap(memory);
        let best = |score: &dyn Fn(Flag, u32) -> Option<u32>| {
            (0..)
                .zip(memory.memory_types_as_slice())
                .filter(|(_, it)| !it.property_flags.intersects(unfit))
                .filter_map(|(index, it): (u32, _)| {
                    Some((score(it.property_flags, it.heap_index)?, index))
                })
                // The first of equals: drivers list the faster first.
                .max_by_key(|&(score, index)| (score, std::cmp::Reverse(index)))
                .map_or(0, |it| it.1)
        };
        let points =
            |flags: Flag, flag: Flag, points: u32| u32::from(flags.contains(flag)) * points;
        Self {
            // Only on the main heap: a window of 256 MiB onto a discrete GPU's memory is a heap of its own, and too small.
            device: best(&|flags, heap| {
                (heap == main).then(|| {
                    points(flags, Flag::DEVICE_LOCAL, 8)
                        + points(flags, Flag::HOST_VISIBLE, 4)
                        + points(flags, Flag::HOST_COHERENT, 2)
                        + points(flags, Flag::HOST_CACHED, 1)
                })
            }),
            // Written in order, so that write-combining does no harm; on a GPU with its own memory, not from that.
            upload: best(&|flags, heap| {
                flags.contains(Flag::HOST_VISIBLE).then(|| {
                    points(flags, Flag::HOST_COHERENT, 4)
                        + 2 * u32::from(heap == main || !flags.contains(Flag::DEVICE_LOCAL))
                })
            }),
            readback: best(&|flags, heap| {
                flags.contains(Flag::HOST_VISIBLE).then(|| {
                    points(flags, Flag::HOST_CACHED, 8)
                        + points(flags, Flag::HOST_COHERENT, 4)
                        + 2 * u32::from(heap == main || !flags.contains(Flag::DEVICE_LOCAL))
                })
            }),
        }
    }

    pub(crate) fn of(self, kind: MemoryKind) -> u32 {
        match kind {
            MemoryKind::Device => self.device,
            MemoryKind::Upload => self.upload,
            MemoryKind::Readback => self.readback,
        }
    }

    pub(crate) fn device_is_host_visible(
        self,
        memory: &vk::PhysicalDeviceMemoryProperties,
    ) -> bool {
        memory.memory_types[self.device as usize]
            .property_flags
            .contains(vk::MemoryPropertyFlags::HOST_VISIBLE)
    }

    /// Size of the heap that kernels work on.
    pub(crate) fn device_bytes(self, memory: &vk::PhysicalDeviceMemoryProperties) -> u64 {
        let heap = memory.memory_types[self.device as usize].heap_index;
        memory.memory_heaps[heap as usize].size
    }
}

/// The largest heap of the device's own.
fn main_heap(memory: &vk::PhysicalDeviceMemoryProperties) -> u32 {
    (0..)
        .zip(memory.memory_heaps_as_slice())
        .filter(|(_, it)| it.flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL))
        .max_by_key(|&(index, it): &(u32, _)| (it.size, std::cmp::Reverse(index)))
        .map_or(0, |it| it.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vk::MemoryPropertyFlags as Flag;

    const LOCAL: Flag = Flag::DEVICE_LOCAL;
    const WINDOW: Flag = Flag::from_raw(LOCAL.as_raw() | COHERENT.as_raw());
    const COHERENT: Flag =
        Flag::from_raw(Flag::HOST_VISIBLE.as_raw() | Flag::HOST_COHERENT.as_raw());
    const CACHED: Flag = Flag::from_raw(COHERENT.as_raw() | Flag::HOST_CACHED.as_raw());
    const NONE: Flag = Flag::empty();

    /// Types as flags and heap; heaps as GiB and whether they are the device's.
    fn choose(types: &[(Flag, u32)], heaps: &[(u64, bool)]) -> (Types, [u32; 3], bool) {
        let mut memory = vk::PhysicalDeviceMemoryProperties {
            memory_type_count: types.len() as u32,
            memory_heap_count: heaps.len() as u32,
            ..Default::default()
        };
        for (index, (flags, heap)) in types.iter().enumerate() {
            memory.memory_types[index].property_flags = *flags;
            memory.memory_types[index].heap_index = *heap;
        }
        for (index, (size, local)) in heaps.iter().enumerate() {
            memory.memory_heaps[index].size = size << 20;
            if *local {
                memory.memory_heaps[index].flags = vk::MemoryHeapFlags::DEVICE_LOCAL;
            }
        }
        let it = Types::choose(&memory);
        let visible = it.device_is_host_visible(&memory);
        (it, [it.device, it.upload, it.readback], visible)
    }

    #[test]
    fn a_gpu_all_of_whose_memory_the_host_sees() {
        // An H100's list.
        let types = [
            (NONE, 1),
            (LOCAL, 0),
            (COHERENT, 1),
            (CACHED, 1),
            (WINDOW, 0),
        ];
        let (_, chosen, visible) = choose(&types, &[(80 << 10, true), (64 << 10, false)]);
        assert_eq!((chosen, visible), ([4, 2, 3], true));
    }

    #[test]
    fn a_window_of_256_mib_is_not_used() {
        let types = [
            (NONE, 1),
            (LOCAL, 0),
            (COHERENT, 1),
            (CACHED, 1),
            (WINDOW, 2),
        ];
        let heaps = [(8 << 10, true), (16 << 10, false), (256, true)];
        let (_, chosen, visible) = choose(&types, &heaps);
        assert_eq!((chosen, visible), ([1, 2, 3], false));
    }

    #[test]
    fn an_amd_gpu_s_uncached_types_are_not_used() {
        let uncached = Flag::DEVICE_COHERENT_AMD | Flag::DEVICE_UNCACHED_AMD;
        let types = [
            (WINDOW | uncached, 0),
            (LOCAL, 0),
            (COHERENT, 1),
            (WINDOW, 0),
            (CACHED, 1),
            (CACHED | uncached, 1),
        ];
        let (_, chosen, visible) = choose(&types, &[(16 << 10, true), (32 << 10, false)]);
        assert_eq!((chosen, visible), ([3, 2, 4], true));
    }

    #[test]
    fn one_memory_for_all() {
        // lavapipe's list, and that of an integrated GPU with both sorts.
        let (types, chosen, visible) = choose(&[(LOCAL | CACHED, 0)], &[(4 << 10, true)]);
        assert_eq!((chosen, visible), ([0, 0, 0], true));
        assert_eq!(types.of(MemoryKind::Readback), 0);
        let both = [(WINDOW, 0), (LOCAL | CACHED, 0)];
        assert_eq!(choose(&both, &[(4 << 10, true)]).1, [1, 0, 1]);
    }

    #[test]
    fn memory_that_is_not_coherent_serves_only_where_caching_matters() {
        let incoherent = Flag::HOST_VISIBLE | Flag::HOST_CACHED;
        let types = [(LOCAL, 0), (incoherent, 1), (COHERENT, 1)];
        let (_, chosen, visible) = choose(&types, &[(4 << 10, true), (4 << 10, false)]);
        assert_eq!((chosen, visible), ([0, 2, 1], false));
    }
}
