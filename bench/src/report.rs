//! What was measured, as a table and as JSON.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tidegate_measure::{Estimate, Measured, counted};

use crate::targets::Verdict;
use crate::workloads::Workload;

/// Everything of one run.
#[derive(Debug, Serialize)]
pub struct Document {
    /// Where and with what.
    pub machine: Machine,
    /// Turns of each row.
    pub rounds: u32,
    /// The results.
    pub workloads: Vec<Outcome>,
    /// What was wanted of them, if it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Verdict>,
    /// What was not run, and why.
    pub notes: Vec<String>,
    /// What `tidegate bench decode` said, if there is such a thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode: Option<serde_json::Value>,
}

/// Where and with what it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The device.
    pub device: String,
    /// Its driver.
    pub driver: String,
    /// The queues of Tidegate and of hand-written Vulkan.
    pub queue_family: &'static str,
    /// The host's processor and how many of it.
    pub host: String,
    /// The day, in UTC.
    pub date: String,
    /// The version of wgpu.
    pub wgpu: &'static str,
}

/// One workload's rows.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What a step is.
    pub about: String,
    /// Launches of a step.
    pub launches: u32,
    /// Steps of a turn.
    pub steps_per_round: u32,
    /// What `relative` is relative to.
    pub reference: &'static str,
    /// The rows.
    pub rows: Vec<Line>,
    /// For other comparisons.
    #[serde(skip)]
    pub measured: Measured,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// The median of the rounds.
    pub us_per_step: f64,
    /// The 10th percentile of the rounds.
    pub us_per_step_low: f64,
    /// The 90th percentile of the rounds.
    pub us_per_step_high: f64,
    /// Of a step; 0 where nobody counts.
    pub submissions: u64,
    /// Of a step; 0 where nobody counts.
    pub barriers: u64,
    /// Its time in times of the reference's.
    pub relative: Estimate,
}

impl Outcome {
    /// Of a workload that was measured.
    pub fn new(workload: &Workload, measured: Measured) -> Self {
        let names = measured.names();
        let reference = names
            .iter()
            .position(|it| *it == workload.reference)
            .unwrap_or(0);
        let line = |(index, row): (usize, tidegate_measure::Row)| Line {
            name: row.name,
            us_per_step: row.us_per_step,
            us_per_step_low: row.us_per_step_low,
            us_per_step_high: row.us_per_step_high,
            submissions: row.submissions,
            barriers: row.barriers,
            relative: measured.ratio(index, reference),
        };
        Self {
            name: workload.name.clone(),
            about: workload.about.clone(),
            launches: workload.launches,
            steps_per_round: measured.steps,
            reference: names[reference],
            rows: measured
                .rows(reference)
                .into_iter()
                .enumerate()
                .map(line)
                .collect(),
            measured,
        }
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut text = format!("\n{}: {}\n", self.name, self.about);
        let _ = writeln!(
            text,
            "{:<24}{:>12}{:>22}{:>9}{:>12}{:>10}  times {} [95 %]",
            "", "us a step", "10 % to 90 %", "us each", "submissions", "barriers", self.reference
        );
        for row in &self.rows {
            let spread = format!("{:.1} to {:.1}", row.us_per_step_low, row.us_per_step_high);
            let each = match self.launches {
                0 => String::new(),
                launches => format!("{:.3}", row.us_per_step / f64::from(launches)),
            };
            let counted = |it: u64| {
                if it == 0 {
                    "-".to_owned()
                } else {
                    it.to_string()
                }
            };
            let Estimate { median, low, high } = row.relative;
            let _ = writeln!(
                text,
                "{:<24}{:>12.1}{spread:>22}{each:>9}{:>12}{:>10}  {median:.3} [{low:.3}, {high:.3}]",
                row.name,
                row.us_per_step,
                counted(row.submissions),
                counted(row.barriers),
            );
        }
        text
    }
}

impl Machine {
    /// One line.
    pub fn line(&self) -> String {
        format!(
            "{} ({}), {} queues, {}, wgpu {}, {}",
            self.device, self.driver, self.queue_family, self.host, self.wgpu, self.date
        )
    }
}

/// The host's processors, as far as the system tells.
pub fn host() -> String {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|it| it.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor", |it| it.1);
    format!("{} of {model}", counted(count as u64, "core"))
}

/// Today in UTC, as year, month and day.
pub fn today() -> String {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    date(elapsed.as_secs() / 86400)
}

/// A day of the Gregorian calendar by its number from 1970 on. Years begin in March here, so that the leap day is the last one.
fn date(day: u64) -> String {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        for (day, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (20_781, "2026-11-24"),
        ] {
            assert_eq!(date(day), text);
        }
    }
}
