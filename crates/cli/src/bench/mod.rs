//! `tidegate bench`: rows that take turns in one process, and what they took.

pub(crate) mod chain;
pub(crate) mod decode;
mod raw;
