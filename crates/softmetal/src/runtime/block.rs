//! Blocks: the runtime's part of the Block ABI, <https://clang.llvm.org/docs/Block-ABI-Apple.html>.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::rules::{Rule, broke};
use crate::runtime::object::Id;

/// A block's head; what it captured follows.
#[repr(C)]
struct Block {
    isa: *const c_void,
    flags: AtomicI32,
    reserved: i32,
    invoke: *const c_void,
    descriptor: &'static Descriptor,
}

/// What the compiler, or block2, says of a block. The last two are there if the flags say so.
#[repr(C)]
struct Descriptor {
    reserved: usize,
    bytes: usize,
    copy: Option<unsafe extern "C-unwind" fn(*mut Block, *const Block)>,
    dispose: Option<unsafe extern "C-unwind" fn(*mut Block)>,
}

const COUNT: i32 = 0xffff;
const ON_HEAP: i32 = 1 << 24;
const HAS_CAPTURES: i32 = 1 << 25;
const GLOBAL: i32 = 1 << 28;

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Blocks on the heap.
pub(crate) fn alive() -> usize {
    ALIVE.load(Ordering::Acquire)
}

/// Only their addresses mean something.
#[unsafe(export_name = "_NSConcreteStackBlock")]
static STACK_BLOCK: [usize; 32] = [0; 32];
#[unsafe(export_name = "_NSConcreteGlobalBlock")]
static GLOBAL_BLOCK: [usize; 32] = [1; 32];
#[unsafe(export_name = "_NSConcreteMallocBlock")]
static MALLOC_BLOCK: [usize; 32] = [2; 32];

/// A block is freed with the layout it was allocated with.
fn layout(descriptor: &Descriptor) -> Layout {
    Layout::from_size_align(descriptor.bytes, 16).unwrap_or_else(|_| std::process::abort())
}

/// Copies a block to the heap, or retains one that is there.
#[unsafe(export_name = "_Block_copy")]
extern "C-unwind" fn copy(block: *mut Block) -> *mut Block {
    // SAFETY: the caller's promise: nil or a block.
    let Some(source) = (unsafe { block.as_ref() }) else {
        return block;
    };
    let flags = source.flags.load(Ordering::Relaxed);
    if flags & GLOBAL != 0 {
        return block;
    }
    if flags & ON_HEAP != 0 {
        let before = source.flags.fetch_add(1, Ordering::Relaxed);
        if before & COUNT == 0 {
            broke(
                Rule::Zombie,
                "a block copied after its last release".to_owned(),
            );
        }
        return block;
    }
    let layout = layout(source.descriptor);
    // SAFETY: a block is at least as large as its head, and its descriptor says how large. Its copy helper makes the captured values its own.
    unsafe {
        let target = alloc(layout);
        if target.is_null() {
            handle_alloc_error(layout);
        }
        target.copy_from_nonoverlapping(block.cast(), source.descriptor.bytes);
        let target = target.cast::<Block>();
        (*target).isa = (&raw const MALLOC_BLOCK).cast();
        *(*target).flags.get_mut() = (flags & !COUNT) | ON_HEAP | 1;
        if let Some(helper) = source.descriptor.copies_captures(flags) {
            helper(target, block);
        }
        ALIVE.fetch_add(1, Ordering::Release);
        target
    }
}

impl Descriptor {
    fn copies_captures(
        &self,
        flags: i32,
    ) -> Option<unsafe extern "C-unwind" fn(*mut Block, *const Block)> {
        if flags & HAS_CAPTURES == 0 {
            None
        } else {
            self.copy
        }
    }

    fn disposes_captures(&self, flags: i32) -> Option<unsafe extern "C-unwind" fn(*mut Block)> {
        if flags & HAS_CAPTURES == 0 {
            None
        } else {
            self.dispose
        }
    }
}

/// Releases a block on the heap. The last release frees what it captured; its head stays, to name a release too many.
#[unsafe(export_name = "_Block_release")]
extern "C-unwind" fn release(block: *mut Block) {
    // SAFETY: the caller's promise: nil or a block.
    let Some(it) = (unsafe { block.as_ref() }) else {
        return;
    };
    let flags = it.flags.load(Ordering::Relaxed);
    if flags & ON_HEAP == 0 {
        return;
    }
    let count = it.flags.fetch_sub(1, Ordering::AcqRel) & COUNT;
    if count == 0 {
        it.flags.fetch_add(1, Ordering::Relaxed);
        broke(
            Rule::OverRelease,
            "a block released after its last release".to_owned(),
        );
        return;
    }
    if count > 1 {
        return;
    }
    if let Some(helper) = it.descriptor.disposes_captures(flags) {
        // SAFETY: the last reference is gone, so that nothing uses what it captured.
        unsafe { helper(block) };
    }
    ALIVE.fetch_sub(1, Ordering::Release);
    bury(block, layout(it.descriptor));
}

/// Frees the oldest of the dead blocks once there are many: a release too many comes soon after, or never.
fn bury(block: *mut Block, layout: Layout) {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    static DEAD: Mutex<VecDeque<(usize, Layout)>> = Mutex::new(VecDeque::new());
    let mut dead = crate::rules::lock(&DEAD);
    dead.push_back((block.expose_provenance(), layout));
    if dead.len() > 4096
        && let Some((oldest, layout)) = dead.pop_front()
    {
        // SAFETY: allocated in `copy` with this layout, and released for the last time long ago.
        unsafe { dealloc(std::ptr::with_exposed_provenance_mut(oldest), layout) };
    }
}

const FIELD_IS_OBJECT: c_int = 3;
const FIELD_IS_BLOCK: c_int = 7;

/// Copies a captured field.
#[unsafe(export_name = "_Block_object_assign")]
extern "C-unwind" fn assign(target: *mut *mut c_void, field: *mut c_void, flags: c_int) {
    let copied = match flags & 0xf {
        FIELD_IS_OBJECT => Id(field.cast()).retain().0.cast(),
        FIELD_IS_BLOCK => copy(field.cast()).cast(),
        other => {
            return broke(
                Rule::NotModelled,
                format!("a block's field of kind {other}"),
            );
        }
    };
    // SAFETY: the caller's promise: the field of the copy.
    unsafe { target.write(copied) }
}

/// Releases a captured field.
#[unsafe(export_name = "_Block_object_dispose")]
extern "C-unwind" fn dispose(field: *mut c_void, flags: c_int) {
    match flags & 0xf {
        FIELD_IS_OBJECT => Id(field.cast()).release(),
        FIELD_IS_BLOCK => release(field.cast()),
        other => broke(
            Rule::NotModelled,
            format!("a block's field of kind {other}"),
        ),
    }
}
