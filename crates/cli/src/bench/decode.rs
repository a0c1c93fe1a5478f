//! `tidegate bench decode`: tokens a second of a language model's shape, with random weights.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Instant;

use console::style;
use serde::Serialize;
use tidegate::Device;
use tidegate_llm::Error;
use tidegate_llm::synthetic::{Decoder, Shape, Synthetic, bytes_per_token};

use crate::cli::{Common, DecodeOptions, PolicyName};
use crate::device;
use crate::failure::Failure;
use crate::files;
use crate::output;
use crate::profile::Profile;
use tidegate_measure::{self as rounds, Contender, Plan, Sample, counted};

#[derive(Serialize)]
struct Document<'a> {
    device: &'a str,
    queue_family: &'static str,
    shape: &'static str,
    tokens: u32,
    rounds: u32,
    /// Whether a trace was taken meanwhile, which costs time.
    traced: bool,
    weight_bytes: u64,
    prompt_tokens: u32,
    /// Median, low and high of the rounds.
    prefill_tokens_per_s: [f64; 3],
    /// The same without checks, if it was asked for; and what checks cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefill_unchecked_tokens_per_s: Option<[f64; 3]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks_cost: Vec<Cost>,
    rows: &'a [Row],
}

/// How many times as long a token takes with checks: the median of the rounds' own ratios, and its 95 % interval.
#[derive(Serialize)]
struct Cost {
    row: &'static str,
    ratio: f64,
    ratio_low: f64,
    ratio_high: f64,
}

/// A row of `bench chain`, a step being a token, and what belongs to tokens.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    row: rounds::Row,
    tokens_per_s: f64,
    launches_per_token: f64,
    barriers_per_token: f64,
    bytes_per_token: u64,
}

/// Sequences that exist at a time: one a row.
const ROWS: [(PolicyName, Reading, &str); 8] = [
    (PolicyName::EveryDispatch, Reading::Each, "every-dispatch"),
    (PolicyName::UntilSync, Reading::Each, "until-sync"),
    (PolicyName::Adaptive, Reading::Each, "adaptive"),
    (PolicyName::Adaptive, Reading::Each, GRAPH),
    (
        PolicyName::EveryDispatch,
        Reading::Last,
        "every-dispatch-unread",
    ),
    (PolicyName::UntilSync, Reading::Last, "until-sync-unread"),
    (PolicyName::Adaptive, Reading::Last, "adaptive-unread"),
    (PolicyName::Adaptive, Reading::Last, GRAPH_UNREAD),
];

/// The rows whose steps are launches of a graph.
const GRAPH: &str = "graph";
const GRAPH_UNREAD: &str = "graph-unread";

/// The rows of `--unchecked`, with the name of each one's like that is checked.
const UNCHECKED: [(PolicyName, Reading, &str, &str); 2] = [
    (
        PolicyName::Adaptive,
        Reading::Each,
        "adaptive-unchecked",
        "adaptive",
    ),
    (
        PolicyName::Adaptive,
        Reading::Last,
        "graph-unread-unchecked",
        GRAPH_UNREAD,
    ),
];

/// When the host waits for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// For each.
    Each,
    /// For the last one of a turn.
    Last,
}

/// Runs the benchmark.
pub(crate) fn run(options: &DecodeOptions, common: &Common) -> Result<(), Failure> {
    let choice = device::choose(common)?;
    files::check_distinct(&[], &Profile::files(&options.watch))?;
    let profile = Profile::new(&options.watch, common.json)?;
    let device = choice.open(options.queue_family.family())?;
    let shape = options.shape.shape();
    let (tokens, sequences) = (options.tokens, ROWS.len() as u32 + 1);
    let longest = tokens.max(options.prompt + 1);
    shape.check(device.capabilities(), longest, sequences)?;

    let model = make(&device, shape)?;
    let prefill_tokens_per_s = prefill(&model, options)?;
    let unchecked = match options.unchecked {
        true => Some(make(&without_checks(&device), shape)?),
        false => None,
    };
    let of_prompt = |it: &Synthetic| prefill(it, options);
    let prefill_unchecked_tokens_per_s = unchecked.as_ref().map(of_prompt).transpose()?;
    let mut contenders = contenders(&device, &model, unchecked.as_ref(), tokens)?;
    profile.start(&device)?;
    let bar = output::count_bar("Measuring", options.rounds.into());
    let plan = Plan::of_steps(options.rounds, tokens);
    let measured = rounds::run(&mut contenders, &plan, &mut || bar.inc(1))?;
    bar.finish_and_clear();

    // The first contender is `every-dispatch`.
    let rows = measured.rows(0).into_iter().enumerate();
    let rows: Vec<Row> = rows
        .map(|(index, row)| Row {
            tokens_per_s: 1e6 / row.us_per_step,
            launches_per_token: measured.per_step(index, |it| it.launches),
            barriers_per_token: measured.per_step(index, |it| it.barriers),
            bytes_per_token: bytes_per_token(shape, tokens),
            row,
        })
        .collect();
    let document = Document {
        device: &device.capabilities().name,
        queue_family: options.queue_family.name(),
        shape: shape.name(),
        tokens,
        rounds: options.rounds,
        traced: profile.is_on(),
        weight_bytes: shape.weight_bytes(),
        prompt_tokens: options.prompt,
        prefill_tokens_per_s,
        prefill_unchecked_tokens_per_s,
        checks_cost: costs(&measured),
        rows: &rows,
    };
    if common.json {
        output::document(&document)?;
    } else {
        output::print(&table(&document, device.capabilities().software))?;
    }
    profile.finish(&device)
}

fn make(device: &Device, shape: Shape) -> Result<Synthetic, Failure> {
    let bar = output::count_bar("Making weights", shape.config().layers.into());
    let model = Synthetic::new(device, shape, &mut |done, _| bar.set_position(done))?;
    bar.finish_and_clear();
    Ok(model)
}

/// A handle whose kernels are not checked, for a model of random weights and nothing else.
#[expect(unsafe_code, reason = "the price of checks is what is measured")]
fn without_checks(device: &Device) -> Device {
    // SAFETY: the handle makes the decoder's own kernels, for one of its known shapes, and each index follows from the shape, the sequence's length, which its buffers are made for, and
    // tokens, which the kernels themselves choose below the size of the vocabulary. They store to workgroup memory before they load, and every loop has an end: tests decode such shapes,
    // and the rows with checks must choose the same tokens.
    unsafe { device.unchecked() }
}

fn costs(measured: &rounds::Measured) -> Vec<Cost> {
    let place = |name: &str| measured.names().iter().position(|it| *it == name);
    let cost = |(_, _, unchecked, checked): &(_, _, &str, &'static str)| {
        let ratio = measured.ratio(place(checked)?, place(unchecked)?);
        Some(Cost {
            row: checked,
            ratio: ratio.median,
            ratio_low: ratio.low,
            ratio_high: ratio.high,
        })
    };
    UNCHECKED.iter().filter_map(cost).collect()
}

/// Tokens of prompt a second, up to the first token after them: median, 10th and 90th percentile of the rounds.
fn prefill(model: &Synthetic, options: &DecodeOptions) -> Result<[f64; 3], Failure> {
    let mut decoder = model.decoder(PolicyName::Adaptive.policy(), options.prompt + 1)?;
    let mut rates = Vec::new();
    // The first one warms up.
    for round in 0..=options.rounds {
        let start = Instant::now();
        decoder.prefill(options.prompt)?;
        decoder.newest()?.wait()?;
        if round > 0 {
            rates.push(f64::from(options.prompt) / start.elapsed().as_secs_f64());
        }
    }
    rates.sort_by(f64::total_cmp);
    Ok([0.5, 0.1, 0.9].map(|at| rounds::quantile(&rates, at)))
}

fn contenders(
    device: &Device,
    model: &Synthetic,
    unchecked: Option<&Synthetic>,
    tokens: u32,
) -> Result<Vec<Box<dyn Contender<Failure>>>, Failure> {
    let expected = Rc::new(RefCell::new(None));
    let contender = |model: &Synthetic, (policy, reading, name): (_, _, &'static str)| {
        let policy: PolicyName = policy;
        let mut decoder = model.decoder(policy.policy(), tokens)?;
        if name.starts_with(GRAPH) && !decoder.capture()? {
            return Ok(None);
        }
        let contender: Box<dyn Contender<Failure>> = Box::new(Decoding {
            name,
            reading,
            device: device.clone(),
            decoder,
            expected: Rc::clone(&expected),
        });
        Ok(Some(contender))
    };
    let rows = ROWS.map(|it| (model, it));
    let rest = UNCHECKED.map(|(policy, reading, name, _)| (policy, reading, name));
    let rest = unchecked
        .into_iter()
        .flat_map(|it| rest.map(|row| (it, row)));
    // A step that cannot be captured has no row.
    rows.into_iter()
        .chain(rest)
        .filter_map(|(model, row)| contender(model, row).transpose())
        .collect()
}

/// Decoding on a stream.
struct Decoding {
    name: &'static str,
    reading: Reading,
    device: Device,
    decoder: Decoder,
    /// What the first row that was checked chose, and all others must choose too.
    expected: Rc<RefCell<Option<Vec<u32>>>>,
}

impl Decoding {
    fn decode(&mut self, tokens: u32) -> Result<(), Error> {
        self.decoder.restart()?;
        for _ in 0..tokens {
            self.decoder.step()?;
            if self.reading == Reading::Each {
                self.decoder.newest()?.wait()?;
            }
        }
        self.decoder.synchronize()
    }
}

impl Contender<Failure> for Decoding {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, steps: u32) -> Result<Sample, Failure> {
        let before = self.device.counters();
        let start = Instant::now();
        self.decode(steps)
            .map_err(|it| Failure::Failed(format!("{}: {it}", self.name)))?;
        let elapsed = start.elapsed();
        let after = self.device.counters();
        Ok(Sample {
            elapsed,
            submissions: after.submissions - before.submissions,
            barriers: after.barriers - before.barriers,
            launches: after.dispatches - before.dispatches,
        })
    }

    fn check(&mut self) -> Result<(), Failure> {
        let chosen = self.decoder.sequence()?.wait()?;
        if chosen.contains(&u32::MAX) {
            return Err(Failure::Failed(format!(
                "{}: {}",
                self.name,
                Error::NoLogit
            )));
        }
        let mut expected = self.expected.borrow_mut();
        let expected = expected.get_or_insert_with(|| chosen.clone());
        let differs = expected.iter().zip(&chosen).position(|(a, b)| a != b);
        match differs {
            None => Ok(()),
            Some(at) => Err(Failure::Failed(format!(
                "{}: token {at} is {} and must be {}, as in the row before: the result is wrong, a defect in Tidegate or in the driver",
                self.name, chosen[at], expected[at]
            ))),
        }
    }
}

fn table(document: &Document<'_>, software: bool) -> String {
    let mut text = format!(
        "{}: {} in the shape of {}, {} of weights, {}\n\n",
        document.device,
        counted(document.tokens.into(), "token"),
        document.shape,
        output::binary_bytes(document.weight_bytes),
        counted(document.rounds.into(), "round")
    );
    let mut line = |value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{value}");
    };
    let header = format!(
        "{:<22}{:>10}{:>12}{:>20}{:>10}{:>10}{:>13}{:>8}",
        "",
        "tokens/s",
        "us a token",
        "10 % to 90 %",
        "launches",
        "barriers",
        "submissions",
        "ratio"
    );
    line(&style(header).bold().to_string());
    for Row {
        row,
        tokens_per_s,
        launches_per_token,
        barriers_per_token,
        ..
    } in document.rows
    {
        let spread = format!("{:.0} to {:.0}", row.us_per_step_low, row.us_per_step_high);
        line(&format!(
            "{:<22}{tokens_per_s:>10.1}{:>12.1}{spread:>20}{launches_per_token:>10.1}{barriers_per_token:>10.1}{:>13}{:>8.2}",
            row.name, row.us_per_step, row.submissions, row.ratio_to_every_dispatch
        ));
    }
    if let Some(row) = document.rows.first() {
        line(&format!(
            "\nA token reads {} at least. Rows that end in -unread wait once for all tokens, the others for each. The ratio says how\nmany times as fast as every-dispatch a row is. All rows chose the same tokens.",
            output::binary_bytes(row.bytes_per_token)
        ));
    }
    let [rate, low, high] = document.prefill_tokens_per_s;
    line(&format!(
        "A prompt of {} goes through at {rate:.0} tokens/s ({low:.0} to {high:.0}).",
        counted(document.prompt_tokens.into(), "token")
    ));
    if let Some([rate, low, high]) = document.prefill_unchecked_tokens_per_s {
        line(&format!(
            "Without checks it goes through at {rate:.0} tokens/s ({low:.0} to {high:.0})."
        ));
    }
    for Cost {
        row,
        ratio,
        ratio_low,
        ratio_high,
    } in &document.checks_cost
    {
        line(&format!(
            "With checks a token of row {row} takes {ratio:.3} times as long as without ({ratio_low:.3} to {ratio_high:.3})."
        ));
    }
    if software {
        line(
            "This is a software device: the CPU plays the GPU, and its arithmetic is nearly all of the time.",
        );
    }
    text
}
