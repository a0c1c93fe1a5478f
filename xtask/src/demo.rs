//! `cargo xtask demo`: a real model generates text on the Vulkan device that is here, and the cost of not batching.

use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::vulkan::{self, Device};
use crate::{bench, model, shell, terminal};

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask demo
  cargo xtask demo --prompt \"Write a haiku about tides.\" --max-tokens 40
  cargo xtask demo --model my-model.gguf --no-chat --prompt \"The tide\" --device 0

Exit status: 0, 1 for a failure, 2 for wrong usage, such as a device that is not there.")]
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
    /// Have the prompt continued as it is; otherwise it is put as a message where the model has a chat template
    #[arg(long)]
    no_chat: bool,
    /// Stop after so many tokens, at least 2: the speed is that of the tokens after the first
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..))]
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
    for Device { name, software, .. } in &devices {
        terminal::note(&format!(
            "{name}{}",
            if *software {
                " (software: the CPU plays the GPU)"
            } else {
                ""
            }
        ));
    }
    if let Some(device) = &options.device {
        // Whether it is there, before a model is fetched. What is wrong the program says.
        let mut look = Command::new(&tidegate);
        look.args(["devices", "--device", device]);
        if !shell::run_as_ours(look.stdout(Stdio::null()))? {
            return Ok(false);
        }
    }
    let model = options.model.clone().map_or_else(model::ensure, Ok)?;

    let mut program = Program {
        tidegate,
        model,
        options,
        chat: if options.no_chat { "never" } else { "auto" },
        stats: StatsFile::new(),
    };
    terminal::step("Warming up: the driver compiles the kernels when they first run");
    let warm = program.generate("adaptive", WARM_UP_TOKENS, Stdio::null())?;
    // Said once that there is no template, if so.
    program.chat = match warm["chat"].as_bool() {
        Some(true) => "always",
        _ => "never",
    };
    terminal::step(&format!("Generating: {}", options.prompt));
    let tokens = options.max_tokens;
    let first = program.generate("adaptive", tokens, Stdio::inherit())?;
    terminal::print("");
    terminal::step(
        "Twice more with one submission for every dispatch, as runtimes did before batching, then batched again",
    );
    let quietly = |policy| program.generate(policy, tokens, Stdio::null());
    let each = [quietly("every-dispatch")?, quietly("every-dispatch")?];
    let batched = [first, quietly("adaptive")?];
    if batched
        .iter()
        .chain(&each)
        .any(|run| run["token_ids"] != batched[0]["token_ids"])
    {
        bail!("the runs gave different tokens, and must not: this is a defect in Tidegate");
    }
    terminal::step("A chain of small dispatches, each of which needs the one before");
    let chain = program.chain()?;
    terminal::print(&format!("\n{}", table(best(&batched)?, best(&each)?)?));
    terminal::print(&chain_line(&chain)?);
    let used = batched[0]["device"].as_str().unwrap_or_default();
    if let Some(remark) = software_remark(&devices, used) {
        terminal::print(&format!("\n{remark}"));
    }
    Ok(true)
}

/// The second token is the first that a single-token step makes.
const WARM_UP_TOKENS: u32 = 2;

/// The `tidegate` program, and what every run of it is told.
struct Program<'a> {
    tidegate: PathBuf,
    model: PathBuf,
    options: &'a Options,
    /// As `tidegate generate --chat=` takes it.
    chat: &'static str,
    stats: StatsFile,
}

impl Program<'_> {
    /// Generates under a policy, the text going to `stdout`, and returns the statistics.
    fn generate(&self, policy: &str, max_tokens: u32, stdout: Stdio) -> Result<Value> {
        let mut command = Command::new(&self.tidegate);
        command.arg("generate").arg("--model").arg(&self.model);
        command.arg(format!("--chat={}", self.chat));
        command.args(["--prompt", &self.options.prompt, "--policy", policy]);
        command.args(["--max-tokens", &max_tokens.to_string()]);
        command.arg("--stats").arg(&self.stats.0);
        self.on_device(&mut command).stdout(stdout);
        let status = command.status().context("tidegate did not start")?;
        // The program has said on standard error what went wrong; its name and status are enough here.
        if !status.success() {
            bail!("`tidegate generate` failed ({status})");
        }
        self.stats.read()
    }

    /// Runs `tidegate bench chain` and returns its document.
    fn chain(&self) -> Result<Value> {
        let mut command = Command::new(&self.tidegate);
        command.args(["bench", "chain", "--json"]);
        self.on_device(bench::steady(&mut command))
            .stderr(Stdio::inherit());
        let output = command.output().context("tidegate did not start")?;
        if !output.status.success() {
            bail!("`tidegate bench chain` failed ({})", output.status);
        }
        serde_json::from_slice(&output.stdout)
            .context("what `tidegate bench chain` printed is not JSON")
    }

    fn on_device<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(device) = &self.options.device {
            command.args(["--device", device]);
        }
        command.stdin(Stdio::null())
    }
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

fn speed(run: &Value) -> Result<f64> {
    run["decode_tokens_per_s"]
        .as_f64()
        .context("the statistics have no decode_tokens_per_s")
}

/// The fastest run, as the machine may have done other things during another.
fn best(runs: &[Value]) -> Result<&Value> {
    let (mut best, others) = runs.split_first().context("nothing ran")?;
    for run in others {
        if speed(run)? > speed(best)? {
            best = run;
        }
    }
    Ok(best)
}

/// Two runs side by side, and what batching bought.
fn table(batched: &Value, each: &Value) -> Result<String> {
    let (fast, slow) = (speed(batched)?, speed(each)?);
    let mut text = format!("{:<24}{:>14}{:>18}\n", "", "batched", "every dispatch");
    text += &format!("{:<24}{fast:>14.2}{slow:>18.2}\n", "tokens/s, best run");
    for (name, key) in COUNTERS {
        let [left, right] = [batched, each].map(|stats| counter(stats, key));
        text += &format!("{name:<24}{:>14}{:>18}\n", left?, right?);
    }
    if fast > 0.0 && slow > 0.0 {
        let ratio = fast / slow;
        text += &format!("Batching made it {ratio:.2} times as fast on this machine.");
    } else {
        text += "There is no speed to compare: the text ended with its first token.";
    }
    Ok(text)
}

/// What the table shows of `counters`, and under which name. Bytes go up by one of three ways.
const COUNTERS: [(&str, &str); 6] = [
    ("dispatches", "dispatches"),
    ("submissions", "submissions"),
    ("barriers", "barriers"),
    ("bytes staged", "bytes_staged"),
    ("bytes written in place", "bytes_direct"),
    ("bytes sent inline", "bytes_inline"),
];

/// What batching bought where there is little to do but dispatch.
fn chain_line(chain: &Value) -> Result<String> {
    let rows = chain["rows"].as_array().into_iter().flatten();
    let ratio = rows
        .filter(|row| row["name"] == "adaptive")
        .find_map(|row| row["ratio_to_every_dispatch"].as_f64())
        .context("`tidegate bench chain` says no ratio for adaptive")?;
    let dispatches = chain["dispatches"]
        .as_u64()
        .context("`tidegate bench chain` says no number of dispatches")?;
    Ok(format!(
        "In a chain of {dispatches} small dispatches, with hardly any arithmetic, it is {ratio:.2} times as fast (`tidegate bench chain`)."
    ))
}

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
            "dispatches": 16768, "submissions": submissions, "barriers": 15000,
            "bytes_staged": 98_000_000_u64, "bytes_direct": 27_044, "bytes_inline": 0,
        });
        serde_json::json!({ "decode_tokens_per_s": tokens_per_s, "counters": counters, "device": "llvmpipe" })
    }

    #[test]
    fn the_table_shows_both_runs_and_the_ratio() {
        let text = table(&stats(3.5, 130), &stats(2.0, 16768)).unwrap();
        assert!(
            text.contains("tokens/s, best run                3.50              2.00\n"),
            "{text}"
        );
        assert!(
            text.contains("submissions                        130            16,768\n"),
            "{text}"
        );
        assert!(
            text.ends_with("Batching made it 1.75 times as fast on this machine."),
            "{text}"
        );
    }

    #[test]
    fn the_table_names_every_way_that_bytes_go_up() {
        let text = table(&stats(3.5, 130), &stats(2.0, 16768)).unwrap();
        for line in [
            "bytes staged                98,000,000",
            "bytes written in place          27,044",
            "bytes sent inline                    0",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn one_token_is_nothing_to_compare() {
        let text = table(&stats(0.0, 130), &stats(0.0, 16768)).unwrap();
        assert!(
            text.ends_with("the text ended with its first token."),
            "{text}"
        );
        assert!(!text.contains("NaN"), "{text}");
    }

    #[test]
    fn of_several_runs_the_best_counts() {
        let runs = [stats(2.0, 1), stats(3.0, 2), stats(2.5, 3)];
        assert_eq!(best(&runs).unwrap(), &runs[1]);
    }

    #[test]
    fn the_chain_has_a_line_in_plain_words() {
        let rows = serde_json::json!([
            { "name": "every-dispatch", "ratio_to_every_dispatch": 1.0 },
            { "name": "adaptive", "ratio_to_every_dispatch": 2.984 },
        ]);
        let chain = serde_json::json!({ "dispatches": 262, "rows": rows });
        let text = chain_line(&chain).unwrap();
        assert!(
            text.contains("262 small dispatches") && text.contains("2.98 times"),
            "{text}"
        );
        assert!(chain_line(&serde_json::json!({})).is_err());
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
        let devices = [
            Device::usable("llvmpipe", true),
            Device::usable("H200", false),
        ];
        assert!(software_remark(&devices, "llvmpipe").is_some());
        assert!(software_remark(&devices, "H200").is_none());
    }
}
