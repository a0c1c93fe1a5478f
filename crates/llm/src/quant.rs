//! Tensor types: how elements lie in blocks, and what they stand for.
//!
//! A quantised tensor is a row-major sequence of blocks of 32 (or 256) consecutive elements of one row. The layouts are ggml's
//! (`block_q4_0`, `block_q4_1` and `block_q8_0` in its `ggml-common.h`, `dequantize_row_*` in `ggml-quants.c`). All
//! numbers are little-endian; `d` and `m` are IEEE half precision.
//!
//! | type | bytes a block | layout            | element `j` of 0..32                                       |
//! |------|---------------|-------------------|------------------------------------------------------------|
//! | Q4_0 | 18            | `d`, 16 bytes `q` | `d * (nibble - 8)`                                         |
//! | Q4_1 | 20            | `d`, `m`, 16 `q`  | `d * nibble + m`                                           |
//! | Q8_0 | 34            | `d`, 32 bytes `q` | `d * q[j]`, `q` signed                                     |
//!
//! In both 4-bit types the low nibbles of the 16 bytes are elements 0 to 15 and the high ones elements 16 to 31. They
//! are not neighbouring pairs, which is the usual mistake. Q4_K, Q5_K and Q6_K have blocks of 256, which `super_block`
//! describes.

mod super_block;

use half::{bf16, f16};

pub(crate) use super_block::{BLOCKS, Block, SUPER_BLOCK_ELEMENTS, SuperBlock};

/// Elements in a block of the quantised types that have no super-blocks.
pub const BLOCK_ELEMENTS: u64 = 32;

/// The tensor types that this crate can decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TensorType {
    /// Single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// Four bits and a scale.
    Q4_0,
    /// Four bits, a scale and a minimum.
    Q4_1,
    /// Eight bits and a scale.
    Q8_0,
    /// Four bits; scales and minima of 6 bits within a super-block of 256.
    Q4K,
    /// Five bits; otherwise as `Q4K`.
    Q5K,
    /// Six bits, with a scale of 8 bits for every 16 within a super-block of 256.
    Q6K,
}

impl TensorType {
    /// The type with ggml's number `id`, if this crate can decode it.
    pub fn from_id(id: u32) -> Option<Self> {
        match id {
            0 => Some(Self::F32),
            1 => Some(Self::F16),
            2 => Some(Self::Q4_0),
            3 => Some(Self::Q4_1),
            8 => Some(Self::Q8_0),
            12 => Some(Self::Q4K),
            13 => Some(Self::Q5K),
            14 => Some(Self::Q6K),
            30 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// ggml's number for the type.
    pub fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q8_0 => 8,
            Self::Q4K => 12,
            Self::Q5K => 13,
            Self::Q6K => 14,
            Self::Bf16 => 30,
        }
    }

    /// ggml's name for the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
    }

    /// Elements that one block holds; a row is a whole number of blocks.
    pub fn block_elements(self) -> u64 {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q8_0 => BLOCK_ELEMENTS,
            Self::Q4K | Self::Q5K | Self::Q6K => SUPER_BLOCK_ELEMENTS,
        }
    }

    /// Bytes that one block takes.
    pub fn block_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }
}

/// ggml's name for any of its tensor types, so that an error can say what a file holds that we cannot decode.
pub(crate) fn name_of_id(id: u32) -> String {
    let name = match id {
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => {
            return match TensorType::from_id(id) {
                Some(known) => known.name().to_owned(),
                None => format!("number {id}"),
            };
        }
    };
    name.to_owned()
}

/// The elements that `bytes`, whole blocks of type `ty`, stand for.
///
/// This is the definition that kernels are measured against, and good for small tensors. It is not fast.
///
/// # Panics
/// If `bytes` is not a whole number of blocks.
pub fn dequantise(ty: TensorType, bytes: &[u8]) -> Vec<f32> {
    let block_bytes = ty.block_bytes() as usize;
    assert!(
        bytes.len().is_multiple_of(block_bytes),
        "{} bytes are not whole blocks of {}, which have {block_bytes} bytes",
        bytes.len(),
        ty.name()
    );
    let mut out = Vec::with_capacity(bytes.len() / block_bytes * ty.block_elements() as usize);
    for block in bytes.chunks_exact(block_bytes) {
        match ty {
            TensorType::F32 => {
                out.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]]))
            }
            TensorType::F16 => out.push(half_at(block, 0)),
            TensorType::Bf16 => out.push(bf16::from_le_bytes([block[0], block[1]]).to_f32()),
            TensorType::Q4_0 => {
                let d = half_at(block, 0);
                nibbles(&block[2..], &mut out, |q| d * (f32::from(q) - 8.0));
            }
            TensorType::Q4_1 => {
                let (d, m) = (half_at(block, 0), half_at(block, 2));
                nibbles(&block[4..], &mut out, |q| d * f32::from(q) + m);
            }
            TensorType::Q8_0 => {
                let d = half_at(block, 0);
                out.extend(block[2..].iter().map(|&q| d * f32::from(q.cast_signed())));
            }
            TensorType::Q4K | TensorType::Q5K | TensorType::Q6K => {
                let whole = SuperBlock::read(ty, block);
                out.extend(whole.iter().flat_map(SuperBlock::elements));
            }
        }
    }
    out
}

fn half_at(block: &[u8], offset: usize) -> f32 {
    f16::from_le_bytes([block[offset], block[offset + 1]]).to_f32()
}

fn nibbles(packed: &[u8], out: &mut Vec<f32>, value: impl Fn(u8) -> f32) {
    out.extend(packed.iter().map(|&byte| value(byte & 0xF)));
    out.extend(packed.iter().map(|&byte| value(byte >> 4)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: [TensorType; 9] = [
        TensorType::F32,
        TensorType::F16,
        TensorType::Bf16,
        TensorType::Q4_0,
        TensorType::Q4_1,
        TensorType::Q8_0,
        TensorType::Q4K,
        TensorType::Q5K,
        TensorType::Q6K,
    ];

    #[test]
    fn ids_and_names_round_trip() {
        for ty in TYPES {
            assert_eq!(TensorType::from_id(ty.id()), Some(ty));
            assert_eq!(name_of_id(ty.id()), ty.name());
        }
        assert_eq!(TensorType::from_id(10), None);
        assert_eq!(name_of_id(10), "Q2_K");
        assert_eq!(name_of_id(4_000), "number 4000");
    }

    /// Nibble `j` of the low half is `j`, of the high half `15 - j`: any other order of elements shows.
    fn packed() -> Vec<u8> {
        (0..16u8).map(|j| j | (15 - j) << 4).collect()
    }

    #[test]
    fn q4_0_is_centred_and_halves_are_apart() {
        let mut block = f16::from_f32(0.5).to_le_bytes().to_vec();
        block.extend(packed());
        let low = (0..16u8).map(|j| 0.5 * (f32::from(j) - 8.0));
        let high = (0..16u8).map(|j| 0.5 * (f32::from(15 - j) - 8.0));
        assert_eq!(
            dequantise(TensorType::Q4_0, &block),
            low.chain(high).collect::<Vec<_>>()
        );
    }

    #[test]
    fn q4_1_adds_the_minimum() {
        let mut block = f16::from_f32(0.25).to_le_bytes().to_vec();
        block.extend(f16::from_f32(-3.0).to_le_bytes());
        block.extend(packed());
        let low = (0..16u8).map(|j| 0.25 * f32::from(j) - 3.0);
        let high = (0..16u8).map(|j| 0.25 * f32::from(15 - j) - 3.0);
        assert_eq!(
            dequantise(TensorType::Q4_1, &block),
            low.chain(high).collect::<Vec<_>>()
        );
    }

    #[test]
    fn q8_0_is_signed() {
        let mut block = f16::from_f32(2.0).to_le_bytes().to_vec();
        block.extend((0..32u8).map(|j| j.wrapping_sub(16)));
        let expected: Vec<f32> = (0..32i8).map(|j| 2.0 * f32::from(j - 16)).collect();
        assert_eq!(dequantise(TensorType::Q8_0, &block), expected);
    }

    #[test]
    fn floats_are_little_endian() {
        assert_eq!(dequantise(TensorType::F32, &1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(
            dequantise(TensorType::F16, &f16::from_f32(-0.125).to_le_bytes()),
            [-0.125]
        );
        assert_eq!(
            dequantise(TensorType::Bf16, &bf16::from_f32(384.0).to_le_bytes()),
            [384.0]
        );
    }

    #[test]
    #[should_panic(expected = "not whole blocks of Q4_1")]
    fn part_of_a_block_is_a_bug_of_the_caller() {
        dequantise(TensorType::Q4_1, &[0; 19]);
    }
}
