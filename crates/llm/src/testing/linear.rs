//! The steps of the reference, each the textbook's definition.

use crate::config::{Config, RopeStyle};

/// Multiplications below which a thread costs more than it brings.
const PARALLEL_MIN: usize = 1 << 20;
/// Partial sums kept apart, so that the compiler may use vector instructions, and the error grows more slowly.
const LANES: usize = 16;

/// Rows of `matrix` (each `width` long) times rows of `input`: one row of output a row of input.
pub(super) fn matrix_product(matrix: &[f32], input: &[f32], width: usize) -> Vec<f32> {
    let (rows, tokens) = (matrix.len() / width, input.len() / width);
    let mut out = vec![0.0; rows * tokens];
    let threads = match rows * input.len() {
        0..PARALLEL_MIN => 1,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let part_rows = rows.div_ceil(threads);
    // A part holds its rows for all tokens; afterwards each goes to its place in every token's row.
    let part = |matrix: &[f32]| -> Vec<f32> {
        let row = |row: &[f32]| {
            input
                .chunks_exact(width)
                .map(|token| dot(row, token))
                .collect::<Vec<f32>>()
        };
        matrix.chunks_exact(width).flat_map(row).collect()
    };
    let parts: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let running: Vec<_> = matrix
            .chunks(part_rows * width)
            .map(|matrix| scope.spawn(move || part(matrix)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no part panics"))
            .collect()
    });
    for (row, products) in parts
        .iter()
        .flat_map(|part| part.chunks_exact(tokens))
        .enumerate()
    {
        for (token, &product) in products.iter().enumerate() {
            out[token * rows + row] = product;
        }
    }
    out
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// RMSNorm: each row divided by its root mean square, times `weight`.
pub(super) fn norm(rows: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact(weight.len()) {
        let mean_square = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / row.len() as f64;
        let scale = (1.0 / (mean_square + f64::from(epsilon)).sqrt()) as f32;
        out.extend(row.iter().zip(weight).map(|(x, weight)| x * scale * weight));
    }
    out
}

/// Turns the pairs of each head of each row; the first row is at `position`.
pub(super) fn rope(rows: &mut [f32], width: usize, config: &Config, position: usize) {
    let elements = config.rope_elements as usize;
    let base = f64::from(config.rope_base);
    for (row_index, row) in rows.chunks_exact_mut(width).enumerate() {
        for pair in 0..elements / 2 {
            let frequency = base.powf(-2.0 * pair as f64 / elements as f64);
            let (sin, cos) = ((position + row_index) as f64 * frequency).sin_cos();
            let (sin, cos) = (sin as f32, cos as f32);
            let (first, second) = match config.architecture.rope_style() {
                RopeStyle::InterleavedPairs => (2 * pair, 2 * pair + 1),
                RopeStyle::RotateHalf => (pair, pair + elements / 2),
            };
            for head in row.chunks_exact_mut(config.head_elements as usize) {
                let (x, y) = (head[first], head[second]);
                head[first] = x * cos - y * sin;
                head[second] = x * sin + y * cos;
            }
        }
    }
}

pub(super) fn softmax(weights: &mut [f32]) {
    let max = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for weight in weights.iter_mut() {
        *weight = (*weight - max).exp();
        sum += *weight;
    }
    weights.iter_mut().for_each(|weight| *weight /= sum);
}

pub(super) fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

pub(super) fn add_assign(sum: &mut [f32], term: &[f32]) {
    sum.iter_mut()
        .zip(term)
        .for_each(|(sum, term)| *sum += term);
}

/// Adds a bias to each row, or nothing if it is empty.
pub(super) fn add_to_rows(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len().max(1)) {
        add_assign(row, bias);
    }
}
