//! What a caller has to know of a kernel. Plain data.

use crate::Required;

/// A compute entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The entry point's name.
    pub name: String,
    /// Invocations in a workgroup along x, y and z.
    pub workgroup_size: [u32; 3],
    /// The buffers that the entry point, or a function it calls, uses; ordered by group and binding. Includes the
    /// uniform buffer of [`Kernel::scalars`] if that is where they are.
    pub bindings: Vec<Binding>,
    /// The kernel's scalar arguments.
    pub scalars: Option<Scalars>,
    /// Bytes of workgroup memory the kernel declares.
    pub workgroup_bytes: u32,
    /// What a device must offer to run the kernel.
    pub required: Required,
}

/// A buffer that a kernel uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// `@group` in WGSL, descriptor set in SPIR-V.
    pub group: u32,
    /// `@binding` within the group.
    pub binding: u32,
    /// The variable's name. Empty where SPIR-V carries none.
    pub name: String,
    /// Which sort of buffer.
    pub kind: BindingKind,
    /// What the kernel does with it, as narrow as can be proven.
    pub access: Access,
    /// The smallest legal buffer: the fixed part and one element of the runtime array, if there is one.
    ///
    /// [Bounds checks](crate::BoundsChecks) hold only for a buffer of at least this size.
    /// See <https://www.w3.org/TR/webgpu/#minimum-buffer-binding-size>.
    pub bytes_min: u64,
    /// Bytes from one element of the runtime array to the next, if there is one.
    pub stride: Option<u32>,
    /// Alignment of the buffer's type. A device may ask for more.
    pub align: u32,
}

/// The sort of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindingKind {
    /// `var<storage>`: large, and may be written.
    Storage,
    /// `var<uniform>`: small, and only read.
    Uniform,
}

/// What a kernel does with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It only reads, or only asks for the length.
    Read,
    /// It only writes. It need not write every byte, so what was there before still matters.
    Write,
    /// It reads and writes.
    ReadWrite,
}

impl Access {
    /// Whether the kernel may read the buffer.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether the kernel may write the buffer.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }

    pub(crate) const fn new(reads: bool, writes: bool) -> Self {
        match (reads, writes) {
            (true, true) => Self::ReadWrite,
            (false, true) => Self::Write,
            (_, false) => Self::Read,
        }
    }
}

/// A kernel's scalar arguments: the numbers passed beside its buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalars {
    /// Where the kernel expects them.
    pub location: ScalarsLocation,
    /// Bytes to pass in all. Vulkan promises room for 128 bytes of immediates; nothing here enforces it.
    pub bytes: u32,
    /// Each argument in order of its offset. A bare scalar counts as one; so does a vector. A structure within is
    /// flattened to `outer.inner`. Empty if something in it is neither, such as an array or a matrix.
    pub members: Vec<Scalar>,
}

/// Where a kernel expects its scalar arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalarsLocation {
    /// `var<immediate>`: push constants in Vulkan, `setBytes` in Metal.
    Immediates,
    /// The kernel's only `var<uniform>`, where it has no immediates. It is also among [`Kernel::bindings`].
    Uniform {
        /// `@group`.
        group: u32,
        /// `@binding`.
        binding: u32,
    },
}

/// One scalar argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The member's name. Empty where SPIR-V carries none.
    pub name: String,
    /// Bytes from the start of the scalars.
    pub offset: u32,
    /// Its size: the kind's own, times the number of components if it is a vector.
    pub bytes: u32,
    /// The type of the number, or of each component of a vector.
    pub kind: ScalarKind,
}

/// The type of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each name is its own meaning")]
pub enum ScalarKind {
    I8,
    U8,
    I16,
    U16,
    F16,
    I32,
    U32,
    F32,
    I64,
    U64,
    F64,
}

impl ScalarKind {
    /// Size of one number.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    pub(crate) const fn float(bytes: u32) -> Option<Self> {
        match bytes {
            2 => Some(Self::F16),
            4 => Some(Self::F32),
            8 => Some(Self::F64),
            _ => None,
        }
    }

    pub(crate) const fn integer(bytes: u32, signed: bool) -> Option<Self> {
        match (bytes, signed) {
            (1, true) => Some(Self::I8),
            (1, false) => Some(Self::U8),
            (2, true) => Some(Self::I16),
            (2, false) => Some(Self::U16),
            (4, true) => Some(Self::I32),
            (4, false) => Some(Self::U32),
            (8, true) => Some(Self::I64),
            (8, false) => Some(Self::U64),
            _ => None,
        }
    }
}
