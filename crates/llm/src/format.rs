//! How weights are stored on the device, and the WGSL that reads them.

use crate::gguf::TensorInfo;
use crate::quant::{BLOCKS, TensorType};

/// How a block of 32 columns is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Packing {
    /// Four bits, scale and minimum: Q4_1, and Q4_0 with the minimum `-8 d`, which is exact.
    Q4,
    /// Eight bits and a scale.
    Q8,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
    /// Q4_K, exactly, in 4.625 bits an element (its own blocks have 4.5).
    Q4K,
    /// Q5_K, exactly, in 5.625 bits an element (5.5).
    Q5K,
    /// Q6_K, exactly, in 6.625 bits an element (6.5625).
    Q6K,
}

impl Packing {
    /// All of them, for golden files.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const ALL: [Self; 7] = [
        Self::Q4,
        Self::Q8,
        Self::F16,
        Self::F32,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    pub(crate) fn of(ty: TensorType) -> Self {
        match ty {
            TensorType::Q4_0 | TensorType::Q4_1 => Self::Q4,
            TensorType::Q8_0 => Self::Q8,
            TensorType::F16 => Self::F16,
            TensorType::F32 | TensorType::Bf16 => Self::F32,
            TensorType::Q4K => Self::Q4K,
            TensorType::Q5K => Self::Q5K,
            TensorType::Q6K => Self::Q6K,
        }
    }

    /// Words of scales of so many blocks, whole super-blocks where it has such.
    pub(crate) fn scale_words(self, blocks: usize) -> usize {
        match self {
            Self::Q4 | Self::Q8 => blocks,
            Self::F16 | Self::F32 => 0,
            Self::Q4K => blocks / BLOCKS * 5,
            Self::Q5K => blocks / BLOCKS * (5 + 8),
            Self::Q6K => blocks / BLOCKS * (5 + 16),
        }
    }

    /// Words of quants in a block: whole vec4.
    pub(crate) fn block_words(self) -> usize {
        match self {
            Self::Q4 | Self::Q4K | Self::Q5K | Self::Q6K => 4,
            Self::Q8 => 8,
            Self::F16 => 16,
            Self::F32 => 32,
        }
    }

    /// WGSL with the functions `decode(block) -> array<vec4<f32>, 8>` and `part(block, i) -> array<vec4<f32>, 2>`, and the buffers that they read as the bindings 0 and 1.
    fn source(self) -> &'static str {
        match self {
            Self::Q4 => include_str!("kernels/weights_q4.wgsl"),
            Self::Q8 => include_str!("kernels/weights_q8.wgsl"),
            Self::F16 => include_str!("kernels/weights_f16.wgsl"),
            Self::F32 => include_str!("kernels/weights_f32.wgsl"),
            Self::Q4K => include_str!("kernels/weights_q4k.wgsl"),
            Self::Q5K => include_str!("kernels/weights_q5k.wgsl"),
            Self::Q6K => include_str!("kernels/weights_q6k.wgsl"),
        }
    }
}

/// How a matrix is stored: all in one packing, or its first blocks in one and the rest in another.
///
/// The second is for queries, keys and values, which are one matrix: files of mixed types ("Q4_K_M") have better values than keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Format {
    pub(crate) first: Packing,
    /// The packing of the rest, and the blocks before it.
    pub(crate) rest: Option<(Packing, u32)>,
}

impl From<Packing> for Format {
    fn from(first: Packing) -> Self {
        Self { first, rest: None }
    }
}

impl Format {
    /// For tensors one below the other. More than one change of packing, which no known file has, makes all of it single precision.
    pub(crate) fn of(tensors: &[&TensorInfo]) -> Self {
        let packing = |it: &&TensorInfo| Packing::of(it.ty);
        let first = tensors.first().map_or(Packing::F32, packing);
        let same = tensors.iter().take_while(|it| packing(it) == first).count();
        let (above, below) = tensors.split_at(same);
        let Some(rest) = below.first().map(packing) else {
            return first.into();
        };
        let elements: u64 = above.iter().map(|it| it.elements()).sum();
        match u32::try_from(elements / 32) {
            Ok(blocks) if below.iter().all(|it| packing(it) == rest) => Self {
                first,
                rest: Some((rest, blocks)),
            },
            _ => Packing::F32.into(),
        }
    }

    /// The packing of the block with this index.
    pub(crate) fn packing(self, block: usize) -> Packing {
        match self.rest {
            Some((rest, from)) if block >= from as usize => rest,
            _ => self.first,
        }
    }

    /// Words of quants and of scales of so many blocks from the first on.
    pub(crate) fn words(self, blocks: usize) -> (usize, usize) {
        let words = |packing: Packing, blocks: usize| {
            let quants = blocks * packing.block_words();
            (quants, packing.scale_words(blocks))
        };
        let Some((rest, from)) = self.rest.filter(|&(_, from)| blocks > from as usize) else {
            return words(self.first, blocks);
        };
        let above = words(self.first, from as usize);
        let below = words(rest, blocks - from as usize);
        (above.0 + below.0, above.1 + below.1)
    }

    /// WGSL with the functions `decode(block) -> array<vec4<f32>, 8>` and `part(block, i) -> array<vec4<f32>, 2>`, and the buffers that they read as the bindings 0 and, if there are scales, 1.
    pub(crate) fn source(self) -> String {
        let Some((rest, from)) = self.rest else {
            return self.first.source().to_owned();
        };
        let (quants, scales) = self.words(from as usize);
        let [above, below] = [self.first, rest].map(Packing::source);
        let is_binding = |line: &&str| line.starts_with("@group");
        let mut bindings: Vec<&str> = above.lines().chain(below.lines()).collect();
        bindings.retain(is_binding);
        bindings.sort_unstable();
        bindings.dedup();
        let body = |source: &str, name: &str, quants: usize, scales: usize| {
            let lines: Vec<&str> = source.lines().filter(|line| !is_binding(line)).collect();
            let renamed = lines
                .join("\n")
                .replace("fn decode(", &format!("fn decode_{name}("))
                .replace("fn part(", &format!("fn part_{name}("));
            renamed
                .replace("quants[", &format!("quants[{quants}u + "))
                .replace("scales[", &format!("scales[{scales}u + "))
        };
        format!(
            "{}\n{}\n{}\nfn decode(block: u32) -> array<vec4<f32>, 8> {{\n    if block < {from}u {{\n        return decode_above(block);\n    }}\n    \
             return decode_below(block - {from}u);\n}}\n\nfn part(block: u32, i: u32) -> array<vec4<f32>, 2> {{\n    \
             if block < {from}u {{\n        return part_above(block, i);\n    }}\n    return part_below(block - {from}u, i);\n}}\n",
            bindings.join("\n"),
            body(above, "above", 0, 0),
            body(below, "below", quants / 4, scales),
        )
    }
}
