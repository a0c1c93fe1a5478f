//! The tokenizer, built from what the GGUF file says of it. Hugging Face's `tokenizers` does the work.

use std::borrow::Cow;
use std::collections::HashMap;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{NFC, NormalizerWrapper};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, PreTokenizerWrapper, SplitDelimiterBehavior,
    Tokenizer as Engine,
};

use crate::byte_level;
use crate::gguf::{Gguf, GgufError, optional};
use crate::text::TextStream;

/// Text longer than this is refused. It is far past any context.
///
/// From a run of 1,000,000 spaces on, the engine's regular expressions (fancy-regex 0.14) run out of stack and the
/// engine goes on without a word, with other tokens. This limit keeps it from there.
pub const TEXT_BYTES_MAX: usize = 1 << 18;

/// Names of control tokens at which a model stops, whatever `eos_token_id` says. llama.cpp's list, the common ones.
const END_NAMES: [&str; 5] = [
    "<|endoftext|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "</s>",
];

/// What Qwen2 takes for a word: a contraction's end; letters with one character before them; one digit; signs with a space before and line ends after; white space, of
/// which the last character belongs to what follows.
const QWEN2_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const TYPE_CONTROL: i32 = 3;
const TYPE_USER_DEFINED: i32 = 4;

/// Why a file's tokenizer cannot be used, or a text not encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// Metadata is missing or of the wrong type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A kind of tokenizer that is not byte-level BPE.
    #[error(
        "the model's tokenizer is {name:?}, which is not supported; use a model whose tokenizer.ggml.model is \"gpt2\""
    )]
    UnsupportedModel {
        /// `tokenizer.ggml.model` in the file.
        name: String,
    },
    /// A way of splitting text that this crate does not know.
    #[error(
        "the tokenizer splits text by the rules {name:?}, which are not supported; supported are \"gpt-2\", \"smollm\" and \"qwen2\""
    )]
    UnsupportedSplit {
        /// `tokenizer.ggml.pre` in the file.
        name: String,
    },
    /// The list of token types is not as long as the list of tokens.
    #[error(
        "the tokenizer has {tokens} tokens and {types} token types; the file is corrupt, convert the model again"
    )]
    TypesMissing {
        /// Tokens in the file.
        tokens: usize,
        /// Token types in the file.
        types: usize,
    },
    /// Not one token a row of the embedding table.
    #[error(
        "the tokenizer has {tokens} tokens and the model {vocabulary}; the file is corrupt, convert the model again"
    )]
    VocabularyDiffers {
        /// Tokens in the tokenizer.
        tokens: usize,
        /// Rows of the embedding table.
        vocabulary: u64,
    },
    /// The same token twice.
    #[error(
        "tokens {first} and {second} are both {text:?}; the file is corrupt, convert the model again"
    )]
    DuplicateToken {
        /// The smaller id.
        first: u32,
        /// The larger id.
        second: u32,
        /// The token.
        text: String,
    },
    /// A merge that is not two tokens which together are a third.
    #[error(
        "merge {index}, {merge:?}, is not two tokens that make a third; the file is corrupt, convert the model again"
    )]
    BadMerge {
        /// The merge's place in the list.
        index: usize,
        /// The merge as in the file.
        merge: String,
    },
    /// A token that the file refers to and that is not in the vocabulary.
    #[error(
        "{key:?} is token {id} and the vocabulary has {tokens}; the file is corrupt, convert the model again"
    )]
    NoSuchToken {
        /// The key.
        key: &'static str,
        /// The id in the file.
        id: u32,
        /// Tokens in the vocabulary.
        tokens: usize,
    },
    /// A byte for which the vocabulary has no token. Other programs leave it out without a word.
    #[error(
        "the text has the character {character:?} at byte {offset}, which the model's vocabulary cannot express; remove it"
    )]
    NotInVocabulary {
        /// The character.
        character: char,
        /// Where it begins in the text, with its characters composed if the tokenizer does that.
        offset: usize,
    },
    /// A text longer than [`TEXT_BYTES_MAX`].
    #[error("the text has {bytes} bytes, at most {max} are encoded at once; shorten it")]
    TextTooLong {
        /// The text's length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The engine refused the tokenizer or the text.
    #[error(
        "the tokenizer failed: {source}; the file's tokenizer is corrupt, or please report this"
    )]
    Engine {
        /// What the engine said.
        source: tokenizers::Error,
    },
}

fn engine_error(source: tokenizers::Error) -> TokenizerError {
    TokenizerError::Engine { source }
}

/// What `<|im_end|>` and its like mean where they stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlText {
    /// The control token: for text that a chat template made.
    Token,
    /// The characters, like any others: for text that somebody wrote.
    Plain,
}

/// Turns text into tokens and back.
#[derive(Debug)]
pub struct Tokenizer {
    /// Control tokens in a text are tokens.
    with_control: Engine,
    /// Control tokens in a text are characters.
    plain: Engine,
    tokens: Vec<Token>,
    has_byte: [bool; 256],
    begin: Option<u32>,
    end: Option<u32>,
}

#[derive(Debug)]
struct Token {
    bytes: Box<[u8]>,
    control: bool,
    ends: bool,
}

impl Tokenizer {
    /// Builds the tokenizer that the file describes.
    ///
    /// # Errors
    /// [`TokenizerError`], if the file's tokenizer is corrupt or of a kind that is not supported.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, TokenizerError> {
        let name = gguf.string("tokenizer.ggml.model")?;
        if name != "gpt2" {
            return Err(TokenizerError::UnsupportedModel {
                name: name.chars().take(64).collect(),
            });
        }
        let texts = gguf.strings("tokenizer.ggml.tokens")?;
        if let Some(vocabulary) = gguf
            .find_tensor("token_embd.weight")
            .map(|table| table.rows())
            && vocabulary != texts.len() as u64
        {
            return Err(TokenizerError::VocabularyDiffers {
                tokens: texts.len(),
                vocabulary,
            });
        }
        let types = token_types(gguf, texts.len())?;
        let mut with_control = Engine::new(model(gguf, texts)?);
        let (words, normalizer) = split(gguf)?;
        with_control.with_pre_tokenizer(Some(words));
        with_control.with_normalizer(normalizer);
        let added: Vec<AddedToken> = texts
            .iter()
            .zip(&types)
            .filter(|&(_, &ty)| matches!(ty, TYPE_CONTROL | TYPE_USER_DEFINED))
            .map(|(text, &ty)| AddedToken::from(text, ty == TYPE_CONTROL).normalized(false))
            .collect();
        with_control.add_tokens(&added);
        let mut plain = with_control.clone();
        plain.set_encode_special_tokens(true);

        let referred = |key| named_token(gguf, key, texts.len());
        let end = referred("tokenizer.ggml.eos_token_id")?;
        let end_of_turn = referred("tokenizer.ggml.eot_token_id")?;
        let begin = referred("tokenizer.ggml.bos_token_id")?;
        let adds_begin = optional(gguf.bool("tokenizer.ggml.add_bos_token"))?.unwrap_or(false);
        let token = |(id, (text, &ty)): (usize, (&String, &i32))| {
            let control = ty == TYPE_CONTROL;
            let named = [end, end_of_turn].contains(&Some(id as u32));
            let ends = named || (control && END_NAMES.contains(&text.as_str()));
            Token {
                bytes: bytes_of(text, ty),
                control,
                ends,
            }
        };
        let mut has_byte = [false; 256];
        for text in texts {
            let mut characters = text.chars();
            if let (Some(character), None) = (characters.next(), characters.next())
                && let Some(byte) = byte_level::to_byte(character)
            {
                has_byte[usize::from(byte)] = true;
            }
        }
        Ok(Self {
            with_control,
            plain,
            tokens: texts.iter().zip(&types).enumerate().map(token).collect(),
            has_byte,
            begin: begin.filter(|_| adds_begin),
            end,
        })
    }

    /// How many tokens there are.
    pub fn vocabulary(&self) -> u32 {
        // No more than the header's bytes.
        self.tokens.len() as u32
    }

    /// The token that belongs before every text, if the file says so. [`encode`](Self::encode) does not add it.
    pub fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The token that ends a text, `tokenizer.ggml.eos_token_id`. See also [`ends`](Self::ends).
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// Whether the model says by this token that it is done.
    pub fn ends(&self, id: u32) -> bool {
        self.tokens.get(id as usize).is_some_and(|token| token.ends)
    }

    /// The control tokens, and how they are written.
    pub(crate) fn control_tokens(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..).zip(&self.tokens).filter_map(|(id, token)| {
            let text = std::str::from_utf8(&token.bytes).ok()?;
            (token.control && !text.is_empty()).then_some((id, text))
        })
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// [`TokenizerError::NotInVocabulary`], [`TokenizerError::TextTooLong`].
    pub fn encode(&self, text: &str, control: ControlText) -> Result<Vec<u32>, TokenizerError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TokenizerError::TextTooLong {
                bytes: text.len(),
                max: TEXT_BYTES_MAX,
            });
        }
        let unknown = |&(_, character): &(usize, char)| {
            character
                .encode_utf8(&mut [0; 4])
                .bytes()
                .any(|byte| !self.has_byte[usize::from(byte)])
        };
        let composed = self.composed(text)?;
        if let Some((offset, character)) = composed.char_indices().find(unknown) {
            return Err(TokenizerError::NotInVocabulary { character, offset });
        }
        let engine = match control {
            ControlText::Token => &self.with_control,
            ControlText::Plain => &self.plain,
        };
        let encoding = engine.encode_fast(text, false).map_err(engine_error)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text as its words are found in it.
    fn composed<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, TokenizerError> {
        let Some(normalizer) = self.plain.get_normalizer() else {
            return Ok(text.into());
        };
        let mut composed = NormalizedString::from(text);
        normalizer.normalize(&mut composed).map_err(engine_error)?;
        Ok(composed.get().to_owned().into())
    }

    /// The bytes that a token stands for: none for a control token, or one that is not in the vocabulary.
    ///
    /// Feed them to a [`TextStream`] to show text as it comes: a token may end inside a character.
    pub fn bytes(&self, id: u32) -> &[u8] {
        match self.tokens.get(id as usize) {
            Some(token) if !token.control => &token.bytes,
            _ => &[],
        }
    }

    /// The text of the tokens, without control tokens. What is not UTF-8 becomes U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = TextStream::default();
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.bytes(id)).copied().collect();
        stream.push(&bytes) + &stream.finish()
    }
}

fn token_types(gguf: &Gguf, tokens: usize) -> Result<Vec<i32>, TokenizerError> {
    let types = optional(gguf.i32s("tokenizer.ggml.token_type"))?;
    match types {
        None => Ok(vec![1; tokens]),
        Some(types) if types.len() == tokens => Ok(types.to_vec()),
        Some(types) => Err(TokenizerError::TypesMissing {
            tokens,
            types: types.len(),
        }),
    }
}

fn model(gguf: &Gguf, texts: &[String]) -> Result<BPE, TokenizerError> {
    let mut ids: HashMap<String, u32> = HashMap::with_capacity(texts.len());
    for (id, text) in texts.iter().enumerate() {
        let second = id as u32;
        if let Some(first) = ids.insert(text.clone(), second) {
            return Err(TokenizerError::DuplicateToken {
                first,
                second,
                text: text.clone(),
            });
        }
    }
    let merges = gguf.strings("tokenizer.ggml.merges")?;
    let merge = |(index, merge): (usize, &String)| {
        let known = |text: &str| ids.contains_key(text);
        merge
            .split_once(' ')
            .filter(|(first, second)| {
                known(first) && known(second) && known(&format!("{first}{second}"))
            })
            .map(|(first, second)| (first.to_owned(), second.to_owned()))
            .ok_or_else(|| TokenizerError::BadMerge {
                index,
                merge: merge.clone(),
            })
    };
    let merges = merges
        .iter()
        .enumerate()
        .map(merge)
        .collect::<Result<Vec<_>, _>>()?;
    BPE::builder()
        .vocab_and_merges(ids.into_iter().collect::<Vocab>(), merges)
        .build()
        .map_err(engine_error)
}

/// How text is split before merging, and what is done to it before that.
fn split(gguf: &Gguf) -> Result<(PreTokenizerWrapper, Option<NormalizerWrapper>), TokenizerError> {
    let sequence = |first: PreTokenizerWrapper, second: ByteLevel| {
        let both = vec![first, PreTokenizerWrapper::ByteLevel(second)];
        PreTokenizerWrapper::Sequence(Sequence::new(both))
    };
    let words = ByteLevel::new(false, true, true);
    let name = optional(gguf.string("tokenizer.ggml.pre"))?.unwrap_or("gpt-2");
    match name {
        "gpt-2" => Ok((PreTokenizerWrapper::ByteLevel(words), None)),
        // Each digit alone; then GPT-2's words.
        "smollm" => {
            let digits = PreTokenizerWrapper::Digits(Digits::new(true));
            Ok((sequence(digits, words), None))
        }
        // Words of its own, after composing characters: the model's own tokenizer does that, and llama.cpp does not.
        "qwen2" => {
            let pattern = SplitPattern::Regex(QWEN2_WORDS.to_owned());
            let own = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
            let own = PreTokenizerWrapper::Split(own.map_err(engine_error)?);
            let bytes = ByteLevel::new(false, true, false);
            Ok((sequence(own, bytes), Some(NormalizerWrapper::NFC(NFC))))
        }
        _ => Err(TokenizerError::UnsupportedSplit {
            name: name.chars().take(64).collect(),
        }),
    }
}

fn named_token(
    gguf: &Gguf,
    key: &'static str,
    tokens: usize,
) -> Result<Option<u32>, TokenizerError> {
    match optional(gguf.u32(key))? {
        Some(id) if id as usize >= tokens => Err(TokenizerError::NoSuchToken { key, id, tokens }),
        id => Ok(id),
    }
}

/// Control and user-defined tokens are written as they are; the others byte by byte.
fn bytes_of(text: &str, ty: i32) -> Box<[u8]> {
    if matches!(ty, TYPE_CONTROL | TYPE_USER_DEFINED) {
        return text.as_bytes().into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match byte_level::to_byte(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes.into()
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
