//! Objects: a header with the reference count, the class, and the instance variables.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::rules::{Rule, broke, lock};
use crate::runtime::class::{Class, Sel, ZOMBIE, selector};

/// The part of an object that its pointer points to.
#[repr(C)]
pub(crate) struct Object {
    isa: AtomicPtr<Class>,
}

/// What stands before an object.
#[repr(C, align(16))]
pub(crate) struct Header {
    retains: AtomicUsize,
    bytes: usize,
}

/// An object that the program contains, as a compiler writes a constant string.
#[repr(C)]
pub(crate) struct Constant {
    header: Header,
    object: Object,
    value: *const u8,
}

impl Constant {
    /// An object of `class` and `value` that no release ends.
    pub(crate) const fn new(class: &'static Class, value: *const u8) -> Self {
        Self {
            header: Header {
                retains: AtomicUsize::new(usize::MAX / 2),
                bytes: 16,
            },
            object: Object {
                isa: AtomicPtr::new(std::ptr::from_ref(class).cast_mut()),
            },
            value,
        }
    }

    /// The pointer that a program has to it.
    pub(crate) const fn id(&self) -> Id {
        Id((&raw const self.object).cast_mut())
    }
}

// SAFETY: the value is one that is never written.
unsafe impl Sync for Constant {}

/// A pointer to an object, a class or nothing. Objects are never given back to the allocator, so one that was once right stays readable.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(pub(crate) *mut Object);

// SAFETY: what an `Id` gives access to is atomic or guarded by locks.
unsafe impl Send for Id {}
// SAFETY: as above.
unsafe impl Sync for Id {}

/// Objects alive, by class name.
static ALIVE: Mutex<BTreeMap<&'static CStr, usize>> = Mutex::new(BTreeMap::new());
/// Keeps dead objects reachable, so that a leak checker does not take them for leaks.
static DEAD: Mutex<Vec<Id>> = Mutex::new(Vec::new());

pub(crate) fn alive() -> BTreeMap<String, usize> {
    let alive = lock(&ALIVE);
    let counts = alive.iter().filter(|(_, count)| **count > 0);
    counts
        .map(|(name, count)| (name.to_string_lossy().into_owned(), *count))
        .collect()
}

impl Id {
    pub(crate) const NIL: Self = Self(null_mut());

    /// A new instance with `extra` bytes behind its variables, all zero, that the caller owns.
    pub(crate) fn create(class: &'static Class, extra: usize) -> Self {
        let bytes = (class.ready().bytes() + extra).max(16);
        let head = size_of::<Header>();
        let Ok(layout) = Layout::from_size_align(bytes + head, align_of::<Header>()) else {
            return Self::NIL;
        };
        // SAFETY: the layout is larger than nothing, and the header and the class lie inside it.
        let object = unsafe {
            let memory = alloc_zeroed(layout);
            if memory.is_null() {
                handle_alloc_error(layout);
            }
            memory.cast::<Header>().write(Header {
                retains: AtomicUsize::new(1),
                bytes,
            });
            memory.add(head).cast::<Object>()
        };
        let id = Self(object);
        id.set_class(class);
        *lock(&ALIVE).entry(class.name()).or_default() += 1;
        id
    }

    /// Ends an object. Its memory stays, and its class becomes that of dead objects.
    pub(crate) fn dispose(self) {
        let class = self.class();
        if let Some(count) = lock(&ALIVE).get_mut(class.name()) {
            *count -= 1;
        }
        let bytes = self.header().bytes;
        // SAFETY: an object has `bytes` bytes, at least 16, from its pointer on. Nothing uses its variables after this.
        unsafe {
            let variables = self.0.cast::<u8>().add(size_of::<Object>());
            variables.write_bytes(0xde, bytes - size_of::<Object>());
            variables.cast::<*const Class>().write(class);
        }
        self.set_class(&ZOMBIE);
        lock(&DEAD).push(self);
    }

    pub(crate) fn is_nil(self) -> bool {
        self.0.is_null()
    }

    pub(crate) fn class(self) -> &'static Class {
        // SAFETY: not nil, and objects and classes are never given back. The first word of both is their class.
        unsafe { (*(*self.0).isa.load(Ordering::Acquire)).ready() }
    }

    fn set_class(self, class: &'static Class) {
        let class = std::ptr::from_ref(class).cast_mut();
        // SAFETY: as in `class`.
        unsafe { (*self.0).isa.store(class, Ordering::Release) }
    }

    /// A class is an object whose own class is a metaclass.
    fn is_class(self) -> bool {
        self.class().is_meta()
    }

    fn header(self) -> &'static Header {
        // SAFETY: only called for objects that are no classes: each has a header before it, which stays.
        unsafe { &*self.0.cast::<Header>().sub(1) }
    }

    fn is_dead(self) -> bool {
        std::ptr::eq(self.class(), &raw const ZOMBIE)
    }

    /// Names a message to a dead object. False if the object is dead and the thread unwinds already.
    pub(crate) fn check_alive(self, rule: Rule, message: &CStr) -> bool {
        if !self.is_dead() {
            return true;
        }
        // SAFETY: `dispose` wrote the old class there.
        let was: &Class = unsafe {
            let variables = self.0.cast::<u8>().add(size_of::<Object>());
            &**variables.cast::<*const Class>()
        };
        let (message, class) = (message.to_string_lossy(), was.name().to_string_lossy());
        broke(rule, format!("`{message}` sent to a deallocated {class}"));
        false
    }

    pub(crate) fn retain(self) -> Self {
        if !self.is_nil() && !self.is_class() && self.check_alive(Rule::Zombie, c"retain") {
            let before = self.header().retains.fetch_add(1, Ordering::Relaxed);
            if before == 0 {
                let name = self.class().name().to_string_lossy();
                broke(
                    Rule::Zombie,
                    format!("`retain` sent to a {name} in its `dealloc`"),
                );
            }
        }
        self
    }

    /// Retains what is still alive, for a weak reference.
    pub(crate) fn retain_weak(self) -> Self {
        if self.is_nil() || self.is_dead() {
            return Self::NIL;
        }
        let add = |count: usize| (count > 0).then_some(count + 1);
        let order = Ordering::AcqRel;
        match self
            .header()
            .retains
            .fetch_update(order, Ordering::Acquire, add)
        {
            Ok(_) => self,
            Err(_) => Self::NIL,
        }
    }

    pub(crate) fn release(self) {
        if self.is_nil() || self.is_class() || !self.check_alive(Rule::OverRelease, c"release") {
            return;
        }
        match self.header().retains.fetch_sub(1, Ordering::AcqRel) {
            0 => {
                let name = self.class().name().to_string_lossy();
                broke(
                    Rule::OverRelease,
                    format!("a {name} released in its `dealloc`"),
                );
            }
            1 => {
                self.send(selector(c"dealloc"));
            }
            _ => {}
        }
    }

    pub(crate) fn retains(self) -> usize {
        self.header().retains.load(Ordering::Acquire)
    }

    /// Sends a message without arguments that returns an object or nothing.
    pub(crate) fn send(self, message: Sel) -> Self {
        let imp = self.class().lookup(self, message);
        // SAFETY: every method reached through this has that signature; one that returns nothing leaves a value that nobody reads.
        unsafe {
            type Plain = unsafe extern "C-unwind" fn(Id, Sel) -> Id;
            std::mem::transmute::<crate::runtime::class::Imp, Plain>(imp)(self, message)
        }
    }

    fn slot<T: 'static>(self) -> &'static AtomicPtr<T> {
        // SAFETY: the classes of this runtime have one word of variables, which is zero or a pointer that `set` stored.
        unsafe { &*self.0.cast::<AtomicPtr<T>>().add(1) }
    }

    /// Gives an instance of one of the runtime's own classes its value.
    pub(crate) fn set<T: 'static>(self, value: T) -> Self {
        let old = self
            .slot()
            .swap(Box::into_raw(Box::new(value)), Ordering::AcqRel);
        debug_assert!(old.is_null());
        self
    }

    /// The value of an instance of one of the runtime's own classes, each of which has one type of value.
    pub(crate) fn get<T: 'static>(self) -> Option<&'static T> {
        // SAFETY: `set` stored it, and it stays until `dealloc`, which the caller's reference keeps away.
        unsafe { self.slot::<T>().load(Ordering::Acquire).as_ref() }
    }

    /// Takes the value back, in `dealloc`.
    pub(crate) fn take<T: 'static>(self) -> Option<Box<T>> {
        let value = self.slot::<T>().swap(null_mut(), Ordering::AcqRel);
        // SAFETY: `set` made it from a box, and nobody else takes it.
        (!value.is_null()).then(|| unsafe { Box::from_raw(value) })
    }
}
