//! A device under validation, kernels from WGSL, and batches built by hand.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};

use tidegate_core::{
    Access, Barrier, Batch, Binding, Code, Command, Device, HostAccess, Kernel, Launch, MemoryId,
    MemoryKind, PipelineId, Region, ScalarPlace, Scalars, Stages, Ticket,
};
use tidegate_vulkan::{Options, Select, ValidationLog, VulkanDevice};

/// How long a test waits before it counts as a hang.
pub(crate) const WAIT_NS: u64 = 60_000_000_000;

pub(crate) const ALL: Barrier = Barrier {
    before: Stages::ALL,
    after: Stages::ALL,
};
pub(crate) const COMPUTE: Barrier = Barrier {
    before: Stages::COMPUTE,
    after: Stages::COMPUTE,
};

/// Options with validation on.
pub(crate) fn checked() -> Options {
    Options {
        validation: true,
        ..Options::default()
    }
}

/// Every way in which batches can be encoded.
pub(crate) fn every_path() -> [Options; 3] {
    let plain = checked();
    let pools = Options {
        push_descriptors: false,
        ..plain.clone()
    };
    let old = Options {
        push_descriptors: false,
        synchronization2: false,
        ..plain.clone()
    };
    [plain, pools, old]
}

/// A device, and counters in core's place. Dropped, it asserts that validation had nothing to say.
pub(crate) struct Rig {
    device: Option<VulkanDevice>,
    log: ValidationLog,
    next: Cell<u32>,
    tickets: RefCell<Vec<u64>>,
}

impl Rig {
    pub(crate) fn new(options: &Options) -> Self {
        let device = VulkanDevice::open(&Select::Best, options).unwrap_or_else(|error| {
            panic!("{error}\nThese tests need a Vulkan device: run `cargo xtask test`, which installs one")
        });
        let queues = device.capabilities().queues as usize;
        Self {
            log: device.validation_log(),
            device: Some(device),
            next: Cell::new(0),
            tickets: RefCell::new(vec![0; queues]),
        }
    }

    pub(crate) fn device(&self) -> &VulkanDevice {
        self.device.as_ref().unwrap()
    }

    fn id(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// An allocation of `words` words.
    pub(crate) fn memory(&self, words: u64, kind: MemoryKind) -> (Region, HostAccess) {
        let id = MemoryId(self.id());
        let bytes = (words * 4).next_multiple_of(16);
        let access = self.device().allocate(id, bytes, kind).unwrap();
        (region(id, 0, words * 4), access)
    }

    pub(crate) fn readback(&self, words: u64) -> Region {
        self.memory(words, MemoryKind::Readback).0
    }

    pub(crate) fn buffer(&self, words: u64) -> Region {
        self.memory(words, MemoryKind::Device).0
    }

    pub(crate) fn pipeline(&self, wgsl: &str, kernel: &Kernel) -> PipelineId {
        let id = PipelineId(self.id());
        let code = Code::Spirv(spirv(wgsl));
        self.device().create_pipeline(id, kernel, &code).unwrap();
        id
    }

    pub(crate) fn ticket(&self, queue: u32) -> Ticket {
        let value = &mut self.tickets.borrow_mut()[queue as usize];
        // Values may skip.
        *value += 3;
        Ticket {
            queue,
            value: *value,
        }
    }

    pub(crate) fn submit(&self, batch: &Batch) -> Ticket {
        let ticket = self.ticket(0);
        self.device().submit(batch, ticket).unwrap();
        ticket
    }

    pub(crate) fn wait(&self, ticket: Ticket) {
        assert!(self.device().wait(ticket, WAIT_NS).unwrap(), "a hang");
        assert!(self.device().completed(ticket.queue).unwrap() >= ticket.value);
    }

    /// Runs a batch that ends with a copy from `source` to `back`, and reads that.
    pub(crate) fn copy_and_read(
        &self,
        batch: &mut Batch,
        source: Region,
        back: Region,
    ) -> Vec<u32> {
        copy(batch, source, back);
        batch.host_reads = true;
        self.wait(self.submit(batch));
        self.read(&back)
    }

    pub(crate) fn read(&self, from: &Region) -> Vec<u32> {
        let mut bytes = vec![0; from.bytes as usize];
        self.device()
            .read(from.memory, from.offset, &mut bytes)
            .unwrap();
        words(&bytes)
    }

    /// What validation said, device's end included.
    pub(crate) fn end(mut self) -> Vec<String> {
        drop(self.device.take());
        let messages = self.log.messages();
        self.log = ValidationLog::default();
        messages
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.device.take());
        let messages = self.log.messages();
        if !std::thread::panicking() {
            assert!(messages.is_empty(), "validation: {messages:#?}");
        }
    }
}

pub(crate) fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|it| u32::from_ne_bytes(it.try_into().unwrap()))
        .collect()
}

pub(crate) fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|it| it.to_ne_bytes()).collect()
}

pub(crate) fn region(memory: MemoryId, offset: u64, bytes: u64) -> Region {
    Region {
        memory,
        offset,
        bytes,
    }
}

/// Part of a region, in words.
pub(crate) fn part(of: &Region, first: u64, words: u64) -> Region {
    region(of.memory, of.offset + first * 4, words * 4)
}

pub(crate) fn spirv(wgsl: &str) -> Vec<u32> {
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    let module = naga::front::wgsl::parse_str(wgsl).unwrap();
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .unwrap();
    let options = naga::back::spv::Options::default();
    naga::back::spv::write_vec(&module, &info, &options, None).unwrap()
}

/// A kernel whose bindings are `(group, binding, access, uniform)`.
pub(crate) fn kernel(
    bindings: &[(u32, u32, Access, bool)],
    scalars: Option<(ScalarPlace, u32)>,
) -> Kernel {
    Kernel {
        name: "main".to_owned(),
        workgroup_size: [64, 1, 1],
        bindings: bindings
            .iter()
            .map(|&(group, binding, access, uniform)| Binding {
                group,
                binding,
                name: format!("b{group}_{binding}"),
                access,
                uniform,
                bytes_min: 4,
            })
            .collect(),
        scalars: scalars.map(|(place, bytes)| Scalars {
            place,
            bytes,
            members: Vec::new(),
        }),
    }
}

/// `x[i] = x[i] * a + b` with constants.
pub(crate) const LCG: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] = x[id.x] * 1664525u + 1013904223u;
}";

pub(crate) fn lcg_kernel() -> Kernel {
    kernel(&[(0, 0, Access::ReadWrite, false)], None)
}

/// What `steps` steps of [`LCG`] make of `x`.
pub(crate) fn lcg(x: u32, steps: usize) -> u32 {
    (0..steps).fold(x, |x, _| {
        x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
    })
}

pub(crate) fn launch(
    batch: &mut Batch,
    pipeline: PipelineId,
    regions: &[Region],
    scalars: &[u8],
    grid: [u32; 3],
) {
    let bindings = batch.push_regions(regions.iter().copied());
    let scalars = if scalars.is_empty() {
        tidegate_core::Span::default()
    } else {
        batch.push_data(scalars)
    };
    batch.commands.push(Command::Launch(Launch {
        pipeline,
        bindings,
        scalars,
        grid,
    }));
}

pub(crate) fn upload(batch: &mut Batch, target: Region, words: &[u32]) {
    let data = batch.push_data(&bytes(words));
    batch.commands.push(Command::Upload { target, data });
}

pub(crate) fn barrier(batch: &mut Batch, it: Barrier) {
    batch.commands.push(Command::Barrier(it));
}

pub(crate) fn copy(batch: &mut Batch, source: Region, target: Region) {
    batch.commands.push(Command::Copy { source, target });
}

pub(crate) fn fill(batch: &mut Batch, target: Region, pattern: u32) {
    batch.commands.push(Command::Fill { target, pattern });
}
