//! `--trace` and `--profile`: what happened when, as files and as a table.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use tidegate::{Device, KernelTime, Trace};
use tidegate_measure::PlannedFile;

use crate::cli::Watch;
use crate::failure::Failure;
use crate::output;

/// Events that a trace may have: some 100 MB of memory, and the decoding of thousands of tokens.
const EVENTS_MAX: usize = 1 << 20;
/// Where `--profile` alone puts its page.
const PAGE: &str = "tidegate-profile.html";
const TEMPLATE: &str = include_str!("profile.html");

/// What the user wants to see.
#[derive(Debug)]
pub(crate) struct Profile {
    trace: Option<PlannedFile>,
    page: Option<PlannedFile>,
    quiet: bool,
}

impl Profile {
    /// Opens the files. With `quiet`, standard output is for something else.
    pub(crate) fn new(watch: &Watch, quiet: bool) -> Result<Self, Failure> {
        let [(_, trace), (_, page)] = Self::files(watch);
        let open = |path: Option<PathBuf>| path.map(|it| PlannedFile::open(&it)).transpose();
        Ok(Self {
            trace: open(trace).map_err(Failure::failed)?,
            page: open(page).map_err(Failure::failed)?,
            quiet,
        })
    }

    /// The files that it will make, by their options.
    pub(crate) fn files(watch: &Watch) -> [(&'static str, Option<PathBuf>); 2] {
        let page = watch.profile.as_ref();
        let page = page.map(|it| it.clone().unwrap_or_else(|| PAGE.into()));
        [("--trace", watch.trace.clone()), ("--profile", page)]
    }

    /// Starts to trace, if anything is wanted.
    pub(crate) fn start(&self, device: &Device) -> Result<(), Failure> {
        if self.is_on() {
            device.start_trace(EVENTS_MAX)?;
        }
        Ok(())
    }

    /// Whether anything is wanted.
    pub(crate) fn is_on(&self) -> bool {
        self.trace.is_some() || self.page.is_some()
    }

    /// Writes what is wanted. The device's streams have been waited for.
    pub(crate) fn finish(self, device: &Device) -> Result<(), Failure> {
        if !self.is_on() {
            return Ok(());
        }
        let trace = device.end_trace()?;
        if trace.dropped() > 0 {
            output::warning(&format!(
                "the trace holds {EVENTS_MAX} events, and {} more are missing in it; trace less work",
                trace.dropped()
            ));
        }
        let kernels = trace.kernels();
        if kernels.is_empty() {
            output::warning(
                "the device does not tell when it ran what; only the CPU's side was traced",
            );
        }
        output::note(
            "While traced, each command takes two timestamps and graphs are not replayed: times without a trace are shorter.",
        );
        let about = about(device, &trace);
        if let Some(mut file) = self.trace {
            let written = file.write(trace.to_json().as_bytes());
            written.map_err(Failure::failed)?;
            output::note(&format!(
                "trace: {} (open it at https://ui.perfetto.dev or chrome://tracing)",
                file.path().display()
            ));
        }
        if let Some(mut file) = self.page {
            let page = page(&about, &kernels, &trace)?;
            file.write(page.as_bytes()).map_err(Failure::failed)?;
            let table = table(&about, &kernels);
            if self.quiet {
                output::note(table.trim_end());
            } else {
                output::print(&table)?;
            }
            output::note(&format!("timeline: {}", file.path().display()));
        }
        Ok(())
    }
}

fn about(device: &Device, trace: &Trace) -> String {
    let (busy, whole) = trace.busy_ns();
    let share = 100.0 * busy as f64 / whole.max(1) as f64;
    format!(
        "{}: {:.3} ms, of which the device ran something for {:.3} ms ({share:.0} %)",
        device.capabilities().name,
        whole as f64 / 1e6,
        busy as f64 / 1e6
    )
}

/// The kernels by their time.
fn table(about: &str, kernels: &[KernelTime]) -> String {
    let total: u64 = kernels.iter().map(|it| it.total_ns).sum();
    let width = kernels
        .iter()
        .map(|it| it.name.len())
        .max()
        .unwrap_or(0)
        .max(6);
    let mut text = format!(
        "\n{about}\n{:width$} {:>9} {:>10} {:>7} {:>9} {:>10}\n",
        "kernel", "count", "total ms", "share", "mean us", "longest us"
    );
    for it in kernels {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:width$} {:>9} {:>10.3} {:>5.1} % {:>9.2} {:>10.2}",
            it.name,
            it.count,
            it.total_ns as f64 / 1e6,
            100.0 * it.total_ns as f64 / total.max(1) as f64,
            it.total_ns as f64 / it.count.max(1) as f64 / 1e3,
            it.longest_ns as f64 / 1e3
        );
    }
    text
}

/// What the page draws.
#[derive(Serialize)]
struct Data<'a> {
    about: &'a str,
    kernels: Vec<Row<'a>>,
    tracks: Vec<String>,
    names: Vec<String>,
    /// Track, name, start and duration in nanoseconds.
    events: Vec<(usize, usize, u64, u64)>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    count: u64,
    total_ns: u64,
    longest_ns: u64,
    bytes: u64,
}

fn page(about: &str, kernels: &[KernelTime], trace: &Trace) -> Result<String, Failure> {
    let (mut tracks, mut names, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for slice in trace.slices() {
        let track = position(&mut tracks, slice.track);
        let name = position(&mut names, slice.name);
        events.push((track, name, slice.start_ns, slice.end_ns - slice.start_ns));
    }
    let rows = kernels.iter().map(|it| Row {
        name: &it.name,
        count: it.count,
        total_ns: it.total_ns,
        longest_ns: it.longest_ns,
        bytes: it.bytes,
    });
    let data = Data {
        about,
        kernels: rows.collect(),
        tracks,
        names,
        events,
    };
    let json = serde_json::to_string(&data).map_err(Failure::failed)?;
    // Inside a script element no name may look like markup.
    Ok(TEMPLATE.replace("/*DATA*/", &json.replace('<', "\\u003c")))
}

/// Where a text stands in a list, which it joins if it does not.
fn position(list: &mut Vec<String>, text: String) -> usize {
    list.iter().position(|it| *it == text).unwrap_or_else(|| {
        list.push(text);
        list.len() - 1
    })
}
