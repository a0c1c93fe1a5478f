//! Kernels as data: WGSL to SPIR-V and to Metal's language, and the table of what each kernel reads and writes.
//!
//! A [`Module`] holds kernels in one of three forms. WGSL is parsed and validated by [naga] and can be written as
//! either [SPIR-V](Module::spirv) or [MSL](Module::msl). SPIR-V and MSL are also taken as they are, for programs whose
//! compiler wrote them already.
//!
//! Whatever the form, [`Module::kernels`] gives one [`Kernel`] for each compute entry point: its bindings with the
//! narrowest access that can be proven, its scalar arguments with their offsets, and what it
//! [requires](Kernel::required) of a device. A stream places its barriers from this table, so an access is never
//! narrower than the truth.
//!
//! This crate knows no device and no stream. It has no state, reads no file, and does not panic on any input.
//!
//! ```
//! use tidegate_shader::{Access, Module, SpirvOptions};
//!
//! let module = Module::from_wgsl(
//!     "@group(0) @binding(0) var<storage, read_write> data: array<f32>;
//!      var<immediate> scale: f32;
//!      @compute @workgroup_size(64)
//!      fn double(@builtin(global_invocation_id) id: vec3<u32>) { data[id.x] *= scale; }",
//! )?;
//! let kernel = &module.kernels()[0];
//! assert_eq!(kernel.bindings[0].access, Access::ReadWrite);
//! let words = module.spirv("double", &SpirvOptions::default())?;
//! assert_eq!(words[0], 0x0723_0203);
//! # Ok::<(), tidegate_shader::ShaderError>(())
//! ```
//!
//! [naga]: https://docs.rs/naga

#![forbid(unsafe_code)]

mod emit;
mod error;
mod kernel;
mod module;
mod required;
mod spirv;
mod wgsl;

pub use emit::{Addressed, BoundsChecks, Msl, MslBuffer, MslOptions, MslSizes, SpirvOptions};
pub use error::ShaderError;
pub use kernel::{
    Access, Binding, BindingKind, Kernel, Scalar, ScalarKind, Scalars, ScalarsLocation,
};
pub use module::Module;
pub use required::{Feature, Required};

/// For the fuzzer (feature `testing`).
#[cfg(feature = "testing")]
pub mod testing {
    use crate::{Addressed, Kernel, ShaderError, spirv};

    /// The rewrite behind [`Module::spirv_addressed`](crate::Module::spirv_addressed), on words that this crate need not have written. What comes out is fit to be read, not to be run.
    ///
    /// # Errors
    /// [`ShaderError::Spirv`].
    pub fn addressed(words: &[u32], kernel: &Kernel) -> Result<Option<Addressed>, ShaderError> {
        spirv::addressed::rewrite(words, kernel)
    }
}
