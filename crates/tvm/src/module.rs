//! Modules, as they come from TVM's compiler and from bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::cards::{lock, runtime};
use crate::error::{Error, Result, bail};
use crate::kernel::{Description, Kernel};
use crate::tensor::DataType;

/// What bytes of ours begin with: a name and the version of what follows.
const MAGIC: &[u8; 16] = b"tidegate-tvm\0\0\0\x01";

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

    pub(crate) fn add(
        &mut self,
        description: Description,
        code: Vec<u8>,
        shown: String,
    ) -> Result<()> {
        let name = description.name.clone();
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
        let kernels: Vec<_> = self.sources.values().map(|it| it.header()).collect();
        let header =
            json!({ "target": self.target.name(), "format": self.format, "kernels": kernels });
        let header = header.to_string();
        let mut bytes = MAGIC.to_vec();
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header.as_bytes());
        for source in self.sources.values() {
            bytes.extend(&source.code);
            bytes.extend(source.shown.as_bytes());
        }
        bytes
    }

    /// A module from what [`Self::save`] gave, here or in another process.
    pub(crate) fn load(target: Target, bytes: &[u8]) -> Result<Self> {
        Self::parse(target, bytes).map_err(|Error(why)| {
            Error(format!(
                "these bytes are not a module for {}: {why}",
                target.name()
            ))
        })
    }

    fn parse(target: Target, bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        if take(&mut rest, MAGIC.len())? != MAGIC {
            bail!(
                "they do not begin as this version of tidegate_tvm writes them; compile the model again"
            );
        }
        let mut len = [0; 8];
        len.copy_from_slice(take(&mut rest, 8)?);
        let len = usize::try_from(u64::from_le_bytes(len)).unwrap_or(usize::MAX);
        let header: Value = serde_json::from_slice(take(&mut rest, len)?)
            .map_err(|error| Error(format!("their header is damaged ({error})")))?;
        let text = |value: &Value, key: &str| match value.get(key).and_then(Value::as_str) {
            Some(text) => Ok(text.to_owned()),
            None => Err(Error(format!("their header has no `{key}`"))),
        };
        let made_for = text(&header, "target")?;
        if made_for != target.name() {
            bail!("they were made for {made_for}");
        }
        let mut module = Self::new(target, &text(&header, "format")?)?;
        let kernels = header.get("kernels").and_then(Value::as_array);
        for kernel in kernels.into_iter().flatten() {
            let description = Description::from_json(kernel)?;
            let mut part = |key: &str| {
                let len = kernel.get(key).and_then(Value::as_u64).unwrap_or(u64::MAX);
                take(&mut rest, usize::try_from(len).unwrap_or(usize::MAX))
            };
            let code = part("code")?.to_vec();
            let shown = String::from_utf8_lossy(part("shown")?).into_owned();
            module.add(description, code, shown)?;
        }
        if !rest.is_empty() {
            bail!("{} bytes are left over", rest.len());
        }
        Ok(module)
    }
}

impl Source {
    fn header(&self) -> Value {
        let types: Vec<_> = self
            .description
            .types
            .iter()
            .map(|it| json!([it.code, it.bits, it.lanes]))
            .collect();
        json!({
            "name": self.description.name,
            "types": types,
            "tags": self.description.tags,
            "code": self.code.len(),
            "shown": self.shown.len(),
        })
    }
}

impl Description {
    fn from_json(value: &Value) -> Result<Self> {
        let list = |key: &str| value.get(key).and_then(Value::as_array);
        let text = |it: &Value| it.as_str().map(str::to_owned);
        let made = (|| {
            Some(Self {
                name: text(value.get("name")?)?,
                types: list("types")?
                    .iter()
                    .map(data_type)
                    .collect::<Option<_>>()?,
                tags: list("tags")?.iter().map(text).collect::<Option<_>>()?,
            })
        })();
        match made {
            Some(made) => Ok(made),
            None => bail!("the description of a kernel is damaged"),
        }
    }
}

fn data_type(value: &Value) -> Option<DataType> {
    let at = |index: usize| value.get(index).and_then(Value::as_u64);
    Some(DataType {
        code: at(0)?.try_into().ok()?,
        bits: at(1)?.try_into().ok()?,
        lanes: at(2)?.try_into().ok()?,
    })
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    match rest.split_at_checked(len) {
        Some((taken, left)) => {
            *rest = left;
            Ok(taken)
        }
        None => bail!("they end too early"),
    }
}
