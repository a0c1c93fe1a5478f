//! One sequence of tokens on its way through a model: the cache, the scratch buffers, and the forward pass.
//!
//! The prompt goes through in chunks: [`Session::prefill`]. Then one token at a time: the output projection of the last one and the choice of the next, [`Session::choose`], and the layers for
//! that one, [`Session::advance`]. Where a token stands in the sequence is on the device, so that each such step launches the same kernels with the same arguments.

use std::sync::Arc;

use tidegate::{Argument, Arguments, Buffer, Graph, List, Pending, Policy, Stream};

use crate::config::Config;
use crate::error::Error;
use crate::kernels::Role;
use crate::network::Network;
use crate::weights::{Matrix, Piece};

/// A sequence. Its tokens live on the device, so that the next one needs no round trip.
#[derive(Debug)]
pub(crate) struct Session {
    network: Arc<Network>,
    pub(crate) stream: Stream,
    /// The whole sequence: the prompt, then what is chosen.
    tokens: Buffer<u32>,
    /// Position of the token that goes through the model one at a time, or went last.
    progress: Buffer<u32>,
    /// Cosine and sine of each position's angle for each pair of a head.
    turns: Buffer<[f32; 2]>,
    /// Keys and values of each layer, as pairs of halves.
    caches: Vec<(Buffer<u32>, Buffer<u32>)>,
    scratch: Scratch,
    /// Parts that attention to the longest past is divided into.
    parts: u32,
    /// A step, captured: [`Self::advance`] and [`Self::choose`].
    graph: Option<Graph>,
}

/// Activations of one chunk.
#[derive(Debug)]
struct Scratch {
    x: Buffer<f32>,
    normed: Buffer<f32>,
    qkv: Buffer<f32>,
    attention: Buffer<f32>,
    /// What each part of attention weighs.
    shares: Buffer<[f32; 2]>,
    activated: Buffer<f32>,
    logits: Buffer<f32>,
    best: Buffer<[u32; 2]>,
    nll: Buffer<f32>,
}

/// A buffer that a kernel takes or not, depending on what it is compiled for.
struct Maybe<'a>(Option<&'a dyn Argument>);

impl Argument for Maybe<'_> {
    fn add(&self, list: &mut List) {
        if let Some(buffer) = self.0 {
            buffer.add(list);
        }
    }
}

impl Session {
    /// A session for up to `tokens` tokens, which keeps the logits of up to `logits` tokens at a time.
    pub(crate) fn new(
        network: &Arc<Network>,
        policy: Policy,
        tokens: u32,
        logits: u32,
    ) -> Result<Self, Error> {
        let (device, config) = (&network.device, &network.config);
        let mut stream = device.stream_with(policy)?;
        let chunk = network.chunk_tokens().min(tokens) as usize;
        let row = config.key_value_width() as usize / 2;
        // Keys lie in blocks of 32 positions.
        let positions = tokens.next_multiple_of(32) as usize;
        let caches = (0..config.layers)
            .map(|_| {
                let cache = || device.buffer(row * positions);
                Ok((cache()?, cache()?))
            })
            .collect::<Result<_, Error>>()?;
        let parts = network.kernels.parts(config, tokens);
        let scratch = Scratch {
            x: device.buffer(chunk * config.embedding as usize)?,
            normed: device.buffer(chunk * config.embedding as usize)?,
            qkv: device.buffer(chunk * (config.query_width() as usize + 4 * row))?,
            attention: device.buffer(chunk.max(parts as usize) * config.query_width() as usize)?,
            shares: device.buffer((parts * config.heads) as usize)?,
            activated: device.buffer(chunk * config.feed_forward as usize)?,
            logits: device.buffer(logits as usize * config.vocabulary as usize)?,
            best: device.buffer(network.kernels.pairs() as usize)?,
            nll: device.buffer(tokens as usize)?,
        };
        Ok(Self {
            network: Arc::clone(network),
            tokens: device.buffer(tokens as usize + 1)?,
            progress: device.buffer(1)?,
            turns: stream.upload_new(&turns(config, tokens))?,
            caches,
            scratch,
            stream,
            parts,
            graph: None,
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

    /// Starts to read the first `count` tokens of the sequence.
    pub(crate) fn sequence(&mut self, count: u32) -> Result<Pending<u32>, Error> {
        Ok(self.stream.download(self.tokens.slice(..count as usize)?)?)
    }

    /// Runs the first `tokens` tokens through the model, and leaves the last one for [`Self::choose`] and [`Self::project`].
    pub(crate) fn prefill(&mut self, tokens: u32) -> Result<(), Error> {
        let chunk = self.network.chunk_tokens();
        let mut last = 0;
        for position in (0..tokens).step_by(chunk as usize) {
            let count = chunk.min(tokens - position);
            self.forward(position, count)?;
            last = count - 1;
        }
        if last > 0 {
            let width = self.network.config.embedding as usize;
            let from = last as usize * width;
            let x = &self.scratch.x;
            self.stream
                .copy(x.slice(from..from + width)?, x.slice(..width)?)?;
        }
        self.set_progress(tokens - 1)
    }

    fn set_progress(&mut self, position: u32) -> Result<(), Error> {
        Ok(self.stream.upload(&self.progress, &[position])?)
    }

    /// Runs `count` tokens, at most a chunk, from `position` through all layers.
    pub(crate) fn forward(&mut self, position: u32, count: u32) -> Result<(), Error> {
        self.embed(position, count)?;
        let (network, stream, scratch) = (&*self.network, &mut self.stream, &self.scratch);
        let (x, normed) = (&scratch.x, &scratch.normed);
        for (layer, cache) in network.layers.iter().zip(&self.caches) {
            normalise(network, stream, x, &layer.attention_norm, normed, count)?;
            let bias = Maybe(layer.bias.as_ref().map(|it| it as _));
            let qkv = (layer.qkv_role(), &layer.qkv, bias);
            multiply(network, stream, qkv, normed, &scratch.qkv, count)?;
            attend(
                network,
                stream,
                scratch,
                &self.turns,
                cache,
                (position, count),
            )?;
            let output = (Role::AttentionOutput, &layer.attention_output, Maybe(None));
            multiply(network, stream, output, &scratch.attention, x, count)?;
            normalise(network, stream, x, &layer.feed_forward_norm, normed, count)?;
            let gate_up = (Role::GateUp, &layer.gate_up, Maybe(None));
            multiply(network, stream, gate_up, normed, &scratch.activated, count)?;
            let down = (Role::Down, &layer.down, Maybe(None));
            multiply(network, stream, down, &scratch.activated, x, count)?;
        }
        Ok(())
    }

    fn embed(&mut self, position: u32, count: u32) -> Result<(), Error> {
        let network = &self.network;
        let table = &network.embedding;
        let (blocks, vocabulary) = (table.blocks(), network.config.vocabulary);
        for piece in &table.pieces {
            let (tokens, x) = (&self.tokens, &self.scratch.x);
            self.stream.launch(
                &network.kernels.embed,
                [blocks.div_ceil(64), count],
                (
                    piece,
                    tokens,
                    x,
                    blocks,
                    position,
                    vocabulary,
                    piece.first,
                    piece.rows,
                ),
            )?;
        }
        Ok(())
    }

    /// Computes the logits of the `count` tokens of the last chunk.
    pub(crate) fn project_chunk(&mut self, count: u32) -> Result<(), Error> {
        let (network, scratch) = (&*self.network, &self.scratch);
        let (stream, normed) = (&mut self.stream, &scratch.normed);
        normalise(
            network,
            stream,
            &scratch.x,
            &network.output_norm,
            normed,
            count,
        )?;
        let head = (Role::Head, network.head(), Maybe(None));
        multiply(network, stream, head, normed, &scratch.logits, count)
    }

    /// Runs the token that was chosen through all layers.
    pub(crate) fn advance(&mut self) -> Result<(), Error> {
        let network = &*self.network;
        let (stream, scratch) = (&mut self.stream, &self.scratch);
        for (layer, (keys, values)) in network.layers.iter().zip(&self.caches) {
            let x = &scratch.x;
            let norm = Maybe(Some(&layer.attention_norm));
            let bias = Maybe(layer.bias.as_ref().map(|it| it as _));
            fused(network, stream, layer.qkv_role(), &layer.qkv, |it| {
                (it, x, &scratch.qkv, &norm, &bias)
            })?;
            stream.launch(
                &network.kernels.attend,
                [network.config.heads, self.parts],
                (
                    &scratch.qkv,
                    keys,
                    values,
                    &scratch.attention,
                    &self.turns,
                    &scratch.shares,
                    &self.progress,
                ),
            )?;
            let merged = network.kernels.merges();
            let shares = Maybe(merged.then_some(&scratch.shares as _));
            let progress = Maybe(merged.then_some(&self.progress as _));
            let output = &layer.attention_output;
            fused(network, stream, Role::AttentionOutput, output, |it| {
                (it, &scratch.attention, x, &shares, &progress)
            })?;
            let norm = &layer.feed_forward_norm;
            fused(network, stream, Role::GateUp, &layer.gate_up, |it| {
                (it, x, &scratch.activated, norm)
            })?;
            fused(network, stream, Role::Down, &layer.down, |it| {
                (it, &scratch.activated, x)
            })?;
        }
        Ok(())
    }

    /// Computes the logits of the token that went through the model last.
    pub(crate) fn project(&mut self) -> Result<(), Error> {
        let (network, scratch) = (&*self.network, &self.scratch);
        let norm = &network.output_norm;
        fused(
            network,
            &mut self.stream,
            Role::Head,
            network.head(),
            |it| (it, &scratch.x, &scratch.logits, norm, &scratch.best),
        )
    }

    /// Computes the logits of the token that went through the model last and appends the likeliest one to follow, which is at `position`.
    pub(crate) fn choose(&mut self, position: u32) -> Result<(), Error> {
        self.project()?;
        let network = &self.network;
        let (best, x) = (&self.scratch.best, &self.scratch.x);
        let (tokens, progress) = (&self.tokens, &self.progress);
        if let Some(table) = network.embedding.whole() {
            let arguments = (table, best, tokens, progress, x);
            return Ok(self.stream.launch(&network.kernels.pick, 1, arguments)?);
        }
        let arguments = (best, tokens, progress);
        self.stream.launch(&network.kernels.pick, 1, arguments)?;
        self.embed(position, 1)
    }

    /// Runs the token that was chosen through all layers and appends the likeliest one to follow, at `position`.
    pub(crate) fn step(&mut self, position: u32) -> Result<(), Error> {
        if let Some(graph) = &self.graph {
            return Ok(self.stream.launch_graph(graph)?);
        }
        self.advance()?;
        self.choose(position)
    }

    /// From now on a step is the launch of a graph. Nothing changes, and `false` is returned, where the embedding is in pieces: its kernels are told the position.
    pub(crate) fn capture_step(&mut self) -> Result<bool, Error> {
        if self.network.embedding.whole().is_none() {
            return Ok(false);
        }
        self.stream.begin_capture()?;
        // The position is on the device.
        let recorded = self.advance().and_then(|()| self.choose(0));
        let captured = recorded.and_then(|()| Ok(self.stream.end_capture()?));
        if captured.is_err() {
            self.stream.abandon_capture();
        }
        self.graph = Some(captured?);
        Ok(true)
    }

    /// Appends a token, at `position`, that the host chose.
    pub(crate) fn append(&mut self, position: u32, token: u32) -> Result<(), Error> {
        self.set_tokens(position, &[token])?;
        self.set_progress(position)?;
        self.embed(position, 1)
    }

    /// Starts to read the logits of one token.
    pub(crate) fn logits(&mut self) -> Result<Pending<f32>, Error> {
        let vocabulary = self.network.config.vocabulary as usize;
        let logits = self.scratch.logits.slice(..vocabulary)?;
        Ok(self.stream.download(logits)?)
    }

    /// Scores `count` tokens from `position` by their logits: each by how likely it makes its successor.
    pub(crate) fn score(&mut self, position: u32, count: u32) -> Result<(), Error> {
        let vocabulary = self.network.config.vocabulary;
        let (logits, nll) = (&self.scratch.logits, &self.scratch.nll);
        Ok(self.stream.launch(
            &self.network.kernels.score,
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

/// Norms the first `count` tokens of `x` into `y`.
fn normalise(
    network: &Network,
    stream: &mut Stream,
    x: &Buffer<f32>,
    weight: &Buffer<f32>,
    y: &Buffer<f32>,
    count: u32,
) -> Result<(), Error> {
    let (columns, epsilon) = (network.config.embedding, network.config.norm_epsilon);
    let arguments = (x, weight, y, columns, epsilon);
    Ok(stream.launch(&network.kernels.norm, count, arguments)?)
}

/// Turns and appends the keys of several tokens, and attends to all before them.
fn attend(
    network: &Network,
    stream: &mut Stream,
    scratch: &Scratch,
    turns: &Buffer<[f32; 2]>,
    (keys, values): &(Buffer<u32>, Buffer<u32>),
    (position, count): (u32, u32),
) -> Result<(), Error> {
    let (kernels, config) = (&network.kernels, &network.config);
    let pairs = (config.heads + 2 * config.heads_kv) * config.head_elements / 2;
    stream.launch(
        &kernels.rope,
        [pairs.div_ceil(64), count],
        (&scratch.qkv, turns, keys, values, position),
    )?;
    stream.launch(
        &kernels.attention,
        [config.heads, count],
        (&scratch.qkv, keys, values, &scratch.attention, position),
    )?;
    Ok(())
}

/// Multiplies several tokens.
fn multiply(
    network: &Network,
    stream: &mut Stream,
    (role, matrix, bias): (Role, &Matrix, Maybe<'_>),
    x: &Buffer<f32>,
    y: &Buffer<f32>,
    tokens: u32,
) -> Result<(), Error> {
    let product = network.kernels.product(role, matrix.format);
    let (height, blocks) = (matrix.outputs(), matrix.blocks());
    for piece in &matrix.pieces {
        let grid = [
            piece.rows.div_ceil(product.outputs),
            tokens.div_ceil(product.tokens),
        ];
        let (first, rows) = (piece.first, piece.rows);
        let arguments = (piece, x, y, &bias, first, rows, height, blocks, tokens);
        stream.launch(&product.kernel, grid, arguments)?;
    }
    Ok(())
}

/// Multiplies one token by each piece of a matrix; `arguments` binds a piece.
fn fused<'a, A: Arguments>(
    network: &'a Network,
    stream: &mut Stream,
    role: Role,
    matrix: &'a Matrix,
    arguments: impl Fn(&'a Piece) -> A,
) -> Result<(), Error> {
    for piece in &matrix.pieces {
        let made = network.kernels.matvec(role, matrix, piece);
        stream.launch(&made.kernel, made.groups, arguments(piece))?;
    }
    Ok(())
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
