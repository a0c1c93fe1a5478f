//! The argument table of a compute encoder: what earlier launches left bound is not bound again.

use objc2::runtime::ProtocolObject;
use objc2_metal::{MTLBuffer, MTLComputeCommandEncoder, MTLComputePipelineState};
use tidegate_core::{DeviceError, MemoryId, Region};

use crate::command::address;
use crate::error::refused;
use crate::support::{INLINE_BYTES_MAX, SLOTS};

/// Bytes in the argument table are given in whole vectors: a kernel may see a vector of three as four.
const BYTES_ALIGN: usize = 16;

/// What is bound in the open compute encoder.
#[derive(Default)]
pub(crate) struct Bound {
    /// The pipeline's address, which stays its own while the batch is encoded.
    pipeline: usize,
    slots: [Argument; SLOTS],
    /// The bytes that slots refer to.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
enum Argument {
    #[default]
    None,
    Buffer(MemoryId, u64),
    /// Bytes `0..1` of [`Bound::bytes`].
    Bytes(usize, usize),
}

impl Bound {
    /// A new encoder has nothing bound.
    pub(crate) fn clear(&mut self) {
        self.pipeline = 0;
        self.slots = [Argument::None; SLOTS];
        self.bytes.clear();
    }

    pub(crate) fn pipeline(
        &mut self,
        raw: &ProtocolObject<dyn MTLComputeCommandEncoder>,
        pipeline: &ProtocolObject<dyn MTLComputePipelineState>,
        threadgroup: &[usize],
    ) {
        let address = std::ptr::from_ref(pipeline).cast::<()>().addr();
        if std::mem::replace(&mut self.pipeline, address) == address {
            return;
        }
        raw.setComputePipelineState(pipeline);
        for (index, bytes) in threadgroup.iter().enumerate() {
            // SAFETY: the length is a multiple of 16, and all of them together fit, which was checked when the pipeline was made
            // (Metal, "setThreadgroupMemoryLength(_:index:)").
            unsafe { raw.setThreadgroupMemoryLength_atIndex(*bytes, index) };
        }
    }

    pub(crate) fn buffer(
        &mut self,
        raw: &ProtocolObject<dyn MTLComputeCommandEncoder>,
        slot: usize,
        buffer: &ProtocolObject<dyn MTLBuffer>,
        region: &Region,
    ) -> Result<(), DeviceError> {
        let Some(argument) = self.slots.get_mut(slot) else {
            return Err(refused(format!("Metal has {SLOTS} buffer slots")));
        };
        let offset = region.offset as usize;
        match *argument {
            Argument::Buffer(memory, at) if memory == region.memory => {
                if at != region.offset {
                    // SAFETY: the slot holds this buffer, and the offset lies inside it, since the region does
                    // (Metal, "setBufferOffset(_:index:)").
                    unsafe { raw.setBufferOffset_atIndex(offset, slot) };
                }
            }
            // SAFETY: the offset lies inside the buffer, since the region does, and is aligned as `Capabilities` asks, which is core's promise. The buffer lives until
            // the command buffer, which does not retain it, has run: core's promise too (Metal, "setBuffer(_:offset:index:)").
            _ => unsafe { raw.setBuffer_offset_atIndex(Some(buffer), offset, slot) },
        }
        *argument = Argument::Buffer(region.memory, region.offset);
        Ok(())
    }

    /// Binds bytes, at least `least` of them and always whole vectors; what is missing is zero.
    pub(crate) fn bytes(
        &mut self,
        raw: &ProtocolObject<dyn MTLComputeCommandEncoder>,
        slot: usize,
        bytes: &[u8],
        least: usize,
    ) -> Result<(), DeviceError> {
        let length = bytes
            .len()
            .max(least)
            .next_multiple_of(BYTES_ALIGN)
            .min(INLINE_BYTES_MAX);
        let Some(argument) = self.slots.get_mut(slot) else {
            return Err(refused(format!("Metal has {SLOTS} buffer slots")));
        };
        if length == 0 || bytes.len() > length {
            return Err(refused(format!(
                "{} bytes in a slot: Metal takes 1 to {INLINE_BYTES_MAX}",
                bytes.len()
            )));
        }
        if let Argument::Bytes(start, end) = *argument {
            let old = &self.bytes[start..end];
            let (given, rest) = old.split_at(bytes.len().min(old.len()));
            if old.len() == length && given == bytes && rest.iter().all(|it| *it == 0) {
                return Ok(());
            }
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(start + length, 0);
        // SAFETY: the bytes are valid for the call, which copies them, and at most 4096 (Metal, "setBytes(_:length:index:)").
        unsafe { raw.setBytes_length_atIndex(address(&self.bytes[start..]), length, slot) };
        *argument = Argument::Bytes(start, start + length);
        Ok(())
    }
}
