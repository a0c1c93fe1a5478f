//! One sequence of tokens on its way through a model: the cache, the scratch buffers, and the forward pass.

use tidegate::{Buffer, Pending, Policy, Stream};

use crate::config::Config;
use crate::error::Error;
use crate::kernels::{ARGMAX_CHUNK, Then};
use crate::model::{Layer, Model};
use crate::weights::Matrix;

/// Most tokens that go through the model together.
pub(crate) const CHUNK_TOKENS: u32 = 32;

/// A sequence. Its tokens live on the device, so that the next one needs no round trip.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    model: &'a Model,
    pub(crate) stream: Stream,
    /// The whole sequence: the prompt, then what the argmax appends.
    tokens: Buffer<u32>,
    /// Cosine and sine of each position's angle for each pair of a head.
    turns: Buffer<[f32; 2]>,
    /// Keys and values of each layer, as pairs of halves.
    caches: Vec<(Buffer<u32>, Buffer<u32>)>,
    scratch: Scratch,
}

/// Activations of one chunk.
#[derive(Debug)]
struct Scratch {
    x: Buffer<f32>,
    normed: Buffer<f32>,
    qkv: Buffer<f32>,
    attention: Buffer<f32>,
    activated: Buffer<f32>,
    logits: Buffer<f32>,
    best: Buffer<[u32; 2]>,
    nll: Buffer<f32>,
}

impl<'a> Session<'a> {
    /// A session for up to `tokens` tokens, which keeps the logits of up to `logits` tokens at a time.
    pub(crate) fn new(
        model: &'a Model,
        policy: Policy,
        tokens: u32,
        logits: u32,
    ) -> Result<Self, Error> {
        let (device, config) = (&model.device, &model.config);
        let mut stream = device.stream_with(policy)?;
        let chunk = CHUNK_TOKENS as usize;
        let row = config.key_value_width() as usize / 2;
        let caches = (0..config.layers)
            .map(|_| {
                let cache = || device.buffer(row * tokens as usize);
                Ok((cache()?, cache()?))
            })
            .collect::<Result<_, Error>>()?;
        let vocabulary = config.vocabulary;
        let scratch = Scratch {
            x: device.buffer(chunk * config.embedding as usize)?,
            normed: device.buffer(chunk * config.embedding as usize)?,
            qkv: device.buffer(chunk * (config.query_width() as usize + 4 * row))?,
            attention: device.buffer(chunk * config.query_width() as usize)?,
            activated: device.buffer(chunk * config.feed_forward as usize)?,
            logits: device.buffer(logits as usize * vocabulary as usize)?,
            best: device.buffer(vocabulary.div_ceil(ARGMAX_CHUNK) as usize)?,
            nll: device.buffer(tokens as usize)?,
        };
        Ok(Self {
            model,
            tokens: device.buffer(tokens as usize + 1)?,
            turns: stream.upload_new(&turns(config, tokens))?,
            caches,
            scratch,
            stream,
        })
    }

    /// Writes tokens into the sequence.
    pub(crate) fn set_tokens(&mut self, position: u32, tokens: &[u32]) -> Result<(), Error> {
        let target = self.tokens.slice(position as usize..)?;
        Ok(self.stream.upload(target, tokens)?)
    }

    /// Starts to read a token of the sequence.
    pub(crate) fn token(&mut self, position: u32) -> Result<Pending<u32>, Error> {
        let at = position as usize;
        Ok(self.stream.download(self.tokens.slice(at..=at)?)?)
    }

    /// Runs `count` tokens (at most [`CHUNK_TOKENS`]) from `position` through all layers.
    pub(crate) fn forward(&mut self, position: u32, count: u32) -> Result<(), Error> {
        let model = self.model;
        let blocks = model.embedding.blocks();
        self.stream.launch(
            &model.kernels.embed,
            [blocks.div_ceil(64), count],
            (
                model.embedding.weights(),
                &self.tokens,
                &self.scratch.x,
                blocks,
                position,
                model.config.vocabulary,
            ),
        )?;
        for (index, layer) in model.layers.iter().enumerate() {
            self.attend(index, layer, position, count)?;
            self.feed_forward(layer, count)?;
        }
        Ok(())
    }

    fn attend(
        &mut self,
        index: usize,
        layer: &Layer,
        position: u32,
        count: u32,
    ) -> Result<(), Error> {
        let Self {
            model,
            stream,
            turns,
            caches,
            scratch,
            ..
        } = self;
        let config = &model.config;
        let (keys, values) = &caches[index];
        let norm = (0, count);
        normalise(
            model,
            stream,
            &scratch.x,
            &layer.attention_norm,
            &scratch.normed,
            norm,
        )?;
        let qkv = (&layer.qkv, Then::Store);
        multiply(model, stream, qkv, &scratch.normed, &scratch.qkv, count)?;
        let pairs = (config.heads + 2 * config.heads_kv) * config.head_elements / 2;
        stream.launch(
            &model.kernels.rope,
            [pairs.div_ceil(64), count],
            (&scratch.qkv, &*turns, keys, values, &layer.bias, position),
        )?;
        stream.launch(
            &model.kernels.attention,
            [config.heads, count],
            (&scratch.qkv, keys, values, &scratch.attention, position),
        )?;
        let output = (&layer.attention_output, Then::Add);
        multiply(model, stream, output, &scratch.attention, &scratch.x, count)
    }

    fn feed_forward(&mut self, layer: &Layer, count: u32) -> Result<(), Error> {
        let Self {
            model,
            stream,
            scratch,
            ..
        } = self;
        let norm = (0, count);
        normalise(
            model,
            stream,
            &scratch.x,
            &layer.feed_forward_norm,
            &scratch.normed,
            norm,
        )?;
        let gate_up = (&layer.gate_up, Then::Gate);
        multiply(
            model,
            stream,
            gate_up,
            &scratch.normed,
            &scratch.activated,
            count,
        )?;
        let down = (&layer.down, Then::Add);
        multiply(model, stream, down, &scratch.activated, &scratch.x, count)
    }

    /// Computes the logits of `count` tokens of the last chunk, from its token `first` on.
    pub(crate) fn project(&mut self, first: u32, count: u32) -> Result<(), Error> {
        let Self {
            model,
            stream,
            scratch,
            ..
        } = self;
        let norm = (first, count);
        normalise(
            model,
            stream,
            &scratch.x,
            &model.output_norm,
            &scratch.normed,
            norm,
        )?;
        let output = (model.output(), Then::Store);
        multiply(
            model,
            stream,
            output,
            &scratch.normed,
            &scratch.logits,
            count,
        )
    }

    /// Appends the likeliest next token, at `position`, from the logits of one token.
    pub(crate) fn append_likeliest(&mut self, position: u32) -> Result<(), Error> {
        let vocabulary = self.model.config.vocabulary;
        let kernels = &self.model.kernels;
        let (logits, best) = (&self.scratch.logits, &self.scratch.best);
        let chunks = vocabulary.div_ceil(ARGMAX_CHUNK);
        self.stream.launch(
            &kernels.argmax_parts,
            chunks,
            (logits, best, vocabulary, position),
        )?;
        self.stream.launch(
            &kernels.argmax_pick,
            1,
            (best, &self.tokens, vocabulary, position),
        )?;
        Ok(())
    }

    /// Starts to read the logits of one token.
    pub(crate) fn logits(&mut self) -> Result<Pending<f32>, Error> {
        let vocabulary = self.model.config.vocabulary as usize;
        let logits = self.scratch.logits.slice(..vocabulary)?;
        Ok(self.stream.download(logits)?)
    }

    /// Scores `count` tokens from `position` by their logits: each by how likely it makes its successor.
    pub(crate) fn score(&mut self, position: u32, count: u32) -> Result<(), Error> {
        let vocabulary = self.model.config.vocabulary;
        let (logits, nll) = (&self.scratch.logits, &self.scratch.nll);
        Ok(self.stream.launch(
            &self.model.kernels.score,
            count,
            (logits, &self.tokens, nll, vocabulary, position),
        )?)
    }

    /// Starts to read the scores of the first `count` tokens.
    pub(crate) fn scores(&mut self, count: u32) -> Result<Pending<f32>, Error> {
        let nll = self.scratch.nll.slice(..count as usize)?;
        Ok(self.stream.download(nll)?)
    }
}

/// Norms `tokens` (the first, and how many) of `x` into `y`.
fn normalise(
    model: &Model,
    stream: &mut Stream,
    x: &Buffer<f32>,
    weight: &Buffer<f32>,
    y: &Buffer<f32>,
    (first, count): (u32, u32),
) -> Result<(), Error> {
    let (columns, epsilon) = (model.config.embedding, model.config.norm_epsilon);
    let arguments = (x, weight, y, columns, first, epsilon);
    Ok(stream.launch(&model.kernels.norm, count, arguments)?)
}

fn multiply(
    model: &Model,
    stream: &mut Stream,
    (matrix, then): (&Matrix, Then),
    x: &Buffer<f32>,
    y: &Buffer<f32>,
    tokens: u32,
) -> Result<(), Error> {
    let product = model.kernels.matmul(matrix.format, then, tokens == 1);
    let rows = match then {
        Then::Gate => matrix.rows / 2,
        _ => matrix.rows,
    };
    let grid = [
        rows.div_ceil(product.outputs),
        tokens.div_ceil(product.tokens),
    ];
    let arguments = (matrix.weights(), x, y, rows, matrix.blocks(), tokens);
    Ok(stream.launch(&product.kernel, grid, arguments)?)
}

/// Cosine and sine of `position * base^(-2 i / n)` for each position and each pair `i` of a head; pairs that are not rotated have angle 0.
/// (Su et al., "RoFormer", 2021, equation 15.)
fn turns(config: &Config, positions: u32) -> Vec<[f32; 2]> {
    let pairs = config.head_elements / 2;
    let rotated = config.rope_elements / 2;
    let base = f64::from(config.rope_base);
    let turn = |position: u32, pair: u32| {
        if pair >= rotated {
            return [1.0, 0.0];
        }
        let exponent = -2.0 * f64::from(pair) / f64::from(config.rope_elements);
        let angle = f64::from(position) * base.powf(exponent);
        [angle.cos() as f32, angle.sin() as f32]
    };
    (0..positions)
        .flat_map(|position| (0..pairs).map(move |pair| turn(position, pair)))
        .collect()
}
