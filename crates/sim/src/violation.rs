//! What the caller did that the contract forbids.

use std::fmt;

use tidegate_core::{Region, Ticket};

/// Which part of the contract was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// Two commands touch a byte, one of them writes it, and nothing orders them: a barrier or a wait is missing.
    Race,
    /// A command reads what an earlier one wrote. That one is over, but nothing makes its writes visible.
    Unseen,
    /// The host writes or reads bytes that a submission it has not seen complete still uses.
    HostRace,
    /// The host reads what a batch wrote that did not say `host_reads`.
    HostUnseen,
    /// Memory or a pipeline was given back while a submission that uses it can still run.
    InUse,
    /// Memory or a pipeline is used that does not exist, or made where one exists.
    Dead,
    /// A region, span, grid or size is out of range, or bindings do not fit the kernel.
    Range,
    /// An offset or a size is not a multiple of what the device asks for.
    Align,
    /// A ticket does not grow, names no queue, or is waited on before it was submitted.
    Ticket,
    /// A graph's commands differ under the same version, a version goes back, or a graph is used after it was given back.
    Replay,
    /// A kernel changed a buffer that its interface says it only reads, or panicked.
    Kernel,
    /// A method was called in a way that its contract excludes.
    Call,
}

/// One breach of the contract, with what is needed to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which part of the contract.
    pub rule: Rule,
    /// The submission, if it is about one.
    pub ticket: Option<Ticket>,
    /// The command's index in [`Batch::commands`](tidegate_core::Batch::commands), barriers counted, if it is about one.
    pub command: Option<usize>,
    /// The bytes, if it is about some.
    pub region: Option<Region>,
    /// What is wrong, in words.
    pub detail: String,
    /// The batch as it prints itself; empty if it is not about one.
    pub batch: String,
}

impl Violation {
    pub(crate) fn new(rule: Rule, detail: impl Into<String>) -> Self {
        Self {
            rule,
            ticket: None,
            command: None,
            region: None,
            detail: detail.into(),
            batch: String::new(),
        }
    }

    pub(crate) fn at(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.rule)?;
        if let Some(ticket) = self.ticket {
            write!(f, ", queue {} ticket {}", ticket.queue, ticket.value)?;
        }
        if let Some(command) = self.command {
            write!(f, ", command {command}")?;
        }
        if let Some(region) = self.region {
            write!(f, ", {region}")?;
        }
        write!(f, ": {}", self.detail)?;
        for line in self.batch.lines() {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}
