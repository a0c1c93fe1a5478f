//! Proves that a check for barriers can fail. Programs that lack one barrier, each beside its right twin, run on a real device under the validation layer with its checks of synchronisation; what the layer
//! says of each, and whether the numbers are right, is printed. Run it with `release` and no argument, or with part of a device's name. Exit status: 1 if the layer
//! reports a right program.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for engineers"
)]

use std::process::ExitCode;

use tidegate_core::{
    Access, Barrier, Batch, Binding, Code, Command, Device, Kernel, Launch, MemoryId, MemoryKind,
    PipelineId, Region, Stages, Ticket,
};
use tidegate_vulkan::{Options, Select, VulkanDevice};

const WORDS: u64 = 1 << 20;
const BYTES: u64 = WORDS * 4;
const STEPS: u32 = 64;
const WAIT_NS: u64 = 60_000_000_000;

/// Each invocation reads what a far neighbour wrote one launch ago.
const TURN: &str = "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64) fn turn(@builtin(global_invocation_id) id: vec3<u32>) {
    y[id.x] = x[(id.x + 524287u) & 1048575u] + 1u;
}";

/// What a program leaves out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Missing {
    Nothing,
    /// Between two launches of one batch.
    Launches,
    /// Between a fill and the launch that reads it.
    Fill,
    /// Between the last launch and the copy of what it wrote.
    Copy,
    /// At the beginning of a batch, against what the one before it wrote.
    Opening,
    /// The wait for the other queue's batch that wrote.
    Queue,
}

const ALL: Barrier = Barrier {
    before: Stages::ALL,
    after: Stages::ALL,
};

fn region(memory: u32) -> Region {
    Region {
        memory: MemoryId(memory),
        offset: 0,
        bytes: BYTES,
    }
}

fn spirv() -> Code {
    let module = naga::front::wgsl::parse_str(TURN).unwrap();
    let all = naga::valid::Capabilities::all();
    let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), all)
        .validate(&module)
        .unwrap();
    let options = naga::back::spv::Options::default();
    Code::Spirv(naga::back::spv::write_vec(&module, &info, &options, None).unwrap())
}

fn kernel() -> Kernel {
    let binding = |binding, access| Binding {
        group: 0,
        binding,
        name: format!("b{binding}"),
        access,
        uniform: false,
        bytes_min: 4,
    };
    Kernel {
        name: "turn".to_owned(),
        workgroup_size: [64, 1, 1],
        bindings: vec![binding(0, Access::Read), binding(1, Access::ReadWrite)],
        scalars: None,
    }
}

/// The commands that a program has left out a barrier of.
fn program(missing: Missing) -> Vec<(Batch, u32)> {
    let mut batch = Batch::default();
    let mut batches = Vec::new();
    let barrier = |batch: &mut Batch, it| {
        if missing != it {
            batch.commands.push(Command::Barrier(ALL));
        }
    };
    batch.commands.push(Command::Fill {
        target: region(0),
        pattern: 0,
    });
    barrier(&mut batch, Missing::Fill);
    for step in 0..STEPS {
        let (from, to) = (region(step % 2), region((step + 1) % 2));
        let bindings = batch.push_regions([from, to]);
        let scalars = batch.push_data(&[]);
        batch.commands.push(Command::Launch(Launch {
            pipeline: PipelineId(0),
            bindings,
            scalars,
            grid: [WORDS as u32 / 64, 1, 1],
        }));
        if step + 1 < STEPS && step + 1 != STEPS / 2 {
            barrier(&mut batch, Missing::Launches);
        }
        if step + 1 == STEPS / 2 {
            batches.push((std::mem::take(&mut batch), 0));
            if missing != Missing::Opening {
                batch.opening = ALL;
            }
        }
    }
    if missing == Missing::Queue {
        batches.push((std::mem::take(&mut batch), 0));
    }
    barrier(&mut batch, Missing::Copy);
    batch.commands.push(Command::Copy {
        source: region(STEPS % 2),
        target: region(2),
    });
    batch.host_reads = true;
    batches.push((batch, u32::from(missing == Missing::Queue)));
    batches
}

/// Runs a program on a device of its own. What the layer said, and how many words are wrong.
fn run(missing: Missing, select: &Select, descriptors: bool) -> Option<(Vec<String>, usize)> {
    let options = Options {
        validation: true,
        push_descriptors: !descriptors,
        ..Options::default()
    };
    let device = VulkanDevice::open(select, &options).unwrap();
    if missing == Missing::Queue && device.capabilities().queues < 2 {
        return None;
    }
    for (id, kind) in [MemoryKind::Device, MemoryKind::Device, MemoryKind::Readback]
        .into_iter()
        .enumerate()
    {
        device.allocate(MemoryId(id as u32), BYTES, kind).unwrap();
    }
    let code = spirv();
    device
        .create_pipeline(PipelineId(0), &kernel(), &code)
        .unwrap();
    let mut tickets = Vec::new();
    for (at, (batch, queue)) in program(missing).into_iter().enumerate() {
        let ticket = Ticket {
            queue,
            value: at as u64 + 1,
        };
        device.submit(&batch, ticket).unwrap();
        tickets.push(ticket);
    }
    for ticket in tickets {
        assert!(device.wait(ticket, WAIT_NS).unwrap(), "a hang");
    }
    let mut bytes = vec![0; BYTES as usize];
    device.read(MemoryId(2), 0, &mut bytes).unwrap();
    let words = bytes.chunks_exact(4);
    let wrong = words.filter(|it| **it != STEPS.to_ne_bytes()).count();
    let log = device.validation_log();
    drop(device);
    Some((log.messages(), wrong))
}

fn main() -> ExitCode {
    let select = std::env::args().nth(1).map_or(Select::Best, Select::Name);
    let device = VulkanDevice::open(&select, &Options::default()).unwrap();
    let about = device.capabilities();
    println!("{} ({}), {} queues", about.name, about.driver, about.queues);
    drop(device);
    let (mut missed, mut false_alarms) = (0, 0);
    for descriptors in [true, false] {
        println!(
            "{}:",
            if descriptors {
                "descriptor sets"
            } else {
                "pushed descriptors"
            }
        );
        for missing in [
            Missing::Nothing,
            Missing::Launches,
            Missing::Fill,
            Missing::Copy,
            Missing::Opening,
            Missing::Queue,
        ] {
            let Some((messages, wrong)) = run(missing, &select, descriptors) else {
                println!("  without {missing:?}: not run, there is one queue");
                continue;
            };
            let reported = messages.iter().any(|it| it.contains("SYNC-HAZARD"));
            let first = messages
                .first()
                .map_or("", |it| it.split(':').next().unwrap_or(""));
            let word = if reported { "REPORTED" } else { "not reported" };
            println!(
                "  without {missing:?}: {word}; {wrong} of {WORDS} words wrong; {} messages {first}",
                messages.len()
            );
            match missing {
                Missing::Nothing => false_alarms += messages.len(),
                _ => missed += usize::from(!reported),
            }
        }
    }
    println!("{missed} wrong programs were not reported, {false_alarms} messages about right ones");
    // That a layer misses some is what this is here to show, and no failure.
    if false_alarms == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
