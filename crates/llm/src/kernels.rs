//! The decoder's kernels: WGSL, put together for a model's shape and a device's kind.
//!
//! One token at a time goes through fused kernels, five a layer, because a launch costs a GPU more than what it computes: [`Kernels::matvec`], [`Kernels::attend`],
//! [`Kernels::pick`]. Several tokens together, a prompt, go through plain ones.

mod assemble;
mod shape;
mod source;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tidegate::{Device, Kernel};

#[allow(unreachable_pub, reason = "only the feature `testing` exports it")]
pub use self::shape::Target;
#[cfg(test)]
pub(crate) use self::source::embed as embed_source;
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::source::sources;

use self::shape::Matvec;
use crate::config::Config;
use crate::error::Error;
use crate::format::Format;
use crate::weights::{Matrix, Piece};

/// What a matrix does in the model, and so what its product is fused with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Queries, keys and values from the normed input. The flag is whether they have biases.
    Qkv(bool),
    /// From attention back to the residual stream, to which it is added.
    AttentionOutput,
    /// `silu(first half) * second half`, from the normed input.
    GateUp,
    /// Back to the residual stream, to which it is added.
    Down,
    /// Logits, from the normed input.
    Head,
}

impl Role {
    fn norms(self) -> bool {
        matches!(self, Self::Qkv(_) | Self::GateUp | Self::Head)
    }

    fn adds(self) -> bool {
        matches!(self, Self::AttentionOutput | Self::Down)
    }

    /// Rows of the matrix that make one output.
    pub(crate) fn rows_each(self) -> u32 {
        if self == Self::GateUp { 2 } else { 1 }
    }
}

/// A kernel for one token, and the workgroups it takes.
#[derive(Debug)]
pub(crate) struct Fused {
    pub(crate) kernel: Kernel,
    pub(crate) groups: u32,
}

/// A product for several tokens, and how many outputs and tokens one workgroup computes.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) kernel: Kernel,
    pub(crate) outputs: u32,
    pub(crate) tokens: u32,
}

/// What the fused product of a piece of a matrix is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    role: Role,
    format: Format,
    blocks: u32,
    first: u32,
    rows: u32,
}

impl Key {
    fn new(role: Role, matrix: &Matrix, piece: &Piece) -> Self {
        Self {
            role,
            format: matrix.format,
            blocks: matrix.blocks(),
            first: piece.first,
            rows: piece.rows,
        }
    }
}

/// The kernel that makes random weights, which is called `random`.
pub(crate) fn random_source() -> String {
    assemble::Assembly::new(&[])
        .define(&[("ROW", RANDOM_ROW)])
        .add(include_str!("kernels/random.wgsl"))
        .finish()
}

/// Workgroups along x of the kernel that makes random weights: every device allows so many.
pub(crate) const RANDOM_ROW: u32 = 32768;

/// Compiled kernels: those that a model needs, each once.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub(crate) target: Target,
    pub(crate) norm: Kernel,
    pub(crate) rope: Kernel,
    pub(crate) attention: Kernel,
    pub(crate) score: Kernel,
    pub(crate) embed: Kernel,
    /// Attention of one token, with all that comes before it.
    pub(crate) attend: Kernel,
    /// The end of the argmax, and the beginning of the next token if the embedding table is in one piece.
    pub(crate) pick: Kernel,
    merges: bool,
    products: HashMap<(Role, Format), Product>,
    matvecs: HashMap<Key, Fused>,
}

impl Kernels {
    /// Compiles what a model with this embedding table and these matrices needs. The output projection is among them.
    pub(crate) fn new(
        device: &Device,
        target: Target,
        config: &Config,
        embedding: &Matrix,
        matrices: &[(Role, &Matrix)],
    ) -> Result<Self, Error> {
        let compile = |source: &str, name: &str| -> Result<Kernel, Error> {
            Ok(device.module_from_wgsl(source)?.kernel(name)?)
        };
        let mut products = HashMap::new();
        let mut matvecs = HashMap::new();
        let mut pairs = 0;
        for (role, matrix) in matrices {
            let (role, format) = (*role, matrix.format);
            if let Entry::Vacant(product) = products.entry((role, format)) {
                let (source, name, outputs, tokens) = source::product(target, role, format);
                product.insert(Product {
                    kernel: compile(&source, name)?,
                    outputs,
                    tokens,
                });
            }
            for piece in &matrix.pieces {
                let key = Key::new(role, matrix, piece);
                let Entry::Vacant(made) = matvecs.entry(key) else {
                    continue;
                };
                let shape = Matvec::of(target, role, piece.rows, matrix.blocks());
                let groups = piece.rows.div_ceil(shape.teams() * shape.outputs(role));
                let source = source::matvec(target, config, &key, shape, pairs);
                made.insert(Fused {
                    kernel: compile(&source, "matvec")?,
                    groups,
                });
                if role == Role::Head {
                    pairs += groups;
                }
            }
        }
        let table = embedding.whole().map(|_| embedding.format);
        Ok(Self {
            target,
            norm: compile(source::NORM, "norm")?,
            rope: compile(&source::rope(config), "rope")?,
            attention: compile(&source::attention(target, config, false), "attention")?,
            score: compile(source::NLL, "score")?,
            embed: compile(&source::embed(embedding.format), "embed")?,
            attend: compile(&source::attention(target, config, true), "attention")?,
            pick: compile(&source::pick(target, config, table, pairs), "pick")?,
            merges: source::split(target, config).is_some(),
            products,
            matvecs,
        })
    }

    /// The product for one token.
    pub(crate) fn matvec(&self, role: Role, matrix: &Matrix, piece: &Piece) -> &Fused {
        &self.matvecs[&Key::new(role, matrix, piece)]
    }

    /// The product for several tokens.
    pub(crate) fn product(&self, role: Role, format: Format) -> &Product {
        &self.products[&(role, format)]
    }

    /// Pairs that the output projection leaves for [`Self::pick`].
    pub(crate) fn pairs(&self) -> u32 {
        let heads = self
            .matvecs
            .iter()
            .filter(|(key, _)| key.role == Role::Head);
        heads.map(|(_, made)| made.groups).sum()
    }

    /// Whether the attention output's product weighs the parts of attention.
    pub(crate) fn merges(&self) -> bool {
        self.merges
    }

    /// Parts that attention divides up to `tokens` of the past into.
    pub(crate) fn parts(&self, config: &Config, tokens: u32) -> u32 {
        source::split(self.target, config).map_or(1, |positions| tokens.div_ceil(positions))
    }
}
