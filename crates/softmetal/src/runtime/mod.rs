//! A small Objective-C runtime with the entry points of GNUstep's libobjc2, and the part of Foundation that Metal's interface needs.
//!
//! It is stricter than a real one. A deallocated object keeps its memory and says its class when a message reaches it; a release too many and an autorelease
//! without a pool are named; everything alive is counted. `object` holds the memory of objects, `class` their classes, `ffi` the C entry points,
//! `pool` autorelease pools, `block` blocks, and `foundation`, `collections` and `descriptors` the classes that exist from the start.

mod block;
mod class;
mod collections;
mod descriptors;
mod ffi;
mod foundation;
mod object;
mod pool;

use std::collections::BTreeMap;
use std::ffi::c_void;

use crate::runtime::object::Id;

/// What is alive, and what was autoreleased in vain, in the whole process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Objects alive, by class.
    pub objects: BTreeMap<String, usize>,
    /// Blocks on the heap.
    pub blocks: usize,
    /// Objects autoreleased on a thread without a pool: on a Mac they leak.
    pub autoreleased_without_pool: usize,
}

/// Counts what is alive now.
pub fn census() -> Census {
    Census {
        objects: object::alive(),
        blocks: block::alive(),
        autoreleased_without_pool: pool::orphans(),
    }
}

/// The domain of one of Metal's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    CommandBuffer,
    Library,
}

/// A new NSError, owned by the caller, with what is known of a command buffer's encoders.
pub(crate) fn metal_error(
    domain: Domain,
    code: isize,
    text: &str,
    encoders: &[*const c_void],
) -> *mut c_void {
    let domain = match domain {
        Domain::CommandBuffer => descriptors::COMMAND_BUFFER_ERROR,
        Domain::Library => descriptors::LIBRARY_ERROR,
    };
    let description = foundation::new_string(text);
    let mut pairs = vec![(descriptors::DESCRIPTION_KEY, description)];
    let encoders: Vec<Id> = encoders.iter().map(|it| Id(it.cast_mut().cast())).collect();
    let infos = collections::new_array(&encoders);
    if !encoders.is_empty() {
        pairs.push((descriptors::ENCODER_INFO_KEY, infos));
    }
    let info = collections::new_dictionary(&pairs);
    let error = foundation::new_error(domain, code, text, info);
    for it in [info, infos, description] {
        it.release();
    }
    error.0.cast()
}

/// The bytes of libdispatch's data.
pub(crate) fn data_bytes(data: *const c_void) -> Vec<u8> {
    let data: Option<&Vec<u8>> = Id(data.cast_mut().cast()).get();
    data.cloned().unwrap_or_default()
}
