//! What a person sees and what a program reads. Colours and moving bars appear on a terminal only.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use console::style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// Writes text to standard output, now.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|it| Failure::stdout(&it))
}

/// Writes text that a model or a driver made. On a terminal its control characters, which could command the terminal, are replaced.
pub(crate) fn print_foreign(text: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        print(&harmless(text))
    } else {
        print(text)
    }
}

/// Writes the one document of `--json`, on one line.
pub(crate) fn document(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(Failure::failed)?;
    print(&(text + "\n"))
}

/// A line of plain information, to standard error. A reader that went away is no reason to stop, here and below.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// What may not be as the user expects.
pub(crate) fn warning(text: &str) {
    let label = style("warning:").for_stderr().yellow().bold();
    note(&format!("{label} {text}"));
}

/// Why the program ends.
pub(crate) fn error(text: &str) {
    let label = style("error:").for_stderr().red().bold();
    note(&format!("{label} {text}"));
}

/// A bar for work that is counted in bytes.
pub(crate) fn bytes_bar(name: &'static str, total: u64) -> ProgressBar {
    bar(
        name,
        total,
        "{prefix} {bar:32} {bytes}/{total_bytes} {elapsed}",
    )
}

/// A bar for work that is counted.
pub(crate) fn count_bar(name: &'static str, total: u64) -> ProgressBar {
    bar(name, total, "{prefix} {bar:32} {pos}/{len} {elapsed}")
}

/// Shown on standard error if that is a terminal, and gone when dropped.
fn bar(name: &'static str, total: u64, template: &str) -> ProgressBar {
    // Hidden where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(shape) = ProgressStyle::with_template(template) {
        bar.set_style(shape);
    }
    bar.with_prefix(name)
        .with_finish(indicatif::ProgressFinish::AndClear)
}

/// 2147483648 becomes "2.0 GiB".
pub(crate) fn binary_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} {}", UNITS[0])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

fn harmless(text: &str) -> Cow<'_, str> {
    let commands = |it: char| it.is_control() && it != '\n' && it != '\t';
    if text.contains(commands) {
        Cow::Owned(text.replace(commands, "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let sizes = [0, 1023, 1024, 128 << 20, u64::MAX].map(binary_bytes);
        assert_eq!(
            sizes,
            [
                "0 bytes",
                "1023 bytes",
                "1.0 KiB",
                "128.0 MiB",
                "16777216.0 TiB"
            ]
        );
    }

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(harmless("a\tb\né 🙂"), "a\tb\né 🙂");
        assert_eq!(
            harmless("\u{1b}[2J\u{9b}1m\r"),
            "\u{FFFD}[2J\u{FFFD}1m\u{FFFD}"
        );
    }
}
