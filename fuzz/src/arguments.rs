//! Launches through the typed interface: what is accepted is decided here a second time, and what a kernel is given is compared with what was passed.

use std::sync::{Arc, Mutex};

use tidegate::sim::{Setup, Sim};
use tidegate::{Argument, Block, Buffer, Device, Kernel, Limits, Slice, Stream};
use tidegate_core::{
    Access, Binding, HostKernel, Kernel as Interface, Scalar, ScalarKind, ScalarPlace, Scalars,
};

use crate::bytes::Bytes;

const LAUNCHES_MAX: usize = 8;
const BUFFERS: usize = 3;
/// So small that every launch that is accepted can run.
const GRID_MAX: [u32; 3] = [4, 3, 2];

/// Sizes of a workgroup's buffers, and its scalars.
type Seen = (Vec<usize>, Vec<u8>);

/// Makes a kernel and launches it with arguments of all sorts.
///
/// # Panics
/// If a launch is accepted that should not be or the reverse, or a kernel sees anything but what was passed.
pub fn run(data: &[u8]) {
    let bytes = &mut Bytes::new(data);
    let mut setup = Setup::default();
    setup.capabilities.binding_align = bytes.pick(&[4, 16]);
    setup.capabilities.binding_bytes_max = bytes.pick(&[128, 1 << 27]);
    setup.capabilities.grid_max = GRID_MAX;
    let sim = Sim::with(1, setup);
    let device = Device::simulated(sim.clone(), limits());
    drop(launches(&device, bytes));
    drop(device);
    sim.assert_clean();
}

fn launches(device: &Device, bytes: &mut Bytes<'_>) -> Result<(), tidegate::Error> {
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let interface = interface(bytes);
    let kernel = kernel(device, &interface, &seen)?;
    let mut stream = device.stream()?;
    let mut buffers = Vec::new();
    for _ in 0..BUFFERS {
        buffers.push(stream.zeros::<u32>(1 + bytes.below(64))?);
    }
    let elsewhere = Device::simulated(Sim::new(2), limits());
    let foreign = elsewhere.stream()?.zeros::<u32>(64)?;
    for _ in 0..LAUNCHES_MAX {
        if bytes.is_empty() {
            break;
        }
        let given: Vec<Given> = (0..bytes.below(8)).map(|_| given(bytes)).collect();
        let launch = Launch {
            interface: &interface,
            device,
            buffers: &buffers,
            given: &given,
            grid: std::array::from_fn(|_| bytes.below(6) as u32),
            aliased: bytes.flag(),
        };
        let ran = launch.make(&mut stream, &kernel, &foreign);
        let expected = launch.expected();
        assert_eq!(
            ran.is_ok(),
            expected.is_some(),
            "{ran:?}, expected {expected:?}\n{interface:#?}\n{launch:?}"
        );
        stream.synchronize()?;
        let seen = std::mem::take(&mut *seen.lock().expect("no kernel panics"));
        let groups = launch.grid.iter().product::<u32>() as usize;
        let groups = if expected.is_some() { groups } else { 0 };
        assert_eq!(seen.len(), groups, "{launch:?}");
        for it in seen {
            assert_eq!(Some(it), expected, "{interface:#?}\n{launch:?}");
        }
    }
    Ok(())
}

fn kernel(
    device: &Device,
    interface: &Interface,
    seen: &Arc<Mutex<Vec<Seen>>>,
) -> Result<Kernel, tidegate::Error> {
    let seen = Arc::clone(seen);
    let run = HostKernel(Arc::new(
        move |_, buffers: &mut [&mut [u8]], scalars: &[u8]| {
            let sizes = buffers.iter().map(|it| it.len()).collect();
            seen.lock()
                .expect("no kernel panics")
                .push((sizes, scalars.to_vec()));
        },
    ));
    let module = device.module_from_host(vec![(interface.clone(), run)]);
    module.kernel(&interface.name)
}

fn interface(bytes: &mut Bytes<'_>) -> Interface {
    let bindings = (0..bytes.below(4) as u32).map(|binding| Binding {
        group: 0,
        binding,
        name: format!("b{binding}"),
        access: bytes.pick(&[Access::Read, Access::Write, Access::ReadWrite]),
        uniform: false,
        bytes_min: bytes.pick(&[0, 4, 16, 64, 256]),
    });
    let bindings = bindings.collect();
    let scalars = bytes.flag().then(|| scalars(bytes));
    Interface {
        name: "k".to_owned(),
        workgroup_size: [1; 3],
        bindings,
        scalars,
    }
}

/// A block whose members have gaps before them; one without members can only be given whole.
fn scalars(bytes: &mut Bytes<'_>) -> Scalars {
    let mut end = 0;
    let mut members = Vec::new();
    for _ in 0..bytes.below(4) {
        let (kind, size) = bytes.pick(&[
            (ScalarKind::F32, 4),
            (ScalarKind::I32, 4),
            (ScalarKind::U32, 4),
            (ScalarKind::F32, 8),
            (ScalarKind::U32, 16),
            (ScalarKind::Bytes, 2),
            (ScalarKind::Bytes, 8),
        ]);
        let offset = end + 4 * bytes.below(3) as u32;
        members.push(Scalar {
            name: format!("m{offset}"),
            kind,
            offset,
            bytes: size,
        });
        end = (offset + size).next_multiple_of(4);
    }
    let place = match bytes.flag() {
        true => ScalarPlace::PushConstants,
        false => ScalarPlace::Uniform {
            group: 0,
            binding: 9,
        },
    };
    Scalars {
        place,
        bytes: (end + 4 * bytes.below(2) as u32).max(4),
        members,
    }
}

/// One argument.
#[derive(Clone, Debug)]
enum Given {
    /// Elements of a buffer; in single bytes if so flagged.
    Part(usize, usize, usize, bool),
    Foreign,
    F32(f32),
    I32(i32),
    U32(u32),
    F16(u16),
    U64(u64),
    F64(f64),
    F32x2([f32; 2]),
    U32x4([u32; 4]),
    Block4([u8; 4]),
    Block16([u8; 16]),
}

fn given(bytes: &mut Bytes<'_>) -> Given {
    match bytes.below(20) {
        0 => Given::Foreign,
        1 => Given::F32(f32::from_bits(bytes.u32())),
        2 => Given::I32(bytes.byte().into()),
        3 => Given::U32(bytes.u32()),
        4 => Given::F16(bytes.u16()),
        5 => Given::U64(bytes.u64()),
        6 => Given::F64(bytes.byte().into()),
        7 => Given::F32x2([bytes.byte(), bytes.byte()].map(f32::from)),
        8 => Given::U32x4(std::array::from_fn(|_| bytes.byte().into())),
        9 => Given::Block4(bytes.array()),
        10 => Given::Block16(bytes.array()),
        _ => Given::Part(
            bytes.below(BUFFERS),
            bytes.byte().into(),
            bytes.byte().into(),
            bytes.below(8) == 0,
        ),
    }
}

impl Given {
    /// What a scalar is, and its bytes.
    fn scalar(&self) -> Option<(ScalarKind, Vec<u8>)> {
        let list = |it: &[u32]| it.iter().flat_map(|it| it.to_le_bytes()).collect();
        Some(match self {
            Self::F32(it) => (ScalarKind::F32, it.to_le_bytes().to_vec()),
            Self::I32(it) => (ScalarKind::I32, it.to_le_bytes().to_vec()),
            Self::U32(it) => (ScalarKind::U32, it.to_le_bytes().to_vec()),
            Self::F16(it) => (ScalarKind::Bytes, it.to_le_bytes().to_vec()),
            Self::U64(it) => (ScalarKind::Bytes, it.to_le_bytes().to_vec()),
            Self::F64(it) => (ScalarKind::Bytes, it.to_le_bytes().to_vec()),
            Self::F32x2(it) => (ScalarKind::F32, list(&it.map(f32::to_bits))),
            Self::U32x4(it) => (ScalarKind::U32, list(it)),
            _ => return None,
        })
    }

    fn block(&self) -> Option<&[u8]> {
        match self {
            Self::Block4(it) => Some(it),
            Self::Block16(it) => Some(it),
            _ => None,
        }
    }
}

struct Launch<'a> {
    interface: &'a Interface,
    device: &'a Device,
    buffers: &'a [Buffer<u32>],
    given: &'a [Given],
    grid: [u32; 3],
    aliased: bool,
}

impl std::fmt::Debug for Launch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lens: Vec<usize> = self.buffers.iter().map(Buffer::len).collect();
        write!(
            f,
            "{:?} over {:?}, aliased {}, buffers of {lens:?} words",
            self.given, self.grid, self.aliased
        )
    }
}

impl Launch<'_> {
    /// The part's buffer, first byte and size.
    fn part(&self, given: &Given) -> Option<(usize, u64, u64)> {
        let Given::Part(buffer, start, len, _) = *given else {
            return None;
        };
        let whole = self.buffers[buffer].len();
        let start = start % (whole + 1);
        let len = len % (whole + 1 - start);
        Some((buffer, 4 * start as u64, 4 * len as u64))
    }

    fn make(
        &self,
        stream: &mut Stream,
        kernel: &Kernel,
        foreign: &Buffer<u32>,
    ) -> Result<(), tidegate::Error> {
        let boxes: Vec<Box<dyn Argument + '_>> = self
            .given
            .iter()
            .map(|it| -> Box<dyn Argument + '_> {
                match it {
                    Given::Part(..) => Box::new(self.slice(it)),
                    Given::Foreign => Box::new(foreign),
                    Given::F32(it) => Box::new(it),
                    Given::I32(it) => Box::new(it),
                    Given::U32(it) => Box::new(it),
                    Given::F16(it) => Box::new(half::f16::from_bits(*it)),
                    Given::U64(it) => Box::new(it),
                    Given::F64(it) => Box::new(it),
                    Given::F32x2(it) => Box::new(it),
                    Given::U32x4(it) => Box::new(it),
                    Given::Block4(it) => Box::new(Block(it)),
                    Given::Block16(it) => Box::new(Block(it)),
                }
            })
            .collect();
        let list: Vec<&dyn Argument> = boxes.iter().map(|it| &**it).collect();
        match self.aliased {
            true => stream.launch_aliased(kernel, self.grid, &list[..]),
            false => stream.launch(kernel, self.grid, &list[..]),
        }
    }

    /// Sliced in two steps if so flagged: a part of a part.
    fn slice(&self, given: &Given) -> Slice<'_, u32> {
        let (buffer, offset, size) = self.part(given).unwrap_or_default();
        let (start, len) = (offset as usize / 4, size as usize / 4);
        let whole = self.buffers[buffer].as_slice();
        let twice = matches!(given, Given::Part(_, _, _, true));
        let slice = match twice {
            true => whole.slice(start..).and_then(|it| it.slice(..len)),
            false => whole.slice(start..start + len),
        };
        slice.expect("it is inside the buffer")
    }

    /// What the kernel must see, if the launch is to be accepted.
    fn expected(&self) -> Option<Seen> {
        if self.given.iter().any(|it| matches!(it, Given::Foreign)) {
            return None;
        }
        if (0..3).any(|at| !(1..=GRID_MAX[at]).contains(&self.grid[at])) {
            return None;
        }
        let parts: Vec<_> = self.given.iter().filter_map(|it| self.part(it)).collect();
        let bindings = &self.interface.bindings;
        if parts.len() != bindings.len() {
            return None;
        }
        let device = self.device.capabilities();
        for (at, ((buffer, offset, size), binding)) in parts.iter().zip(bindings).enumerate() {
            let fits = (binding.bytes_min.max(1)..=device.binding_bytes_max).contains(size);
            if !fits || !offset.is_multiple_of(device.binding_align) {
                return None;
            }
            let clash = |((other, from, bytes), earlier): (&(usize, u64, u64), &Binding)| {
                let shared = other == buffer && *from < offset + size && *offset < from + bytes;
                shared && (binding.access != Access::Read || earlier.access != Access::Read)
            };
            if !self.aliased && parts[..at].iter().zip(bindings).any(clash) {
                return None;
            }
        }
        let sizes = parts.iter().map(|it| it.2 as usize).collect();
        Some((sizes, self.block()?))
    }

    /// The block of scalars as the kernel declares it.
    fn block(&self) -> Option<Vec<u8>> {
        let scalars: Vec<_> = self.given.iter().filter_map(Given::scalar).collect();
        let blocks: Vec<_> = self.given.iter().filter_map(Given::block).collect();
        let Some(declared) = &self.interface.scalars else {
            return (scalars.is_empty() && blocks.is_empty()).then(Vec::new);
        };
        if let ([block], []) = (&blocks[..], &scalars[..]) {
            return (block.len() == declared.bytes as usize).then(|| block.to_vec());
        }
        let members = &declared.members;
        if !blocks.is_empty() || members.is_empty() || scalars.len() != members.len() {
            return None;
        }
        let mut whole = vec![0; declared.bytes as usize];
        for ((kind, bytes), member) in scalars.iter().zip(members) {
            let fits = bytes.len() == member.bytes as usize
                && (*kind == member.kind || member.kind == ScalarKind::Bytes);
            if !fits {
                return None;
            }
            whole[member.offset as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        Some(whole)
    }
}

/// Each ring is poisoned when it is made, which for the usual 16 MiB would be most of the time.
fn limits() -> Limits {
    Limits {
        staging_bytes: 1 << 16,
        ..Limits::default()
    }
}
