//! Metal's descriptors, which are classes that a program names, and the constant strings it exports.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::rules::lock;
use crate::runtime::class::{NSSTRING, Row, Sel, row};
use crate::runtime::foundation::{Text, dealloc_value};
use crate::runtime::object::{Constant, Id};

/// Properties of a descriptor: numbers by position, and one object of each of two kinds.
#[derive(Default)]
struct Properties {
    numbers: [AtomicU64; 4],
    label: Mutex<Option<Retained>>,
    object: Mutex<Option<Retained>>,
}

/// An object that is owned.
struct Retained(Id);

impl Drop for Retained {
    fn drop(&mut self) {
        self.0.release();
    }
}

fn properties(id: Id) -> &'static Properties {
    match id.get::<Properties>() {
        Some(it) => it,
        // A descriptor that was allocated and never initialised.
        None => std::process::abort(),
    }
}

fn number(id: Id, at: usize) -> &'static AtomicU64 {
    &properties(id).numbers[at]
}

/// `init` with the numbers that a fresh descriptor has.
extern "C-unwind" fn init<const A: u64, const B: u64>(id: Id, _: Sel) -> Id {
    let properties = Properties::default();
    properties.numbers[0].store(A, Ordering::Relaxed);
    properties.numbers[1].store(B, Ordering::Relaxed);
    id.set(properties)
}

extern "C-unwind" fn flag<const AT: usize>(id: Id, _: Sel) -> u8 {
    u8::from(number(id, AT).load(Ordering::Relaxed) != 0)
}

extern "C-unwind" fn set_flag<const AT: usize>(id: Id, _: Sel, value: u8) {
    number(id, AT).store(value.into(), Ordering::Relaxed);
}

extern "C-unwind" fn word<const AT: usize>(id: Id, _: Sel) -> u64 {
    number(id, AT).load(Ordering::Relaxed)
}

extern "C-unwind" fn set_word<const AT: usize>(id: Id, _: Sel, value: u64) {
    number(id, AT).store(value, Ordering::Relaxed);
}

fn read(slot: &Mutex<Option<Retained>>) -> Id {
    lock(slot).as_ref().map_or(Id::NIL, |it| it.0)
}

fn write(slot: &Mutex<Option<Retained>>, value: Id) {
    let new = (!value.is_nil()).then(|| Retained(value.retain()));
    let old = std::mem::replace(&mut *lock(slot), new);
    drop(old);
}

extern "C-unwind" fn label(id: Id, _: Sel) -> Id {
    read(&properties(id).label)
}

extern "C-unwind" fn set_label(id: Id, _: Sel, value: Id) {
    write(&properties(id).label, value);
}

extern "C-unwind" fn object(id: Id, _: Sel) -> Id {
    read(&properties(id).object)
}

extern "C-unwind" fn set_object(id: Id, _: Sel, value: Id) {
    write(&properties(id).object, value);
}

pub(crate) static COMPILE_OPTIONS: &[Row] = &[
    // Fast math is on and the language is the newest unless something is set.
    row!(c"init", c"@@:", init::<1, 0>, () -> Id),
    row!(c"fastMathEnabled", c"C@:", flag::<0>, () -> u8),
    row!(c"setFastMathEnabled:", c"v@:C", set_flag::<0>, (u8)),
    row!(c"languageVersion", c"Q@:", word::<1>, () -> u64),
    row!(c"setLanguageVersion:", c"v@:Q", set_word::<1>, (u64)),
    row!(c"mathMode", c"q@:", word::<2>, () -> u64),
    row!(c"setMathMode:", c"v@:q", set_word::<2>, (u64)),
    row!(c"mathFloatingPointFunctions", c"q@:", word::<3>, () -> u64),
    row!(
        c"setMathFloatingPointFunctions:",
        c"v@:q",
        set_word::<3>,
        (u64)
    ),
    row!(c"preprocessorMacros", c"@@:", object, () -> Id),
    row!(c"setPreprocessorMacros:", c"v@:@", set_object, (Id)),
    row!(c"dealloc", c"v@:", dealloc_value::<Properties>, ()),
];

pub(crate) static COMMAND_BUFFER: &[Row] = &[
    // References are retained unless something is set.
    row!(c"init", c"@@:", init::<1, 0>, () -> Id),
    row!(c"retainedReferences", c"C@:", flag::<0>, () -> u8),
    row!(c"setRetainedReferences:", c"v@:C", set_flag::<0>, (u8)),
    row!(c"errorOptions", c"Q@:", word::<1>, () -> u64),
    row!(c"setErrorOptions:", c"v@:Q", set_word::<1>, (u64)),
    row!(c"dealloc", c"v@:", dealloc_value::<Properties>, ()),
];

pub(crate) static QUEUE: &[Row] = &[
    row!(c"init", c"@@:", init::<64, 0>, () -> Id),
    row!(c"maxCommandBufferCount", c"Q@:", word::<0>, () -> u64),
    row!(c"setMaxCommandBufferCount:", c"v@:Q", set_word::<0>, (u64)),
    row!(c"dealloc", c"v@:", dealloc_value::<Properties>, ()),
];

pub(crate) static PIPELINE: &[Row] = &[
    row!(c"init", c"@@:", init::<0, 0>, () -> Id),
    row!(c"threadGroupSizeIsMultipleOfThreadExecutionWidth", c"C@:", flag::<0>, () -> u8),
    row!(
        c"setThreadGroupSizeIsMultipleOfThreadExecutionWidth:",
        c"v@:C",
        set_flag::<0>,
        (u8)
    ),
    row!(c"maxTotalThreadsPerThreadgroup", c"Q@:", word::<1>, () -> u64),
    row!(
        c"setMaxTotalThreadsPerThreadgroup:",
        c"v@:Q",
        set_word::<1>,
        (u64)
    ),
    row!(c"label", c"@@:", label, () -> Id),
    row!(c"setLabel:", c"v@:@", set_label, (Id)),
    row!(c"computeFunction", c"@@:", object, () -> Id),
    row!(c"setComputeFunction:", c"v@:@", set_object, (Id)),
    row!(c"dealloc", c"v@:", dealloc_value::<Properties>, ()),
];

pub(crate) static RESIDENCY: &[Row] = &[
    row!(c"init", c"@@:", init::<0, 0>, () -> Id),
    row!(c"initialCapacity", c"Q@:", word::<0>, () -> u64),
    row!(c"setInitialCapacity:", c"v@:Q", set_word::<0>, (u64)),
    row!(c"label", c"@@:", label, () -> Id),
    row!(c"setLabel:", c"v@:@", set_label, (Id)),
    row!(c"dealloc", c"v@:", dealloc_value::<Properties>, ()),
];

macro_rules! constants {
    ($($name:ident $symbol:literal $text:literal $object:ident $value:ident;)*) => {
        $(
            static $value: Text = Text::Fixed($text);
            static $object: Constant = Constant::new(&NSSTRING, (&raw const $value).cast());
            // As programs import it: a pointer to the string.
            #[unsafe(export_name = $symbol)]
            pub(crate) static $name: Id = $object.id();
        )*
    };
}

constants! {
    COMMAND_BUFFER_ERROR "MTLCommandBufferErrorDomain" c"MTLCommandBufferErrorDomain" COMMAND_BUFFER_ERROR_OBJECT COMMAND_BUFFER_ERROR_TEXT;
    LIBRARY_ERROR "MTLLibraryErrorDomain" c"MTLLibraryErrorDomain" LIBRARY_ERROR_OBJECT LIBRARY_ERROR_TEXT;
    ENCODER_INFO_KEY "MTLCommandBufferEncoderInfoErrorKey" c"MTLCommandBufferEncoderInfoErrorKey" ENCODER_INFO_OBJECT ENCODER_INFO_TEXT;
    DESCRIPTION_KEY "NSLocalizedDescriptionKey" c"NSLocalizedDescription" DESCRIPTION_OBJECT DESCRIPTION_TEXT;
}
