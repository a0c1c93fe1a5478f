//! What TVM asks of a device.

use tidegate::Capabilities;

use crate::cards::runtime;
use crate::dialect::has_subgroups_of_32;
use crate::error::Result;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The device cannot tell.
    None,
    Number(i64),
    Text(String),
}

/// Answers one of TVM's `DeviceAttrKind`.
pub(crate) fn attribute(index: i32, kind: i32) -> Result<Answer> {
    let runtime = runtime();
    // Whether a device exists is asked of systems that have none, too.
    if kind == 0 {
        let len = runtime.len().unwrap_or(0);
        let exists = usize::try_from(index).is_ok_and(|it| it < len);
        return Ok(Answer::Number(exists.into()));
    }
    let card = runtime.card(index)?;
    let device = card.device.capabilities();
    Ok(match kind {
        1 => number(device.workgroup_invocations_max),
        2 => number(device.subgroup_size),
        3 => number(device.workgroup_bytes_max),
        5 => Answer::Text(device.name.clone()),
        8 => {
            let [x, y, z] = device.workgroup_size_max;
            Answer::Text(format!("[{x}, {y}, {z}]"))
        }
        12 => Answer::Text(device.driver.clone()),
        14 => number(device.memory_bytes),
        15 => number(
            device
                .memory_bytes
                .saturating_sub(card.device.counters().memory_bytes),
        ),
        // Neither Vulkan nor Metal tells clock rates, multiprocessors, registers or caches. Versions of architectures and interfaces are CUDA's, AMD's and OpenCL's.
        _ => Answer::None,
    })
}

/// Answers a key of a target that is made `from_device`.
pub(crate) fn property(index: i32, name: &str) -> Result<Answer> {
    let card = runtime().card(index)?;
    let device = card.device.capabilities();
    Ok(match name {
        "max_num_threads" | "max_threads_per_block" => number(device.workgroup_invocations_max),
        "thread_warp_size" => number(device.subgroup_size),
        "max_shared_memory_per_block" => number(device.workgroup_bytes_max),
        "device_name" => Answer::Text(device.name.clone()),
        "supports_float16" => has(device, "16-bit floats"),
        "supports_int64" => has(device, "64-bit integers"),
        "supports_float64" => has(device, "64-bit floats"),
        // As TVM's kernels use them.
        "supports_subgroups" if !has_subgroups_of_32(device) => Answer::Number(0),
        "supports_subgroups" => has(device, "relative subgroup shuffle"),
        _ => Answer::None,
    })
}

fn has(device: &Capabilities, feature: &str) -> Answer {
    Answer::Number(device.features.contains(&feature).into())
}

fn number(it: impl TryInto<i64>) -> Answer {
    Answer::Number(it.try_into().unwrap_or(i64::MAX))
}
