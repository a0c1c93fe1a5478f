//! A set of kernels in one of four forms.

use crate::emit::{self, Addressed, Msl, MslOptions, SpirvOptions};
use crate::wgsl::Source;
use crate::{Kernel, Required, ShaderError, spirv};

/// A set of kernels, parsed and validated, in whichever form they were given.
#[derive(Clone, Debug)]
pub struct Module {
    form: Form,
    kernels: Vec<Kernel>,
}

#[derive(Clone, Debug)]
enum Form {
    Wgsl(Source),
    Spirv(Vec<u32>),
    Msl(String),
    Metallib(Vec<u8>),
}

impl Module {
    /// Most bytes of WGSL that are parsed: 1 MiB.
    pub const WGSL_BYTES_MAX: usize = 1 << 20;

    /// Deepest nesting, where each operator of `a + a + a` is a level too, and each `else if` is two.
    ///
    /// So deep, naga fits a stack of 2 MiB if it is optimized, and of 8 MiB if it is not.
    pub const WGSL_DEPTH_MAX: usize = 256;

    /// Most declarations at the scope of a module. naga follows one to the next that it names by recursion.
    pub const WGSL_DECLARATIONS_MAX: usize = 2000;

    /// Most words of SPIR-V that are read: 4 Mi, or 16 MiB.
    pub const SPIRV_WORDS_MAX: usize = 1 << 22;

    /// Most entry points in one module. Each is cut out of the whole, so that the work grows with both.
    pub const KERNELS_MAX: usize = 1024;

    /// Parses and validates [WGSL](https://www.w3.org/TR/WGSL/).
    ///
    /// Scalar arguments go into `var<immediate>`, which needs no `enable` directive. Every compute feature naga knows
    /// is accepted here; what a kernel needs of the device stands in [`Kernel::required`].
    ///
    /// A kernel whose `override` constants lack a value is left out of [`Module::kernels`] until
    /// [`Module::with_constants`] gives it one.
    ///
    /// # Errors
    ///
    /// [`ShaderError::Parse`] and [`ShaderError::Invalid`] with the place of the mistake, [`ShaderError::TooLarge`],
    /// [`ShaderError::UnsupportedBinding`] where a kernel uses a texture or a sampler, and [`ShaderError::Constant`]
    /// where an `override` has a value that the kernel cannot use.
    pub fn from_wgsl(source: &str) -> Result<Self, ShaderError> {
        Self::from_source(Source::parse(source)?)
    }

    /// Takes SPIR-V as it is. It is read for its kernels, but not validated: a driver trusts it, so this must too.
    ///
    /// # Errors
    ///
    /// [`ShaderError::Spirv`] if it is not SPIR-V or its layout cannot be told, [`ShaderError::TooLarge`], and
    /// [`ShaderError::UnsupportedBinding`] where a kernel uses an image, a sampler or an array of buffers.
    pub fn from_spirv(words: &[u32]) -> Result<Self, ShaderError> {
        if words.len() > Self::SPIRV_WORDS_MAX {
            let (have, max) = (words.len() as u64, Self::SPIRV_WORDS_MAX as u64);
            return Err(ShaderError::TooLarge {
                what: "the number of words of SPIR-V",
                have,
                max,
            });
        }
        let kernels = spirv::kernels(words)?;
        Ok(Self {
            form: Form::Spirv(words.to_vec()),
            kernels,
        })
    }

    /// Takes Metal source as it is, with the table of its kernels from the caller: nothing here can read it.
    ///
    /// The bindings of each kernel must be in the order of its buffer arguments: the first at `buffer(0)`, the next at
    /// `buffer(1)`. Scalars in immediates follow the last binding. No sizes buffer is passed.
    #[must_use]
    pub fn from_msl(source: &str, kernels: Vec<Kernel>) -> Self {
        Self {
            form: Form::Msl(source.to_owned()),
            kernels,
        }
    }

    /// Takes a library that Apple's compiler made (the content of a `.metallib` file) as it is, with the table of its kernels from the caller. Bindings are in order, as for
    /// [`Module::from_msl`].
    #[must_use]
    pub fn from_metallib(library: &[u8], kernels: Vec<Kernel>) -> Self {
        Self {
            form: Form::Metallib(library.to_vec()),
            kernels,
        }
    }

    /// The same WGSL with other values for its `override` constants, so that one source gives several shapes.
    ///
    /// A constant is named by its identifier, or by the decimal number of its `@id` if it has one. Constants set
    /// before stay set. See <https://www.w3.org/TR/WGSL/#override-decls>.
    ///
    /// # Errors
    ///
    /// [`ShaderError::UnknownConstant`], [`ShaderError::Constant`] for a value that does not fit, and
    /// [`ShaderError::WrongForm`] if the module was not given as WGSL.
    pub fn with_constants(&self, constants: &[(&str, f64)]) -> Result<Self, ShaderError> {
        match &self.form {
            Form::Wgsl(source) => Self::from_source(source.with_constants(constants)?),
            form => Err(ShaderError::WrongForm {
                have: form.name(),
                wanted: "a module with constants set",
            }),
        }
    }

    /// Every kernel, in the order of the source.
    #[must_use]
    pub fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    /// The kernel of this name.
    #[must_use]
    pub fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }

    /// What a device must offer to run this kernel.
    ///
    /// # Errors
    ///
    /// [`ShaderError::UnknownKernel`].
    pub fn required(&self, kernel: &str) -> Result<&Required, ShaderError> {
        Ok(&self.find(kernel)?.required)
    }

    /// The kernel as SPIR-V for Vulkan, with this kernel as its only entry point, under its own name.
    ///
    /// A module given as SPIR-V is returned word for word; it may hold other entry points too, and no option applies.
    ///
    /// # Errors
    ///
    /// [`ShaderError::UnknownKernel`], [`ShaderError::Constant`] for a kernel whose constants lack a value,
    /// [`ShaderError::WrongForm`] for a module given as MSL or as a Metal library, and [`ShaderError::Emit`].
    pub fn spirv(&self, kernel: &str, options: &SpirvOptions) -> Result<Vec<u32>, ShaderError> {
        match &self.form {
            Form::Wgsl(source) => emit::spirv(source.specialized(kernel)?, kernel, options),
            Form::Spirv(words) => self.find(kernel).map(|_| words.clone()),
            form => Err(ShaderError::WrongForm {
                have: form.name(),
                wanted: "SPIR-V",
            }),
        }
    }

    /// What [`Module::spirv`] gives, made to find its buffers by address. Nothing for a module that was not given as WGSL, and for a kernel whose form does not allow it: one with
    /// uniform buffers or none at all, one that passes pointers into buffers to functions, or one that needs an alignment above 16 bytes.
    ///
    /// # Errors
    ///
    /// As for [`Module::spirv`].
    pub fn spirv_addressed(
        &self,
        kernel: &str,
        options: &SpirvOptions,
    ) -> Result<Option<Addressed>, ShaderError> {
        let words = self.spirv(kernel, options)?;
        match &self.form {
            Form::Wgsl(_) => spirv::addressed::rewrite(&words, self.find(kernel)?),
            _ => Ok(None),
        }
    }

    /// What [`Module::spirv`] gives, disassembled. For golden files and bug reports.
    ///
    /// # Errors
    ///
    /// As for [`Module::spirv`].
    pub fn spirv_text(&self, kernel: &str, options: &SpirvOptions) -> Result<String, ShaderError> {
        spirv::disassemble(&self.spirv(kernel, options)?)
    }

    /// The kernel as Metal source, with the slot of each of its arguments.
    ///
    /// # Errors
    ///
    /// [`ShaderError::UnknownKernel`], [`ShaderError::Constant`] for a kernel whose constants lack a value,
    /// [`ShaderError::WrongForm`] for a module given as SPIR-V or as a Metal library, and [`ShaderError::Emit`], for instance where the
    /// kernel uses more buffers than Metal has slots or needs a later version of the language.
    pub fn msl(&self, kernel: &str, options: &MslOptions) -> Result<Msl, ShaderError> {
        match &self.form {
            Form::Wgsl(source) => {
                let specialized = source.specialized(kernel)?;
                emit::msl(specialized, self.find(kernel)?, options)
            }
            Form::Msl(source) => emit::msl_as_is(source, self.find(kernel)?),
            form => Err(ShaderError::WrongForm {
                have: form.name(),
                wanted: "MSL",
            }),
        }
    }

    /// The Metal library that the module was made from, if it was, with the slots of a kernel's arguments; the `source` beside them is empty.
    ///
    /// # Errors
    ///
    /// [`ShaderError::UnknownKernel`], and [`ShaderError::Emit`] where the kernel uses more buffers than Metal has slots.
    pub fn metallib(&self, kernel: &str) -> Result<Option<(&[u8], Msl)>, ShaderError> {
        match &self.form {
            Form::Metallib(library) => {
                let slots = emit::msl_as_is("", self.find(kernel)?)?;
                Ok(Some((library, slots)))
            }
            _ => Ok(None),
        }
    }

    fn from_source(source: Source) -> Result<Self, ShaderError> {
        let kernels = source.kernels()?;
        Ok(Self {
            form: Form::Wgsl(source),
            kernels,
        })
    }

    fn find(&self, kernel: &str) -> Result<&Kernel, ShaderError> {
        self.kernel(kernel)
            .ok_or_else(|| ShaderError::UnknownKernel {
                name: kernel.to_owned(),
                have: self
                    .kernels
                    .iter()
                    .map(|kernel| kernel.name.clone())
                    .collect(),
            })
    }
}

impl Form {
    const fn name(&self) -> &'static str {
        match self {
            Self::Wgsl(_) => "WGSL",
            Self::Spirv(_) => "SPIR-V",
            Self::Msl(_) => "MSL",
            Self::Metallib(_) => "a Metal library",
        }
    }
}
