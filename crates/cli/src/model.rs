//! A model's file: first what can be checked without a device, then the weights on one.

use std::path::Path;

use tidegate::Device;
use tidegate_llm::chat::{ChatError, Message};
use tidegate_llm::tokenizer::TokenizerError;
use tidegate_llm::{Error, Model, ModelFile};

use crate::cli::Chat;
use crate::failure::Failure;
use crate::output;

/// Reads and checks a file, short of its weights.
pub(crate) fn open(path: &Path) -> Result<ModelFile, Failure> {
    ModelFile::open(path).map_err(|error| {
        let text = error.to_string();
        let name = path.display().to_string();
        // Only an error of opening names the file.
        Failure::Failed(if text.contains(&name) {
            text
        } else {
            format!("{name}: {text}")
        })
    })
}

/// The tokens of a text.
pub(crate) fn encode(file: &ModelFile, text: &str) -> Result<Vec<u32>, Failure> {
    file.encode(text).map_err(not_encoded)
}

/// The tokens of a prompt, and whether it is the user's message, as `chat` has it.
pub(crate) fn encode_prompt(
    file: &ModelFile,
    prompt: &str,
    chat: Chat,
) -> Result<(Vec<u32>, bool), Failure> {
    if chat == Chat::Never {
        return Ok((encode(file, prompt)?, false));
    }
    match file.encode_chat(&[Message::user(prompt)]) {
        Err(Error::Chat(ChatError::NoTemplate)) if chat == Chat::Auto => {
            output::note(
                "The model has no chat template: it continues the prompt as it would any text.",
            );
            Ok((encode(file, prompt)?, false))
        }
        encoded => Ok((encoded.map_err(not_encoded)?, true)),
    }
}

fn not_encoded(error: Error) -> Failure {
    match error {
        Error::Tokenizer(TokenizerError::TextTooLong { .. }) => Failure::usage(error),
        error => Failure::failed(error),
    }
}

/// Puts the weights on the device. The counters start afterwards.
pub(crate) fn load(file: ModelFile, device: &Device) -> Result<Model, Failure> {
    let bar = output::bytes_bar("Loading", 0);
    let mut progress = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let model = Model::load(device, file, &mut progress).map_err(Failure::failed)?;
    bar.finish_and_clear();
    device.reset_counters();
    Ok(model)
}
