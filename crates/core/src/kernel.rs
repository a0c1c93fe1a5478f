//! What core knows of a kernel: its bindings, its scalars, and what it does to each buffer.

/// How a kernel touches a buffer. A kernel that writes need not write every byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only loads.
    Read,
    /// Only stores.
    Write,
    /// Loads and stores.
    ReadWrite,
}

impl Access {
    /// Whether the kernel stores.
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// One buffer that a kernel binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Descriptor set, or WGSL's `@group`.
    pub group: u32,
    /// Binding within the set.
    pub binding: u32,
    /// Name in the source, for errors.
    pub name: String,
    /// What the kernel does to it.
    pub access: Access,
    /// Whether it is a uniform block rather than storage.
    pub uniform: bool,
    /// The least number of bytes that may be bound.
    pub bytes_min: u64,
}

/// A scalar's type. Vectors are several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScalarKind {
    /// 32-bit float.
    F32,
    /// 32-bit signed integer.
    I32,
    /// 32-bit unsigned integer.
    U32,
    /// Anything else: only its size is checked.
    Bytes,
}

/// One scalar argument of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Name in the source, for errors.
    pub name: String,
    /// Its type.
    pub kind: ScalarKind,
    /// Where it lies in the block.
    pub offset: u32,
    /// Its size.
    pub bytes: u32,
}

/// Where a kernel reads its scalars from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarPlace {
    /// Push constants.
    PushConstants,
    /// A uniform block, bound after the kernel's other buffers.
    Uniform {
        /// Descriptor set.
        group: u32,
        /// Binding within the set.
        binding: u32,
    },
}

/// The block of scalar arguments that a kernel takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalars {
    /// Where the kernel reads them.
    pub place: ScalarPlace,
    /// Size of the block.
    pub bytes: u32,
    /// Its members in order of offset; empty if the block can only be given whole.
    pub members: Vec<Scalar>,
}

/// A kernel's interface: enough to check a launch and to know what it reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Entry point.
    pub name: String,
    /// Invocations of one workgroup along x, y and z.
    pub workgroup_size: [u32; 3],
    /// The buffers that a launch gives, in order.
    pub bindings: Vec<Binding>,
    /// The scalars that a launch gives, if any.
    pub scalars: Option<Scalars>,
}

/// A kernel's code, in the form that its device takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Code {
    /// SPIR-V words.
    Spirv(Vec<u32>),
    /// The same kernel as SPIR-V in two forms. A device uses the second if it can.
    SpirvAddressed {
        /// It binds descriptors.
        plain: Vec<u32>,
        /// It finds its buffers by address.
        addressed: Vec<u32>,
        /// Where the second form reads its arguments.
        block: AddressBlock,
    },
    /// Source in the Metal Shading Language, compiled by the device's driver.
    Msl {
        /// The source.
        source: String,
        /// Where a launch's arguments go.
        arguments: MetalArguments,
    },
    /// A library that Apple's compiler made, as it is in its file.
    Metallib {
        /// The file.
        bytes: Vec<u8>,
        /// Where a launch's arguments go.
        arguments: MetalArguments,
    },
    /// A function that runs one workgroup on the host, for the simulated device.
    Host(HostKernel),
}

/// The push constants of a kernel that finds its buffers by address: its scalars, then an address for each of [`Kernel::bindings`], then sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressBlock {
    /// Size of all of it.
    pub bytes: u32,
    /// Offset of the first address, of 8 bytes. The others follow it.
    pub first: u32,
    /// Offset of the first size, in bytes and as a `u32`. The others follow it.
    pub sizes_at: u32,
    /// The bindings whose sizes the kernel reads, in this order, by their place.
    pub sizes: Vec<u32>,
    /// Alignment that each address must have.
    pub align: u32,
}

/// A kernel's function in a Metal library, and the slot of each of its arguments in Metal's buffer argument table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetalArguments {
    /// The function's name. It may differ from the kernel's.
    pub entry_point: String,
    /// The slot of each region of a launch, in order: those of [`Kernel::bindings`], then that of a uniform block of scalars.
    pub buffers: Vec<u32>,
    /// The slot of push constants, if the kernel takes any.
    pub scalars: Option<u32>,
    /// The buffer of sizes, if the kernel reads one.
    pub sizes: Option<MetalSizes>,
    /// Bytes of threadgroup memory to set at each threadgroup index, from 0. Metal wants multiples of 16.
    pub threadgroup_bytes: Vec<u32>,
}

/// A buffer that tells a kernel how long its other buffers are: Metal does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetalSizes {
    /// Its slot.
    pub slot: u32,
    /// The regions of a launch whose sizes it lists, in bytes and as `u32`, by their place in [`MetalArguments::buffers`].
    pub regions: Vec<u32>,
}

/// Runs one workgroup: its position in the grid, the bound buffers' bytes in order, and the scalars (also those that a device would read from a uniform block).
pub type HostFunction = dyn Fn([u32; 3], &mut [&mut [u8]], &[u8]) + Send + Sync;

/// A kernel written in Rust, for the simulated device.
#[derive(Clone)]
pub struct HostKernel(pub std::sync::Arc<HostFunction>);

impl std::fmt::Debug for HostKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostKernel")
    }
}
