//! Weights on the device, in the layout that the kernels read.
//!
//! A matrix is two buffers: `quants`, whole vec4 of words for each block of 32 columns, and `scales`, one word a block (none for unquantised types). Blocks as GGUF stores
//! them are 18, 20 or 34 bytes, which no vector load can read.

use half::f16;
use tidegate::{Argument, Buffer, List, Stream};

use crate::error::Error;
use crate::gguf::{GgufFile, TensorInfo};
use crate::quant::{TensorType, dequantise};

/// How a matrix is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// Four bits, scale and minimum: Q4_1, and Q4_0 with the minimum `-8 d`, which is exact.
    Q4,
    /// Eight bits and a scale.
    Q8,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

impl Format {
    fn of(ty: TensorType) -> Self {
        match ty {
            TensorType::Q4_0 | TensorType::Q4_1 => Self::Q4,
            TensorType::Q8_0 => Self::Q8,
            TensorType::F16 => Self::F16,
            TensorType::F32 | TensorType::Bf16 => Self::F32,
        }
    }

    /// Words of quants in a block of 32 columns.
    fn block_words(self) -> usize {
        match self {
            Self::Q4 => 4,
            Self::Q8 => 8,
            Self::F16 => 16,
            Self::F32 => 32,
        }
    }
}

/// A matrix of weights: `rows` outputs from `columns` inputs.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) format: Format,
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    quants: Buffer<u32>,
    /// None for unquantised formats, whose kernels do not bind it.
    scales: Option<Buffer<u32>>,
}

impl Matrix {
    /// Reads tensors of the same width and uploads them as one matrix, one below the other. Tensors of different formats are all stored in single precision.
    pub(crate) fn load(
        stream: &mut Stream,
        file: &GgufFile,
        tensors: &[&TensorInfo],
    ) -> Result<Self, Error> {
        let columns = tensors.first().map_or(0, |it| it.row_elements());
        let formats = tensors.iter().map(|it| Format::of(it.ty));
        let format = formats.reduce(|a, b| if a == b { a } else { Format::F32 });
        let format = format.unwrap_or(Format::F32);
        let elements: u64 = tensors.iter().map(|it| it.elements()).sum();
        let blocks = (elements / 32) as usize;
        let mut packed = Packed {
            quants: Vec::with_capacity(blocks * format.block_words()),
            scales: Vec::new(),
        };
        for tensor in tensors {
            packed.append(format, tensor.ty, &file.read_tensor(tensor)?);
        }
        Ok(Self {
            format,
            rows: tensors.iter().map(|it| it.rows() as u32).sum(),
            columns: columns as u32,
            quants: stream.upload_new(&packed.quants)?,
            scales: match packed.scales.as_slice() {
                [] => None,
                scales => Some(stream.upload_new(scales)?),
            },
        })
    }

    /// The launch argument that binds it.
    pub(crate) fn weights(&self) -> Weights<'_> {
        Weights(self)
    }

    /// Blocks of 32 columns in a row.
    pub(crate) fn blocks(&self) -> u32 {
        self.columns / 32
    }
}

/// A matrix as an argument: one buffer, or two.
pub(crate) struct Weights<'a>(&'a Matrix);

impl Argument for Weights<'_> {
    fn add(&self, list: &mut List) {
        self.0.quants.add(list);
        if let Some(scales) = &self.0.scales {
            scales.add(list);
        }
    }
}

struct Packed {
    quants: Vec<u32>,
    scales: Vec<u32>,
}

impl Packed {
    /// Appends a tensor's data; `format` is its own, or single precision.
    fn append(&mut self, format: Format, ty: TensorType, data: &[u8]) {
        if format == Format::F32 {
            let values = dequantise(ty, data);
            self.quants.extend(values.iter().map(|it| it.to_bits()));
            return;
        }
        for block in data.chunks_exact(ty.block_bytes() as usize) {
            let (scale, quants) = match ty {
                TensorType::Q4_1 => (Some(word(&block[..4])), &block[4..]),
                TensorType::Q4_0 => {
                    let d = f16::from_le_bytes([block[0], block[1]]);
                    let minimum = f16::from_f32(-8.0 * d.to_f32());
                    let scale = u32::from(d.to_bits()) | u32::from(minimum.to_bits()) << 16;
                    (Some(scale), &block[2..])
                }
                TensorType::Q8_0 => {
                    let scale = u32::from(u16::from_le_bytes([block[0], block[1]]));
                    (Some(scale), &block[2..])
                }
                _ => (None, block),
            };
            self.scales.extend(scale);
            if ty == TensorType::F16 {
                continue;
            }
            self.quants.extend(quants.chunks_exact(4).map(word));
        }
        if ty == TensorType::F16 {
            self.quants.extend(data.chunks_exact(4).map(word));
        }
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
