//! Optional features: which are there, which are enabled, and what they let a kernel declare.

use std::ffi::CStr;

use ash::{ext, khr, vk};

/// The features that a device has and that we enable: the same set, so that what is reported is legal to use.
#[derive(Clone, Default)]
pub(crate) struct Features {
    core: vk::PhysicalDeviceFeatures,
    v11: vk::PhysicalDeviceVulkan11Features<'static>,
    v12: vk::PhysicalDeviceVulkan12Features<'static>,
    synchronization2: Option<vk::PhysicalDeviceSynchronization2Features<'static>>,
    dot_product: Option<vk::PhysicalDeviceShaderIntegerDotProductFeatures<'static>>,
    float_atomics: Option<vk::PhysicalDeviceShaderAtomicFloatFeaturesEXT<'static>>,
    cooperative_matrix: Option<vk::PhysicalDeviceCooperativeMatrixFeaturesKHR<'static>>,
    fault: Option<vk::PhysicalDeviceFaultFeaturesEXT<'static>>,
    zero_workgroup: Option<vk::PhysicalDeviceZeroInitializeWorkgroupMemoryFeatures<'static>>,
    subgroup: vk::SubgroupFeatureFlags,
}

impl Features {
    /// What the device has of what we would use. `has` tells whether it lists an extension.
    pub(crate) fn query(
        instance: &ash::Instance,
        device: vk::PhysicalDevice,
        subgroup: vk::SubgroupFeatureFlags,
        has: &dyn Fn(&CStr) -> bool,
    ) -> Self {
        let mut found = Self {
            synchronization2: has(khr::synchronization2::NAME).then(Default::default),
            dot_product: has(khr::shader_integer_dot_product::NAME).then(Default::default),
            float_atomics: has(ext::shader_atomic_float::NAME).then(Default::default),
            cooperative_matrix: has(khr::cooperative_matrix::NAME).then(Default::default),
            fault: has(ext::device_fault::NAME).then(Default::default),
            zero_workgroup: has(khr::zero_initialize_workgroup_memory::NAME).then(Default::default),
            ..Self::default()
        };
        let core = found.chain(|all| {
            // SAFETY: the device has Vulkan 1.2 (the caller asks no other), and each structure of the chain belongs to a
            // version or an extension it has. VUID-VkPhysicalDeviceFeatures2-pNext-pNext.
            unsafe { instance.get_physical_device_features2(device, all) };
            all.features
        });
        found.core = core;
        found.subgroup = subgroup;
        found.only_used()
    }

    /// Runs `f` on the features as one chain.
    pub(crate) fn chain<R>(
        &mut self,
        f: impl FnOnce(&mut vk::PhysicalDeviceFeatures2<'_>) -> R,
    ) -> R {
        let mut all = vk::PhysicalDeviceFeatures2::default().features(self.core);
        // `push_next` follows what it is given, which may point at a chain that is gone.
        self.v11.p_next = std::ptr::null_mut();
        self.v12.p_next = std::ptr::null_mut();
        all = all.push_next(&mut self.v11).push_next(&mut self.v12);
        if let Some(it) = &mut self.synchronization2 {
            it.p_next = std::ptr::null_mut();
            all = all.push_next(it);
        }
        if let Some(it) = &mut self.dot_product {
            it.p_next = std::ptr::null_mut();
            all = all.push_next(it);
        }
        if let Some(it) = &mut self.float_atomics {
            it.p_next = std::ptr::null_mut();
            all = all.push_next(it);
        }
        if let Some(it) = &mut self.cooperative_matrix {
            it.p_next = std::ptr::null_mut();
            all = all.push_next(it);
        }
        if let Some(it) = &mut self.fault {
            it.p_next = std::ptr::null_mut();
            all = all.push_next(it);
        }
        if let Some(it) = &mut self.zero_workgroup {
            it.p_next = std::ptr::null_mut();
            all = all.push_next(it);
        }
        f(&mut all)
    }

    /// Leaves out what no kernel and none of our calls uses: some features cost time merely by being on.
    fn only_used(self) -> Self {
        let (v11, v12) = (self.v11, self.v12);
        let memory_model = v12.vulkan_memory_model;
        Self {
            core: vk::PhysicalDeviceFeatures {
                shader_int16: self.core.shader_int16,
                shader_int64: self.core.shader_int64,
                shader_float64: self.core.shader_float64,
                ..Default::default()
            },
            v11: vk::PhysicalDeviceVulkan11Features::default()
                .storage_buffer16_bit_access(v11.storage_buffer16_bit_access != 0)
                .uniform_and_storage_buffer16_bit_access(
                    v11.uniform_and_storage_buffer16_bit_access != 0,
                )
                .storage_push_constant16(v11.storage_push_constant16 != 0),
            v12: vk::PhysicalDeviceVulkan12Features::default()
                .storage_buffer8_bit_access(v12.storage_buffer8_bit_access != 0)
                .uniform_and_storage_buffer8_bit_access(
                    v12.uniform_and_storage_buffer8_bit_access != 0,
                )
                .storage_push_constant8(v12.storage_push_constant8 != 0)
                .shader_buffer_int64_atomics(v12.shader_buffer_int64_atomics != 0)
                .shader_shared_int64_atomics(v12.shader_shared_int64_atomics != 0)
                .shader_float16(v12.shader_float16 != 0)
                .shader_int8(v12.shader_int8 != 0)
                .shader_subgroup_extended_types(v12.shader_subgroup_extended_types != 0)
                .timeline_semaphore(v12.timeline_semaphore != 0)
                .buffer_device_address(v12.buffer_device_address != 0)
                .vulkan_memory_model(memory_model != 0)
                .vulkan_memory_model_device_scope(v12.vulkan_memory_model_device_scope != 0),
            synchronization2: self.synchronization2.filter(|it| it.synchronization2 != 0),
            dot_product: self
                .dot_product
                .filter(|it| it.shader_integer_dot_product != 0),
            float_atomics: self
                .float_atomics
                .filter(|it| it.shader_buffer_float32_atomic_add != 0)
                .map(|it| {
                    vk::PhysicalDeviceShaderAtomicFloatFeaturesEXT::default()
                        .shader_buffer_float32_atomics(it.shader_buffer_float32_atomics != 0)
                        .shader_buffer_float32_atomic_add(true)
                        .shader_shared_float32_atomics(it.shader_shared_float32_atomics != 0)
                        .shader_shared_float32_atomic_add(it.shader_shared_float32_atomic_add != 0)
                }),
            cooperative_matrix: self
                .cooperative_matrix
                .filter(|it| it.cooperative_matrix != 0 && memory_model != 0)
                .map(|_| {
                    vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default()
                        .cooperative_matrix(true)
                }),
            fault: self
                .fault
                .filter(|it| it.device_fault != 0)
                .map(|_| vk::PhysicalDeviceFaultFeaturesEXT::default().device_fault(true)),
            zero_workgroup: self
                .zero_workgroup
                .filter(|it| it.shader_zero_initialize_workgroup_memory != 0)
                .map(|_| {
                    vk::PhysicalDeviceZeroInitializeWorkgroupMemoryFeatures::default()
                        .shader_zero_initialize_workgroup_memory(true)
                }),
            subgroup: self.subgroup,
        }
    }

    /// Leaves out synchronization2, to use the older calls.
    pub(crate) fn without_synchronization2(mut self) -> Self {
        self.synchronization2 = None;
        self
    }

    /// Leaves out buffer addresses, to bind descriptors.
    pub(crate) fn without_addresses(mut self) -> Self {
        self.v12.buffer_device_address = vk::FALSE;
        self
    }

    pub(crate) fn addresses(&self) -> bool {
        self.v12.buffer_device_address != 0
    }

    pub(crate) fn timeline_semaphore(&self) -> bool {
        self.v12.timeline_semaphore != 0
    }

    /// The extensions that the features in the set belong to.
    pub(crate) fn extensions(&self) -> Vec<&'static CStr> {
        let all = [
            (self.synchronization2.is_some(), khr::synchronization2::NAME),
            (
                self.dot_product.is_some(),
                khr::shader_integer_dot_product::NAME,
            ),
            (self.float_atomics.is_some(), ext::shader_atomic_float::NAME),
            (
                self.cooperative_matrix.is_some(),
                khr::cooperative_matrix::NAME,
            ),
            (self.fault.is_some(), ext::device_fault::NAME),
            (
                self.zero_workgroup.is_some(),
                khr::zero_initialize_workgroup_memory::NAME,
            ),
        ];
        all.into_iter().filter(|it| it.0).map(|it| it.1).collect()
    }

    /// The names of what kernels may use.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.table().filter(|it| it.1).map(|it| it.0).collect();
        names.dedup();
        // No capability of SPIR-V goes with it: a variable of workgroup memory may have an initial value.
        if self.zero_workgroup.is_some() {
            names.push("zero_workgroup_memory");
        }
        names
    }

    /// The feature that the device lacks and SPIR-V's `capability` needs.
    pub(crate) fn missing(&self, capability: u32) -> Option<String> {
        // Matrix and Shader.
        if capability <= 1 {
            return None;
        }
        match self.table().find(|it| it.2 == capability) {
            Some((_, true, _)) => None,
            Some((name, false, _)) => Some(name.to_owned()),
            None => Some(format!("SPIR-V capability {capability}")),
        }
    }

    /// Each feature's name, whether it is there, and the number of the SPIR-V capability that it allows.
    fn table(&self) -> impl Iterator<Item = (&'static str, bool, u32)> {
        let (core, v11, v12) = (&self.core, &self.v11, &self.v12);
        let dot_product = self.dot_product.is_some();
        let types = [
            ("shader_f16", v12.shader_float16, 9),
            ("shader_float64", core.shader_float64, 10),
            ("shader_int64", core.shader_int64, 11),
            ("int64_atomics", v12.shader_buffer_int64_atomics, 12),
            ("shader_int16", core.shader_int16, 22),
            ("shader_int8", v12.shader_int8, 39),
            ("storage_16bit", v11.storage_buffer16_bit_access, 4433),
            (
                "uniform_16bit",
                v11.uniform_and_storage_buffer16_bit_access,
                4434,
            ),
            ("scalars_16bit", v11.storage_push_constant16, 4435),
            ("storage_8bit", v12.storage_buffer8_bit_access, 4448),
            (
                "uniform_8bit",
                v12.uniform_and_storage_buffer8_bit_access,
                4449,
            ),
            ("scalars_8bit", v12.storage_push_constant8, 4450),
            ("buffer_addresses", v12.buffer_device_address, 5347),
            ("vulkan_memory_model", v12.vulkan_memory_model, 5345),
            (
                "vulkan_memory_model_device_scope",
                v12.vulkan_memory_model_device_scope,
                5346,
            ),
        ];
        let dot_products = (6016..=6019).map(move |it| ("int_dot_product", dot_product, it));
        let extensions = [
            (
                "cooperative_matrix",
                self.cooperative_matrix.is_some(),
                6022,
            ),
            ("float32_atomic_add", self.float_atomics.is_some(), 6033),
        ];
        let subgroups = [
            ("subgroup_basic", vk::SubgroupFeatureFlags::BASIC, 61),
            ("subgroup_vote", vk::SubgroupFeatureFlags::VOTE, 62),
            (
                "subgroup_arithmetic",
                vk::SubgroupFeatureFlags::ARITHMETIC,
                63,
            ),
            ("subgroup_ballot", vk::SubgroupFeatureFlags::BALLOT, 64),
            ("subgroup_shuffle", vk::SubgroupFeatureFlags::SHUFFLE, 65),
            (
                "subgroup_shuffle_relative",
                vk::SubgroupFeatureFlags::SHUFFLE_RELATIVE,
                66,
            ),
            (
                "subgroup_clustered",
                vk::SubgroupFeatureFlags::CLUSTERED,
                67,
            ),
            ("subgroup_quad", vk::SubgroupFeatureFlags::QUAD, 68),
        ]
        .map(|(name, flag, capability)| (name, self.subgroup.contains(flag), capability));
        types
            .map(|(name, there, capability)| (name, there != vk::FALSE, capability))
            .into_iter()
            .chain(dot_products)
            .chain(extensions)
            .chain(subgroups)
    }
}
