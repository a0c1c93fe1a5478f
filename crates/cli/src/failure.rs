//! Why a command did not do its work.

use std::fmt::Display;
use std::io::{self, ErrorKind};

/// Why a command ended early. The text says what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage, such as a value out of range: exit status 2.
    Usage(String),
    /// Anything else: exit status 1.
    Failed(String),
    /// No driver, or no device: exit status 1, and an empty list where a list was asked for.
    NoDevice(String),
    /// Whoever read standard output went away. Not worth a word.
    ReaderLeft,
}

impl Failure {
    /// A failure in words.
    pub(crate) fn failed(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// Wrong usage in words.
    pub(crate) fn usage(error: impl Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// A failure to write to standard output.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ReaderLeft,
            _ => Self::Failed(format!("cannot write to standard output: {error}")),
        }
    }
}

impl From<tidegate::Error> for Failure {
    fn from(error: tidegate::Error) -> Self {
        Self::failed(error)
    }
}

impl From<tidegate_llm::Error> for Failure {
    fn from(error: tidegate_llm::Error) -> Self {
        Self::failed(error)
    }
}
