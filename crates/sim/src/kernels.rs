//! Kernels in Rust for tests, each the twin of a WGSL kernel of the conformance suite: 64 invocations a workgroup, `u32`
//! elements, bounds by the length of the bound regions.

use std::sync::Arc;

use tidegate_core::{
    Access, Binding, Code, HostKernel, Kernel, Scalar, ScalarKind, ScalarPlace, Scalars,
};

/// Invocations of one workgroup of every kernel here.
pub const WORKGROUP: u32 = 64;

/// `x[i] = start + i`. Scalars: `start`.
pub fn fill_index() -> (Kernel, Code) {
    let kernel = interface("fill_index", &[("x", Access::Write)], &["start"]);
    host(kernel, |group, buffers, scalars| {
        let start = word(scalars, 0);
        for at in elements(group, buffers[0].len()) {
            put(buffers[0], at, start.wrapping_add(at as u32));
        }
    })
}

/// `x[i] = x[i] * a + b`, in place. Scalars: `a`, `b`. It does not commute with itself, so a wrong order shows.
pub fn affine() -> (Kernel, Code) {
    host(
        interface("affine", &[("x", Access::ReadWrite)], &["a", "b"]),
        run_affine,
    )
}

/// As [`affine`], with its scalars in a uniform block.
pub fn affine_uniform() -> (Kernel, Code) {
    let mut kernel = interface("affine_uniform", &[("x", Access::ReadWrite)], &["a", "b"]);
    if let Some(scalars) = &mut kernel.scalars {
        scalars.place = ScalarPlace::Uniform {
            group: 0,
            binding: 1,
        };
        scalars.bytes = 16;
    }
    host(kernel, run_affine)
}

/// `y[i] = x[i] * a + b`, for every `y`; what `x` lacks is 0. Scalars: `a`, `b`, in a uniform block that is bound before the buffers.
pub fn affine_into() -> (Kernel, Code) {
    let buffers = [("x", Access::Read), ("y", Access::Write)];
    let mut kernel = interface("affine_into", &buffers, &["a", "b"]);
    for (binding, at) in kernel.bindings.iter_mut().zip(1..) {
        binding.binding = at;
    }
    if let Some(scalars) = &mut kernel.scalars {
        scalars.place = ScalarPlace::Uniform {
            group: 0,
            binding: 0,
        };
        scalars.bytes = 16;
    }
    host(kernel, |group, buffers, scalars| {
        let (a, b) = (word(scalars, 0), word(scalars, 1));
        for at in elements(group, buffers[1].len()) {
            let has = at < buffers[0].len() / 4;
            let x = if has { word(buffers[0], at) } else { 0 };
            put(buffers[1], at, x.wrapping_mul(a).wrapping_add(b));
        }
    })
}

fn run_affine(group: [u32; 3], buffers: &mut [&mut [u8]], scalars: &[u8]) {
    let (a, b) = (word(scalars, 0), word(scalars, 1));
    for at in elements(group, buffers[0].len()) {
        let x = word(buffers[0], at);
        put(buffers[0], at, x.wrapping_mul(a).wrapping_add(b));
    }
}

/// `z[i] = x[i] + y[i]`, as far as the shortest reaches.
pub fn add() -> (Kernel, Code) {
    let buffers = [
        ("x", Access::Read),
        ("y", Access::Read),
        ("z", Access::Write),
    ];
    host(interface("add", &buffers, &[]), |group, buffers, _| {
        for at in elements(group, shortest(buffers)) {
            let sum = word(buffers[0], at).wrapping_add(word(buffers[1], at));
            put(buffers[2], at, sum);
        }
    })
}

/// `y[i] = x[i]`, as far as the shorter reaches.
pub fn copy() -> (Kernel, Code) {
    let buffers = [("x", Access::Read), ("y", Access::Write)];
    host(interface("copy", &buffers, &[]), |group, buffers, _| {
        for at in elements(group, shortest(buffers)) {
            let x = word(buffers[0], at);
            put(buffers[1], at, x);
        }
    })
}

/// `x[i]` and `y[i]` change places, as far as the shorter reaches.
pub fn swap() -> (Kernel, Code) {
    let buffers = [("x", Access::ReadWrite), ("y", Access::ReadWrite)];
    host(interface("swap", &buffers, &[]), |group, buffers, _| {
        for at in elements(group, shortest(buffers)) {
            let (x, y) = (word(buffers[0], at), word(buffers[1], at));
            put(buffers[0], at, y);
            put(buffers[1], at, x);
        }
    })
}

/// `sums[g] = x[64 g] + ... + x[64 g + 63]` for workgroup `g`.
pub fn block_sum() -> (Kernel, Code) {
    let buffers = [("x", Access::Read), ("sums", Access::Write)];
    host(
        interface("block_sum", &buffers, &[]),
        |group, buffers, _| {
            let block = elements(group, buffers[0].len());
            if block.is_empty() || (group[0] as usize) >= buffers[1].len() / 4 {
                return;
            }
            let sum = block.fold(0u32, |sum, at| sum.wrapping_add(word(buffers[0], at)));
            put(buffers[1], group[0] as usize, sum);
        },
    )
}

/// Every kernel above.
pub fn all() -> Vec<(Kernel, Code)> {
    vec![
        fill_index(),
        affine(),
        affine_uniform(),
        add(),
        copy(),
        swap(),
        block_sum(),
        affine_into(),
    ]
}

/// Workgroups along x that cover `bytes` bytes of elements; at least 1.
pub fn grid_for(bytes: u64) -> [u32; 3] {
    let groups = bytes.div_ceil(4 * u64::from(WORKGROUP)).max(1);
    [u32::try_from(groups).unwrap_or(u32::MAX), 1, 1]
}

fn interface(name: &str, buffers: &[(&str, Access)], scalars: &[&str]) -> Kernel {
    let bindings = buffers.iter().zip(0..);
    let members = scalars.iter().zip(0..);
    let members: Vec<Scalar> = members
        .map(|(name, index)| Scalar {
            name: (*name).to_owned(),
            kind: ScalarKind::U32,
            offset: 4 * index,
            bytes: 4,
        })
        .collect();
    Kernel {
        name: name.to_owned(),
        workgroup_size: [WORKGROUP, 1, 1],
        bindings: bindings
            .map(|((name, access), binding)| Binding {
                group: 0,
                binding,
                name: (*name).to_owned(),
                access: *access,
                uniform: false,
                bytes_min: 4,
            })
            .collect(),
        scalars: (!members.is_empty()).then(|| Scalars {
            place: ScalarPlace::PushConstants,
            bytes: 4 * members.len() as u32,
            members,
        }),
    }
}

fn host(
    kernel: Kernel,
    run: impl Fn([u32; 3], &mut [&mut [u8]], &[u8]) + Send + Sync + 'static,
) -> (Kernel, Code) {
    (kernel, Code::Host(HostKernel(Arc::new(run))))
}

/// The elements of a workgroup that exist in a buffer of `bytes` bytes.
fn elements(group: [u32; 3], bytes: usize) -> std::ops::Range<usize> {
    let first = group[0] as usize * WORKGROUP as usize;
    let end = (first + WORKGROUP as usize).min(bytes / 4);
    first.min(end)..end
}

fn shortest(buffers: &[&mut [u8]]) -> usize {
    buffers.iter().map(|it| it.len()).min().unwrap_or(0)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[4 * at..4 * at + 4]);
    u32::from_le_bytes(word)
}

fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[4 * at..4 * at + 4].copy_from_slice(&word.to_le_bytes());
}
