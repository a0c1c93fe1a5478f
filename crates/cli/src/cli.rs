//! The program's arguments. What can be checked without a file or a device is checked here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use tidegate::{Backend, Policy, QueueFamily};
use tidegate_llm::sampler::{Sampler, SamplerOptions};
use tidegate_llm::synthetic::Shape;

/// CUDA's way of working on the GPUs that have no CUDA: devices, text from a language model, benchmarks
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
#[command(after_help = "Examples:
  tidegate devices
  tidegate generate --model model.gguf --chat --prompt \"Why does the sea have tides?\"
  tidegate bench chain
  tidegate generate --model model.gguf --prompt \"The tide\" --profile --trace trace.json

Exit status: 0, 1 for a failure, 2 for wrong usage, such as a device that is not there.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes. A heading of its own keeps help in order, which counts options from 0 for each of the two.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// Write one JSON document to standard output, and everything else to standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The device: its number in `tidegate devices`, or part of its name [default: the best]
    #[arg(long, global = true, value_name = "D")]
    pub(crate) device: Option<String>,
    /// Compile every kernel anew, and keep none in the user's cache folder
    #[arg(long, global = true)]
    pub(crate) no_cache: bool,
    /// Which backend's devices to look at [default: all, the system's own first]
    #[arg(long, global = true, value_enum, value_name = "B")]
    pub(crate) backend: Option<BackendName>,
}

/// What every command takes that runs work on a device.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// Write a trace for Chrome's or Perfetto's viewer: what the CPU recorded and submitted, what the GPU ran, who waited
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Print the kernels by their time on the device, and write a page with the timeline [default: tidegate-profile.html]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(crate) profile: Option<Option<PathBuf>>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the devices, with the features and limits that matter
    #[command(after_help = "Examples:
  tidegate devices
  tidegate devices --json --device 0")]
    Devices,
    /// Continue a text, or answer a message, with a language model
    Generate(GenerateOptions),
    /// Say how well a model predicts a text: mean negative log-likelihood, in nats a token
    Score(ScoreOptions),
    /// Measure on this machine
    Bench(Bench),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tidegate generate --model model.gguf --prompt \"The tide\"
  tidegate generate --model model.gguf --chat --prompt \"Why is the sea salty?\" --max-tokens 64
  tidegate generate --model model.gguf --prompt-file - --temperature 0.8 --seed 7 < prompt.txt
  tidegate generate --model model.gguf --prompt \"1 + 1 =\" --max-tokens 4 --json

The text is streamed to standard output, with --json it is part of the document:
  text, token_ids (without the one by which the model ended the text), chat, prompt_tokens, tokens, \
  prefill_tokens_per_s, decode_tokens_per_s (of the tokens after the first; 0 where there is one), device, policy, counters.
A prompt file is UTF-8 and taken as it is, a last newline included.")]
pub(crate) struct GenerateOptions {
    /// The model, a GGUF file of architecture llama or qwen2
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) prompt: PromptOptions,
    /// Put the prompt to the model as a user's message, by the model's own chat template
    #[arg(long, value_name = "WHEN", value_enum, num_args = 0..=1, require_equals = true, default_value_t = Chat::Never, default_missing_value = "always")]
    pub(crate) chat: Chat,
    /// Stop after so many tokens, at least 1
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = value_parser!(u32).range(1..), allow_negative_numbers = true)]
    pub(crate) max_tokens: u32,
    /// How freely to choose, 0 or more; 0 always takes the likeliest token
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = temperature, allow_negative_numbers = true)]
    pub(crate) temperature: f32,
    /// Choose among the fewest tokens that are together at least this likely, above 0 and up to 1 [default: all]
    #[arg(long, value_name = "X", value_parser = top_p, allow_negative_numbers = true)]
    pub(crate) top_p: Option<f32>,
    /// Choose among this many of the likeliest tokens, at least 1 [default: all]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), allow_negative_numbers = true)]
    pub(crate) top_k: Option<u32>,
    /// Where the random numbers begin; the same seed gives the same text [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// When recorded work is let through to the device
    #[arg(long, value_enum, default_value_t = PolicyName::Adaptive)]
    pub(crate) policy: PolicyName,
    /// Write the document of --json to this file too, while the text is streamed
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct PromptOptions {
    /// The text to continue, or with --chat the message to answer
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: Option<String>,
    /// A file that holds it; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) prompt_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tidegate score --model model.gguf --file text.txt
  tidegate score --model model.gguf --file - --json < text.txt

The text is UTF-8 and scored as it is, a last newline included. The document of --json has tokens (n) and nll (the mean \
over tokens 2 to n). exp(nll) is the perplexity.")]
pub(crate) struct ScoreOptions {
    /// The model, a GGUF file of architecture llama or qwen2
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// The text, in UTF-8; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// When recorded work is let through to the device
    #[arg(long, value_enum, default_value_t = PolicyName::Adaptive)]
    pub(crate) policy: PolicyName,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
#[command(after_help = "Examples:
  tidegate bench chain
  tidegate bench chain --json > chain.json
  tidegate bench decode --shape smollm2-135m

On a software device (lavapipe) set LP_NUM_THREADS=0: it is steadier.")]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) command: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// A chain of dependent launches under each policy and, on a Vulkan device, as hand-written Vulkan
    Chain(ChainOptions),
    /// Tokens a second of a language model's shape, with random weights, under each policy
    Decode(DecodeOptions),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tidegate bench chain
  tidegate bench chain --dispatches 1000 --workgroups 64 --rounds 100
  tidegate bench chain --device 0 --queue-family graphics --json
  tidegate bench chain --chains 2 --reorder

A step is the whole chain, or all chains, and one wait. Rows take turns in one process. us_per_step is the median of the rounds, low and \
high its 10th and 90th percentile. Submissions and barriers are those of one step; every submission begins with one more \
barrier. A ratio says how many times as fast as every-dispatch a row is: the median of the rounds' own ratios, ratio_low \
and ratio_high being its 95 % confidence interval. A wrong result is a failure.
On a software device (lavapipe) set LP_NUM_THREADS=0: it is steadier.")]
pub(crate) struct ChainOptions {
    /// Launches in the chain, each of which needs the result of the one before, 1 to 100,000
    #[arg(long, value_name = "N", default_value_t = 262, value_parser = value_parser!(u32).range(1..=100_000), allow_negative_numbers = true)]
    pub(crate) dispatches: u32,
    /// Chains that are independent of each other, recorded one after the other, 1 to 64; hand-written Vulkan has one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=64), allow_negative_numbers = true)]
    pub(crate) chains: u32,
    /// Add rows that put independent launches side by side, whatever order they were recorded in
    #[arg(long)]
    pub(crate) reorder: bool,
    /// Workgroups of a launch, each of 64 invocations, 1 to 16,777,216
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = value_parser!(u32).range(1..=WORKGROUPS_MAX), allow_negative_numbers = true)]
    pub(crate) workgroups: u32,
    /// How often each row has its turn, 30 to 100,000: an interval takes so many
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = value_parser!(u32).range(30..=100_000), allow_negative_numbers = true)]
    pub(crate) rounds: u32,
    /// Which of the device's queues to use, where it has a choice
    #[arg(long, value_enum, default_value_t = FamilyName::Compute)]
    pub(crate) queue_family: FamilyName,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tidegate bench decode --shape smollm2-135m
  tidegate bench decode --shape qwen2.5-0.5b --tokens 1024 --rounds 10
  tidegate bench decode --shape llama-3.1-8b --queue-family graphics --json
  tidegate bench decode --shape qwen2.5-0.5b --unchecked     what checking every index costs
  tidegate bench decode --shape smollm2-135m --tokens 4 --prompt 8 --rounds 1     on lavapipe

The weights are random, 4 bits each with a scale and a minimum for every 32, and made on the device; no file is read. A turn decodes --tokens tokens \
from an empty context, each the likeliest after those before it. Rows named after a policy read every token back and wait for it, as a \
program does that shows text; graph replays a captured step; rows that end in -unread leave the tokens on the device and wait once, at the end.
us_per_step is the time of one token: the median of the rounds, low and high its 10th and 90th percentile. launches_per_token, barriers_per_token and submissions are those \
of one token; bytes_per_token is what it has to read: weights, and keys and values at half of --tokens. All rows must choose the same tokens.
With --unchecked, checks_cost says how many times as long a token takes with checks as without: the median of the rounds' own ratios, and its 95 % interval.
On a software device (lavapipe) a token takes a tenth of a second or more: ask for few, as the last example does.")]
pub(crate) struct DecodeOptions {
    /// Whose shape
    #[arg(long, value_enum)]
    pub(crate) shape: ShapeName,
    /// Tokens that a turn decodes, 1 to 8192
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = value_parser!(u32).range(1..=8192), allow_negative_numbers = true)]
    pub(crate) tokens: u32,
    /// Tokens of the prompt by which prefill is measured, 1 to 4096
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = value_parser!(u32).range(1..=4096), allow_negative_numbers = true)]
    pub(crate) prompt: u32,
    /// How often each row has its turn, 1 to 100,000
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = value_parser!(u32).range(1..=100_000), allow_negative_numbers = true)]
    pub(crate) rounds: u32,
    /// Which of the device's queues to use, where it has a choice
    #[arg(long, value_enum, default_value_t = FamilyName::Compute)]
    pub(crate) queue_family: FamilyName,
    /// Decode also with kernels whose indices are not checked, in rows that end in -unchecked. Takes twice the memory
    #[arg(long)]
    pub(crate) unchecked: bool,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

/// [`Shape`], as users name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShapeName {
    /// 30 layers of 576, 49,152 tokens: 87 MB a token
    #[value(name = "smollm2-135m")]
    SmolLm2,
    /// 24 layers of 896, 151,936 tokens
    #[value(name = "qwen2.5-0.5b")]
    Qwen05,
    /// 28 layers of 1536
    #[value(name = "qwen2.5-1.5b")]
    Qwen15,
    /// 36 layers of 2048
    #[value(name = "qwen2.5-3b")]
    Qwen3,
    /// 32 layers of 4096: 4.7 GB a token
    #[value(name = "llama-3.1-8b")]
    Llama8,
}

impl ShapeName {
    /// What it stands for.
    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::SmolLm2 => Shape::SmolLm2_135M,
            Self::Qwen05 => Shape::Qwen25_0_5B,
            Self::Qwen15 => Shape::Qwen25_1_5B,
            Self::Qwen3 => Shape::Qwen25_3B,
            Self::Llama8 => Shape::Llama31_8B,
        }
    }
}

/// 4 GiB of words at 64 invocations a workgroup; devices may allow less.
const WORKGROUPS_MAX: i64 = 1 << 24;

/// Whether a prompt is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Chat {
    /// As --chat alone: a model without a template is an error
    Always,
    /// Where the model has a template
    Auto,
    /// As without --chat: the prompt is a text to continue
    Never,
}

/// [`Policy`], as users name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyName {
    /// Early when the device has nothing to do, in growing batches while it is busy
    Adaptive,
    /// Nothing until somebody waits
    UntilSync,
    /// One submission a launch, as runtimes did before batching
    EveryDispatch,
}

impl PolicyName {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::UntilSync => "until-sync",
            Self::EveryDispatch => "every-dispatch",
        }
    }

    /// What it stands for.
    pub(crate) fn policy(self) -> Policy {
        match self {
            Self::Adaptive => Policy::Adaptive,
            Self::UntilSync => Policy::UntilSync,
            Self::EveryDispatch => Policy::EveryDispatch,
        }
    }
}

/// [`Backend`], as users name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendName {
    /// Apple's own
    Metal,
    /// Everyone else's
    Vulkan,
}

impl BackendName {
    /// What it stands for.
    pub(crate) fn backend(self) -> Backend {
        match self {
            Self::Metal => Backend::Metal,
            Self::Vulkan => Backend::Vulkan,
        }
    }
}

/// [`QueueFamily`], as users name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FamilyName {
    /// Queues for compute alone
    Compute,
    /// Queues that draw, too
    Graphics,
}

impl FamilyName {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Graphics => "graphics",
        }
    }

    /// What it stands for.
    pub(crate) fn family(self) -> QueueFamily {
        match self {
            Self::Compute => QueueFamily::Compute,
            Self::Graphics => QueueFamily::Graphics,
        }
    }
}

impl GenerateOptions {
    /// How tokens are to be chosen. Each option has been checked when it was parsed.
    pub(crate) fn sampler(&self) -> SamplerOptions {
        let default = SamplerOptions::default();
        SamplerOptions {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p.unwrap_or(default.top_p),
            seed: self.seed.unwrap_or(default.seed),
        }
    }
}

fn temperature(text: &str) -> Result<f32, String> {
    let temperature = number(text)?;
    let options = SamplerOptions {
        temperature,
        ..SamplerOptions::default()
    };
    Sampler::new(options).map_err(|it| it.to_string())?;
    Ok(temperature)
}

fn top_p(text: &str) -> Result<f32, String> {
    let top_p = number(text)?;
    let options = SamplerOptions {
        top_p,
        ..SamplerOptions::default()
    };
    Sampler::new(options).map_err(|it| it.to_string())?;
    Ok(top_p)
}

fn number(text: &str) -> Result<f32, String> {
    text.parse().map_err(|_| "it is not a number".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        for policy in PolicyName::value_variants() {
            let value = policy.to_possible_value().unwrap();
            assert_eq!(value.get_name(), policy.name());
        }
        for shape in ShapeName::value_variants() {
            let value = shape.to_possible_value().unwrap();
            assert_eq!(value.get_name(), shape.shape().name());
        }
        for family in FamilyName::value_variants() {
            let value = family.to_possible_value().unwrap();
            assert_eq!(value.get_name(), family.name());
        }
        for backend in BackendName::value_variants() {
            let value = backend.to_possible_value().unwrap();
            assert_eq!(value.get_name(), backend.backend().to_string());
        }
    }
}
