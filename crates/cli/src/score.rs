//! `tidegate score`.

use serde::Serialize;
use tidegate_measure::counted;

use crate::cli::{Common, ScoreOptions};
use crate::failure::Failure;
use crate::files;
use crate::profile::Profile;
use crate::{device, model, output, text};

#[derive(Serialize)]
struct Document {
    tokens: usize,
    nll: f64,
}

/// Scores a text.
pub(crate) fn run(options: &ScoreOptions, common: &Common) -> Result<(), Failure> {
    files::check_distinct(
        &[("--model", &options.model), ("--file", &options.file)],
        &Profile::files(&options.watch),
    )?;
    let text = text::read(&options.file)?;
    let choice = device::choose(common)?;
    let file = model::open(&options.model)?;
    let ids = model::encode(&file, &text)?;
    let context = file.config().context_tokens;
    if ids.len() < 2 {
        return Err(Failure::Usage(format!(
            "the text has {}, and a score needs at least 2; give a longer text",
            counted(ids.len() as u64, "token")
        )));
    }
    if ids.len() > context as usize {
        return Err(Failure::Usage(format!(
            "the text has {} and the model's context is {context}; shorten the text",
            counted(ids.len() as u64, "token")
        )));
    }
    let profile = Profile::new(&options.watch, common.json)?;
    let device = choice.open(tidegate::QueueFamily::Compute)?;
    let model = model::load(file, &device)?;
    profile.start(&device)?;
    let bar = output::count_bar("Scoring", ids.len() as u64 - 1);
    let mut progress = |done: u32, _| bar.set_position(u64::from(done));
    let scored = model.score(&ids, options.policy.policy(), &mut progress);
    bar.finish_and_clear();
    let nll = scored.map_err(Failure::failed)?;
    let document = Document {
        tokens: ids.len(),
        nll,
    };
    if common.json {
        output::document(&document)?;
    } else {
        output::print(&format!(
            "{} tokens, {nll:.4} nats a token (perplexity {:.3})\n",
            document.tokens,
            nll.exp()
        ))?;
    }
    profile.finish(&device)
}
