//! Kernels: what they take, and how they are made for a device.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tidegate::interface;

use crate::bridge;
use crate::cards::{Card, lock, runtime};
use crate::dialect;
use crate::error::{Error, Result, bail};
use crate::module::{Source, Target};
use crate::tensor::DataType;

/// What TVM says of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) name: String,
    /// Types of the arguments, in order.
    pub(crate) types: Vec<DataType>,
    /// What a launch carries after the arguments, in order, and other notes.
    pub(crate) tags: Vec<String>,
}

/// A kernel of a module.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) source: Arc<Source>,
    pub(crate) signature: Signature,
    /// As compiled: for a device, and on Metal for a size of workgroups too.
    ready: Mutex<Variants>,
}

/// By device and size of workgroups.
type Variants = HashMap<(i32, [u32; 3]), Arc<Ready>>;

/// The arguments of a launch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signature {
    /// Positions of the buffers, in the order of their bindings.
    pub(crate) buffers: Vec<usize>,
    /// Positions and types of the numbers.
    pub(crate) numbers: Vec<(usize, DataType)>,
    /// Which extent each number after the arguments is: workgroups along x, y and z, then threads.
    pub(crate) extents: Vec<usize>,
    /// Which buffers are written, as the compiler says; empty if it does not.
    pub(crate) writes: Vec<bool>,
}

/// A kernel compiled for a device.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) kernel: tidegate::Kernel,
    /// Which of the signature's buffers each binding is: a kernel need not use all.
    pub(crate) buffers: Vec<usize>,
    /// What the kernel's scalars are.
    pub(crate) scalars: Vec<interface::ScalarKind>,
    /// Whether the last scalar is the number of workgroups along x, which may be spread over z.
    pub(crate) packed: bool,
}

impl Kernel {
    pub(crate) fn new(source: Arc<Source>) -> Result<Self> {
        let signature = Signature::new(&source.description)
            .map_err(|Error(why)| Error(format!("kernel `{}`: {why}", source.description.name)))?;
        Ok(Self {
            source,
            signature,
            ready: Mutex::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.source.description.name
    }

    /// The kernel for a device, compiled now if it was not.
    pub(crate) fn ready(&self, card: &Card, threads: [u32; 3]) -> Result<Arc<Ready>> {
        let key = match self.source.target {
            Target::WebGpu => (card.index, [0; 3]),
            Target::Metal => (card.index, threads),
        };
        // Held while it compiles: another thread that wants the same waits for it instead of compiling too.
        let mut ready = lock(&self.ready);
        if let Some(ready) = ready.get(&key) {
            return Ok(Arc::clone(ready));
        }
        let made = match self.source.target {
            Target::WebGpu => self.compile_wgsl(card),
            Target::Metal => self.compile_metal(card, threads),
        };
        let made = Arc::new(made.map_err(|Error(why)| {
            let name = self.name();
            if why.starts_with("kernel `") || why.starts_with("no kernel `") {
                Error(why)
            } else {
                Error(format!("kernel `{name}`: {why}"))
            }
        })?);
        ready.insert(key, Arc::clone(&made));
        Ok(made)
    }

    /// Forgets what was compiled.
    pub(crate) fn forget(&self) {
        lock(&self.ready).clear();
    }

    fn compile_wgsl(&self, card: &Card) -> Result<Ready> {
        let Ok(source) = std::str::from_utf8(&self.source.code) else {
            bail!("its source is not text");
        };
        let name = self.name();
        let source = dialect::for_naga(source, &self.signature, card)?;
        let module = if runtime().checks()? {
            card.device.module_from_wgsl(&source)?
        } else {
            bridge::trusted_module(&card.device, &source)?
        };
        let kernel = module.kernel(name)?;
        let Some(interface) = module.interface(name) else {
            bail!("its source has no interface");
        };
        let mut buffers = Vec::new();
        for binding in &interface.bindings {
            let uniform = binding.kind == interface::BindingKind::Uniform;
            match usize::try_from(binding.binding) {
                _ if uniform => {}
                Ok(at) if binding.group == 0 && at < self.signature.buffers.len() => {
                    buffers.push(at)
                }
                _ => bail!(
                    "its source has a buffer at group {} and binding {}, of which its description says nothing",
                    binding.group,
                    binding.binding
                ),
            }
        }
        let members = interface.scalars.as_ref().map_or(&[][..], |it| &it.members);
        let expected = self.signature.numbers.len();
        let packed = match members.len().checked_sub(expected) {
            Some(1) => true,
            Some(0) => false,
            None if members.is_empty() => false,
            _ => bail!(
                "its source takes {} numbers, its description names {expected}",
                members.len()
            ),
        };
        Ok(Ready {
            kernel,
            buffers,
            scalars: members.iter().map(|it| it.kind).collect(),
            packed,
        })
    }

    fn compile_metal(&self, card: &Card, threads: [u32; 3]) -> Result<Ready> {
        let signature = &self.signature;
        let bindings = (0..)
            .zip(&signature.buffers)
            .map(|(at, _)| interface::Binding {
                group: 0,
                binding: at,
                name: String::new(),
                kind: interface::BindingKind::Storage,
                access: match signature.writes.get(at as usize) {
                    Some(false) => interface::Access::Read,
                    _ => interface::Access::ReadWrite,
                },
                bytes_min: 0,
                stride: None,
                align: 1,
            });
        // TVM gives each number eight bytes, whatever its type.
        let kinds: Vec<_> = signature
            .numbers
            .iter()
            .map(|(_, it)| metal_kind(*it))
            .collect::<Result<_>>()?;
        let members = (0..).zip(&kinds).map(|(at, kind)| interface::Scalar {
            name: String::new(),
            offset: at * 8,
            bytes: kind.bytes(),
            kind: *kind,
        });
        let scalars = (!kinds.is_empty()).then(|| interface::Scalars {
            location: interface::ScalarsLocation::Immediates,
            bytes: 8 * kinds.len() as u32,
            members: members.collect(),
        });
        let interface = interface::Kernel {
            name: self.name().to_owned(),
            workgroup_size: threads,
            bindings: bindings.collect(),
            scalars,
            workgroup_bytes: 0,
            required: interface::Required::default(),
        };
        let module = bridge::metal_module(&card.device, &self.source, interface)?;
        Ok(Ready {
            kernel: module.kernel(self.name())?,
            buffers: (0..signature.buffers.len()).collect(),
            scalars: kinds,
            packed: false,
        })
    }
}

fn metal_kind(element: DataType) -> Result<interface::ScalarKind> {
    use interface::ScalarKind as Kind;
    match (element.code, element.bits) {
        (DataType::INT, 32) => Ok(Kind::I32),
        (DataType::UINT, 32) => Ok(Kind::U32),
        (DataType::FLOAT, 32) => Ok(Kind::F32),
        (DataType::INT, 64) => Ok(Kind::I64),
        (DataType::UINT, 64) => Ok(Kind::U64),
        (code, bits) => {
            bail!("numbers of DLPack's type {code} with {bits} bits are not passed to kernels")
        }
    }
}

impl Signature {
    fn new(description: &Description) -> Result<Self> {
        let mut made = Self::default();
        for (at, element) in description.types.iter().enumerate() {
            match element.code {
                DataType::HANDLE => made.buffers.push(at),
                DataType::INT | DataType::UINT | DataType::FLOAT | DataType::BOOL
                    if element.lanes == 1 =>
                {
                    made.numbers.push((at, *element));
                }
                code => bail!("argument {at} has DLPack's type {code}, which no kernel takes here"),
            }
        }
        for tag in &description.tags {
            if let Some(list) = tag.strip_prefix("paramWriteAccess:") {
                let list = list.trim_start_matches('[').trim_end_matches(']');
                made.writes = list.split(',').map(|it| it.trim() != "0").collect();
                continue;
            }
            let extent = match tag.as_str() {
                "blockIdx.x" => 0,
                "blockIdx.y" => 1,
                "blockIdx.z" => 2,
                "threadIdx.x" => 3,
                "threadIdx.y" => 4,
                "threadIdx.z" => 5,
                _ => bail!("it is launched with `{tag}`, which is not known here"),
            };
            made.extents.push(extent);
        }
        Ok(made)
    }
}
