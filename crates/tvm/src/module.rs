//! Modules, as they come from TVM's compiler and from bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::cards::{lock, runtime};
use crate::error::{Error, Result, bail};
use crate::kernel::{Description, Kernel};
use crate::layout::{Reader, Writer};

/// TVM's device types that are served here, by DLPack's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    WebGpu,
    Metal,
}

impl Target {
    pub(crate) fn new(device_type: i32) -> Result<Self> {
        match device_type {
            15 => Ok(Self::WebGpu),
            8 => Ok(Self::Metal),
            _ => bail!("device type {device_type} is not served here"),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebGpu => "webgpu",
            Self::Metal => "metal",
        }
    }

    /// The forms of code that a module may have.
    fn formats(self) -> &'static [&'static str] {
        match self {
            Self::WebGpu => &["wgsl"],
            Self::Metal => &["metal", "metallib"],
        }
    }
}

/// Kernels that were compiled together.
#[derive(Debug)]
pub(crate) struct Module {
    target: Target,
    format: String,
    sources: BTreeMap<String, Arc<Source>>,
    /// Kernels that were asked for, so that asking again compiles nothing.
    kernels: Mutex<BTreeMap<String, Arc<Kernel>>>,
}

/// One kernel's code.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) target: Target,
    pub(crate) binary: bool,
    pub(crate) description: Description,
    pub(crate) code: Vec<u8>,
    /// What people are shown, if that is not the code.
    shown: String,
}

impl Module {
    pub(crate) fn new(target: Target, format: &str) -> Result<Self> {
        if !target.formats().contains(&format) {
            bail!(
                "a module for {} in the form `{format}`; known are: {}",
                target.name(),
                target.formats().join(", ")
            );
        }
        Ok(Self {
            target,
            format: format.to_owned(),
            sources: BTreeMap::new(),
            kernels: Mutex::default(),
        })
    }

    /// Adds a kernel, under the name by which compiled code asks for it.
    pub(crate) fn insert(
        &mut self,
        name: String,
        description: Description,
        code: Vec<u8>,
        shown: String,
    ) -> Result<()> {
        let binary = self.format == "metallib";
        if !binary && std::str::from_utf8(&code).is_err() {
            bail!("kernel `{name}`: its source is not text");
        }
        let source = Source {
            target: self.target,
            binary,
            description,
            code,
            shown,
        };
        self.sources.insert(name, Arc::new(source));
        Ok(())
    }

    /// A kernel, if there is one of that name. Nothing is compiled before its first launch.
    pub(crate) fn kernel(&self, name: &str) -> Result<Option<Arc<Kernel>>> {
        let mut kernels = lock(&self.kernels);
        if let Some(kernel) = kernels.get(name) {
            return Ok(Some(Arc::clone(kernel)));
        }
        let Some(source) = self.sources.get(name) else {
            return Ok(None);
        };
        let kernel = Arc::new(Kernel::new(Arc::clone(source))?);
        runtime().add_kernel(&kernel);
        kernels.insert(name.to_owned(), Arc::clone(&kernel));
        Ok(Some(kernel))
    }

    /// The source of all kernels, for people.
    pub(crate) fn source(&self, format: &str) -> Result<String> {
        if !format.is_empty() && !self.target.formats().contains(&format) {
            bail!(
                "the module has no source in the form `{format}`, but `{}`",
                self.format
            );
        }
        let mut text = String::new();
        for (name, source) in &self.sources {
            text += &format!("// Kernel: {name}\n");
            text += match std::str::from_utf8(&source.code) {
                Ok(code) if !source.binary && source.shown.is_empty() => code,
                _ => &source.shown,
            };
            text += "\n";
        }
        Ok(text)
    }

    /// Everything, as [`Self::load`] takes it.
    pub(crate) fn save(&self) -> Vec<u8> {
        let mut to = Writer::default();
        if self.target == Target::Metal {
            to.bytes(self.format.as_bytes());
        }
        to.len(self.sources.len());
        for (name, source) in &self.sources {
            to.bytes(name.as_bytes());
            to.description(&source.description);
        }
        to.len(self.sources.len());
        for (name, source) in &self.sources {
            to.bytes(name.as_bytes());
            to.bytes(&source.code);
        }
        to.0
    }

    /// A module from bytes, from here or from elsewhere.
    pub(crate) fn load(target: Target, bytes: &[u8]) -> Result<Self> {
        Self::parse(target, bytes).map_err(|Error(why)| {
            Error(format!(
                "these bytes are not a module for {}: {why}",
                target.name()
            ))
        })
    }

    fn parse(target: Target, bytes: &[u8]) -> Result<Self> {
        let mut from = Reader(bytes);
        let format = match target {
            Target::WebGpu => "wgsl".to_owned(),
            Target::Metal => from.text()?,
        };
        let mut module = Self::new(target, &format)?;
        let mut descriptions = BTreeMap::new();
        for _ in 0..from.len(8)? {
            descriptions.insert(from.text()?, from.description()?);
        }
        for _ in 0..from.len(8)? {
            let name = from.text()?;
            let code = from.bytes()?.to_vec();
            let Some(description) = descriptions.remove(&name) else {
                bail!("kernel `{name}` comes without a description of its arguments");
            };
            module.insert(name, description, code, String::new())?;
        }
        if let Some(name) = descriptions.keys().next() {
            bail!("kernel `{name}` has no code");
        }
        if !from.0.is_empty() {
            bail!("{} bytes are left over", from.0.len());
        }
        Ok(module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DataType;

    fn module(target: Target, format: &str) -> Module {
        let mut module = Module::new(target, format).unwrap();
        for name in ["one", "other"] {
            let description = Description {
                name: name.to_owned(),
                types: vec![
                    DataType {
                        code: DataType::HANDLE,
                        bits: 64,
                        lanes: 1,
                    },
                    DataType {
                        code: DataType::INT,
                        bits: 32,
                        lanes: 1,
                    },
                ],
                tags: vec!["blockIdx.x".to_owned(), "paramWriteAccess:[1]".to_owned()],
            };
            let code = format!("fn {name}() {{}}").into_bytes();
            module
                .insert(name.to_owned(), description, code, String::new())
                .unwrap();
        }
        module
    }

    #[test]
    fn bytes_make_the_same_module_again() {
        for (target, format) in [
            (Target::WebGpu, "wgsl"),
            (Target::Metal, "metal"),
            (Target::Metal, "metallib"),
        ] {
            let bytes = module(target, format).save();
            let again = Module::load(target, &bytes).unwrap();
            assert_eq!(again.format, format);
            assert_eq!(again.save(), bytes);
            let kernel = again.kernel("other").unwrap().unwrap();
            assert_eq!(kernel.signature.buffers, [0]);
            assert_eq!(kernel.signature.numbers.len(), 1);
            assert_eq!(kernel.signature.extents, [0]);
            assert_eq!(kernel.signature.writes, [true]);
            assert!(again.kernel("third").unwrap().is_none());
        }
    }

    #[test]
    fn bytes_that_are_cut_or_for_another_target_are_refused() {
        for (target, format, other) in [
            (Target::WebGpu, "wgsl", Target::Metal),
            (Target::Metal, "metal", Target::WebGpu),
        ] {
            let bytes = module(target, format).save();
            for end in 0..bytes.len() {
                assert!(Module::load(target, &bytes[..end]).is_err(), "{end}");
            }
            assert!(Module::load(other, &bytes).is_err());
        }
    }

    #[test]
    fn forms_of_other_targets_are_refused() {
        assert!(Module::new(Target::WebGpu, "metal").is_err());
        assert!(Module::new(Target::Metal, "wgsl").is_err());
        assert!(Target::new(2).is_err());
    }
}
