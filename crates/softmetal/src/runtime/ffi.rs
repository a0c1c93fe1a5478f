//! The C functions of the runtime, by the names and types of GNUstep's libobjc2.
//!
//! Pointers come from objc2, which upholds what each function of the runtime asks for. An [`Id`] may be nil where GNUstep allows it.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;

use crate::rules::{Rule, lock};
use crate::runtime::class::{
    Class, Imp, Ivar, Method, Sel, ZOMBIE, find_class, register, selector, unregister,
};
use crate::runtime::object::Id;
use crate::runtime::pool;

fn name<'a>(text: *const c_char) -> &'a CStr {
    // SAFETY: objc2 passes C strings.
    unsafe { CStr::from_ptr(text) }
}

/// The receiver and the class to start at.
#[repr(C)]
struct Super {
    receiver: Id,
    class: &'static Class,
}

thread_local! {
    /// The object whose class was asked for last.
    static ASKED: Cell<Id> = const { Cell::new(Id::NIL) };
}

/// What a message to nil calls.
extern "C-unwind" fn nothing() -> usize {
    0
}

// SAFETY: whoever calls a method by its own type gets zero from it, which is what a message to nil returns.
const NOTHING: Imp =
    unsafe { std::mem::transmute::<extern "C-unwind" fn() -> usize, Imp>(nothing) };

macro_rules! exported {
    ($(fn $function:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? $body:block)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C-unwind" fn $function($($arg: $ty),*) $(-> $ret)? $body
        )*
    };
}

exported! {
    fn sel_registerName(text: *const c_char) -> Sel { selector(name(text)) }
    fn sel_getName(sel: Sel) -> *const c_char { sel.0 }
    fn sel_isEqual(a: Sel, b: Sel) -> u8 { u8::from(a == b) }
    fn objc_msg_lookup(receiver: Id, sel: Sel) -> Imp {
        if receiver.is_nil() { NOTHING } else { receiver.class().lookup(receiver, sel) }
    }
    fn objc_msg_lookup_super(to: &Super, sel: Sel) -> Imp { to.class.ready().lookup(to.receiver, sel) }

    fn class_createInstance(class: &'static Class, extra: usize) -> Id { Id::create(class, extra) }
    fn object_dispose(id: Id) -> Id { id.dispose(); Id::NIL }
    fn object_getClass(id: Id) -> *const Class {
        ASKED.set(id);
        if id.is_nil() { null() } else { id.class() }
    }

    fn objc_retain(id: Id) -> Id { id.retain() }
    fn objc_release(id: Id) { id.release() }
    fn objc_autorelease(id: Id) -> Id { pool::autorelease(id) }
    // No handshake between callee and caller: every such value goes through a pool, as it may on a Mac.
    fn objc_autoreleaseReturnValue(id: Id) -> Id { pool::autorelease(id) }
    fn objc_retainAutorelease(id: Id) -> Id { pool::autorelease(id.retain()) }
    fn objc_retainAutoreleaseReturnValue(id: Id) -> Id { pool::autorelease(id.retain()) }
    fn objc_retainAutoreleasedReturnValue(id: Id) -> Id { id.retain() }
    // A token is odd, because a pool may begin at 0 and null means failure.
    fn objc_autoreleasePoolPush() -> *mut c_void { std::ptr::without_provenance_mut(pool::push() * 2 + 1) }
    fn objc_autoreleasePoolPop(token: *mut c_void) { pool::pop(token.addr() / 2) }

    fn objc_getClass(text: *const c_char) -> *const Class { find_class(name(text)).map_or(null(), std::ptr::from_ref) }
    fn objc_allocateClassPair(parent: &'static Class, text: *const c_char, _extra: usize) -> *const Class {
        Class::pair(parent, name(text)).map_or(null(), std::ptr::from_ref)
    }
    fn objc_registerClassPair(class: &'static Class) { register(class) }
    fn objc_disposeClassPair(class: &'static Class) { unregister(class) }
    fn class_addMethod(class: &'static Class, sel: Sel, imp: Imp, types: *const c_char) -> u8 {
        u8::from(class.add(sel, imp, name(types)))
    }
    fn class_addIvar(class: &'static Class, text: *const c_char, bytes: usize, align_log2: u8, types: *const c_char) -> u8 {
        u8::from(class.add_ivar(name(text), bytes, align_log2, name(types)))
    }
    fn class_getInstanceVariable(class: &'static Class, text: *const c_char) -> *const Ivar {
        class.ivar(name(text)).map_or(null(), std::ptr::from_ref)
    }
    fn ivar_getOffset(ivar: &Ivar) -> isize { ivar.offset }
    fn ivar_getName(ivar: &Ivar) -> *const c_char { ivar.name.as_ptr() }
    fn ivar_getTypeEncoding(ivar: &Ivar) -> *const c_char { ivar.types.as_ptr() }
    fn class_getName(class: &Class) -> *const c_char { class.name().as_ptr() }
    fn class_getSuperclass(class: &Class) -> *const Class { class.parent().map_or(null(), std::ptr::from_ref) }
    fn class_isMetaClass(class: &Class) -> u8 { u8::from(class.is_meta()) }
    fn class_getInstanceSize(class: &Class) -> usize { class.bytes() }
    fn class_getInstanceMethod(class: &'static Class, sel: Sel) -> *const Method {
        if std::ptr::eq(class, &raw const ZOMBIE) {
            // objc2 checks a message in debug builds: it asks for the receiver's class, and then for the method.
            ASKED.get().check_alive(Rule::Zombie, sel.name());
        }
        class.find(sel).map_or(null(), std::ptr::from_ref)
    }
    fn class_getClassMethod(class: &'static Class, sel: Sel) -> *const Method {
        class.metaclass().find(sel).map_or(null(), std::ptr::from_ref)
    }
    fn class_respondsToSelector(class: &'static Class, sel: Sel) -> u8 { u8::from(class.find(sel).is_some()) }

    fn method_getTypeEncoding(method: &Method) -> *const c_char { method.types.as_ptr() }
    fn method_getName(method: &Method) -> Sel { method.selector }
    fn method_getImplementation(method: &Method) -> Imp { method.imp() }
    fn method_setImplementation(method: &Method, imp: Imp) -> Imp { method.replace(imp) }

    // No protocol exists when running: `ProtocolObject` is a promise between compilers, and objc2 skips its check of a protocol that is not there.
    fn objc_getProtocol(_text: *const c_char) -> *const c_void { null() }
    fn protocol_getName(_protocol: *const c_void) -> *const c_char { c"".as_ptr() }
    fn class_addProtocol(_class: *mut Class, _protocol: *const c_void) -> u8 { 0 }
    fn class_conformsToProtocol(_class: *const Class, _protocol: *const c_void) -> u8 { 0 }
    fn protocol_copyMethodDescriptionList(_protocol: *const c_void, _required: u8, _instance: u8, _count: *mut c_uint) -> *mut c_void {
        null_mut()
    }

    fn objc_initWeak(slot: *mut Id, id: Id) -> Id { weak(|| write_weak(slot, id)) }
    fn objc_storeWeak(slot: *mut Id, id: Id) -> Id { weak(|| write_weak(slot, id)) }
    fn objc_destroyWeak(slot: *mut Id) { weak(|| write_weak(slot, Id::NIL)); }
    fn objc_loadWeakRetained(slot: *mut Id) -> Id { weak(|| read_weak(slot)) }
    fn objc_loadWeak(slot: *mut Id) -> Id { pool::autorelease(weak(|| read_weak(slot))) }
    fn objc_copyWeak(to: *mut Id, from: *mut Id) { weak(|| write_weak(to, peek_weak(from))); }
    fn objc_moveWeak(to: *mut Id, from: *mut Id) {
        weak(|| { write_weak(to, peek_weak(from)); write_weak(from, Id::NIL) });
    }
}

/// Weak references are written and read one at a time. They need no table: dead objects stay, and are not retained again.
fn weak<T>(run: impl FnOnce() -> T) -> T {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = lock(&ONE);
    run()
}

fn write_weak(slot: *mut Id, id: Id) -> Id {
    // SAFETY: objc2 passes a place for a weak reference.
    unsafe { slot.write(id) };
    id
}

fn peek_weak(slot: *mut Id) -> Id {
    // SAFETY: as in `write_weak`, and it was initialised.
    unsafe { slot.read() }
}

fn read_weak(slot: *mut Id) -> Id {
    peek_weak(slot).retain_weak()
}

unsafe extern "C" {
    fn malloc(bytes: usize) -> *mut c_void;
}

/// The methods of a class, in memory that the caller frees with `free`.
#[unsafe(no_mangle)]
extern "C-unwind" fn class_copyMethodList(
    class: &'static Class,
    count: *mut c_uint,
) -> *mut *const Method {
    let methods = class.ready().methods();
    // SAFETY: `count` is null or the caller's, and what is written lies inside what is allocated.
    unsafe {
        if !count.is_null() {
            count.write(c_uint::try_from(methods.len()).unwrap_or(0));
        }
        let list = malloc((methods.len() + 1) * size_of::<*const Method>()).cast::<*const Method>();
        if !list.is_null() {
            for (at, method) in methods.iter().enumerate() {
                list.add(at).write(*method);
            }
        }
        list
    }
}
