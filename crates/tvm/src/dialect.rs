//! WGSL as TVM's compiler writes it, and as naga reads it best.

use std::borrow::Cow;

use tidegate::Capabilities;

use crate::cards::Card;
use crate::error::{Result, bail};
use crate::kernel::Signature;

/// The source as it is compiled for a device.
pub(crate) fn for_naga<'a>(
    source: &'a str,
    signature: &Signature,
    card: &Card,
) -> Result<Cow<'a, str>> {
    let device = card.device.capabilities();
    let mut made = Cow::Borrowed(source);
    if let Some(changed) = without_subgroups_enabled(source, device)? {
        made = Cow::Owned(changed);
    }
    let pushed = 4 * (signature.numbers.len() as u64 + 1);
    if pushed <= u64::from(device.scalar_bytes_max)
        && let Some(changed) = with_immediates(&made)
    {
        made = Cow::Owned(changed);
    }
    Ok(made)
}

/// The source with its numbers as immediates.
///
/// TVM puts them into a uniform block, which is all that WebGPU has. A kernel without one takes its buffers by address and needs no descriptors, see the crate `tidegate_vulkan`. Source that looks
/// otherwise stays as it is.
fn with_immediates(source: &str) -> Option<String> {
    let block = "var<uniform> podArgs";
    let at = source.find(block)?;
    let line = source[..at].rfind('\n').map_or(0, |it| it + 1);
    let (before, after) = (&source[..line], &source[at + block.len()..]);
    let attributes = source[line..at].trim();
    let alone = attributes.starts_with("@group(0)") && !attributes.contains("//");
    alone.then(|| format!("{before}var<immediate> podArgs{after}"))
}

/// The source without the line that naga does not know yet: it has the functions that the line enables. (naga 30, November 2026.)
///
/// TVM counts on subgroups of 32, and nothing in the source says so: on a device with others the sums would be wrong.
fn without_subgroups_enabled(source: &str, device: &Capabilities) -> Result<Option<String>> {
    let line = "enable subgroups;";
    if !source.lines().any(|it| it.trim() == line) {
        return Ok(None);
    }
    if !has_subgroups_of_32(device) {
        let [low, high] = device.subgroup_sizes;
        bail!(
            "it was compiled for subgroups of 32 invocations, and {} has them of {low} to {high}: compile for a target without supports_subgroups",
            device.name
        );
    }
    Ok(Some(source.replacen(line, "", 1)))
}

/// Whether every kernel runs in subgroups of 32. A device that has other sizes too chooses for each kernel, whatever it says that it prefers.
pub(crate) fn has_subgroups_of_32(device: &Capabilities) -> bool {
    device.subgroup_size == 32 && device.subgroup_sizes == [32; 2]
}

#[cfg(test)]
mod tests {
    use tidegate::Policy;

    use super::*;
    use crate::cards::tests::card;
    use crate::error::Error;

    #[test]
    fn numbers_become_immediates_where_the_source_looks_as_tvms() {
        let source = "struct PODArgs { n: i32 }\n@group(0) @binding(4) var<uniform> podArgs : PODArgs;\nfn f() {}";
        let changed = "struct PODArgs { n: i32 }\nvar<immediate> podArgs : PODArgs;\nfn f() {}";
        assert_eq!(with_immediates(source).as_deref(), Some(changed));
        assert_eq!(with_immediates("// var<uniform> podArgs"), None);
        assert_eq!(with_immediates("var<uniform> other : PODArgs;"), None);
    }

    #[test]
    fn subgroups_are_of_32_or_refused() {
        let card = card(Policy::Adaptive);
        let mut device = card.device.capabilities().clone();
        let source = "enable f16;\nenable subgroups;\nfn f() {}";
        (device.subgroup_size, device.subgroup_sizes) = (32, [32; 2]);
        let changed = without_subgroups_enabled(source, &device).unwrap();
        assert_eq!(changed.as_deref(), Some("enable f16;\n\nfn f() {}"));
        // As Intel's and AMD's: 32 is what they prefer, or may have.
        for (size, sizes) in [(32, [8, 32]), (64, [32, 64]), (64, [64; 2]), (8, [8; 2])] {
            (device.subgroup_size, device.subgroup_sizes) = (size, sizes);
            let Error(text) = without_subgroups_enabled(source, &device).unwrap_err();
            let said = format!("{} has them of {} to {}:", device.name, sizes[0], sizes[1]);
            assert!(text.contains(&said), "{text}");
        }
        assert_eq!(without_subgroups_enabled("fn f() {}", &device), Ok(None));
    }
}
