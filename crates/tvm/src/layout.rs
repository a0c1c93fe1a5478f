//! The bytes of a module, as TVM lays them out, so that what was exported where this runtime is missing can be loaded here, and the reverse.
//!
//! Numbers are little-endian. A list is its length in 64 bits and its items; a text is a list of bytes; a map is a list of pairs. For `webgpu`: a map of descriptions, a map of code. For `metal` the form of the code
//! comes first. A description is a name, a list of types (code, bits and lanes in 8, 8 and 16 bits), a list of tags, and a list of notes on arguments in 32 bits each, of which none but 0 is known here.

use crate::error::{Result, bail};
use crate::kernel::Description;
use crate::tensor::DataType;

/// Writes what [`Reader`] reads.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn len(&mut self, len: usize) {
        self.0.extend((len as u64).to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.0.extend(bytes);
    }

    pub(crate) fn description(&mut self, description: &Description) {
        self.bytes(description.name.as_bytes());
        self.len(description.types.len());
        for it in &description.types {
            let [low, high] = it.lanes.to_le_bytes();
            self.0.extend([it.code, it.bits, low, high]);
        }
        self.len(description.tags.len());
        for tag in &description.tags {
            self.bytes(tag.as_bytes());
        }
        self.len(0);
    }
}

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.0.split_at_checked(len) {
            Some((taken, left)) => {
                self.0 = left;
                Ok(taken)
            }
            None => bail!("they end too early"),
        }
    }

    /// The length of a list whose items have at least `size` bytes each.
    pub(crate) fn len(&mut self, size: usize) -> Result<usize> {
        let mut len = [0; 8];
        len.copy_from_slice(self.take(8)?);
        let len = usize::try_from(u64::from_le_bytes(len)).unwrap_or(usize::MAX);
        if len > self.0.len() / size.max(1) {
            bail!(
                "a list of {len} is announced, and there are {} bytes",
                self.0.len()
            );
        }
        Ok(len)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.len(1)?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        match std::str::from_utf8(self.bytes()?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => bail!("a name is not text"),
        }
    }

    pub(crate) fn description(&mut self) -> Result<Description> {
        let name = self.text()?;
        let mut types = Vec::new();
        for _ in 0..self.len(4)? {
            let [code, bits, low, high] = self.take(4)? else {
                bail!("they end too early");
            };
            types.push(DataType {
                code: *code,
                bits: *bits,
                lanes: u16::from_le_bytes([*low, *high]),
            });
        }
        let mut tags = Vec::new();
        for _ in 0..self.len(8)? {
            tags.push(self.text()?);
        }
        let notes = self.len(4)?;
        if self.take(4 * notes)?.iter().any(|it| *it != 0) {
            bail!("kernel `{name}` takes arguments of a sort that only CUDA has");
        }
        Ok(Description { name, types, tags })
    }
}
