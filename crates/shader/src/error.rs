//! What can be wrong with a shader.

use naga::{WithSpan, front::wgsl, valid::ValidationError};

/// Why a shader was refused, or could not be written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShaderError {
    /// The source is not WGSL.
    #[error("{report}")]
    Parse {
        /// Line of the first mistake, from 1. 0 when the parser named no place.
        line: u32,
        /// Column of the first mistake in bytes, from 1. 0 when the parser named no place.
        column: u32,
        /// What is wrong, in one line.
        message: String,
        /// The message with the source line and a caret below it. This is what `Display` prints.
        report: String,
    },

    /// The source is WGSL but breaks one of its rules, or asks for something that no compute kernel may have.
    #[error("{report}")]
    Invalid {
        /// Line of the first mistake, from 1. 0 when the validator named no place.
        line: u32,
        /// Column of the first mistake in bytes, from 1. 0 when the validator named no place.
        column: u32,
        /// What is wrong, in one line.
        message: String,
        /// The message with the source lines it is about. This is what `Display` prints.
        report: String,
    },

    /// The words are not SPIR-V, or not SPIR-V whose bindings can be told.
    #[error("SPIR-V: {message}")]
    Spirv {
        /// What is wrong, in one line.
        message: String,
    },

    /// The source is larger or nested deeper than the stated limit. Without a limit it could exhaust the stack.
    #[error("{what} is {have}, and at most {max} is allowed")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is. Where counting stopped at the limit, a lower bound.
        have: u64,
        /// The limit.
        max: u64,
    },

    /// There is no kernel of this name.
    #[error("no kernel is named `{name}`; there {}", list(.have))]
    UnknownKernel {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        have: Vec<String>,
    },

    /// There is no pipeline constant (`override`) of this name.
    #[error("no constant is named `{name}`; there {}", list(.have))]
    UnknownConstant {
        /// The name that was given.
        name: String,
        /// The names there are.
        have: Vec<String>,
    },

    /// A pipeline constant (`override`) has no value, or one that the kernel cannot use.
    #[error("kernel `{kernel}`: {message}")]
    Constant {
        /// The kernel that uses the constant.
        kernel: String,
        /// What is wrong, in one line.
        message: String,
    },

    /// The kernel uses a resource that is not a buffer.
    #[error(
        "kernel `{kernel}`: `{name}` is {what}; a kernel's bindings must be storage or uniform buffers"
    )]
    UnsupportedBinding {
        /// The kernel.
        kernel: String,
        /// The variable.
        name: String,
        /// What it is.
        what: &'static str,
    },

    /// The module is in a form from which the wanted one cannot be made.
    #[error("the module was given as {have}, and cannot be turned into {wanted}")]
    WrongForm {
        /// The form the module was given in.
        have: &'static str,
        /// The form or the operation that was asked for.
        wanted: &'static str,
    },

    /// The kernel does something that cannot be kept inside its own memory, and it is not trusted to keep there by itself.
    #[error(
        "kernel `{kernel}`: {message}; change it, or if it can be trusted take its source as trusted"
    )]
    Unbounded {
        /// The kernel.
        kernel: String,
        /// What it does, in one line.
        message: &'static str,
    },

    /// The kernel is valid but cannot be written for this target.
    #[error("kernel `{kernel}` cannot be written as {target}: {message}")]
    Emit {
        /// The kernel.
        kernel: String,
        /// The language that was asked for.
        target: &'static str,
        /// What is wrong, in one line.
        message: String,
    },
}

impl ShaderError {
    pub(crate) fn parse(error: &wgsl::ParseError, source: &str) -> Self {
        let at = error.location(source);
        Self::Parse {
            line: at.map_or(0, |at| at.line_number),
            column: at.map_or(0, |at| at.line_position),
            message: error.message().to_owned(),
            report: error.emit_to_string(source),
        }
    }

    pub(crate) fn invalid(error: &WithSpan<ValidationError>, source: &str) -> Self {
        let at = error.location(source);
        Self::Invalid {
            line: at.map_or(0, |at| at.line_number),
            column: at.map_or(0, |at| at.line_position),
            message: chain(error.as_inner()),
            report: error.emit_to_string(source),
        }
    }

    pub(crate) fn spirv(message: impl Into<String>) -> Self {
        Self::Spirv {
            message: message.into(),
        }
    }
}

/// An error and what caused it, in one line. naga keeps the useful half in the cause.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn list(names: &[String]) -> String {
    match names {
        [] => "are none".to_owned(),
        [name] => format!("is `{name}`"),
        names => format!("are `{}`", names.join("`, `")),
    }
}
