//! Every chore of the project has one door: `cargo xtask demo | test | lint | metal | apple | tvm | fuzz | sanitize | soak | bench`.
//!
//! Progress goes to standard error; what was asked for goes to standard output. Exit status: 0 done, 1 failed, 2 wrong
//! usage.
#![forbid(unsafe_code)]

mod apple;
mod bench;
mod demo;
mod fuzz;
mod lint;
mod metal;
mod model;
mod parts;
mod planted;
mod sanitize;
mod shell;
mod soak;
mod system;
mod terminal;
mod test;
mod tidy;
mod totals;
mod tvm;
mod vulkan;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Every chore of the project has one door"
)]
#[command(after_help = "Examples:
  cargo xtask demo                      generate text with a real model
  cargo xtask test --filter hazards     the tests whose names contain `hazards`
  cargo xtask lint --part tidy          one check only
  cargo xtask metal                     run the Metal backend, in software
  cargo xtask apple                     compile for Apple's systems, without a Mac
  cargo xtask fuzz --target wgsl        feed one part what strangers could
  cargo xtask soak --minutes 10         random histories of calls on a hostile device
  cargo xtask tvm                       run TVM's compiled models, on the real TVM
  cargo xtask sanitize --part loom      every order of events that threads can meet
  cargo xtask bench --targets           next to hand-written Vulkan and wgpu

Exit status of each: 0 done, 1 failed, 2 wrong usage.")]
struct Options {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Generate text with a small language model, and show what batching bought
    Demo(demo::Options),
    /// Install what the tests need, then run all of them
    Test(test::Options),
    /// Check format, lints, documentation, dependencies and the project's own rules
    Lint(lint::Options),
    /// Run the Metal backend on software classes
    Metal(metal::Options),
    /// Compile every crate for macOS and iOS, and link for macOS
    Apple(apple::Options),
    /// Run what takes strangers' bytes under libFuzzer
    Fuzz(fuzz::Options),
    /// Run what a model checker, Miri and the sanitizers see
    Sanitize(sanitize::Options),
    /// Install TVM, build the runtime for it, and test both together
    Tvm(tvm::Options),
    /// Build for speed and measure: next to hand-written Vulkan and wgpu, or `tidegate bench`
    Bench(bench::Options),
    /// Run random histories of calls and compare every result with a byte array's
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.chore {
        Chore::Demo(options) => demo::run(&options),
        Chore::Test(options) => test::run(&options),
        Chore::Lint(options) => lint::run(&options),
        Chore::Metal(options) => metal::run(&options),
        Chore::Apple(options) => apple::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Sanitize(options) => sanitize::run(&options),
        Chore::Tvm(options) => tvm::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Soak(options) => soak::run(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            terminal::error(&error);
            ExitCode::FAILURE
        }
    }
}
