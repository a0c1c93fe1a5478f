//! The chat template that comes with a model, which writes a conversation as the text that the model was trained on.

use std::io::Write;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};

use crate::error::Error;
use crate::gguf::{Gguf, GgufError, optional};
use crate::tokenizer::{ControlText, Tokenizer};

/// Instructions that a template may execute; the model's own takes about 20 a message.
pub const FUEL: u64 = 1_000_000;
/// A rendered conversation may have this many bytes.
pub const RENDERED_BYTES_MAX: usize = 1 << 20;
/// A template may have this many bytes; the longest in use have about 10,000.
pub const TEMPLATE_BYTES_MAX: usize = 1 << 18;

const KEY: &str = "tokenizer.chat_template";

/// Why a conversation cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// Metadata is of the wrong type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The file has no template.
    #[error(
        "the model has no chat template (\"tokenizer.chat_template\"); leave out --chat, or use an \"instruct\" model"
    )]
    NoTemplate,
    /// The template is longer than any real one.
    #[error(
        "the model's chat template has {bytes} bytes, at most {max} are read; the file is corrupt or hostile"
    )]
    TemplateTooLong {
        /// The template's length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The template is not valid Jinja.
    #[error("the model's chat template is not valid: {source}; leave out --chat")]
    BadTemplate {
        /// What is wrong, and in which line.
        source: minijinja::Error,
    },
    /// The template ran for too long.
    #[error(
        "the model's chat template took more than {max} instructions; it is hostile, or the conversation is far too long"
    )]
    OutOfFuel {
        /// The limit.
        max: u64,
    },
    /// The text became longer than any context.
    #[error(
        "the conversation is longer than {max} bytes as the chat template writes it; shorten it"
    )]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// The template failed, or refused the conversation.
    #[error(
        "the model's chat template failed: {source}; leave out --chat, or change the messages' roles"
    )]
    Render {
        /// What the template said.
        source: minijinja::Error,
    },
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: String,
    /// What they say.
    pub content: String,
}

impl Message {
    /// A message by the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self {
            role: "user".to_owned(),
            content: content.into(),
        }
    }

    /// Instructions to the model, before the conversation.
    pub fn system(content: impl Into<String>) -> Self {
        Self {
            role: "system".to_owned(),
            content: content.into(),
        }
    }

    /// A message by the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self {
            role: "assistant".to_owned(),
            content: content.into(),
        }
    }
}

/// A model's chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    begin: String,
    end: String,
}

impl ChatTemplate {
    /// The template in the file, with the texts of its first and last token, which templates refer to.
    ///
    /// # Errors
    /// [`ChatError::NoTemplate`], [`ChatError::BadTemplate`] and the like.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ChatError> {
        let source = optional(gguf.string(KEY))?.ok_or(ChatError::NoTemplate)?;
        let tokens = optional(gguf.strings("tokenizer.ggml.tokens"))?.unwrap_or_default();
        let text = |key: &str| -> Result<String, ChatError> {
            let id = optional(gguf.u32(key))?;
            Ok(id
                .and_then(|id| tokens.get(id as usize))
                .cloned()
                .unwrap_or_default())
        };
        Self::new(
            source,
            text("tokenizer.ggml.bos_token_id")?,
            text("tokenizer.ggml.eos_token_id")?,
        )
    }

    /// A template in Jinja, and the texts of `bos_token` and `eos_token`.
    ///
    /// # Errors
    /// [`ChatError::BadTemplate`], [`ChatError::TemplateTooLong`].
    pub fn new(source: &str, begin: String, end: String) -> Result<Self, ChatError> {
        if source.len() > TEMPLATE_BYTES_MAX {
            return Err(ChatError::TemplateTooLong {
                bytes: source.len(),
                max: TEMPLATE_BYTES_MAX,
            });
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        // As Hugging Face's transformers, for which templates are written, set up Jinja.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|source| ChatError::BadTemplate { source })?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .add_template_owned(KEY, source.to_owned())
            .map_err(|source| ChatError::BadTemplate { source })?;
        Ok(Self {
            environment,
            begin,
            end,
        })
    }

    /// The tokens of the conversation. The template's control tokens count as such; in the messages their texts are plain text.
    ///
    /// # Errors
    /// As [`Self::render`] and [`Tokenizer::encode`].
    pub fn encode(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>, Error> {
        let source = self.environment.get_template(KEY);
        let source = source.as_ref().map_or("", |it| it.source());
        let stand_ins = StandIns::new(tokenizer, source, messages);
        if stand_ins.0.is_empty() {
            let text = self.render(messages, add_generation_prompt)?;
            return Ok(tokenizer.encode(&text, ControlText::Token)?);
        }
        let hidden: Vec<Message> = messages.iter().map(|it| stand_ins.hide(it)).collect();
        let text = self.render(&hidden, add_generation_prompt)?;
        stand_ins.encode(tokenizer, &text)
    }

    /// The conversation as text. With `add_generation_prompt` it ends where the model's answer begins.
    ///
    /// # Errors
    /// [`ChatError`], if the template fails, refuses the messages, or takes too long.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, ChatError> {
        let message = |Message { role, content }: &Message| context! { role, content };
        let variables = context! {
            messages => messages.iter().map(message).collect::<Vec<Value>>(),
            add_generation_prompt,
            bos_token => self.begin.as_str(),
            eos_token => self.end.as_str(),
        };
        let mut out = Bounded::default();
        let result = self
            .environment
            .get_template(KEY)
            .and_then(|template| template.render_captured_to(variables, &mut out).map(drop));
        match result {
            // Only text was written.
            Ok(()) => Ok(String::from_utf8_lossy(&out.bytes).into_owned()),
            Err(_) if out.full => Err(ChatError::TooLong {
                max: RENDERED_BYTES_MAX,
            }),
            Err(error) if error.kind() == ErrorKind::OutOfFuel => {
                Err(ChatError::OutOfFuel { max: FUEL })
            }
            Err(source) => Err(ChatError::Render { source }),
        }
    }
}

/// Control tokens' texts that messages contain, and the characters that stand in for them while the template runs.
///
/// Who writes `<|im_end|>` in a message must not end it, or speak for somebody else. Where no message does, which is as good as always, nothing here is used.
#[derive(Default)]
struct StandIns<'a>(Vec<(&'a str, char)>);

impl<'a> StandIns<'a> {
    /// For the control tokens that any message contains, the longest first; the characters are private ones that neither the template nor a message has.
    fn new(tokenizer: &'a Tokenizer, template: &str, messages: &[Message]) -> Self {
        let said = |text: &str| messages.iter().any(|it| it.content.contains(text));
        let mut texts: Vec<&str> = tokenizer
            .control_tokens()
            .map(|(_, text)| text)
            .filter(|text| said(text))
            .collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let unused = ('\u{F0000}'..='\u{FFFFD}')
            .filter(|it| !template.contains(*it) && !said(it.encode_utf8(&mut [0; 4])));
        Self(texts.into_iter().zip(unused).collect())
    }

    fn hide(&self, message: &Message) -> Message {
        let mut hidden = message.clone();
        for (text, stand_in) in &self.0 {
            hidden.content = hidden
                .content
                .replace(text, stand_in.encode_utf8(&mut [0; 4]));
        }
        hidden
    }

    fn show(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (text, stand_in) in &self.0 {
            shown = shown.replace(*stand_in, text);
        }
        shown
    }

    /// The tokens of what the template wrote around hidden messages: every control token in it is the template's own, and what lies between two is plain text.
    fn encode(&self, tokenizer: &Tokenizer, rendered: &str) -> Result<Vec<u32>, Error> {
        let controls: Vec<(u32, &str)> = tokenizer.control_tokens().collect();
        let mut ids = Vec::new();
        let mut plain = 0;
        let mut at = 0;
        while let Some(rest) = rendered.get(at..).filter(|it| !it.is_empty()) {
            let here = controls.iter().filter(|(_, text)| rest.starts_with(text));
            if let Some((id, text)) = here.max_by_key(|(_, text)| text.len()) {
                let before = self.show(&rendered[plain..at]);
                ids.extend(tokenizer.encode(&before, ControlText::Plain)?);
                ids.push(*id);
                at += text.len();
                plain = at;
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        let last = self.show(&rendered[plain..]);
        ids.extend(tokenizer.encode(&last, ControlText::Plain)?);
        Ok(ids)
    }
}

/// Takes so many bytes and no more: a loop around a long text is cheap in instructions.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > RENDERED_BYTES_MAX - self.bytes.len() {
            self.full = true;
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
