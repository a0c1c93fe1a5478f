//! NSArray, NSDictionary and libdispatch's data.

use std::ffi::c_void;

use crate::rules::{Rule, broke};
use crate::runtime::class::{DISPATCH_DATA, NSARRAY, NSDICTIONARY, Row, Sel, row, selector};
use crate::runtime::foundation::dealloc_value;
use crate::runtime::object::Id;

/// Objects that are owned.
#[derive(Default)]
struct Owned(Vec<Id>);

impl Owned {
    fn new(objects: &[Id]) -> Self {
        Self(objects.iter().map(|it| it.retain()).collect())
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        for it in &self.0 {
            it.release();
        }
    }
}

/// Foundation's `NSFastEnumerationState`.
#[repr(C)]
struct Enumeration {
    state: usize,
    items: *const Id,
    mutations: *const usize,
    extra: [usize; 5],
}

pub(crate) static ARRAY: &[Row] = &[
    row!(c"init", c"@@:", array_empty, () -> Id),
    row!(c"initWithObjects:count:", c"@@:^@Q", array_init, (*const Id, usize) -> Id),
    row!(c"count", c"Q@:", array_count, () -> usize),
    row!(c"objectAtIndex:", c"@@:Q", array_at, (usize) -> Id),
    row!(c"firstObject", c"@@:", array_first, () -> Id),
    row!(
        c"countByEnumeratingWithState:objects:count:", c"Q@:^{?=Q^@^Q[5Q]}^@Q",
        array_enumerate, (*mut Enumeration, *mut Id, usize) -> usize
    ),
    row!(c"dealloc", c"v@:", dealloc_value::<Owned>, ()),
];

/// A new array that the caller owns, and that owns its objects.
pub(crate) fn new_array(objects: &[Id]) -> Id {
    Id::create(&NSARRAY, 0).set(Owned::new(objects))
}

fn objects(array: Id) -> &'static [Id] {
    array.get::<Owned>().map_or(&[], |it| it.0.as_slice())
}

fn slice<'a>(objects: *const Id, count: usize) -> &'a [Id] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise, as for `initWithObjects:count:`.
    unsafe { std::slice::from_raw_parts(objects, count) }
}

extern "C-unwind" fn array_empty(id: Id, _: Sel) -> Id {
    id.set(Owned::default())
}

extern "C-unwind" fn array_init(id: Id, _: Sel, objects: *const Id, count: usize) -> Id {
    id.set(Owned::new(slice(objects, count)))
}

extern "C-unwind" fn array_count(id: Id, _: Sel) -> usize {
    objects(id).len()
}

extern "C-unwind" fn array_at(id: Id, _: Sel, index: usize) -> Id {
    let objects = objects(id);
    if index >= objects.len() {
        broke(
            Rule::NotModelled,
            format!("object {index} of an NSArray of {}", objects.len()),
        );
    }
    objects.get(index).copied().unwrap_or(Id::NIL)
}

extern "C-unwind" fn array_first(id: Id, _: Sel) -> Id {
    objects(id).first().copied().unwrap_or(Id::NIL)
}

extern "C-unwind" fn array_enumerate(
    id: Id,
    _: Sel,
    state: *mut Enumeration,
    _: *mut Id,
    _: usize,
) -> usize {
    let objects = objects(id);
    // SAFETY: the caller's promise, as for `countByEnumeratingWithState:objects:count:`.
    let state = unsafe { &mut *state };
    if state.state != 0 {
        return 0;
    }
    state.state = 1;
    state.items = objects.as_ptr();
    // An array never changes: any word that does not change will do.
    state.mutations = (&raw const state.extra).cast();
    objects.len()
}

pub(crate) static DICTIONARY: &[Row] = &[
    row!(c"init", c"@@:", dictionary_empty, () -> Id),
    row!(
        c"initWithObjects:forKeys:count:", c"@@:^@^@Q",
        dictionary_init, (*const Id, *const Id, usize) -> Id
    ),
    row!(c"count", c"Q@:", dictionary_count, () -> usize),
    row!(c"objectForKey:", c"@@:@", dictionary_at, (Id) -> Id),
    row!(c"dealloc", c"v@:", dealloc_value::<Pairs>, ()),
];

/// Keys and their objects.
#[derive(Default)]
struct Pairs {
    keys: Owned,
    objects: Owned,
}

/// A new dictionary that the caller owns, and that owns its keys and objects.
pub(crate) fn new_dictionary(pairs: &[(Id, Id)]) -> Id {
    let (keys, objects): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    Id::create(&NSDICTIONARY, 0).set(Pairs {
        keys: Owned::new(&keys),
        objects: Owned::new(&objects),
    })
}

extern "C-unwind" fn dictionary_empty(id: Id, _: Sel) -> Id {
    id.set(Pairs::default())
}

extern "C-unwind" fn dictionary_init(
    id: Id,
    _: Sel,
    objects: *const Id,
    keys: *const Id,
    count: usize,
) -> Id {
    id.set(Pairs {
        keys: Owned::new(slice(keys, count)),
        objects: Owned::new(slice(objects, count)),
    })
}

extern "C-unwind" fn dictionary_count(id: Id, _: Sel) -> usize {
    id.get::<Pairs>().map_or(0, |it| it.keys.0.len())
}

extern "C-unwind" fn dictionary_at(id: Id, _: Sel, key: Id) -> Id {
    let Some(pairs) = id.get::<Pairs>() else {
        return Id::NIL;
    };
    let at = pairs.keys.0.iter().position(|it| same(*it, key));
    at.and_then(|at| pairs.objects.0.get(at).copied())
        .unwrap_or(Id::NIL)
}

/// `[a isEqual: b]`.
fn same(a: Id, b: Id) -> bool {
    let message = selector(c"isEqual:");
    let imp = a.class().lookup(a, message);
    // SAFETY: the signature of `isEqual:` in every class of this runtime.
    unsafe {
        type Equal = extern "C-unwind" fn(Id, Sel, Id) -> u8;
        std::mem::transmute::<crate::runtime::class::Imp, Equal>(imp)(a, message, b) != 0
    }
}

pub(crate) static DATA: &[Row] = &[row!(c"dealloc", c"v@:", dealloc_value::<Vec<u8>>, ())];

/// libdispatch's function, as far as it copies: the default destructor.
#[unsafe(no_mangle)]
extern "C-unwind" fn dispatch_data_create(
    bytes: *const u8,
    len: usize,
    _queue: *mut c_void,
    destructor: *const c_void,
) -> Id {
    if !destructor.is_null() {
        broke(
            Rule::NotModelled,
            "dispatch_data_create with a destructor".to_owned(),
        );
    }
    let bytes = if len == 0 {
        &[]
    } else {
        // SAFETY: the caller's promise, as for libdispatch's function.
        unsafe { std::slice::from_raw_parts(bytes, len) }
    };
    Id::create(&DISPATCH_DATA, 0).set(bytes.to_vec())
}

/// libdispatch's function.
#[unsafe(no_mangle)]
extern "C-unwind" fn dispatch_data_get_size(data: Id) -> usize {
    data.get::<Vec<u8>>().map_or(0, Vec::len)
}

/// libdispatch's function.
#[unsafe(no_mangle)]
extern "C-unwind" fn dispatch_retain(object: Id) {
    object.retain();
}

/// libdispatch's function.
#[unsafe(no_mangle)]
extern "C-unwind" fn dispatch_release(object: Id) {
    object.release();
}
