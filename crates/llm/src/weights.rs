//! Weights on the device, in the layout that the kernels read.
//!
//! A matrix is two buffers: `quants`, whole vec4 of words for each block of 32 columns, and `scales`, some words a block or super-block (none for unquantised types).
//! Blocks as GGUF stores them are 18, 20 or 34 bytes, and super-blocks 144, 176 or 210, which no vector load can read.

use half::f16;
use tidegate::{Argument, Buffer, List, Stream};

use crate::error::Error;
use crate::format::{Format, Packing};
use crate::gguf::{GgufFile, TensorInfo};
use crate::quant::{Block, SuperBlock, TensorType, dequantise};

/// Bytes of a tensor that are in the host's memory at a time while it is loaded, or one row if that has more.
pub(crate) const PIECE_BYTES: u64 = 4 << 20;

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
    /// Reads tensors of the same width and uploads them as one matrix, one below the other. What goes
    /// through the host's memory at a time is whole rows of up to `piece_bytes`; `progress` is told the bytes of each.
    pub(crate) fn load(
        stream: &mut Stream,
        file: &GgufFile,
        tensors: &[&TensorInfo],
        piece_bytes: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let columns = tensors.first().map_or(0, |it| it.row_elements());
        let format = Format::of(tensors);
        let elements: u64 = tensors.iter().map(|it| it.elements()).sum();
        let (quants_words, scales_words) = format.words((elements / 32) as usize);
        let device = stream.device();
        let quants = device.buffer(quants_words)?;
        let scales = match scales_words {
            0 => None,
            words => Some(device.buffer(words)?),
        };
        let mut data = Vec::new();
        let mut packed = Packed::default();
        let (mut blocks_done, mut quants_done, mut scales_done) = (0, 0, 0);
        for tensor in tensors {
            let packing = format.packing(blocks_done);
            blocks_done += (tensor.elements() / 32) as usize;
            let row_bytes = tensor.bytes / tensor.rows().max(1);
            let step = (piece_bytes / row_bytes.max(1)).max(1) * row_bytes.max(1);
            for start in (0..tensor.bytes).step_by(step as usize) {
                data.resize(step.min(tensor.bytes - start) as usize, 0);
                file.read_tensor_at(tensor, start, &mut data)?;
                packed.fill(packing, tensor.ty, &data);
                stream.upload(quants.slice(quants_done..)?, &packed.quants)?;
                quants_done += packed.quants.len();
                if let Some(scales) = scales.as_ref().filter(|_| !packed.scales.is_empty()) {
                    stream.upload(scales.slice(scales_done..)?, &packed.scales)?;
                    scales_done += packed.scales.len();
                }
                progress(data.len() as u64);
            }
        }
        Ok(Self {
            format,
            rows: tensors.iter().map(|it| it.rows() as u32).sum(),
            columns: columns as u32,
            quants,
            scales,
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

/// Biases as an argument: one buffer, or none where the architecture has no biases, whose kernels do not bind it.
#[derive(Debug)]
pub(crate) struct Bias(pub(crate) Option<Buffer<f32>>);

impl Argument for Bias {
    fn add(&self, list: &mut List) {
        if let Some(values) = &self.0 {
            values.add(list);
        }
    }
}

/// Some rows in the kernels' layout.
#[derive(Default)]
struct Packed {
    quants: Vec<u32>,
    scales: Vec<u32>,
}

impl Packed {
    /// Takes rows of a tensor instead of what it held; `packing` is the tensor's own, or single precision.
    fn fill(&mut self, packing: Packing, ty: TensorType, data: &[u8]) {
        self.quants.clear();
        self.scales.clear();
        if packing == Packing::F32 {
            let values = dequantise(ty, data);
            self.quants.extend(values.iter().map(|it| it.to_bits()));
            return;
        }
        for block in data.chunks_exact(ty.block_bytes() as usize) {
            if let Some(whole) = SuperBlock::read(ty, block) {
                self.push(packing, &whole);
                continue;
            }
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

    /// Adds a super-block, as `kernels/weights_q4k.wgsl` and its like read it.
    fn push(&mut self, packing: Packing, whole: &SuperBlock) {
        let blocks = &whole.blocks;
        for Block { quants, .. } in blocks {
            let (low, high) = quants.split_at(16);
            let pairs = low.iter().zip(high);
            let nibbles: Vec<u8> = pairs.map(|(a, b)| a & 0xF | b << 4).collect();
            self.quants.extend(nibbles.chunks_exact(4).map(word));
        }
        self.scales.push(whole.scale.to_bits());
        // Bits of the elements 4 i + k above their nibbles, `count` of each: those of every k have a byte, those of every i follow each other in it.
        let upper = |quants: &[u8], count: usize| -> u32 {
            let bits = quants.iter().enumerate();
            bits.map(|(j, q)| u32::from(q >> 4) << (j % 4 * 8 + j / 4 * count))
                .sum()
        };
        if packing == Packing::Q6K {
            let scales = blocks
                .iter()
                .flat_map(|it| it.scales.map(i8::cast_unsigned));
            let scales: Vec<u8> = scales.collect();
            self.scales.extend(scales.chunks_exact(4).map(word));
            let halves = blocks.iter().flat_map(|it| it.quants.chunks_exact(16));
            self.scales.extend(halves.map(|it| upper(it, 2)));
            return;
        }
        self.scales.push(whole.minimum.to_bits());
        let both = blocks
            .each_ref()
            .map(|it| u32::from(it.scales[0].cast_unsigned()) | u32::from(it.minimum) << 6);
        let low = both.map(|it| it as u8);
        self.scales.extend(low.chunks_exact(4).map(word));
        let high = both.iter().zip((0..).step_by(4));
        self.scales
            .push(high.map(|(it, shift)| it >> 8 << shift).sum());
        if packing == Packing::Q5K {
            self.scales
                .extend(blocks.iter().map(|it| upper(&it.quants, 1)));
        }
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
#[path = "weights_tests.rs"]
mod tests;
