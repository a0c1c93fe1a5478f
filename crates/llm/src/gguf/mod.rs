//! A reader for GGUF, the file format of llama.cpp's models, versions 2 and 3.
//!
//! ```text
//! "GGUF" version tensor_count metadata_count
//! metadata:  key, value type, value            (metadata_count times)
//! tensors:   name, dimensions, type, offset    (tensor_count times)
//! padding to `general.alignment`
//! data:      each tensor at its offset from here
//! ```
//!
//! The header is read when the file is opened. Tensor data is read afterwards, by position, in pieces of a few
//! megabytes: it goes to the device piece by piece, and is never in the host's memory, or mapped, as a whole.

mod error;
mod parse;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::quant::{TensorType, dequantise};

pub use error::GgufError;
pub use value::{Array, Value};

/// The first bytes of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";
/// Metadata and tensor list may take this much. A vocabulary of 250,000 tokens takes about 15 MB.
pub const HEADER_BYTES_MAX: u64 = 256 << 20;
/// How deep arrays may hold arrays. No known model nests them at all.
pub const ARRAY_DEPTH_MAX: u32 = 4;
/// Dimensions of a tensor, at most: ggml's own limit.
pub const RANK_MAX: u32 = 4;
/// The largest `general.alignment` taken. Files use 32.
pub const ALIGNMENT_MAX: u64 = 1 << 20;

/// Where a tensor is in the file, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// The tensor's name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// Dimensions, the contiguous one first: a matrix that takes 576 inputs to 192 outputs is `[576, 192]`.
    pub dims: Vec<u64>,
    /// The type of its elements.
    pub ty: TensorType,
    /// Where its data begins, from the beginning of the file.
    pub offset: u64,
    /// How many bytes of data it has.
    pub bytes: u64,
}

impl TensorInfo {
    /// Elements in one row, the contiguous dimension.
    pub fn row_elements(&self) -> u64 {
        self.dims[0]
    }

    /// Rows, over all other dimensions.
    pub fn rows(&self) -> u64 {
        self.dims[1..].iter().product()
    }

    /// Elements in all.
    pub fn elements(&self) -> u64 {
        self.dims.iter().product()
    }
}

/// The header of a GGUF file: metadata and where the tensors are. Checked in full.
#[derive(Debug)]
pub struct Gguf {
    version: u32,
    alignment: u64,
    metadata: BTreeMap<String, Value>,
    tensors: Vec<TensorInfo>,
    by_name: HashMap<String, usize>,
}

impl Gguf {
    /// Reads the header from the beginning of a file of `file_bytes` bytes.
    ///
    /// # Errors
    /// Whatever is wrong with the header, and tensors that lie outside of `file_bytes`.
    pub fn parse(source: impl Read, file_bytes: u64) -> Result<Self, GgufError> {
        parse::header(source, file_bytes)
    }

    /// The version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What tensor offsets are multiples of.
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// All metadata, by key.
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// All tensors, in the file's order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name, if there is one.
    pub fn find_tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|&index| &self.tensors[index])
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// [`GgufError::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, GgufError> {
        self.find_tensor(name)
            .ok_or_else(|| GgufError::MissingTensor {
                tensor: name.to_owned(),
            })
    }

    /// Whether metadata has the key.
    pub fn has(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    /// A string.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`], [`GgufError::WrongType`]; so for all accessors of metadata.
    pub fn string(&self, key: &str) -> Result<&str, GgufError> {
        self.typed(key, "a string", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// An integer of any type whose value fits in 32 unsigned bits.
    #[allow(clippy::missing_errors_doc, reason = "said once, on `string`")]
    pub fn u32(&self, key: &str) -> Result<u32, GgufError> {
        self.typed(key, "an integer from 0 to 4294967295", |value| {
            u32::try_from(value.integer()?).ok()
        })
    }

    /// A floating-point number, in single precision.
    #[allow(clippy::missing_errors_doc, reason = "said once, on `string`")]
    pub fn f32(&self, key: &str) -> Result<f32, GgufError> {
        self.typed(key, "a number", |value| match *value {
            Value::F32(number) => Some(number),
            Value::F64(number) => Some(number as f32),
            _ => None,
        })
    }

    /// A boolean.
    #[allow(clippy::missing_errors_doc, reason = "said once, on `string`")]
    pub fn bool(&self, key: &str) -> Result<bool, GgufError> {
        self.typed(key, "a boolean", |value| match *value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        })
    }

    /// An array of strings.
    #[allow(clippy::missing_errors_doc, reason = "said once, on `string`")]
    pub fn strings(&self, key: &str) -> Result<&[String], GgufError> {
        self.typed(key, "an array of strings", |value| match value {
            Value::Array(Array::String(texts)) => Some(texts.as_slice()),
            _ => None,
        })
    }

    /// An array of signed 32-bit integers.
    #[allow(clippy::missing_errors_doc, reason = "said once, on `string`")]
    pub fn i32s(&self, key: &str) -> Result<&[i32], GgufError> {
        self.typed(key, "an array of 32-bit integers", |value| match value {
            Value::Array(Array::I32(numbers)) => Some(numbers.as_slice()),
            _ => None,
        })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, GgufError> {
        let value = self
            .metadata
            .get(key)
            .ok_or_else(|| GgufError::MissingKey {
                key: key.to_owned(),
            })?;
        convert(value).ok_or_else(|| GgufError::WrongType {
            key: key.to_owned(),
            expected,
            found: value.summary(),
        })
    }
}

/// `None` where the key is missing: for metadata that has a default. A value of the wrong type is still an error.
///
/// # Errors
/// Any but [`GgufError::MissingKey`].
pub fn optional<T>(value: Result<T, GgufError>) -> Result<Option<T>, GgufError> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(GgufError::MissingKey { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An open GGUF file: its header, and its tensors' data on request.
///
/// Reading takes `&self`: several threads may read at once.
#[derive(Debug)]
pub struct GgufFile {
    path: PathBuf,
    file: File,
    header: Gguf,
}

impl GgufFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`GgufError::Open`], and all that [`Gguf::parse`] finds.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GgufError> {
        let path = path.as_ref().to_owned();
        let open = || -> std::io::Result<(File, u64)> {
            let file = File::open(&path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(std::io::ErrorKind::IsADirectory.into());
            }
            Ok((file, metadata.len()))
        };
        let (file, file_bytes) = match open() {
            Ok(opened) => opened,
            Err(source) => return Err(GgufError::Open { path, source }),
        };
        let header = Gguf::parse(
            std::io::BufReader::with_capacity(1 << 16, &file),
            file_bytes,
        )?;
        Ok(Self { path, file, header })
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Metadata and tensor list.
    pub fn header(&self) -> &Gguf {
        &self.header
    }

    /// Reads `out.len()` bytes of a tensor's data, from `start` bytes into it.
    ///
    /// # Errors
    /// [`GgufError::Read`] if the file cannot be read, or became shorter.
    ///
    /// # Panics
    /// If the range is not inside the tensor.
    pub fn read_tensor_at(
        &self,
        tensor: &TensorInfo,
        start: u64,
        out: &mut [u8],
    ) -> Result<(), GgufError> {
        let bytes = out.len() as u64;
        assert!(
            start
                .checked_add(bytes)
                .is_some_and(|end| end <= tensor.bytes),
            "{bytes} bytes from {start} of {:?} are outside of its {}",
            tensor.name,
            tensor.bytes
        );
        let offset = tensor.offset + start;
        read_exact_at(&self.file, out, offset).map_err(|source| GgufError::Read {
            what: format!("tensor {:?}", tensor.name),
            offset,
            bytes,
            source,
        })
    }

    /// Reads all of a tensor's data, as it is in the file.
    ///
    /// # Errors
    /// As [`read_tensor_at`](Self::read_tensor_at).
    pub fn read_tensor(&self, tensor: &TensorInfo) -> Result<Vec<u8>, GgufError> {
        // The length was checked against the file's when it was opened.
        let mut data = vec![0; tensor.bytes as usize];
        self.read_tensor_at(tensor, 0, &mut data)?;
        Ok(data)
    }

    /// Reads a tensor and dequantises it: for small tensors and for references.
    ///
    /// # Errors
    /// As [`read_tensor_at`](Self::read_tensor_at).
    pub fn read_tensor_f32(&self, tensor: &TensorInfo) -> Result<Vec<f32>, GgufError> {
        Ok(dequantise(tensor.ty, &self.read_tensor(tensor)?))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !out.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, out, offset)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        out = &mut out[count..];
        offset += count as u64;
    }
    Ok(())
}
