//! Weights on the device, in the layout that the kernels read.
//!
//! A matrix is two buffers: `quants`, whole vec4 of words for each block of 32 columns, and `scales`, one word a block (none for unquantised types). Blocks as GGUF stores
//! them are 18, 20 or 34 bytes, which no vector load can read.

use half::f16;
use tidegate::{Argument, Buffer, Device, List, Stream};

use crate::error::Error;
use crate::gguf::{GgufFile, TensorInfo};
use crate::kernels::Role;
use crate::quant::{TensorType, dequantise};

/// Bytes of a tensor that are in the host's memory at a time while it is loaded, or one row if that has more.
pub(crate) const PIECE_BYTES: u64 = 4 << 20;

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

    /// Words of scales in a block of 32 columns.
    fn scale_words(self) -> usize {
        match self {
            Self::Q4 | Self::Q8 => 1,
            Self::F16 | Self::F32 => 0,
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
                let blocks = blocks as usize;
                let scales = match format.scale_words() {
                    0 => None,
                    words => Some(device.buffer(blocks * words)?),
                };
                Ok(Piece {
                    first,
                    rows,
                    quants: device.buffer(blocks * format.block_words())?,
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

    /// Reads tensors of the same width and uploads them as one matrix, one below the other, or, if `role` wants two rows for an output, side by side. Tensors of different formats are
    /// all stored in single precision. What goes through the host's memory at a time is whole rows of up to `piece_bytes`; `progress` is told the bytes of each.
    pub(crate) fn load(
        stream: &mut Stream,
        file: &GgufFile,
        tensors: &[&TensorInfo],
        role: Role,
        piece_bytes: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let columns = tensors.first().map_or(0, |it| it.row_elements());
        let formats = tensors.iter().map(|it| Format::of(it.ty));
        let format = formats.reduce(|a, b| if a == b { a } else { Format::F32 });
        let format = format.unwrap_or(Format::F32);
        let rows = tensors.iter().map(|it| it.rows() as u32).sum();
        let device = stream.device();
        let matrix = Self::empty(&device, format, rows, columns as u32, role.rows_each())?;
        let mut data = Vec::new();
        let mut packed = Packed::default();
        let mut row = 0;
        for tensor in tensors {
            let row_bytes = (tensor.bytes / tensor.rows().max(1)).max(1);
            let step = (piece_bytes / row_bytes).max(1) * row_bytes;
            for start in (0..tensor.bytes).step_by(step as usize) {
                data.resize(step.min(tensor.bytes - start) as usize, 0);
                file.read_tensor_at(tensor, start, &mut data)?;
                packed.fill(format, tensor.ty, &data);
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
            let at = (row / height * piece.rows + output - piece.first) as usize;
            let blocks = self.blocks() as usize;
            let words = blocks * self.format.block_words();
            let (now, later) = quants.split_at(rows as usize * words);
            stream.upload(piece.quants.slice(at * words..)?, now)?;
            quants = later;
            if let Some(target) = &piece.scales {
                let words = blocks * self.format.scale_words();
                let (now, later) = scales.split_at(rows as usize * words);
                stream.upload(target.slice(at * words..)?, now)?;
                scales = later;
            }
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

/// The outputs of each piece, as the first one and how many: as many as fit into a binding of `bytes_max`, and a multiple of 64 of them.
fn pieces(
    format: Format,
    outputs: u32,
    columns: u32,
    rows_each: u32,
    bytes_max: u64,
) -> impl Iterator<Item = (u32, u32)> {
    let words = format.block_words().max(format.scale_words()) as u64;
    let output_bytes = u64::from(columns / 32) * u64::from(rows_each) * words * 4;
    let fit = (bytes_max / output_bytes.max(1)).min(outputs.into()) as u32;
    let step = match fit {
        // Where not even 64 fit, memory runs out before anything is wrong.
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
    /// Takes rows of a tensor instead of what it held; `format` is the tensor's own, or single precision.
    fn fill(&mut self, format: Format, ty: TensorType, data: &[u8]) {
        self.quants.clear();
        self.scales.clear();
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

#[cfg(test)]
mod tests {
    use tidegate::{Device, Options};

    use super::*;
    use crate::testing::TinyModel;

    /// Everything that loading made of the gate and up projections.
    fn loaded(device: &Device, file: &GgufFile, piece_bytes: u64) -> (Vec<u32>, Vec<u32>, u64) {
        let mut stream = device.stream().unwrap();
        let names = ["blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"];
        let tensors = names.map(|it| file.header().tensor(it).unwrap());
        let mut bytes = 0;
        let mut progress = |piece| bytes += piece;
        let matrix = Matrix::load(
            &mut stream,
            file,
            &tensors,
            Role::GateUp,
            piece_bytes,
            &mut progress,
        );
        let matrix = matrix.unwrap();
        let piece = matrix.whole().unwrap();
        let mut words = |buffer: &Buffer<u32>| stream.download(buffer).unwrap().wait().unwrap();
        let quants = words(&piece.quants);
        let scales = piece.scales.as_ref().map(words).unwrap_or_default();
        (quants, scales, bytes)
    }

    #[test]
    fn a_matrix_is_cut_where_a_binding_ends() {
        let cut = |outputs, rows_each, bytes_max| -> Vec<(u32, u32)> {
            pieces(Format::Q4, outputs, 64, rows_each, bytes_max).collect()
        };
        // A row has two blocks of 16 bytes.
        assert_eq!(cut(200, 1, 200 * 32), [(0, 200)]);
        assert_eq!(cut(200, 1, 199 * 32), [(0, 192), (192, 8)]);
        assert_eq!(
            cut(200, 2, 199 * 32),
            [(0, 64), (64, 64), (128, 64), (192, 8)]
        );
        assert_eq!(cut(3, 1, 1), [(0, 1), (1, 1), (2, 1)]);
    }

    #[test]
    fn the_size_of_the_pieces_does_not_show() {
        let mut options = Options::default();
        options.validation = true;
        let device = Device::open(&options).expect("run `cargo xtask test`, which installs it");
        let path = std::env::temp_dir().join(format!("tidegate-pieces-{}", std::process::id()));
        for ty in [
            TensorType::F32,
            TensorType::F16,
            TensorType::Bf16,
            TensorType::Q4_0,
            TensorType::Q4_1,
            TensorType::Q8_0,
        ] {
            let tiny = TinyModel {
                ty,
                ..TinyModel::default()
            };
            std::fs::write(&path, tiny.bytes()).unwrap();
            let file = GgufFile::open(&path).unwrap();
            let whole = loaded(&device, &file, PIECE_BYTES);
            assert_eq!(whole.0.len(), 192 * 2 * Format::of(ty).block_words());
            // One row; five rows, which do not divide the 96; and nearly all.
            for piece_bytes in [1, 700, 96 * 64] {
                assert_eq!(loaded(&device, &file, piece_bytes), whole, "{ty:?}");
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(device.validation_messages(), Vec::<String>::new());
    }
}
