//! Writing one kernel as SPIR-V or as MSL.

use naga::back::{msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::{AddressSpace, ResourceBinding, ShaderStage};

use crate::error::chain;
use crate::spirv::undecorate::undecorate;
use crate::wgsl::{Specialized, reach};
use crate::{BindingKind, Kernel, ScalarsLocation, ShaderError};

/// What becomes of an index that is out of range, and of the like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BoundsChecks {
    /// An index out of range is replaced with one in range, an endless loop is made finite, and a division by zero has
    /// a defined result.
    ///
    /// The index is clamped (naga's `Restrict`), which costs a minimum for each access whose index is not constant.
    /// Skipping the access instead (`ReadZeroSkipWrite`) is as safe and costs a branch. Clamping relies on each
    /// runtime array holding at least one element, so whoever binds a buffer must refuse one smaller than
    /// [`Binding::bytes_min`](crate::Binding::bytes_min).
    ///
    /// What this does not cover is refused with [`ShaderError::Unbounded`]: cooperative matrices, and indices of other than 32 bits.
    #[default]
    Checked,
    /// Nothing is checked. The kernel is trusted as a C++ kernel would be: an index out of range, an endless loop and a
    /// division by zero are undefined behaviour on the device.
    Unchecked,
}

/// How to write SPIR-V.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpirvOptions {
    /// Whether the kernel guards itself.
    pub bounds_checks: BoundsChecks,
    /// Version of SPIR-V. Vulkan 1.1 reads 1.3, the default.
    pub version: (u8, u8),
    /// Whether to keep the names of variables and functions, for a debugger. Off by default.
    pub debug_names: bool,
    /// Whether workgroup memory starts as zeros, as WGSL promises. It costs a store for each element and a barrier.
    pub zero_workgroup_memory: bool,
    /// Whether the device does that itself, by Vulkan's feature `shaderZeroInitializeWorkgroupMemory`. Otherwise one
    /// invocation stores it all: an array of 16 KiB is then thousands of stores in a row, for which lavapipe takes minutes.
    pub device_zeroes: bool,
}

/// How to write MSL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MslOptions {
    /// Whether the kernel guards itself.
    pub bounds_checks: BoundsChecks,
    /// Version of the Metal Shading Language. macOS 12 reads 2.4, the default; float atomics need 3.0.
    pub version: (u8, u8),
    /// Whether workgroup memory starts as zeros, as WGSL promises. It costs a store for each element and a barrier.
    pub zero_workgroup_memory: bool,
}

/// A kernel as SPIR-V that reads the addresses of its buffers from its push constants, and where it reads what.
///
/// The push constants begin with the kernel's scalars as they are. Only SPIR-V that was written from WGSL has this form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    /// The SPIR-V. It needs the capability `PhysicalStorageBufferAddresses`.
    pub words: Vec<u32>,
    /// Bytes of the push constants in all.
    pub bytes: u32,
    /// Offset of the first address, of 8 bytes. One follows another, in the order of [`Kernel::bindings`].
    pub first: u32,
    /// Offset of the first size, in bytes and as a `u32`. One follows another.
    pub sizes_at: u32,
    /// The bindings whose sizes it reads, in this order, by their place in [`Kernel::bindings`].
    pub sizes: Vec<u32>,
    /// Alignment that every address must have, at most 16.
    pub align: u32,
}

/// A kernel in the Metal Shading Language, and where its arguments go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msl {
    /// The source.
    pub source: String,
    /// The kernel's name in the source. It differs from its own where that is a word of MSL.
    pub entry_point: String,
    /// The slot of each of [`Kernel::bindings`], in the same order.
    pub buffers: Vec<MslBuffer>,
    /// The slot of the kernel's scalars, if it has any: of the immediates, or of the uniform buffer they are in.
    pub scalars_slot: Option<u32>,
    /// The buffer of sizes, if the kernel needs one.
    pub sizes: Option<MslSizes>,
    /// Bytes of threadgroup memory to set at each threadgroup index, from 0. Metal wants multiples of 16.
    pub threadgroup_bytes: Vec<u32>,
}

/// The slot of one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MslBuffer {
    /// `@group`.
    pub group: u32,
    /// `@binding`.
    pub binding: u32,
    /// Index in Metal's buffer argument table: `[[buffer(slot)]]`.
    pub slot: u32,
}

/// A buffer of sizes, which the source calls `_mslBufferSizes`. Metal does not tell a kernel how long a buffer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MslSizes {
    /// Index in Metal's buffer argument table.
    pub slot: u32,
    /// Group and binding of each buffer whose size, in bytes and as a `u32`, has to be passed, in this order.
    pub bindings: Vec<(u32, u32)>,
}

/// Slots in Metal's buffer argument table, on every device.
/// <https://developer.apple.com/metal/Metal-Feature-Set-Tables.pdf>
const MSL_SLOTS_MAX: usize = 31;

impl SpirvOptions {
    /// Zeroes workgroup memory only if the kernel is checked: whoever trusts it trusts it to store before it loads.
    #[must_use]
    pub const fn new(bounds_checks: BoundsChecks) -> Self {
        let zero_workgroup_memory = matches!(bounds_checks, BoundsChecks::Checked);
        Self {
            bounds_checks,
            version: (1, 3),
            debug_names: false,
            zero_workgroup_memory,
            device_zeroes: false,
        }
    }
}

impl Default for SpirvOptions {
    fn default() -> Self {
        Self::new(BoundsChecks::Checked)
    }
}

impl MslOptions {
    /// Zeroes workgroup memory only if the kernel is checked: whoever trusts it trusts it to store before it loads.
    #[must_use]
    pub const fn new(bounds_checks: BoundsChecks) -> Self {
        let zero_workgroup_memory = matches!(bounds_checks, BoundsChecks::Checked);
        Self {
            bounds_checks,
            version: (2, 4),
            zero_workgroup_memory,
        }
    }
}

impl Default for MslOptions {
    fn default() -> Self {
        Self::new(BoundsChecks::Checked)
    }
}

impl BoundsChecks {
    const fn policies(self) -> BoundsCheckPolicies {
        let policy = match self {
            Self::Checked => BoundsCheckPolicy::Restrict,
            Self::Unchecked => BoundsCheckPolicy::Unchecked,
        };
        BoundsCheckPolicies {
            index: policy,
            buffer: policy,
            image_load: policy,
            binding_array: policy,
        }
    }
}

/// Refuses a kernel that is to be checked and cannot be.
fn refuse_unbounded(
    specialized: &Specialized,
    kernel: &str,
    checks: BoundsChecks,
) -> Result<(), ShaderError> {
    match reach::unbounded(specialized) {
        Some(message) if checks == BoundsChecks::Checked => Err(ShaderError::Unbounded {
            kernel: kernel.to_owned(),
            message,
        }),
        _ => Ok(()),
    }
}

pub(crate) fn spirv(
    specialized: &Specialized,
    kernel: &str,
    options: &SpirvOptions,
) -> Result<Vec<u32>, ShaderError> {
    refuse_unbounded(specialized, kernel, options.bounds_checks)?;
    let checked = options.bounds_checks == BoundsChecks::Checked;
    let mut flags = spv::WriterFlags::empty();
    flags.set(spv::WriterFlags::DEBUG, options.debug_names);
    let writer = spv::Options {
        lang_version: options.version,
        flags,
        fake_missing_bindings: true,
        bounds_check_policies: options.bounds_checks.policies(),
        zero_initialize_workgroup_memory: match options {
            SpirvOptions {
                zero_workgroup_memory: false,
                ..
            } => spv::ZeroInitializeWorkgroupMemoryMode::None,
            SpirvOptions {
                device_zeroes: true,
                ..
            } => spv::ZeroInitializeWorkgroupMemoryMode::Native,
            _ => spv::ZeroInitializeWorkgroupMemoryMode::Polyfill,
        },
        force_loop_bounding: checked,
        emit_int_div_checks: checked,
        // A kernel has no inputs or outputs besides built-in ones, and few devices offer 16-bit ones.
        use_storage_input_output_16: false,
        ..spv::Options::default()
    };
    let entry_point = spv::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: kernel.to_owned(),
    };
    let words = spv::write_vec(
        &specialized.module,
        &specialized.info,
        &writer,
        Some(&entry_point),
    )
    .map_err(|error| ShaderError::Emit {
        kernel: kernel.to_owned(),
        target: "SPIR-V",
        message: chain(&error),
    })?;
    undecorate(words)
}

pub(crate) fn msl(
    specialized: &Specialized,
    kernel: &Kernel,
    options: &MslOptions,
) -> Result<Msl, ShaderError> {
    let failed = |message| ShaderError::Emit {
        kernel: kernel.name.clone(),
        target: "MSL",
        message,
    };
    let slots = Slots::new(specialized, kernel).map_err(failed)?;
    refuse_unbounded(specialized, &kernel.name, options.bounds_checks)?;
    let checked = options.bounds_checks == BoundsChecks::Checked;
    let writer = msl::Options {
        lang_version: options.version,
        per_entry_point_map: [(kernel.name.clone(), slots.resources.clone())].into(),
        fake_missing_bindings: false,
        bounds_check_policies: options.bounds_checks.policies(),
        zero_initialize_workgroup_memory: options.zero_workgroup_memory,
        force_loop_bounding: checked,
        emit_int_div_checks: checked,
        ..msl::Options::default()
    };
    let entry_point = msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, kernel.name.clone())),
        ..msl::PipelineOptions::default()
    };
    let (source, translation) = msl::write_string(
        &specialized.module,
        &specialized.info,
        &writer,
        &entry_point,
    )
    .map_err(|error| failed(chain(&error)))?;
    let entry_point = match translation.entry_point_names.into_iter().next() {
        Some(name) => name.map_err(|error| failed(chain(&error)))?,
        None => return Err(failed("no entry point was written".to_owned())),
    };
    let threadgroup_bytes = threadgroup_bytes(specialized);
    Ok(Msl {
        source,
        entry_point,
        threadgroup_bytes,
        ..slots.msl
    })
}

/// Metal source given by the caller takes its buffers in order, and its scalars after them.
pub(crate) fn msl_as_is(source: &str, kernel: &Kernel) -> Result<Msl, ShaderError> {
    let slots = Slots::in_order(kernel).map_err(|message| ShaderError::Emit {
        kernel: kernel.name.clone(),
        target: "MSL",
        message,
    })?;
    Ok(Msl {
        source: source.to_owned(),
        entry_point: kernel.name.clone(),
        ..slots.msl
    })
}

/// Where each argument of a kernel goes: the buffers in order, then the immediates, then the sizes.
struct Slots {
    /// Only the fields about slots are filled.
    msl: Msl,
    /// The same, as naga wants it.
    resources: msl::EntryPointResources,
}

impl Slots {
    fn new(specialized: &Specialized, kernel: &Kernel) -> Result<Self, String> {
        let mut slots = Self::in_order(kernel)?;
        let bindings = sized(specialized);
        if !bindings.is_empty() {
            let immediates = usize::from(slots.resources.immediates_buffer.is_some());
            let slot = slot(kernel.bindings.len() + immediates)?;
            slots.resources.sizes_buffer = Some(slot);
            slots.msl.sizes = Some(MslSizes {
                slot: slot.into(),
                bindings,
            });
        }
        Ok(slots)
    }

    fn in_order(kernel: &Kernel) -> Result<Self, String> {
        let mut resources = msl::EntryPointResources::default();
        let mut buffers = Vec::with_capacity(kernel.bindings.len());
        for (index, binding) in kernel.bindings.iter().enumerate() {
            let (group, binding, mutable) = (
                binding.group,
                binding.binding,
                binding.kind == BindingKind::Storage,
            );
            let slot = slot(index)?;
            let target = msl::BindTarget {
                buffer: Some(slot),
                mutable,
                ..msl::BindTarget::default()
            };
            resources
                .resources
                .insert(ResourceBinding { group, binding }, target);
            buffers.push(MslBuffer {
                group,
                binding,
                slot: slot.into(),
            });
        }
        let scalars_slot = match kernel.scalars.as_ref().map(|scalars| scalars.location) {
            None => None,
            Some(ScalarsLocation::Immediates) => {
                let slot = slot(buffers.len())?;
                resources.immediates_buffer = Some(slot);
                Some(slot.into())
            }
            Some(ScalarsLocation::Uniform { group, binding }) => {
                let at = buffers
                    .iter()
                    .find(|buffer| (buffer.group, buffer.binding) == (group, binding));
                at.map(|buffer| buffer.slot)
            }
        };
        let (source, entry_point, sizes, threadgroup_bytes) =
            (String::new(), String::new(), None, Vec::new());
        let msl = Msl {
            source,
            entry_point,
            buffers,
            scalars_slot,
            sizes,
            threadgroup_bytes,
        };
        Ok(Self { msl, resources })
    }
}

fn slot(index: usize) -> Result<u8, String> {
    match u8::try_from(index) {
        Ok(slot) if index < MSL_SLOTS_MAX => Ok(slot),
        _ => Err(format!(
            "its arguments need more than the {MSL_SLOTS_MAX} buffer slots that Metal has"
        )),
    }
}

/// The buffers listed in `_mslBufferSizes`: those with a runtime array, in order of declaration.
fn sized(specialized: &Specialized) -> Vec<(u32, u32)> {
    let types = &specialized.module.types;
    let variables = specialized
        .module
        .global_variables
        .iter()
        .map(|(_, variable)| variable);
    variables
        .filter(|variable| types[variable.ty].inner.is_dynamically_sized(types))
        .filter_map(|variable| variable.binding.map(|at| (at.group, at.binding)))
        .collect()
}

/// naga passes each workgroup variable as a threadgroup argument, in order of declaration.
fn threadgroup_bytes(specialized: &Specialized) -> Vec<u32> {
    let (module, uses) = (&specialized.module, specialized.info.get_entry_point(0));
    let variables = module.global_variables.iter();
    variables
        .filter(|&(handle, variable)| {
            variable.space == AddressSpace::WorkGroup && !uses[handle].is_empty()
        })
        .map(|(_, variable)| {
            module.types[variable.ty]
                .inner
                .size(module.to_ctx())
                .next_multiple_of(16)
        })
        .collect()
}
