//! What a kernel binds, as Vulkan's layouts and the templates that fill them.

use std::collections::BTreeMap;

use ash::vk;
use tidegate_core::{AddressBlock, DeviceError, Kernel, ScalarPlace};

use crate::device::Logical;
use crate::error::refused;
use crate::support::{BINDINGS_MAX, Support};

/// Bytes from one element to the next in the data that a descriptor update template reads.
const DESCRIPTOR_BYTES: usize = size_of::<vk::DescriptorBufferInfo>();

/// What a kernel binds, apart from its code. Kernels with equal shapes share a layout, so that what one launch bound
/// stays bound for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Group, binding and whether it is a uniform block, in the order of a launch's regions.
    bindings: Vec<(u32, u32, bool)>,
    /// Push constants, a multiple of 4.
    scalar_bytes: u32,
}

/// A pipeline layout and what is needed to fill it.
pub(crate) struct Layout {
    pub(crate) raw: vk::PipelineLayout,
    shape: Shape,
    /// One a group that has bindings, in order of group.
    pub(crate) sets: Vec<Set>,
    /// Whether the only set is pushed into the command buffer rather than taken from a pool.
    pub(crate) pushed: bool,
    /// Every group, gaps included.
    set_layouts: Vec<vk::DescriptorSetLayout>,
    pub(crate) pipelines: u32,
}

/// One group of a layout.
pub(crate) struct Set {
    pub(crate) group: u32,
    pub(crate) layout: vk::DescriptorSetLayout,
    /// Reads a launch's descriptors in order of its regions.
    pub(crate) template: vk::DescriptorUpdateTemplate,
}

impl Layout {
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Regions that a launch gives.
    pub(crate) fn bindings(&self) -> usize {
        self.shape.bindings.len()
    }

    /// Push constants, rounded up to a multiple of 4.
    pub(crate) fn scalar_bytes(&self) -> u32 {
        self.shape.scalar_bytes
    }
}

impl Shape {
    /// A kernel's shape, if the device can have it.
    pub(crate) fn of(kernel: &Kernel, support: &Support) -> Result<Self, DeviceError> {
        let limits = &support.limits;
        let fail = |what: String| Err(refused(format!("kernel {}: {what}", kernel.name)));
        check_workgroup(kernel, limits)?;
        let mut bindings: Vec<_> = kernel
            .bindings
            .iter()
            .map(|it| (it.group, it.binding, it.uniform))
            .collect();
        let mut scalar_bytes = 0;
        if let Some(scalars) = &kernel.scalars {
            match scalars.place {
                ScalarPlace::PushConstants => scalar_bytes = scalars.bytes.next_multiple_of(4),
                ScalarPlace::Uniform { group, binding } => bindings.push((group, binding, true)),
            }
        }
        if scalar_bytes > limits.max_push_constants_size {
            return fail(format!(
                "{scalar_bytes} bytes of scalars: the device allows {}",
                limits.max_push_constants_size
            ));
        }
        if bindings.len() > BINDINGS_MAX as usize {
            return fail(format!(
                "{} buffers: the device allows {BINDINGS_MAX}",
                bindings.len()
            ));
        }
        for (uniform, what, most) in [
            (
                false,
                "buffers",
                limits.max_per_stage_descriptor_storage_buffers,
            ),
            (
                true,
                "uniform blocks",
                limits.max_per_stage_descriptor_uniform_buffers,
            ),
        ] {
            let count = bindings.iter().filter(|it| it.2 == uniform).count();
            if count > most as usize {
                return fail(format!("{count} {what}: the device allows {most}"));
            }
        }
        for (index, (group, binding, _)) in bindings.iter().enumerate() {
            if *group >= limits.max_bound_descriptor_sets {
                return fail(format!(
                    "group {group}: the device allows groups below {}",
                    limits.max_bound_descriptor_sets
                ));
            }
            if bindings[..index]
                .iter()
                .any(|it| (it.0, it.1) == (*group, *binding))
            {
                return fail(format!("group {group} binding {binding} is there twice"));
            }
        }
        Ok(Self {
            bindings,
            scalar_bytes,
        })
    }
}

impl Shape {
    /// The shape of a kernel that finds its buffers by address.
    pub(crate) fn addressed(
        kernel: &Kernel,
        support: &Support,
        block: &AddressBlock,
    ) -> Result<Self, DeviceError> {
        check_workgroup(kernel, &support.limits)?;
        let scalars = kernel.scalars.as_ref().map_or(0, |it| it.bytes);
        let addresses = 8 * kernel.bindings.len() as u32;
        let sizes = 4 * block.sizes.len() as u32;
        let whole = scalars <= block.first
            && block.first.is_multiple_of(8)
            && block.first.checked_add(addresses) == Some(block.sizes_at)
            && block.sizes_at.checked_add(sizes) == Some(block.bytes)
            && block
                .sizes
                .iter()
                .all(|it| (*it as usize) < kernel.bindings.len());
        if !whole {
            return Err(refused(format!(
                "kernel {}: its block of addresses contradicts itself",
                kernel.name
            )));
        }
        Ok(Self {
            bindings: Vec::new(),
            scalar_bytes: block.bytes,
        })
    }
}

fn check_workgroup(kernel: &Kernel, limits: &vk::PhysicalDeviceLimits) -> Result<(), DeviceError> {
    let (name, size) = (&kernel.name, kernel.workgroup_size);
    let size_max = limits.max_compute_work_group_size;
    let invocations = size.iter().map(|&it| u64::from(it)).product::<u64>();
    let invocations_max = limits.max_compute_work_group_invocations;
    let fits = (0..3).all(|it| size[it] <= size_max[it]);
    if fits && (1..=u64::from(invocations_max)).contains(&invocations) {
        return Ok(());
    }
    Err(refused(format!(
        "kernel {name}: a workgroup of {size:?}: the device allows {size_max:?}, {invocations_max} in total"
    )))
}

impl Layout {
    pub(crate) fn new(device: &Logical, shape: Shape, push_max: u32) -> Result<Self, DeviceError> {
        let mut groups: BTreeMap<u32, Vec<vk::DescriptorUpdateTemplateEntry>> = BTreeMap::new();
        for (index, (group, binding, uniform)) in shape.bindings.iter().enumerate() {
            let kind = if *uniform {
                vk::DescriptorType::UNIFORM_BUFFER
            } else {
                vk::DescriptorType::STORAGE_BUFFER
            };
            groups.entry(*group).or_default().push(
                vk::DescriptorUpdateTemplateEntry::default()
                    .dst_binding(*binding)
                    .descriptor_count(1)
                    .descriptor_type(kind)
                    .offset(index * DESCRIPTOR_BYTES)
                    .stride(DESCRIPTOR_BYTES),
            );
        }
        let mut layout = Self {
            raw: vk::PipelineLayout::null(),
            // A layout may push one set only.
            pushed: groups.len() == 1 && shape.bindings.len() <= push_max as usize,
            shape,
            sets: Vec::new(),
            set_layouts: Vec::new(),
            pipelines: 1,
        };
        match layout.fill(device, &groups) {
            Ok(()) => Ok(layout),
            Err((call, result)) => {
                // SAFETY: made above and used by nothing; what was not made is null, which destroying ignores.
                unsafe { layout.destroy(device) };
                Err(device.error(call, result))
            }
        }
    }

    fn fill(
        &mut self,
        device: &Logical,
        groups: &BTreeMap<u32, Vec<vk::DescriptorUpdateTemplateEntry>>,
    ) -> Result<(), (&'static str, vk::Result)> {
        let count = groups.last_key_value().map_or(0, |it| it.0 + 1);
        for group in 0..count {
            let entries = groups.get(&group).map_or(&[][..], Vec::as_slice);
            let bindings: Vec<_> = entries.iter().map(set_binding).collect();
            let mut info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            // Only the group that has bindings: the others are gaps.
            if self.pushed && !entries.is_empty() {
                info = info.flags(vk::DescriptorSetLayoutCreateFlags::PUSH_DESCRIPTOR_KHR);
            }
            // SAFETY: `shape` has refused bindings that are there twice, and the device's limits hold for all groups together.
            // VUID-VkDescriptorSetLayoutCreateInfo-binding-00279, -flags-00281.
            let made = unsafe { device.raw.create_descriptor_set_layout(&info, None) };
            self.set_layouts
                .push(made.map_err(|it| ("vkCreateDescriptorSetLayout", it))?);
        }
        let ranges = [vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(self.shape.scalar_bytes)];
        let mut info = vk::PipelineLayoutCreateInfo::default().set_layouts(&self.set_layouts);
        if self.shape.scalar_bytes > 0 {
            info = info.push_constant_ranges(&ranges);
        }
        // SAFETY: `shape` has checked the number of groups and buffers and the size of the push constants, a multiple of 4.
        // VUID-VkPipelineLayoutCreateInfo-setLayoutCount-00286, VUID-VkPushConstantRange-size-00297, -00298.
        self.raw = unsafe { device.raw.create_pipeline_layout(&info, None) }
            .map_err(|it| ("vkCreatePipelineLayout", it))?;
        for (&group, entries) in groups {
            let layout = self.set_layouts[group as usize];
            let mut info = vk::DescriptorUpdateTemplateCreateInfo::default()
                .descriptor_update_entries(entries)
                .descriptor_set_layout(layout);
            if self.pushed {
                info = info
                    .template_type(vk::DescriptorUpdateTemplateType::PUSH_DESCRIPTORS_KHR)
                    .pipeline_bind_point(vk::PipelineBindPoint::COMPUTE)
                    .pipeline_layout(self.raw)
                    .set(group);
            }
            // SAFETY: the entries are those that the set layout was made from.
            // VUID-VkDescriptorUpdateTemplateCreateInfo-templateType-00350 to -00353.
            let made = unsafe { device.raw.create_descriptor_update_template(&info, None) };
            self.sets.push(Set {
                group,
                layout,
                template: made.map_err(|it| ("vkCreateDescriptorUpdateTemplate", it))?,
            });
        }
        Ok(())
    }

    /// # Safety
    /// No command buffer that may still run uses the layout, and it is not used again.
    pub(crate) unsafe fn destroy(&self, device: &Logical) {
        // SAFETY: the caller's promise. VUID-vkDestroyDescriptorSetLayout-descriptorSetLayout-parameter and its like.
        unsafe {
            for set in &self.sets {
                device
                    .raw
                    .destroy_descriptor_update_template(set.template, None);
            }
            device.raw.destroy_pipeline_layout(self.raw, None);
            for layout in &self.set_layouts {
                device.raw.destroy_descriptor_set_layout(*layout, None);
            }
        }
    }
}

fn set_binding(
    entry: &vk::DescriptorUpdateTemplateEntry,
) -> vk::DescriptorSetLayoutBinding<'static> {
    vk::DescriptorSetLayoutBinding::default()
        .binding(entry.dst_binding)
        .descriptor_type(entry.descriptor_type)
        .descriptor_count(1)
        .stage_flags(vk::ShaderStageFlags::COMPUTE)
}
