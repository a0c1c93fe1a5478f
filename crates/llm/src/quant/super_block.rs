//! Super-blocks: 256 elements in eight blocks of 32, whose scales are small integers times a scale of their own.
//!
//! The layouts are ggml's `block_q4_K`, `block_q5_K` and `block_q6_K`. All three fit one formula: element `j` of a
//! block is `d * scales[j / 16] * (q[j] - centre) - dmin * minimum`.
//!
//! | type | bytes | layout                                            | `q`    | centre |
//! |------|-------|---------------------------------------------------|--------|--------|
//! | Q4_K | 144   | `d`, `dmin`, 12 bytes of scales, 128 of nibbles   | 4 bits | 0      |
//! | Q5_K | 176   | `d`, `dmin`, 12 bytes of scales, 32 `h`, 128 nibbles | 5 bits | 0   |
//! | Q6_K | 210   | 128 bytes of nibbles, 64 `h`, 16 of scales, `d`   | 6 bits | 32     |
//!
//! Nibbles: in Q4_K and Q5_K 32 bytes hold two blocks, the first in their low nibbles; in Q6_K 64 bytes hold four, the
//! first two in their low nibbles. `h` has the bits above: in Q5_K byte `j` holds one bit of element `j` of each block,
//! in Q6_K byte `j` of each half two bits of element `j` of each of four blocks, the first block lowest.
//!
//! Scales: Q6_K has a signed byte for every 16 elements. In the others a block has a scale and a minimum of 6 bits.
//! The first four scales are the low six bits of bytes 0 to 3, the first four minima those of bytes 4 to 7; the last four have their low nibbles in bytes
//! 8 to 11, scales low and minima high, and their upper two bits in the upper two of bytes 0 to 3 and 4 to 7.

use super::{TensorType, half_at};

/// Elements in a super-block.
pub(crate) const SUPER_BLOCK_ELEMENTS: u64 = 256;
/// Blocks of 32 in a super-block.
pub(crate) const BLOCKS: usize = 8;

/// 32 elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Unsigned, from 0.
    pub(crate) quants: [u8; 32],
    /// Of the first and the last 16 elements.
    pub(crate) scales: [i8; 2],
    pub(crate) minimum: u8,
}

/// 256 elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SuperBlock {
    /// What the blocks' scales are multiplied with.
    pub(crate) scale: f32,
    /// What their minima are multiplied with.
    pub(crate) minimum: f32,
    /// Subtracted from every quant.
    pub(crate) centre: u8,
    pub(crate) blocks: [Block; BLOCKS],
}

impl SuperBlock {
    /// Takes one super-block apart; none, if `ty` has no super-blocks or `bytes` is shorter than one.
    pub(crate) fn read(ty: TensorType, bytes: &[u8]) -> Option<Self> {
        let known = matches!(ty, TensorType::Q4K | TensorType::Q5K | TensorType::Q6K);
        if !known || (bytes.len() as u64) < ty.block_bytes() {
            return None;
        }
        let blocks = std::array::from_fn(|index| match ty {
            TensorType::Q4K => scaled(index, &bytes[4..16], nibbles_of_pair(index, &bytes[16..])),
            TensorType::Q5K => {
                let mut quants = nibbles_of_pair(index, &bytes[48..]);
                for (quant, high) in quants.iter_mut().zip(&bytes[16..48]) {
                    *quant |= (high >> index & 1) << 4;
                }
                scaled(index, &bytes[4..16], quants)
            }
            _ => six_bits(index, bytes),
        });
        Some(match ty {
            TensorType::Q6K => Self {
                scale: half_at(bytes, 208),
                minimum: 0.0,
                centre: 32,
                blocks,
            },
            _ => Self {
                scale: half_at(bytes, 0),
                minimum: half_at(bytes, 2),
                centre: 0,
                blocks,
            },
        })
    }

    /// What it stands for. Every product is exact in single precision, so only the subtraction of the minimum rounds.
    pub(crate) fn elements(&self) -> impl Iterator<Item = f32> {
        self.blocks.iter().flat_map(move |block| {
            let minimum = self.minimum * f32::from(block.minimum);
            (0..32).map(move |j| {
                let scale = self.scale * f32::from(block.scales[j / 16]);
                scale * (f32::from(block.quants[j]) - f32::from(self.centre)) - minimum
            })
        })
    }
}

/// Block `index` of blocks that share 32 bytes by two.
fn nibbles_of_pair(index: usize, packed: &[u8]) -> [u8; 32] {
    let shift = index % 2 * 4;
    std::array::from_fn(|j| packed[index / 2 * 32 + j] >> shift & 0xF)
}

/// A block with its scale and minimum out of 12 bytes for eight of them.
fn scaled(index: usize, packed: &[u8], quants: [u8; 32]) -> Block {
    let (scale, minimum) = if index < 4 {
        (packed[index] & 63, packed[index + 4] & 63)
    } else {
        let low = packed[index + 4];
        let upper = |byte: u8| byte >> 6 << 4;
        (
            low & 0xF | upper(packed[index - 4]),
            low >> 4 | upper(packed[index]),
        )
    };
    // Six bits: no sign.
    let scales = [scale.cast_signed(); 2];
    Block {
        quants,
        scales,
        minimum,
    }
}

fn six_bits(index: usize, bytes: &[u8]) -> Block {
    let (half, quarter) = (index / 4, index % 4);
    let low = &bytes[64 * half + quarter % 2 * 32..];
    let high = &bytes[128 + 32 * half..];
    let quant = |j: usize| low[j] >> (quarter / 2 * 4) & 0xF | (high[j] >> (2 * quarter) & 3) << 4;
    Block {
        quants: std::array::from_fn(quant),
        scales: [0, 1].map(|part| bytes[192 + 2 * index + part].cast_signed()),
        minimum: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::dequantise;
    use crate::testing::random::Random;

    /// FNV-1a of the elements' bytes, and some elements, by gguf-py 0.19.0 (`gguf.quants.dequantize`) from the same bytes, 24 November 2026.
    const KNOWN: [(TensorType, u64, [f32; 7]); 3] = [
        (
            TensorType::Q4K,
            0x0e25_687b_5043_6118,
            [
                0.5544715,
                0.4757266,
                0.08200216,
                0.05517006,
                0.15210462,
                0.009824634,
                -1.5322547,
            ],
        ),
        (
            TensorType::Q5K,
            0x25d3_2770_aa9e_79c9,
            [
                91.57202, 65.33911, 65.33911, 144.75586, 53.858887, 12.935596, 89.30194,
            ],
        ),
        (
            TensorType::Q6K,
            0xd6b2_0b77_ec46_c4b0,
            [
                -3.4644318, -2.474594, -2.969513, -8.794327, -3.9745789, 0.0, 6.4064026,
            ],
        ),
    ];

    #[test]
    fn random_blocks_stand_for_what_ggml_says() {
        for (ty, hash, some) in KNOWN {
            let block = ty.block_bytes() as usize;
            let mut random = Random(ty.id().into());
            let mut bytes: Vec<u8> = (0..64 * block).map(|_| random.next() as u8).collect();
            // No infinities and no NaN among the halves.
            let halves: &[usize] = if ty == TensorType::Q6K {
                &[208]
            } else {
                &[0, 2]
            };
            for (index, half) in (0..64).flat_map(|index| halves.iter().map(move |it| (index, it)))
            {
                bytes[index * block + half + 1] &= 0xBF;
            }
            let found = dequantise(ty, &bytes);
            let at = [0, 1, 17, 33, 255, 356, 16383].map(|index: usize| found[index]);
            assert_eq!(at, some, "{ty:?}");
            // Without negative zero.
            let written = found.iter().flat_map(|it| (it + 0.0).to_le_bytes());
            let hashed = written.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            });
            assert_eq!(hashed, hash, "{ty:?}");
        }
    }

    #[test]
    fn parts_and_other_types_are_no_super_blocks() {
        for ty in [TensorType::Q4K, TensorType::Q5K, TensorType::Q6K] {
            let bytes = vec![0; ty.block_bytes() as usize];
            assert!(SuperBlock::read(ty, &bytes).is_some());
            assert!(SuperBlock::read(ty, &bytes[1..]).is_none());
        }
        assert!(SuperBlock::read(TensorType::Q8_0, &[0; 256]).is_none());
    }
}
