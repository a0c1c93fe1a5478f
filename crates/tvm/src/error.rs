//! One error: a text for the person who calls TVM.

use std::fmt;

/// What went wrong and what to do, in one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error(pub(crate) String);

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<tidegate::Error> for Error {
    fn from(error: tidegate::Error) -> Self {
        Self(error.to_string())
    }
}

/// Returns an [`Error`] with a formatted text.
macro_rules! bail {
    ($($text:tt)*) => {
        return Err($crate::error::Error(format!($($text)*)))
    };
}

pub(crate) use bail;
