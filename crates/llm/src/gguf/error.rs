use std::path::PathBuf;

/// Why a GGUF file, or something in it, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file cannot be opened.
    #[error("cannot open {}: {source}; check the path and its permissions", path.display())]
    Open {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Reading failed, or the file became shorter while it was open.
    #[error(
        "cannot read {what}, {bytes} bytes at offset {offset}: {source}; is the file still being written?"
    )]
    Read {
        /// What was being read.
        what: String,
        /// Where it begins in the file.
        offset: u64,
        /// Its length.
        bytes: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not begin with `GGUF`.
    #[error("not a GGUF file: {}", beginning(found))]
    NotGguf {
        /// The first bytes of the file.
        found: Vec<u8>,
    },
    /// A version of the format that is not 2 or 3.
    #[error(
        "GGUF version {found} is not supported, only 2 and 3 are; convert the model again with a current converter"
    )]
    UnsupportedVersion {
        /// The version in the file.
        found: u32,
    },
    /// A file written for big-endian machines.
    #[error(
        "the file is a big-endian GGUF; only little-endian ones are supported, convert it with gguf_convert_endian.py"
    )]
    BigEndian,
    /// Something says that it is longer than what is left of the file.
    #[error(
        "{what} at offset {offset} needs {needed} bytes and the file has {left} left; it is truncated or corrupt, fetch it again"
    )]
    Truncated {
        /// What was being read.
        what: String,
        /// Where it begins in the file.
        offset: u64,
        /// The bytes it takes, at least.
        needed: u64,
        /// The bytes left in the file.
        left: u64,
    },
    /// Metadata and tensor list together are longer than any real model's.
    #[error(
        "{what} at offset {offset} needs {needed} bytes, past the {max} allowed for metadata; the file is corrupt or hostile"
    )]
    HeaderTooLarge {
        /// What was being read.
        what: String,
        /// Where it begins in the file.
        offset: u64,
        /// The bytes it takes, at least.
        needed: u64,
        /// The limit, [`HEADER_BYTES_MAX`](super::HEADER_BYTES_MAX).
        max: u64,
    },
    /// A string that is not UTF-8.
    #[error("{what} at offset {offset} is not UTF-8; the file is corrupt, fetch it again")]
    NotUtf8 {
        /// What was being read.
        what: String,
        /// Where its bytes begin in the file.
        offset: u64,
    },
    /// A value type that the format does not define.
    #[error(
        "metadata key {key:?} has the unknown value type {found}; the file is corrupt or newer than this program"
    )]
    UnknownValueType {
        /// The key.
        key: String,
        /// The number in the file.
        found: u32,
    },
    /// A boolean that is neither 0 nor 1.
    #[error(
        "metadata key {key:?} has a boolean of value {found}; the file is corrupt, fetch it again"
    )]
    BadBool {
        /// The key.
        key: String,
        /// The byte in the file.
        found: u8,
    },
    /// Arrays of arrays of arrays...
    #[error(
        "metadata key {key:?} nests arrays more than {max} deep; the file is corrupt or hostile"
    )]
    ArrayTooDeep {
        /// The key.
        key: String,
        /// The limit, [`ARRAY_DEPTH_MAX`](super::ARRAY_DEPTH_MAX).
        max: u32,
    },
    /// The same key twice.
    #[error("metadata key {key:?} appears twice; the file is corrupt, convert the model again")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// The same tensor twice.
    #[error("tensor {tensor:?} appears twice; the file is corrupt, convert the model again")]
    DuplicateTensor {
        /// The tensor's name.
        tensor: String,
    },
    /// `general.alignment` is not a power of two.
    #[error(
        "general.alignment is {found} and must be a power of two of at most {max}; the file is corrupt"
    )]
    BadAlignment {
        /// The value in the file.
        found: u64,
        /// The largest allowed.
        max: u64,
    },
    /// A tensor with no dimension or more than four.
    #[error(
        "tensor {tensor:?} has {found} dimensions and must have 1 to {max}; the file is corrupt"
    )]
    BadRank {
        /// The tensor's name.
        tensor: String,
        /// The number in the file.
        found: u32,
        /// The largest allowed.
        max: u32,
    },
    /// A dimension is 0, the product overflows, or a row is not whole blocks.
    #[error(
        "tensor {tensor:?} of type {type_name} cannot have the shape {dims:?}: {reason}; the file is corrupt"
    )]
    BadShape {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        type_name: &'static str,
        /// The dimensions in the file.
        dims: Vec<u64>,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A tensor type that this crate cannot decode.
    #[error(
        "tensor {tensor:?} has the type {type_name}, which is not supported; use a file in F32, F16, BF16, Q8_0, Q4_0 or Q4_1"
    )]
    UnsupportedTensorType {
        /// The tensor's name.
        tensor: String,
        /// ggml's name for the type, or its number.
        type_name: String,
    },
    /// A tensor's data does not begin at a multiple of the alignment.
    #[error(
        "tensor {tensor:?} begins at {offset}, which is not a multiple of the alignment {alignment}; the file is corrupt"
    )]
    Misaligned {
        /// The tensor's name.
        tensor: String,
        /// Its offset from the beginning of the data.
        offset: u64,
        /// The file's alignment.
        alignment: u64,
    },
    /// A tensor's data ends past the end of the file.
    #[error(
        "tensor {tensor:?} needs {bytes} bytes at {offset} of the data, which has {data_bytes}; the file is truncated, fetch it again"
    )]
    TensorOutside {
        /// The tensor's name.
        tensor: String,
        /// Its offset from the beginning of the data.
        offset: u64,
        /// Its length.
        bytes: u64,
        /// The bytes of data in the file.
        data_bytes: u64,
    },
    /// Two tensors share bytes.
    #[error(
        "tensors {first:?} and {second:?} overlap in the file; it is corrupt, convert the model again"
    )]
    TensorsOverlap {
        /// The tensor that begins first.
        first: String,
        /// The tensor that begins inside it.
        second: String,
    },
    /// A key that is needed is not there.
    #[error(
        "the file has no metadata key {key:?}; it is not a complete language model, convert it again"
    )]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A key is there with a value of another type or range.
    #[error(
        "metadata key {key:?} should be {expected} and is {found}; convert the model again with a current converter"
    )]
    WrongType {
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A tensor that is needed is not there.
    #[error(
        "the file has no tensor {tensor:?}; it is not a complete language model, convert it again"
    )]
    MissingTensor {
        /// The tensor's name.
        tensor: String,
    },
}

fn beginning(found: &[u8]) -> String {
    if found.is_empty() {
        return "it is empty; fetch it again".to_owned();
    }
    format!(
        "it begins with the bytes {found:02x?} where {:02x?} (\"GGUF\") should be; convert the model to GGUF first",
        super::MAGIC
    )
}
