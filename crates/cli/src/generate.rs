//! `tidegate generate`.

use std::ops::ControlFlow;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tidegate::Device;
use tidegate_llm::text::TextStream;
use tidegate_llm::{GenerateOptions as ModelOptions, Generated, Model};
use tidegate_measure::{PlannedFile, counted};

use crate::cli::{Common, GenerateOptions, PromptOptions};
use crate::failure::Failure;
use crate::files;
use crate::profile::Profile;
use crate::{counters, device, model, output, text};

#[derive(Serialize)]
struct Document<'a> {
    text: &'a str,
    token_ids: &'a [u32],
    /// Whether the prompt was put as a message.
    chat: bool,
    prompt_tokens: usize,
    tokens: usize,
    prefill_tokens_per_s: f64,
    decode_tokens_per_s: f64,
    device: &'a str,
    software: bool,
    policy: &'static str,
    counters: Value,
}

/// Generates text.
pub(crate) fn run(options: &GenerateOptions, common: &Common) -> Result<(), Failure> {
    let [trace, page] = Profile::files(&options.watch);
    let stats = ("--stats", options.stats.clone());
    let prompt_file = options.prompt.prompt_file.as_deref();
    let read = [
        Some(("--model", options.model.as_path())),
        prompt_file.map(|it| ("--prompt-file", it)),
    ];
    let read: Vec<_> = read.into_iter().flatten().collect();
    files::check_distinct(&read, &[stats, trace, page])?;
    let prompt = prompt(&options.prompt)?;
    let choice = device::choose(common)?;
    let file = model::open(&options.model)?;
    let (prompt, chat) = model::encode_prompt(&file, &prompt, options.chat)?;
    let context = file.config().context_tokens;
    check_context(prompt.len(), options.max_tokens, context)?;
    let profile = Profile::new(&options.watch, common.json)?;
    let wrong = |it| Failure::Failed(format!("--stats {it}"));
    let stats = options.stats.as_deref().map(PlannedFile::open);
    let stats = stats.transpose().map_err(wrong)?;
    if options.temperature == 0.0 && (options.top_p.is_some() || options.top_k.is_some()) {
        output::warning(
            "--top-p and --top-k do nothing at --temperature 0, which always takes the likeliest token",
        );
    }

    let device = choice.open(tidegate::QueueFamily::Compute)?;
    let model = model::load(file, &device)?;
    profile.start(&device)?;
    let (text, generated) = stream(&model, &prompt, options, common.json)?;
    let document = Document {
        text: &text,
        token_ids: &generated.ids,
        chat,
        prompt_tokens: prompt.len(),
        tokens: generated.ids.len(),
        prefill_tokens_per_s: rate(prompt.len(), generated.prefill),
        decode_tokens_per_s: rate(generated.decode_steps as usize, generated.decode),
        device: &device.capabilities().name,
        software: device.capabilities().software,
        policy: options.policy.name(),
        counters: counters::document(&device.counters()),
    };
    if let Some(mut stats) = stats {
        let text = serde_json::to_string(&document).map_err(Failure::failed)? + "\n";
        stats.write(text.as_bytes()).map_err(wrong)?;
    }
    summary(&document, &device);
    if common.json {
        output::document(&document)?;
    }
    profile.finish(&device)
}

fn prompt(options: &PromptOptions) -> Result<String, Failure> {
    let text = match (&options.prompt, &options.prompt_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => text::read(path)?,
        (None, None) => String::new(),
    };
    if text.is_empty() {
        return Err(Failure::usage(
            "the prompt is empty; give it at least one character",
        ));
    }
    Ok(text)
}

fn check_context(prompt: usize, max_tokens: u32, context: u32) -> Result<(), Failure> {
    let left = u64::from(context).saturating_sub(prompt as u64);
    if u64::from(max_tokens) <= left {
        return Ok(());
    }
    let advice = if left == 0 {
        "shorten the prompt".to_owned()
    } else {
        format!("lower --max-tokens to at most {left}, or shorten the prompt")
    };
    Err(Failure::Usage(format!(
        "the prompt has {} and --max-tokens is {max_tokens}, which together exceed the model's context of {context}; {advice}",
        counted(prompt as u64, "token")
    )))
}

/// Generates, and unless `quiet` shows the text as it comes. Ends early if nobody reads it any more.
fn stream(
    model: &Model,
    prompt: &[u32],
    options: &GenerateOptions,
    quiet: bool,
) -> Result<(String, Generated), Failure> {
    let tokenizer = model.tokenizer();
    let mut text = String::new();
    let mut characters = TextStream::default();
    let mut shown = Ok(());
    let show = |piece: &str| {
        if quiet || piece.is_empty() {
            return Ok(());
        }
        output::print_foreign(piece)
    };
    let mut on_token = |id: u32| {
        let piece = characters.push(tokenizer.bytes(id));
        text.push_str(&piece);
        shown = show(&piece);
        if shown.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let model_options = ModelOptions {
        max_tokens: options.max_tokens,
        sampler: options.sampler(),
        policy: options.policy.policy(),
    };
    let generated = model
        .generate(prompt, &model_options, &mut on_token)
        .map_err(Failure::failed);
    shown?;
    let rest = characters.finish();
    text.push_str(&rest);
    show(&rest)?;
    // What follows, an error too, begins on a line of its own.
    show("\n")?;
    Ok((text, generated?))
}

/// 0 where there was nothing to measure.
fn rate(tokens: usize, time: Duration) -> f64 {
    if tokens == 0 || time.is_zero() {
        0.0
    } else {
        tokens as f64 / time.as_secs_f64()
    }
}

fn summary(document: &Document<'_>, device: &Device) {
    let software = if device.capabilities().software {
        ", a software device"
    } else {
        ""
    };
    let decode = if document.decode_tokens_per_s > 0.0 {
        format!(" at {:.1} a second", document.decode_tokens_per_s)
    } else {
        String::new()
    };
    output::note(&format!(
        "{} at {:.1} a second, {}{decode} on {}{software} ({})",
        counted(document.prompt_tokens as u64, "prompt token"),
        document.prefill_tokens_per_s,
        counted(document.tokens as u64, "token"),
        document.device,
        document.policy
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_bounds_prompt_and_answer_together() {
        assert!(check_context(60, 4, 64).is_ok());
        let too_many = check_context(60, 5, 64);
        assert!(matches!(too_many, Err(Failure::Usage(text)) if text.contains("at most 4")));
        let too_long = check_context(64, u32::MAX, 64);
        assert!(
            matches!(too_long, Err(Failure::Usage(text)) if text.ends_with("shorten the prompt"))
        );
    }

    #[test]
    fn a_rate_is_a_number_even_of_nothing() {
        assert_eq!(rate(0, Duration::from_secs(1)), 0.0);
        assert_eq!(rate(3, Duration::ZERO), 0.0);
        assert_eq!(rate(3, Duration::from_secs(2)), 1.5);
    }
}
