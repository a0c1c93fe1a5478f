//! Text from a model, and how likely a model finds a text.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tidegate::Policy;

use crate::error::Error;
use crate::model::Model;
use crate::sampler::{Sampler, SamplerOptions};
use crate::session::Session;

/// How to generate.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// Tokens at most.
    pub max_tokens: u32,
    /// How the next token is chosen.
    pub sampler: SamplerOptions,
    /// When work is let through to the device.
    pub policy: Policy,
}

impl Default for GenerateOptions {
    /// 128 tokens, each the likeliest, under the adaptive policy.
    fn default() -> Self {
        Self {
            max_tokens: 128,
            sampler: SamplerOptions::default(),
            policy: Policy::Adaptive,
        }
    }
}

/// What was generated.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The tokens, without the one that ended the text.
    pub ids: Vec<u32>,
    /// From the start to the first token, including it.
    pub prefill: Duration,
    /// From the first token to the last.
    pub decode: Duration,
    /// Steps of `decode`: the tokens after the first, including one that ended the text.
    pub decode_steps: u32,
}

impl Model {
    /// Continues a prompt until a token that ends the text, `max_tokens`, or until `on_token` breaks.
    ///
    /// The likeliest token is chosen on the device, and the next step is recorded before the host has seen it.
    ///
    /// # Errors
    /// A prompt that is empty, has tokens that the model does not know, or exceeds the context together with `max_tokens`, all before any work; sampling options out of range;
    /// the device's errors.
    pub fn generate(
        &self,
        prompt: &[u32],
        options: &GenerateOptions,
        on_token: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Generated, Error> {
        let mut sampler = Sampler::new(options.sampler.clone())?;
        let total = self.check(prompt, options.max_tokens as usize)?;
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let mut session = Session::new(&self.network, options.policy, total, 1)?;
        let start = Instant::now();
        let mut clock = Clock::default();
        let mut ids = Vec::new();
        if options.max_tokens > 0 {
            let mut emit = |id: u32| {
                clock.tick(start);
                if self.tokenizer().ends(id) {
                    return ControlFlow::Break(());
                }
                ids.push(id);
                on_token(id)
            };
            session.set_tokens(0, prompt)?;
            session.prefill(prompt.len() as u32)?;
            let first = prompt.len() as u32;
            if sampler.is_greedy() {
                greedy(&mut session, first, total, &mut emit)?;
            } else {
                sampled(&mut session, first, total, &mut sampler, &mut emit)?;
            }
        }
        Ok(Generated {
            ids,
            prefill: clock.first,
            decode: clock.last - clock.first,
            decode_steps: clock.ticks.saturating_sub(1),
        })
    }

    /// Mean negative log-likelihood of the tokens after the first, in nats a token, each given all before it. `progress` is told how many tokens have been handed over, and of how many.
    ///
    /// # Errors
    /// Fewer than 2 tokens, more than the context, or tokens that the model does not know; the device's errors.
    pub fn score(
        &self,
        tokens: &[u32],
        policy: Policy,
        progress: &mut dyn FnMut(u32, u32),
    ) -> Result<f64, Error> {
        if tokens.len() < 2 {
            return Err(Error::TooShort {
                tokens: tokens.len(),
            });
        }
        let total = self.check(tokens, 0)?;
        let chunk = self.network.chunk_tokens().min(total);
        let mut session = Session::new(&self.network, policy, total, chunk)?;
        session.set_tokens(0, tokens)?;
        let scored = total - 1;
        for position in (0..scored).step_by(chunk as usize) {
            let count = chunk.min(scored - position);
            session.forward(position, count)?;
            session.project_chunk(count)?;
            session.score(position, count)?;
            progress(position + count, scored);
        }
        let scores = session.scores(scored)?.wait()?;
        let sum: f64 = scores.iter().map(|it| f64::from(*it)).sum();
        if sum.is_nan() {
            return Err(Error::NoLogit);
        }
        Ok(sum / f64::from(scored))
    }

    /// Checks a sequence against the vocabulary and the context; returns how many tokens it will have.
    fn check(&self, tokens: &[u32], more: usize) -> Result<u32, Error> {
        let config = self.config();
        let total = tokens.len().saturating_add(more);
        if total > config.context_tokens as usize {
            return Err(Error::ContextExceeded {
                prompt: tokens.len(),
                more,
                context: config.context_tokens,
            });
        }
        let vocabulary = config.vocabulary;
        match tokens.iter().find(|it| **it >= vocabulary) {
            Some(token) => Err(Error::UnknownToken {
                token: *token,
                vocabulary,
            }),
            None => Ok(total as u32),
        }
    }
}

/// Takes the likeliest token until position `end`. The step after a token is recorded before the token is read, so that the device never waits for the host.
fn greedy(
    session: &mut Session,
    first: u32,
    end: u32,
    emit: &mut dyn FnMut(u32) -> ControlFlow<()>,
) -> Result<(), Error> {
    session.choose(first)?;
    let mut pending = session.token(first)?;
    for position in first..end {
        session.stream.flush()?;
        let following = if position + 1 < end {
            session.step(position + 1)?;
            Some(session.token(position + 1)?)
        } else {
            None
        };
        let id = pending.wait()?.first().copied().unwrap_or(u32::MAX);
        if id == u32::MAX {
            return Err(Error::NoLogit);
        }
        if emit(id).is_break() {
            return Ok(());
        }
        let Some(following) = following else {
            return Ok(());
        };
        pending = following;
    }
    Ok(())
}

/// Samples on the host until position `end`.
fn sampled(
    session: &mut Session,
    first: u32,
    end: u32,
    sampler: &mut Sampler,
    emit: &mut dyn FnMut(u32) -> ControlFlow<()>,
) -> Result<(), Error> {
    session.project()?;
    for position in first..end {
        let logits = session.logits()?.wait()?;
        let id = sampler.sample(&logits)?;
        if emit(id).is_break() || position + 1 == end {
            return Ok(());
        }
        session.append(position, id)?;
        session.advance()?;
        session.project()?;
    }
    Ok(())
}

/// When tokens came.
#[derive(Default)]
struct Clock {
    first: Duration,
    last: Duration,
    ticks: u32,
}

impl Clock {
    fn tick(&mut self, start: Instant) {
        self.last = start.elapsed();
        if self.ticks == 0 {
            self.first = self.last;
        }
        self.ticks += 1;
    }
}
