//! What a kernel asks of a device beyond the basics.

use std::collections::BTreeSet;
use std::fmt;

use rspirv::spirv::Capability;

/// The features a kernel needs. A device refuses a kernel by naming what is [missing](Required::missing).
///
/// Both forms of a kernel are judged by the capabilities that its SPIR-V declares, so that Vulkan and Metal are asked
/// the same question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Required(BTreeSet<Feature>);

/// One thing a device may or may not offer.
///
/// Names follow SPIR-V's capabilities: <https://registry.khronos.org/SPIR-V/specs/unified1/SPIRV.html#Capability>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Arithmetic on 16-bit floats.
    F16,
    /// Arithmetic on 16-bit integers.
    I16,
    /// Arithmetic on 8-bit integers.
    I8,
    /// 64-bit integers.
    I64,
    /// 64-bit floats.
    F64,
    /// 16-bit values in storage buffers.
    Storage16,
    /// 16-bit values in uniform buffers.
    Uniform16,
    /// 16-bit values in immediates.
    Immediates16,
    /// 8-bit values in storage buffers.
    Storage8,
    /// 8-bit values in uniform buffers.
    Uniform8,
    /// 8-bit values in immediates.
    Immediates8,
    /// Atomic operations on 64-bit integers.
    I64Atomics,
    /// Atomic addition of 32-bit floats.
    F32AtomicAdd,
    /// Atomic minimum and maximum of 32-bit floats.
    F32AtomicMinMax,
    /// Subgroup size, index, election and barrier.
    Subgroups,
    /// Subgroup `any` and `all`.
    SubgroupVote,
    /// Subgroup reductions and scans.
    SubgroupArithmetic,
    /// Subgroup ballot and broadcast.
    SubgroupBallot,
    /// Subgroup shuffle and shuffle by exclusive or.
    SubgroupShuffle,
    /// Subgroup shuffle up and down.
    SubgroupShuffleRelative,
    /// Reductions over part of a subgroup.
    SubgroupClustered,
    /// Exchange within groups of four.
    SubgroupQuad,
    /// Matrices spread over a subgroup.
    CooperativeMatrix,
    /// Integer dot products of packed bytes.
    IntegerDotProduct,
    /// Vulkan's memory model.
    VulkanMemoryModel,
    /// Vulkan's memory model, at the scope of the device.
    VulkanMemoryModelDeviceScope,
    /// Pointers into buffers chosen at run time.
    VariablePointers,
    /// Buffers reached by their address. What such a kernel reads and writes cannot be told from its bindings.
    BufferDeviceAddress,
    /// Any other SPIR-V capability, by its number.
    Capability(u32),
}

impl Required {
    /// Whether the kernel needs `feature`.
    #[must_use]
    pub fn contains(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }

    /// Whether any device can run the kernel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The features, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Feature> + '_ {
        self.0.iter().copied()
    }

    /// What the kernel needs and `offered` lacks.
    #[must_use]
    pub fn missing(&self, offered: &Self) -> Self {
        Self(self.0.difference(&offered.0).copied().collect())
    }

    /// From the numbers of a module's `OpCapability` instructions.
    pub(crate) fn from_capabilities(capabilities: impl Iterator<Item = u32>) -> Self {
        capabilities.filter_map(feature).collect()
    }
}

impl FromIterator<Feature> for Required {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        Self(features.into_iter().collect())
    }
}

impl fmt::Display for Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, feature) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{feature}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F16 => "16-bit floats",
            Self::I16 => "16-bit integers",
            Self::I8 => "8-bit integers",
            Self::I64 => "64-bit integers",
            Self::F64 => "64-bit floats",
            Self::Storage16 => "16-bit values in storage buffers",
            Self::Uniform16 => "16-bit values in uniform buffers",
            Self::Immediates16 => "16-bit immediates",
            Self::Storage8 => "8-bit values in storage buffers",
            Self::Uniform8 => "8-bit values in uniform buffers",
            Self::Immediates8 => "8-bit immediates",
            Self::I64Atomics => "64-bit atomics",
            Self::F32AtomicAdd => "atomic addition of floats",
            Self::F32AtomicMinMax => "atomic minimum of floats",
            Self::Subgroups => "subgroups",
            Self::SubgroupVote => "subgroup vote",
            Self::SubgroupArithmetic => "subgroup arithmetic",
            Self::SubgroupBallot => "subgroup ballot",
            Self::SubgroupShuffle => "subgroup shuffle",
            Self::SubgroupShuffleRelative => "relative subgroup shuffle",
            Self::SubgroupClustered => "clustered subgroup operations",
            Self::SubgroupQuad => "quad operations",
            Self::CooperativeMatrix => "cooperative matrices",
            Self::IntegerDotProduct => "integer dot products",
            Self::VulkanMemoryModel => "Vulkan's memory model",
            Self::VulkanMemoryModelDeviceScope => "Vulkan's memory model at device scope",
            Self::VariablePointers => "variable pointers",
            Self::BufferDeviceAddress => "buffer addresses",
            Self::Capability(number) => {
                return match Capability::from_u32(*number) {
                    Some(capability) => write!(f, "the SPIR-V capability {capability:?}"),
                    None => write!(f, "the SPIR-V capability {number}"),
                };
            }
        })
    }
}

/// `None` for what every Vulkan device has.
fn feature(capability: u32) -> Option<Feature> {
    let Some(known) = Capability::from_u32(capability) else {
        return Some(Feature::Capability(capability));
    };
    Some(match known {
        Capability::Matrix | Capability::Shader => return None,
        Capability::Float16 => Feature::F16,
        Capability::Int16 => Feature::I16,
        Capability::Int8 => Feature::I8,
        Capability::Int64 => Feature::I64,
        Capability::Float64 => Feature::F64,
        Capability::StorageBuffer16BitAccess => Feature::Storage16,
        Capability::UniformAndStorageBuffer16BitAccess => Feature::Uniform16,
        Capability::StoragePushConstant16 => Feature::Immediates16,
        Capability::StorageBuffer8BitAccess => Feature::Storage8,
        Capability::UniformAndStorageBuffer8BitAccess => Feature::Uniform8,
        Capability::StoragePushConstant8 => Feature::Immediates8,
        Capability::Int64Atomics => Feature::I64Atomics,
        Capability::AtomicFloat32AddEXT => Feature::F32AtomicAdd,
        Capability::AtomicFloat32MinMaxEXT => Feature::F32AtomicMinMax,
        Capability::GroupNonUniform => Feature::Subgroups,
        Capability::GroupNonUniformVote => Feature::SubgroupVote,
        Capability::GroupNonUniformArithmetic => Feature::SubgroupArithmetic,
        Capability::GroupNonUniformBallot => Feature::SubgroupBallot,
        Capability::GroupNonUniformShuffle => Feature::SubgroupShuffle,
        Capability::GroupNonUniformShuffleRelative => Feature::SubgroupShuffleRelative,
        Capability::GroupNonUniformClustered => Feature::SubgroupClustered,
        Capability::GroupNonUniformQuad => Feature::SubgroupQuad,
        Capability::CooperativeMatrixKHR => Feature::CooperativeMatrix,
        Capability::DotProduct
        | Capability::DotProductInputAll
        | Capability::DotProductInput4x8Bit
        | Capability::DotProductInput4x8BitPacked => Feature::IntegerDotProduct,
        Capability::VulkanMemoryModel => Feature::VulkanMemoryModel,
        Capability::VulkanMemoryModelDeviceScope => Feature::VulkanMemoryModelDeviceScope,
        Capability::VariablePointers | Capability::VariablePointersStorageBuffer => {
            Feature::VariablePointers
        }
        Capability::PhysicalStorageBufferAddresses => Feature::BufferDeviceAddress,
        _ => Feature::Capability(capability),
    })
}
