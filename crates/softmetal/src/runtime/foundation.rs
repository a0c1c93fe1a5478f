//! NSObject, NSString, NSError and NSURL.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::rules::{Rule, broke};
use crate::runtime::class::{Class, NSERROR, NSSTRING, NSURL, Row, Sel, row, selector};
use crate::runtime::object::Id;
use crate::runtime::pool;

pub(crate) static OBJECT_CLASS: &[Row] = &[
    row!(c"alloc", c"@@:", alloc, () -> Id),
    row!(c"new", c"@@:", new, () -> Id),
    row!(c"class", c"#@:", this, () -> Id),
];

pub(crate) static OBJECT: &[Row] = &[
    row!(c"init", c"@@:", this, () -> Id),
    row!(c"self", c"@@:", this, () -> Id),
    row!(c"retain", c"@@:", retain, () -> Id),
    row!(c"release", c"v@:", release, ()),
    row!(c"autorelease", c"@@:", autorelease, () -> Id),
    row!(c"retainCount", c"Q@:", retain_count, () -> usize),
    row!(c"dealloc", c"v@:", dealloc, ()),
    row!(c"class", c"#@:", class, () -> &'static Class),
    row!(c"isEqual:", c"C@:@", is_equal, (Id) -> u8),
    row!(c"hash", c"Q@:", hash, () -> usize),
    row!(c"isKindOfClass:", c"C@:#", is_kind, (*const Class) -> u8),
    row!(c"respondsToSelector:", c"C@::", responds, (Sel) -> u8),
    row!(c"description", c"@@:", description, () -> Id),
    row!(c"debugDescription", c"@@:", description, () -> Id),
];

extern "C-unwind" fn alloc(class: Id, _: Sel) -> Id {
    // The receiver of a class method is a class.
    Id::create(as_class(class), 0)
}

extern "C-unwind" fn new(class: Id, _: Sel) -> Id {
    Id::create(as_class(class), 0).send(selector(c"init"))
}

fn as_class(id: Id) -> &'static Class {
    // SAFETY: only called with the receiver of a class method, and classes stay.
    unsafe { &*id.0.cast::<Class>() }
}

extern "C-unwind" fn this(id: Id, _: Sel) -> Id {
    id
}

extern "C-unwind" fn retain(id: Id, _: Sel) -> Id {
    id.retain()
}

extern "C-unwind" fn release(id: Id, _: Sel) {
    id.release();
}

extern "C-unwind" fn autorelease(id: Id, _: Sel) -> Id {
    pool::autorelease(id)
}

extern "C-unwind" fn retain_count(id: Id, _: Sel) -> usize {
    id.retains()
}

extern "C-unwind" fn dealloc(id: Id, _: Sel) {
    id.dispose();
}

extern "C-unwind" fn class(id: Id, _: Sel) -> &'static Class {
    id.class()
}

extern "C-unwind" fn is_equal(id: Id, _: Sel, other: Id) -> u8 {
    u8::from(id == other)
}

extern "C-unwind" fn hash(id: Id, _: Sel) -> usize {
    id.0.addr() >> 4
}

extern "C-unwind" fn is_kind(id: Id, _: Sel, class: *const Class) -> u8 {
    let mut at = Some(id.class());
    while let Some(it) = at {
        if std::ptr::eq(it, class) {
            return 1;
        }
        at = it.parent();
    }
    0
}

extern "C-unwind" fn responds(id: Id, _: Sel, message: Sel) -> u8 {
    u8::from(id.class().find(message).is_some())
}

extern "C-unwind" fn description(id: Id, _: Sel) -> Id {
    let name = id.class().name().to_string_lossy();
    pool::autorelease(new_string(&format!("<{name}: {:p}>", id.0)))
}

/// Ends an instance of one of the runtime's own classes whose value is a `T`.
pub(crate) extern "C-unwind" fn dealloc_value<T: 'static>(id: Id, _: Sel) {
    drop(id.take::<T>());
    id.dispose();
}

pub(crate) static STRING: &[Row] = &[
    row!(c"initWithBytes:length:encoding:", c"@@:^vQi", string_init, (*const u8, usize, c_int) -> Id),
    row!(c"UTF8String", c"*@:", string_utf8, () -> *const c_char),
    row!(c"lengthOfBytesUsingEncoding:", c"Q@:i", string_bytes, (c_int) -> usize),
    row!(c"length", c"Q@:", string_units, () -> usize),
    row!(c"isEqual:", c"C@:@", string_equal, (Id) -> u8),
    row!(c"isEqualToString:", c"C@:@", string_equal, (Id) -> u8),
    row!(c"hash", c"Q@:", string_hash, () -> usize),
    row!(c"copy", c"@@:", retain, () -> Id),
    row!(c"copyWithZone:", c"@@:^v", string_copy, (*mut c_void) -> Id),
    row!(c"description", c"@@:", this, () -> Id),
    row!(c"dealloc", c"v@:", dealloc_value::<Text>, ()),
];

/// What an NSString holds.
pub(crate) enum Text {
    /// Made when running.
    Owned(CString),
    /// A constant of the program.
    Fixed(&'static CStr),
}

/// A new string that the caller owns. It ends at its first NUL, if it has one.
pub(crate) fn new_string(text: &str) -> Id {
    Id::create(&NSSTRING, 0).set(Text::Owned(c_string(text.as_bytes())))
}

fn c_string(bytes: &[u8]) -> CString {
    let end = bytes.iter().position(|byte| *byte == 0);
    CString::new(&bytes[..end.unwrap_or(bytes.len())]).unwrap_or_default()
}

/// The text of an NSString; empty for anything else.
pub(crate) fn text(string: Id) -> &'static CStr {
    if string.is_nil() || !std::ptr::eq(string.class(), &raw const NSSTRING) {
        return c"";
    }
    match string.get::<Text>() {
        Some(Text::Owned(text)) => text,
        Some(Text::Fixed(text)) => text,
        None => c"",
    }
}

extern "C-unwind" fn string_init(
    id: Id,
    _: Sel,
    bytes: *const u8,
    len: usize,
    encoding: c_int,
) -> Id {
    if encoding != 4 {
        broke(
            Rule::NotModelled,
            format!("NSString of encoding {encoding}"),
        );
    }
    // SAFETY: the caller's promise, as for `initWithBytes:length:encoding:`.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, len) };
    id.set(Text::Owned(c_string(bytes)))
}

extern "C-unwind" fn string_utf8(id: Id, _: Sel) -> *const c_char {
    text(id).as_ptr()
}

extern "C-unwind" fn string_bytes(id: Id, _: Sel, _encoding: c_int) -> usize {
    text(id).count_bytes()
}

extern "C-unwind" fn string_units(id: Id, _: Sel) -> usize {
    text(id).to_string_lossy().encode_utf16().count()
}

extern "C-unwind" fn string_equal(id: Id, _: Sel, other: Id) -> u8 {
    let both = !other.is_nil() && std::ptr::eq(other.class(), &raw const NSSTRING);
    u8::from(both && text(id) == text(other))
}

extern "C-unwind" fn string_hash(id: Id, _: Sel) -> usize {
    let mut hasher = DefaultHasher::new();
    text(id).hash(&mut hasher);
    usize::try_from(hasher.finish() >> 1).unwrap_or(0)
}

extern "C-unwind" fn string_copy(id: Id, _: Sel, _zone: *mut c_void) -> Id {
    id.retain()
}

/// What an NSError holds, owned.
struct ErrorValue {
    domain: Id,
    code: isize,
    info: Id,
    description: Id,
}

impl Drop for ErrorValue {
    fn drop(&mut self) {
        self.domain.release();
        self.info.release();
        self.description.release();
    }
}

pub(crate) static ERROR: &[Row] = &[
    row!(c"initWithDomain:code:userInfo:", c"@@:@q@", error_init, (Id, isize, Id) -> Id),
    row!(c"code", c"q@:", error_code, () -> isize),
    row!(c"domain", c"@@:", error_domain, () -> Id),
    row!(c"userInfo", c"@@:", error_info, () -> Id),
    row!(c"localizedDescription", c"@@:", error_description, () -> Id),
    row!(c"description", c"@@:", error_description, () -> Id),
    row!(c"dealloc", c"v@:", dealloc_value::<ErrorValue>, ()),
];

/// A new NSError that the caller owns. `info` is an NSDictionary that it retains.
pub(crate) fn new_error(domain: Id, code: isize, description: &str, info: Id) -> Id {
    Id::create(&NSERROR, 0).set(ErrorValue {
        domain: domain.retain(),
        code,
        info: info.retain(),
        description: new_string(description),
    })
}

extern "C-unwind" fn error_init(id: Id, _: Sel, domain: Id, code: isize, info: Id) -> Id {
    let description = format!("{} {code}", text(domain).to_string_lossy());
    id.set(ErrorValue {
        domain: domain.retain(),
        code,
        info: info.retain(),
        description: new_string(&description),
    })
}

extern "C-unwind" fn error_code(id: Id, _: Sel) -> isize {
    id.get::<ErrorValue>().map_or(0, |it| it.code)
}

extern "C-unwind" fn error_domain(id: Id, _: Sel) -> Id {
    id.get::<ErrorValue>().map_or(Id::NIL, |it| it.domain)
}

extern "C-unwind" fn error_info(id: Id, _: Sel) -> Id {
    match id.get::<ErrorValue>() {
        Some(it) if !it.info.is_nil() => it.info,
        // Foundation's is never nil.
        _ => pool::autorelease(super::collections::new_dictionary(&[])),
    }
}

extern "C-unwind" fn error_description(id: Id, _: Sel) -> Id {
    id.get::<ErrorValue>().map_or(Id::NIL, |it| it.description)
}

pub(crate) static URL_CLASS: &[Row] = &[row!(c"fileURLWithPath:", c"@@:@", url_file, (Id) -> Id)];

pub(crate) static URL: &[Row] = &[
    row!(c"path", c"@@:", url_path, () -> Id),
    row!(c"dealloc", c"v@:", dealloc_value::<CString>, ()),
];

extern "C-unwind" fn url_file(_: Id, _: Sel, path: Id) -> Id {
    pool::autorelease(Id::create(&NSURL, 0).set(text(path).to_owned()))
}

extern "C-unwind" fn url_path(id: Id, _: Sel) -> Id {
    let path = id.get::<CString>().map(|it| it.to_string_lossy());
    pool::autorelease(new_string(&path.unwrap_or_default()))
}
