//! A model's file: all that can be read and checked without a device.

use std::path::Path;

use crate::chat::{ChatTemplate, Message};
use crate::config::Config;
use crate::error::Error;
use crate::gguf::GgufFile;
use crate::tokenizer::{ControlText, Tokenizer};

/// An open file whose header, hyperparameters and tokenizer have been read and checked, each once. [`Model::load`](crate::Model::load) takes it to a device.
#[derive(Debug)]
pub struct ModelFile {
    pub(crate) gguf: GgufFile,
    pub(crate) config: Config,
    pub(crate) tokenizer: Tokenizer,
}

impl ModelFile {
    /// Opens a file and checks all but its chat template, which [`Self::encode_chat`] reads.
    ///
    /// # Errors
    /// What the file, its tokenizer or its hyperparameters lack, by name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let gguf = GgufFile::open(path)?;
        let config = Config::from_gguf(gguf.header())?;
        check_widths(&config)?;
        let tokenizer = Tokenizer::from_gguf(gguf.header())?;
        Ok(Self {
            gguf,
            config,
            tokenizer,
        })
    }

    /// The hyperparameters.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokens of a text that somebody wrote, with the one before it that the model asks for. What looks like a control token is text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let ids = self.tokenizer.encode(text, ControlText::Plain)?;
        Ok(self.begun(ids))
    }

    /// The tokens of a conversation as the chat template writes it, up to where the model's answer begins.
    ///
    /// # Errors
    /// [`Error::Chat`]: there is no template, or it fails; [`Error::Tokenizer`].
    pub fn encode_chat(&self, messages: &[Message]) -> Result<Vec<u32>, Error> {
        let template = ChatTemplate::from_gguf(self.gguf.header())?;
        let ids = template.encode(&self.tokenizer, messages, true)?;
        Ok(self.begun(ids))
    }

    /// A chat template may have written the first token already.
    fn begun(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if let Some(begin) = self.tokenizer.begin()
            && ids.first() != Some(&begin)
        {
            ids.insert(0, begin);
        }
        ids
    }
}

/// The kernels read whole blocks of 32 columns, and a head's elements in chunks of 8.
fn check_widths(config: &Config) -> Result<(), Error> {
    let widths = [
        ("embedding width", config.embedding, 32),
        ("width of all heads", config.query_width(), 32),
        ("feed-forward width", config.feed_forward, 32),
        ("width of a head", config.head_elements, 8),
    ];
    for (what, found, multiple) in widths {
        if !found.is_multiple_of(multiple) {
            return Err(Error::Width {
                what,
                found,
                multiple,
            });
        }
    }
    Ok(())
}
