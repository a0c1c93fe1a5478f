//! Weights on the device, in the layout that the kernels read.
//!
//! A matrix is two buffers: `quants`, whole vec4 of words for each block of 32 columns, and `scales`, some words a block or super-block (none for unquantised types).
//! Blocks as GGUF stores them are 18, 20 or 34 bytes, and super-blocks 144, 176 or 210, which no vector load can read.

use half::f16;
use tidegate::{Argument, Buffer, Device, List, Stream};

use crate::error::Error;
use crate::format::{Format, Packing};
use crate::gguf::{GgufFile, TensorInfo};
use crate::kernels::Role;
use crate::quant::{Block, SuperBlock, TensorType, dequantise};

/// Bytes of a tensor that are in the host's memory at a time while it is loaded, or one row if that has more.
pub(crate) const PIECE_BYTES: u64 = 4 << 20;

/// A matrix of weights: `rows` outputs from `columns` inputs.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) format: Format,
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    /// More than one where a kernel cannot bind all of it at once.
    pub(crate) pieces: Vec<Piece>,
    /// Rows that make one output, 2 for gate and up.
    rows_each: u32,
}

/// Some of a matrix's outputs, one below the other. Where two rows make an output, all of the first ones come before the second ones.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The first output.
    pub(crate) first: u32,
    /// Outputs.
    pub(crate) rows: u32,
    pub(crate) quants: Buffer<u32>,
    /// None for unquantised formats, whose kernels do not bind it.
    pub(crate) scales: Option<Buffer<u32>>,
}

impl Matrix {
    /// A matrix whose weights are not there yet. `rows_each` of its `rows` make one output.
    pub(crate) fn empty(
        device: &Device,
        format: Format,
        rows: u32,
        columns: u32,
        rows_each: u32,
    ) -> Result<Self, Error> {
        let device_has = device.capabilities();
        let bytes_max = device_has
            .binding_bytes_max
            .min(device_has.allocation_bytes_max);
        let pieces = pieces(format, rows / rows_each, columns, rows_each, bytes_max)
            .map(|(first, rows)| {
                let blocks = u64::from(rows * rows_each) * u64::from(columns / 32);
                let (quants_words, scales_words) = format.words(blocks as usize);
                let scales = match scales_words {
                    0 => None,
                    words => Some(device.buffer(words)?),
                };
                Ok(Piece {
                    first,
                    rows,
                    quants: device.buffer(quants_words)?,
                    scales,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            format,
            rows,
            columns,
            pieces,
            rows_each,
        })
    }

    /// Reads tensors of the same width and uploads them as one matrix, one below the other, or, if `role` wants two rows for an output, side by side. What goes through the host's memory at a time is whole rows of up to `piece_bytes`; `progress` is told the bytes of each.
    pub(crate) fn load(
        stream: &mut Stream,
        file: &GgufFile,
        tensors: &[&TensorInfo],
        role: Role,
        piece_bytes: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let columns = tensors.first().map_or(0, |it| it.row_elements());
        let format = Format::of(tensors);
        let rows = tensors.iter().map(|it| it.rows() as u32).sum();
        let device = stream.device();
        let matrix = Self::empty(&device, format, rows, columns as u32, role.rows_each())?;
        let mut data = Vec::new();
        let mut packed = Packed::default();
        let mut row = 0;
        for tensor in tensors {
            let packing = format.packing((row * matrix.blocks()) as usize);
            let row_bytes = (tensor.bytes / tensor.rows().max(1)).max(1);
            let step = (piece_bytes / row_bytes).max(1) * row_bytes;
            for start in (0..tensor.bytes).step_by(step as usize) {
                data.resize(step.min(tensor.bytes - start) as usize, 0);
                file.read_tensor_at(tensor, start, &mut data)?;
                packed.fill(packing, tensor.ty, &data);
                let rows = (data.len() as u64 / row_bytes) as u32;
                matrix.upload(stream, row, rows, &packed)?;
                row += rows;
                progress(data.len() as u64);
            }
        }
        Ok(matrix)
    }

    /// Puts `count` rows, from the matrix's row `row` on, where they belong.
    fn upload(
        &self,
        stream: &mut Stream,
        mut row: u32,
        count: u32,
        packed: &Packed,
    ) -> Result<(), Error> {
        let height = self.outputs();
        let end = row + count;
        let (mut quants, mut scales) = (&packed.quants[..], &packed.scales[..]);
        while row < end {
            let output = row % height;
            let Some(piece) = self.pieces.iter().find(|it| output < it.first + it.rows) else {
                break;
            };
            let rows = (piece.first + piece.rows - output).min(end - row);
            let at = row / height * piece.rows + output - piece.first;
            let words = |row: u32| self.format.words((row * self.blocks()) as usize);
            let (start, after) = (words(at), words(at + rows));
            let (now, later) = quants.split_at(after.0 - start.0);
            stream.upload(piece.quants.slice(start.0..)?, now)?;
            quants = later;
            let (now, later) = scales.split_at(after.1 - start.1);
            if let Some(target) = piece.scales.as_ref().filter(|_| !now.is_empty()) {
                stream.upload(target.slice(start.1..)?, now)?;
            }
            scales = later;
            row += rows;
        }
        Ok(())
    }

    /// Its only piece, if it has just one.
    pub(crate) fn whole(&self) -> Option<&Piece> {
        match &self.pieces[..] {
            [piece] => Some(piece),
            _ => None,
        }
    }

    /// Blocks of 32 columns in a row.
    pub(crate) fn blocks(&self) -> u32 {
        self.columns / 32
    }

    /// Outputs, which have one row each, or two.
    pub(crate) fn outputs(&self) -> u32 {
        self.rows / self.rows_each
    }
}

/// The outputs of each piece, as the first one and how many: as many as fit into a binding of `bytes_max`, and a multiple of 64 of them. A matrix of two packings is one piece.
fn pieces(
    format: Format,
    outputs: u32,
    columns: u32,
    rows_each: u32,
    bytes_max: u64,
) -> impl Iterator<Item = (u32, u32)> {
    let (quants, scales) = format.words(columns as usize / 32);
    let output_bytes = u64::from(rows_each) * quants.max(scales) as u64 * 4;
    let fit = (bytes_max / output_bytes.max(1)).min(outputs.into()) as u32;
    let step = match fit {
        // Where not even 64 fit, memory runs out before anything is wrong.
        _ if format.rest.is_some() => outputs.max(1),
        _ if fit == outputs || fit < 64 => fit.max(1),
        _ => fit / 64 * 64,
    };
    (0..outputs)
        .step_by(step as usize)
        .map(move |first| (first, step.min(outputs - first)))
}

/// A piece is one argument, or two.
impl Argument for Piece {
    fn add(&self, list: &mut List) {
        self.quants.add(list);
        if let Some(scales) = &self.scales {
            scales.add(list);
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
