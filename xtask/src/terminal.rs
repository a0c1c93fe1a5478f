//! What a person sees: steps, notes, errors and progress. Colours and moving bars appear on a terminal only.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use console::style;
use indicatif::{ProgressBar, ProgressStyle};

/// A line that was asked for, to standard output. A reader that went away is no reason to stop, here and below.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Names the step that starts now.
pub(crate) fn step(text: &str) {
    tell(&format!(
        "{} {}",
        style("==>").for_stderr().green().bold(),
        style(text).for_stderr().bold()
    ));
}

/// A line of plain information.
pub(crate) fn note(text: &str) {
    tell(&format!("    {text}"));
}

pub(crate) fn warning(text: &str) {
    tell(&format!(
        "{} {text}",
        style("warning:").for_stderr().yellow().bold()
    ));
}

pub(crate) fn error(error: &anyhow::Error) {
    tell(&format!(
        "{} {error:#}",
        style("error:").for_stderr().red().bold()
    ));
}

/// 98362432 becomes "98.4 MB".
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// How far a long job with a known size is: a bar on a terminal, a line every few seconds elsewhere.
pub(crate) struct Meter {
    name: String,
    bytes_total: u64,
    bar: ProgressBar,
    spoken: Instant,
}

impl Meter {
    const PLAIN_LINE_EVERY: Duration = Duration::from_secs(5);

    pub(crate) fn new(name: &str, bytes_total: u64) -> Self {
        let bar = ProgressBar::new(bytes_total);
        let template = "    {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(name.to_owned());
        Self {
            name: name.to_owned(),
            bytes_total,
            bar,
            spoken: Instant::now(),
        }
    }

    pub(crate) fn set(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes_total);
        self.bar.set_position(bytes);
        if self.bar.is_hidden() && self.spoken.elapsed() >= Self::PLAIN_LINE_EVERY {
            self.spoken = Instant::now();
            note(&format!(
                "{}: {} of {}",
                self.name,
                megabytes(bytes),
                megabytes(self.bytes_total)
            ));
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
