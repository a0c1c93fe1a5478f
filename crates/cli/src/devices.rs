//! `tidegate devices`.

use std::fmt::Write as _;

use console::style;
use serde::Serialize;
use tidegate::DeviceInfo;

use crate::cli::Common;
use crate::device;
use crate::failure::Failure;
use crate::output::{self, binary_bytes};

#[derive(Serialize)]
struct Document<'a> {
    devices: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    index: usize,
    name: &'a str,
    backend: &'a str,
    driver: &'a str,
    software: bool,
    unified: bool,
    queues: u32,
    memory_bytes: u64,
    binding_bytes_max: u64,
    allocation_bytes_max: u64,
    subgroup_size: u32,
    workgroup_invocations_max: u32,
    workgroup_bytes_max: u32,
    scalar_bytes_max: u32,
    features: &'a [&'static str],
    usable: bool,
    refusal: Option<&'a str>,
}

/// Lists all devices, or the one that was asked for.
pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let devices = device::all()?;
    let mut entries: Vec<Entry<'_>> = devices.iter().enumerate().map(entry).collect();
    let backend = common.backend.map(|it| it.backend().to_string());
    let is_wanted: Vec<bool> = entries
        .iter()
        .map(|it| backend.as_ref().is_none_or(|wanted| wanted == it.backend))
        .collect();
    if let Some(wanted) = &common.device {
        let names: Vec<&str> = entries.iter().map(|it| it.name).collect();
        let index = device::find(&names, wanted, |it| is_wanted[it])?;
        entries.retain(|it| it.index == index);
    }
    entries.retain(|it| is_wanted[it.index]);
    if let (true, Some(backend)) = (entries.is_empty(), backend) {
        return Err(Failure::NoDevice(format!(
            "there is no device of the backend {backend}"
        )));
    }
    if common.json {
        return output::document(&Document { devices: entries });
    }
    let texts: Vec<String> = entries.iter().map(describe).collect();
    output::print(&texts.join("\n"))
}

fn entry((index, info): (usize, &DeviceInfo)) -> Entry<'_> {
    let it = &info.capabilities;
    Entry {
        index,
        name: &it.name,
        backend: it.backend,
        driver: &it.driver,
        software: it.software,
        unified: it.unified,
        queues: it.queues,
        memory_bytes: it.memory_bytes,
        binding_bytes_max: it.binding_bytes_max,
        allocation_bytes_max: it.allocation_bytes_max,
        subgroup_size: it.subgroup_size,
        workgroup_invocations_max: it.workgroup_invocations_max,
        workgroup_bytes_max: it.workgroup_bytes_max,
        scalar_bytes_max: it.scalar_bytes_max,
        features: &it.features,
        usable: info.refusal.is_none(),
        refusal: info.refusal.as_deref(),
    }
}

fn describe(entry: &Entry<'_>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "   {name:<12}{value}");
    };
    if let Some(reason) = entry.refusal {
        let reason = style(reason).red();
        line("unusable", &reason.to_string());
    }
    line(
        "driver",
        &format!("{} (through {})", entry.driver, entry.backend),
    );
    if entry.software {
        line("kind", "software: the CPU plays the GPU");
    }
    let shared = if entry.unified {
        ", shared with the host"
    } else {
        ""
    };
    line(
        "memory",
        &format!(
            "{}{shared}; {} in one buffer, {} in one binding",
            binary_bytes(entry.memory_bytes),
            binary_bytes(entry.allocation_bytes_max),
            binary_bytes(entry.binding_bytes_max)
        ),
    );
    line(
        "workgroups",
        &format!(
            "{} invocations, {} of workgroup memory, subgroups of {}",
            entry.workgroup_invocations_max,
            binary_bytes(entry.workgroup_bytes_max.into()),
            entry.subgroup_size
        ),
    );
    line("scalars", &binary_bytes(entry.scalar_bytes_max.into()));
    line("queues", &entry.queues.to_string());
    let features = if entry.features.is_empty() {
        "none".to_owned()
    } else {
        wrapped(entry.features)
    };
    line("features", &features);
    format!(
        "{:<3}{}\n{text}",
        style(entry.index).bold(),
        style(entry.name).bold()
    )
}

/// A list with commas, in lines that are not too long.
fn wrapped(names: &[&str]) -> String {
    let mut lines = vec![String::new()];
    for (index, name) in names.iter().enumerate() {
        let comma = if index + 1 < names.len() { "," } else { "" };
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = format!("{name}{comma}"),
            Some(line) if line.len() + name.len() < 75 => *line += &format!(" {name}{comma}"),
            _ => lines.push(format!("{name}{comma}")),
        }
    }
    lines.join(&format!("\n{:15}", ""))
}
