//! Choosing the next token from logits, on the host.

use std::cmp::Ordering;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// How the next token is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerOptions {
    /// What logits are divided by. At 0 the likeliest token is taken, always; the other options then do nothing.
    pub temperature: f32,
    /// Choose among this many of the likeliest tokens. `None` is all.
    pub top_k: Option<u32>,
    /// Choose among the fewest likeliest tokens that are together at least this likely. 1 is all.
    pub top_p: f32,
    /// Where the random numbers begin: the same seed, logits and options give the same tokens.
    pub seed: u64,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            seed: 0,
        }
    }
}

/// Why options are refused, or no token can be chosen.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// A temperature that is negative, infinite or not a number.
    #[error(
        "the temperature is {found} and must be finite and at least 0; 0 takes the likeliest token, 0.8 is usual"
    )]
    Temperature {
        /// The temperature given.
        found: f32,
    },
    /// A top-p that is not a probability, or 0.
    #[error("top-p is {found} and must be more than 0 and at most 1; 1 considers every token")]
    TopP {
        /// The value given.
        found: f32,
    },
    /// A top-k of 0.
    #[error("top-k is 0 and must be at least 1; leave it out to consider every token")]
    TopK,
    /// A logit that no computation of a healthy model gives.
    #[error(
        "the logit of token {token} is {logit}; the model file is damaged or a kernel is wrong, please report it"
    )]
    BadLogit {
        /// The token.
        token: u32,
        /// NaN or infinity.
        logit: f32,
    },
    /// Every logit is minus infinity, or there are none.
    #[error(
        "none of the {logits} tokens is possible; the model file is damaged or a kernel is wrong, please report it"
    )]
    NoToken {
        /// How many logits there were.
        logits: usize,
    },
}

/// Chooses tokens.
#[derive(Clone, Debug)]
pub struct Sampler {
    options: SamplerOptions,
    random: ChaCha8Rng,
}

impl Sampler {
    /// Checks the options.
    ///
    /// # Errors
    /// [`SamplerError`], naming the option that is out of range.
    pub fn new(options: SamplerOptions) -> Result<Self, SamplerError> {
        let SamplerOptions {
            temperature,
            top_k,
            top_p,
            seed,
        } = options;
        if !temperature.is_finite() || temperature < 0.0 {
            return Err(SamplerError::Temperature { found: temperature });
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(SamplerError::TopP { found: top_p });
        }
        if top_k == Some(0) {
            return Err(SamplerError::TopK);
        }
        Ok(Self {
            options,
            random: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    /// Whether the likeliest token is always taken: then the device can choose it, and logits need not come back.
    pub fn is_greedy(&self) -> bool {
        self.options.temperature == 0.0
    }

    /// The next token. Temperature comes first, then top-k, then top-p, as in Hugging Face's transformers.
    ///
    /// # Errors
    /// [`SamplerError::BadLogit`], [`SamplerError::NoToken`].
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32, SamplerError> {
        let likeliest = argmax(logits)?;
        if self.is_greedy() {
            return Ok(likeliest);
        }
        let max = logits[likeliest as usize];
        let mut candidates: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
        // Ties go to the smaller token, so that the order is one and the same everywhere.
        let order = |a: &(u32, f32), b: &(u32, f32)| -> Ordering {
            b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
        };
        if let Some(top_k) = self
            .options
            .top_k
            .map(|top_k| top_k as usize)
            .filter(|&top_k| top_k < candidates.len())
        {
            candidates.select_nth_unstable_by(top_k - 1, order);
            candidates.truncate(top_k);
        }
        candidates.sort_unstable_by(order);

        let temperature = f64::from(self.options.temperature);
        let weight = |&(_, logit): &(u32, f32)| (f64::from(logit - max) / temperature).exp();
        let weights: Vec<f64> = candidates.iter().map(weight).collect();
        let nucleus = f64::from(self.options.top_p) * weights.iter().sum::<f64>();
        let mut kept = 0.0;
        let mut count = 0;
        for weight in &weights {
            kept += weight;
            count += 1;
            if kept >= nucleus {
                break;
            }
        }
        let mut left = self.unit() * kept;
        for (&(token, _), weight) in candidates.iter().zip(&weights).take(count) {
            if left < *weight {
                return Ok(token);
            }
            left -= weight;
        }
        // Rounding used up the last candidate's share.
        Ok(candidates
            .get(count - 1)
            .map_or(likeliest, |&(token, _)| token))
    }

    /// From 0 to 1, without 1: the 53 bits that a double holds.
    fn unit(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The token of the largest logit; of equal ones, the first.
///
/// # Errors
/// [`SamplerError::BadLogit`] for a NaN or plus infinity, [`SamplerError::NoToken`] if there is no finite logit.
pub fn argmax(logits: &[f32]) -> Result<u32, SamplerError> {
    let mut best: Option<(u32, f32)> = None;
    for (token, &logit) in (0..).zip(logits) {
        if logit.is_nan() || logit == f32::INFINITY {
            return Err(SamplerError::BadLogit { token, logit });
        }
        if logit > best.map_or(f32::NEG_INFINITY, |(_, largest)| largest) {
            best = Some((token, logit));
        }
    }
    best.map(|(token, _)| token).ok_or(SamplerError::NoToken {
        logits: logits.len(),
    })
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
