//! `cargo xtask metal`: the Metal backend on software classes.

use anyhow::Result;
use clap::Args;

use crate::{planted, terminal};

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask metal --planted                    every planted mistake is caught by its test
  cargo xtask metal --planted --filter fence     those whose names contain `fence`")]
pub(crate) struct Options {
    /// Plant each known mistake in a copy of the backend, and see that its test fails for the right reason
    #[arg(long, required = true)]
    planted: bool,
    /// Plant only the mistakes whose names contain this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut good = true;
    if options.planted {
        let count = planted::run(options.filter.as_deref())?;
        terminal::print(&count.line());
        good = count.failed == 0;
    }
    Ok(good)
}
