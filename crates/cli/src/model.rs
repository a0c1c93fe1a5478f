//! A model's file: first what can be checked without a device, then the weights on one.

use std::path::Path;

use tidegate::Device;
use tidegate_llm::Model;
use tidegate_llm::chat::{ChatTemplate, Message};
use tidegate_llm::config::Config;
use tidegate_llm::gguf::GgufFile;
use tidegate_llm::tokenizer::{ControlText, Tokenizer, TokenizerError};

use crate::failure::Failure;
use crate::output;

/// A file whose header has been read and checked.
pub(crate) struct ModelFile {
    file: GgufFile,
    config: Config,
    tokenizer: Tokenizer,
}

impl ModelFile {
    /// Reads the header, the hyperparameters and the tokenizer.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let wrong = |it: &dyn std::fmt::Display| {
            let text = it.to_string();
            let name = path.display().to_string();
            // Only an error of opening names the file.
            Failure::Failed(if text.contains(&name) {
                text
            } else {
                format!("{name}: {text}")
            })
        };
        let file = GgufFile::open(path).map_err(|it| wrong(&it))?;
        let config = Config::from_gguf(file.header()).map_err(|it| wrong(&it))?;
        let tokenizer = Tokenizer::from_gguf(file.header()).map_err(|it| wrong(&it))?;
        Ok(Self {
            file,
            config,
            tokenizer,
        })
    }

    /// Tokens that the model can look back on.
    pub(crate) fn context(&self) -> u32 {
        self.config.context_tokens
    }

    /// The tokens of a text that somebody wrote, with the one before it that the model asks for.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, Failure> {
        self.tokens(text, ControlText::Plain)
    }

    /// The tokens of a user's message, as the chat template puts it to the model.
    pub(crate) fn encode_chat(&self, message: &str) -> Result<Vec<u32>, Failure> {
        let template = ChatTemplate::from_gguf(self.file.header()).map_err(Failure::failed)?;
        let text = template
            .render(&[Message::user(message)], true)
            .map_err(Failure::failed)?;
        self.tokens(&text, ControlText::Token)
    }

    fn tokens(&self, text: &str, control: ControlText) -> Result<Vec<u32>, Failure> {
        let mut ids = self
            .tokenizer
            .encode(text, control)
            .map_err(|it| match it {
                TokenizerError::TextTooLong { .. } => Failure::usage(it),
                it => Failure::failed(it),
            })?;
        // A chat template may have written it already.
        if let Some(begin) = self.tokenizer.begin()
            && ids.first() != Some(&begin)
        {
            ids.insert(0, begin);
        }
        Ok(ids)
    }

    /// Puts the weights on the device. The counters start afterwards.
    pub(crate) fn load(&self, device: &Device) -> Result<Model, Failure> {
        let bar = output::bytes_bar("Loading", 0);
        let mut progress = |done: u64, total: u64| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let model = Model::load(device, &self.file, &mut progress).map_err(Failure::failed)?;
        bar.finish_and_clear();
        device.reset_counters();
        Ok(model)
    }
}
