use half::f16;

use crate::quant::TensorType;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From -1 to 1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Weights of mean 0, of about the size that keeps activations near 1.
    pub(crate) fn matrix(&mut self, ty: TensorType, dims: [u64; 2]) -> Vec<u8> {
        let scale = (3.0 / dims[0] as f32).sqrt();
        let mut data = Vec::new();
        for _ in 0..dims[0] * dims[1] / ty.block_elements() {
            // Blocks differ in scale, so that a scale taken from a neighbouring block shows.
            let block_scale = scale * (1.0 + 0.5 * self.unit());
            match ty {
                TensorType::F32 => data.extend((self.unit() * scale).to_le_bytes()),
                TensorType::F16 => data.extend(f16::from_f32(self.unit() * scale).to_le_bytes()),
                TensorType::Bf16 => {
                    data.extend(half::bf16::from_f32(self.unit() * scale).to_le_bytes())
                }
                TensorType::Q4_0 => data.extend(f16::from_f32(block_scale / 8.0).to_le_bytes()),
                TensorType::Q4_1 => {
                    data.extend(f16::from_f32(block_scale / 7.5).to_le_bytes());
                    data.extend(f16::from_f32(-block_scale).to_le_bytes());
                }
                TensorType::Q8_0 => data.extend(f16::from_f32(block_scale / 127.0).to_le_bytes()),
                TensorType::Q4K | TensorType::Q5K | TensorType::Q6K => {
                    data.extend(self.super_block(ty, block_scale));
                }
            }
            let packed_bytes = match ty {
                TensorType::Q4_0 | TensorType::Q4_1 => 16,
                TensorType::Q8_0 => 32,
                _ => 0,
            };
            data.extend((0..packed_bytes).map(|_| self.next() as u8));
        }
        data
    }

    /// All scales and quants at random, with multipliers that make the largest weights about `scale`: they are halves too small to be normal, as in real files.
    fn super_block(&mut self, ty: TensorType, scale: f32) -> Vec<u8> {
        let mut block: Vec<u8> = (0..ty.block_bytes()).map(|_| self.next() as u8).collect();
        let mut half = |at: usize, value: f32| {
            block[at..at + 2].copy_from_slice(&f16::from_f32(value).to_le_bytes());
        };
        match ty {
            TensorType::Q4K | TensorType::Q5K => {
                let largest = (1u32 << if ty == TensorType::Q4K { 4 } else { 5 }) - 1;
                half(0, 2.0 * scale / (63 * largest) as f32);
                half(2, scale / 63.0);
            }
            _ => half(208, scale / (128.0 * 32.0)),
        }
        block
    }

    /// Blocks of a quantised type with random quants and scales, whose multipliers are each in turn 0, small and large, of both signs; none stands for an infinity.
    #[cfg(test)]
    pub(crate) fn extreme_blocks(&mut self, ty: TensorType, count: usize) -> Vec<u8> {
        // The least and the largest subnormal half, the least normal one, 1, and near the largest (Q4_0 on the device has 8 times that).
        const HALVES: [u16; 6] = [0, 1, 0x3FF, 0x400, 0x3C00, 0x6FFF];
        const SIGN: u16 = 0x8000;
        let at: &[usize] = match ty {
            TensorType::Q4_0 | TensorType::Q8_0 => &[0],
            TensorType::Q6K => &[208],
            _ => &[0, 2],
        };
        let mut out = Vec::new();
        for _ in 0..count {
            let start = out.len();
            let all = [None, None, Some(0), Some(0xFF)][self.next() as usize % 4];
            out.extend((0..ty.block_bytes()).map(|_| all.unwrap_or(self.next() as u8)));
            for half in at {
                let value = HALVES[self.next() as usize % HALVES.len()];
                let value = value ^ (SIGN * (self.next() % 2) as u16);
                out[start + half..start + half + 2].copy_from_slice(&value.to_le_bytes());
            }
        }
        out
    }
}
