//! `cargo xtask demo`: a real model generates text on the Vulkan device that is here, and the cost of not batching.

use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::vulkan::{self, Device};
use crate::{model, shell, terminal};

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask demo
  cargo xtask demo --prompt \"Write a haiku about tides.\" --max-tokens 40
  cargo xtask demo --model my-model.gguf --device 1")]
pub(crate) struct Options {
    /// A GGUF file of your own; without it, SmolLM2-135M-Instruct is fetched once (93 MB)
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// What to say to the model
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "Explain in a few sentences why the sea has tides."
    )]
    prompt: String,
    /// Stop after so many tokens
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// The device, as `tidegate devices` lists it
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Never install a system package; say what is missing instead
    #[arg(long)]
    no_install: bool,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    if let Some(model) = options.model.as_ref().filter(|model| !model.is_file()) {
        bail!("there is no file {}", model.display());
    }
    terminal::step("Building tidegate");
    let tidegate = shell::build_tidegate("release")?;
    terminal::step("Looking for a Vulkan device");
    let found = vulkan::devices(&tidegate)?;
    let devices = vulkan::ensure_device(found, &tidegate, !options.no_install)?;
    for Device { name, software } in &devices {
        terminal::note(&format!(
            "{name}{}",
            if *software {
                " (software: the CPU plays the GPU)"
            } else {
                ""
            }
        ));
    }
    let model = options.model.clone().map_or_else(model::ensure, Ok)?;

    let stats = StatsFile::new();
    terminal::step(&format!("Generating: {}", options.prompt));
    let mut command = generate(&tidegate, &model, options, &stats.0);
    run_program(&mut command)?;
    let batched = stats.read()?;
    terminal::print("");
    terminal::step(
        "Once more with one submission for every dispatch, as runtimes did before batching",
    );
    let mut command = generate(&tidegate, &model, options, &stats.0);
    run_program(
        command
            .args(["--policy", "every-dispatch"])
            .stdout(Stdio::null()),
    )?;
    let each = stats.read()?;
    terminal::print(&format!("\n{}", table(&batched, &each)?));
    let used = batched["device"].as_str().unwrap_or_default();
    if let Some(remark) = software_remark(&devices, used) {
        terminal::print(&format!("\n{remark}"));
    }
    if batched["token_ids"] != each["token_ids"] {
        bail!("the two runs gave different tokens, and must not: this is a defect in Tidegate");
    }
    Ok(true)
}

fn generate(tidegate: &Path, model: &Path, options: &Options, stats: &Path) -> Command {
    let mut command = Command::new(tidegate);
    command
        .arg("generate")
        .arg("--model")
        .arg(model)
        .args(["--chat", "--prompt", &options.prompt]);
    command
        .arg("--max-tokens")
        .arg(options.max_tokens.to_string())
        .arg("--stats")
        .arg(stats);
    if let Some(device) = &options.device {
        command.args(["--device", device]);
    }
    command.stdin(Stdio::null());
    command
}

/// The program has said on standard error what went wrong; its name and status are enough here.
fn run_program(command: &mut Command) -> Result<()> {
    let status = command.status().context("tidegate did not start")?;
    if !status.success() {
        bail!("`tidegate generate` failed ({status})");
    }
    Ok(())
}

/// Where `tidegate generate --stats` writes its JSON document while the text goes to standard output.
struct StatsFile(PathBuf);

impl StatsFile {
    fn new() -> Self {
        Self(env::temp_dir().join(format!("tidegate-demo-{}.json", process::id())))
    }

    fn read(&self) -> Result<Value> {
        let text =
            fs::read(&self.0).with_context(|| format!("tidegate wrote no {}", self.0.display()))?;
        fs::remove_file(&self.0)?;
        serde_json::from_slice(&text).context("the statistics of tidegate are not JSON")
    }
}

impl Drop for StatsFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The two runs side by side, and what batching bought.
fn table(batched: &Value, each: &Value) -> Result<String> {
    let speed = |stats: &Value| {
        stats["decode_tokens_per_s"]
            .as_f64()
            .context("the statistics have no decode_tokens_per_s")
    };
    let (fast, slow) = (speed(batched)?, speed(each)?);
    let mut text = format!("{:<16}{:>14}{:>18}\n", "", "batched", "every dispatch");
    text += &format!("{:<16}{fast:>14.2}{slow:>18.2}\n", "tokens/s");
    for (name, key) in COUNTERS {
        let [left, right] = [batched, each].map(|stats| counter(stats, key));
        text += &format!("{name:<16}{:>14}{:>18}\n", left?, right?);
    }
    let ratio = if slow > 0.0 { fast / slow } else { f64::NAN };
    text += &format!("Batching made it {ratio:.2} times as fast on this machine.");
    Ok(text)
}

/// What the table shows of `counters`, and under which name.
const COUNTERS: [(&str, &str); 4] = [
    ("dispatches", "dispatches"),
    ("submissions", "submissions"),
    ("barriers", "barriers"),
    ("bytes staged", "bytes_staged"),
];

fn counter(stats: &Value, key: &str) -> Result<String> {
    let number = stats["counters"][key]
        .as_u64()
        .with_context(|| format!("the statistics have no counter {key}"))?;
    Ok(with_commas(number))
}

/// 1234567 becomes "1,234,567".
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn software_remark(devices: &[Device], used: &str) -> Option<String> {
    let device = devices.iter().find(|device| device.name == used)?;
    device.software.then(|| {
        format!(
            "This ran on a software device ({used}): the CPU plays the GPU, and most of the time\n\
             is arithmetic that batching cannot shorten. On a GPU the arithmetic takes a fraction of\n\
             that, what remains is the cost of submitting, and batching buys more."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(tokens_per_s: f64, submissions: u64) -> Value {
        let counters = serde_json::json!({
            "dispatches": 16768, "submissions": submissions, "barriers": 15000, "bytes_staged": 98_000_000_u64,
        });
        serde_json::json!({ "decode_tokens_per_s": tokens_per_s, "counters": counters, "device": "llvmpipe" })
    }

    #[test]
    fn the_table_shows_both_runs_and_the_ratio() {
        let text = table(&stats(3.5, 130), &stats(2.0, 16768)).unwrap();
        assert!(
            text.contains("tokens/s                  3.50              2.00\n"),
            "{text}"
        );
        assert!(
            text.contains("submissions                130            16,768\n"),
            "{text}"
        );
        assert!(
            text.ends_with("Batching made it 1.75 times as fast on this machine."),
            "{text}"
        );
    }

    #[test]
    fn a_missing_number_is_named() {
        let error = table(
            &serde_json::json!({ "decode_tokens_per_s": 1.0 }),
            &stats(1.0, 1),
        )
        .unwrap_err();
        assert!(error.to_string().contains("dispatches"), "{error}");
    }

    #[test]
    fn thousands_have_commas() {
        let numbers = [0, 12, 999, 1000, 98_362_432].map(with_commas);
        assert_eq!(numbers, ["0", "12", "999", "1,000", "98,362,432"]);
    }

    #[test]
    fn only_a_software_device_gets_the_remark() {
        let device = |name: &str, software| Device {
            name: name.to_owned(),
            software,
        };
        let devices = [device("llvmpipe", true), device("H200", false)];
        assert!(software_remark(&devices, "llvmpipe").is_some());
        assert!(software_remark(&devices, "H200").is_none());
    }
}
