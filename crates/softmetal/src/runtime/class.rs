//! Selectors, classes and their methods.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, Once, PoisonError, RwLock, RwLockWriteGuard};

use crate::rules::{Rule, broke, lock};
use crate::runtime::object::Id;
use crate::runtime::{collections, descriptors, foundation};

/// A selector: the address of its one interned name.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sel(pub(crate) *const c_char);

// SAFETY: interned names are never changed or given back.
unsafe impl Send for Sel {}
// SAFETY: as above.
unsafe impl Sync for Sel {}

impl Sel {
    pub(crate) fn name(self) -> &'static CStr {
        // SAFETY: only `selector` makes selectors, from names that stay.
        unsafe { CStr::from_ptr(self.0) }
    }
}

/// The selector of a name.
pub(crate) fn selector(name: &CStr) -> Sel {
    static NAMES: LazyLock<Mutex<HashMap<&'static CStr, Sel>>> = LazyLock::new(Mutex::default);
    let mut names = lock(&NAMES);
    if let Some(known) = names.get(name) {
        return *known;
    }
    let name: &'static CStr = Box::leak(name.to_owned().into_boxed_c_str());
    names.insert(name, Sel(name.as_ptr()));
    Sel(name.as_ptr())
}

/// A method's code, cast from its own signature and cast back before the call.
pub(crate) type Imp = unsafe extern "C-unwind" fn();

/// One method of a class that exists from the start.
pub(crate) struct Row {
    pub(crate) selector: &'static CStr,
    pub(crate) types: &'static CStr,
    pub(crate) imp: Imp,
}

/// `row!(c"selector", c"encoding", function as fn(types) -> type)`, without the two hidden arguments in the types.
macro_rules! row {
    ($selector:literal, $types:literal, $function:expr, ($($a:ty),*) $(-> $r:ty)?) => {
        $crate::runtime::class::Row {
            selector: $selector,
            types: $types,
            // SAFETY: a function pointer is kept as another and cast back by whoever calls it, by the encoding in `types`.
            imp: unsafe {
                std::mem::transmute::<
                    extern "C-unwind" fn($crate::runtime::object::Id, $crate::runtime::class::Sel $(, $a)*) $(-> $r)?,
                    $crate::runtime::class::Imp,
                >($function)
            },
        }
    };
}
pub(crate) use row;

/// A method as the runtime hands it out.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) selector: Sel,
    pub(crate) types: CString,
    imp: Mutex<Imp>,
}

impl Method {
    pub(crate) fn imp(&self) -> Imp {
        *lock(&self.imp)
    }

    pub(crate) fn replace(&self, imp: Imp) -> Imp {
        std::mem::replace(&mut *lock(&self.imp), imp)
    }
}

/// An instance variable as the runtime hands it out.
#[derive(Debug)]
pub(crate) struct Ivar {
    pub(crate) name: CString,
    pub(crate) types: CString,
    pub(crate) offset: isize,
}

#[derive(Default)]
struct Tables {
    methods: HashMap<Sel, &'static Method>,
    ivars: Vec<&'static Ivar>,
}

/// A class or a metaclass. Classes are never given back.
#[repr(C)]
pub(crate) struct Class {
    // First, as in every object.
    isa: AtomicPtr<Self>,
    parent: AtomicPtr<Self>,
    name: AtomicPtr<c_char>,
    meta: bool,
    bytes: AtomicUsize,
    rows: &'static [Row],
    once: Once,
    tables: LazyLock<RwLock<Tables>>,
}

impl Class {
    const fn fixed(
        name: &'static CStr,
        meta: bool,
        isa: *const Self,
        parent: *const Self,
        rows: &'static [Row],
    ) -> Self {
        Self {
            isa: AtomicPtr::new(isa.cast_mut()),
            parent: AtomicPtr::new(parent.cast_mut()),
            name: AtomicPtr::new(name.as_ptr().cast_mut()),
            meta,
            bytes: AtomicUsize::new(16),
            rows,
            once: Once::new(),
            tables: LazyLock::new(RwLock::default),
        }
    }

    /// Fills the methods of a class that exists from the start, once.
    pub(crate) fn ready(&'static self) -> &'static Self {
        self.once.call_once(|| {
            for row in self.rows {
                self.add(selector(row.selector), row.imp, row.types);
            }
        });
        self
    }

    /// A new subclass, not registered yet. Its metaclass comes with it.
    pub(crate) fn pair(parent: &'static Self, name: &CStr) -> Option<&'static Self> {
        if find_class(name).is_some() {
            return None;
        }
        let name: &'static CStr = Box::leak(name.to_owned().into_boxed_c_str());
        let new = |meta, isa: *const Self, parent: *const Self| -> &'static Self {
            Box::leak(Box::new(Self::fixed(name, meta, isa, parent, &[])))
        };
        let meta = new(true, &raw const ROOT_META, parent.metaclass());
        let class = new(false, meta, parent);
        // The variables of the runtime's own classes are private to them: only NSObject's subclasses start with none.
        let bytes = if std::ptr::eq(parent, &raw const NSOBJECT) {
            8
        } else {
            parent.bytes()
        };
        class.bytes.store(bytes, Ordering::Relaxed);
        Some(class)
    }

    pub(crate) fn metaclass(&self) -> &'static Self {
        // SAFETY: every class has one, and classes stay.
        unsafe { &*self.isa.load(Ordering::Relaxed) }
    }

    pub(crate) fn parent(&self) -> Option<&'static Self> {
        // SAFETY: null or a class, and classes stay.
        unsafe { self.parent.load(Ordering::Relaxed).as_ref() }
    }

    pub(crate) fn name(&self) -> &'static CStr {
        // SAFETY: a name that was leaked or is a literal.
        unsafe { CStr::from_ptr(self.name.load(Ordering::Relaxed)) }
    }

    pub(crate) fn is_meta(&self) -> bool {
        self.meta
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every method of its own.
    pub(crate) fn methods(&self) -> Vec<&'static Method> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.methods.values().copied().collect()
    }

    /// The method of a selector, its own or inherited.
    pub(crate) fn find(&'static self, selector: Sel) -> Option<&'static Method> {
        let mut class = Some(self);
        while let Some(it) = class {
            let tables = it
                .ready()
                .tables
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(method) = tables.methods.get(&selector) {
                return Some(method);
            }
            class = it.parent();
        }
        None
    }

    /// What a message to `receiver` calls. A dead receiver and an unknown selector are named.
    pub(crate) fn lookup(&'static self, receiver: Id, selector: Sel) -> Imp {
        if receiver.check_alive(Rule::Zombie, selector.name())
            && let Some(method) = self.find(selector)
        {
            return method.imp();
        }
        let sign = if self.meta { '+' } else { '-' };
        let (class, name) = (
            self.name().to_string_lossy(),
            selector.name().to_string_lossy(),
        );
        broke(
            Rule::UnknownSelector,
            format!(
                "{sign}[{class} {name}]: unrecognized selector; the software Metal does not have it"
            ),
        );
        // The thread unwinds already, and there is nothing to call.
        std::process::abort()
    }

    pub(crate) fn add(&self, selector: Sel, imp: Imp, types: &CStr) -> bool {
        let mut tables = self.write();
        if tables.methods.contains_key(&selector) {
            return false;
        }
        let method = Method {
            selector,
            types: types.to_owned(),
            imp: Mutex::new(imp),
        };
        tables.methods.insert(selector, Box::leak(Box::new(method)));
        true
    }

    pub(crate) fn add_ivar(&self, name: &CStr, bytes: usize, align_log2: u8, types: &CStr) -> bool {
        let offset = self.bytes().next_multiple_of(1 << align_log2);
        if align_log2 > 4 {
            return false;
        }
        let ivar = Ivar {
            name: name.to_owned(),
            types: types.to_owned(),
            offset: isize::try_from(offset).unwrap_or(isize::MAX),
        };
        self.write().ivars.push(Box::leak(Box::new(ivar)));
        self.bytes.store(offset + bytes, Ordering::Relaxed);
        true
    }

    pub(crate) fn ivar(&self, name: &CStr) -> Option<&'static Ivar> {
        let own = self
            .write()
            .ivars
            .iter()
            .find(|it| *it.name == *name)
            .copied();
        own.or_else(|| self.parent().and_then(|parent| parent.ivar(name)))
    }
}

static REGISTERED: Mutex<Vec<&'static Class>> = Mutex::new(Vec::new());

/// A registered class.
pub(crate) fn find_class(name: &CStr) -> Option<&'static Class> {
    let fixed = FIXED.iter().copied().find(|class| class.name() == name);
    fixed.or_else(|| {
        lock(&REGISTERED)
            .iter()
            .copied()
            .find(|it| it.name() == name)
    })
}

pub(crate) fn register(class: &'static Class) {
    lock(&REGISTERED).push(class);
}

pub(crate) fn unregister(class: &Class) {
    lock(&REGISTERED).retain(|it| !std::ptr::eq(*it, class));
}

macro_rules! fixed {
    ($($symbol:literal $class:ident $meta:ident $name:literal $parent:expr, $meta_parent:expr, $rows:expr, $meta_rows:expr;)*) => {
        $(
            static $meta: Class = Class::fixed($name, true, &raw const ROOT_META, $meta_parent, $meta_rows);
            // The name by which objc2 finds the class when linking.
            #[unsafe(export_name = $symbol)]
            pub(crate) static $class: Class = Class::fixed($name, false, &raw const $meta, $parent, $rows);
        )*
        static FIXED: &[&Class] = &[$(&$class,)*];
    };
}

fixed! {
    "_OBJC_CLASS_NSObject" NSOBJECT ROOT_META c"NSObject"
        null_mut(), &raw const NSOBJECT, foundation::OBJECT, foundation::OBJECT_CLASS;
    "_OBJC_CLASS_NSString" NSSTRING STRING_META c"NSString"
        &raw const NSOBJECT, &raw const ROOT_META, foundation::STRING, &[];
    "_OBJC_CLASS_NSError" NSERROR ERROR_META c"NSError"
        &raw const NSOBJECT, &raw const ROOT_META, foundation::ERROR, &[];
    "_OBJC_CLASS_NSArray" NSARRAY ARRAY_META c"NSArray"
        &raw const NSOBJECT, &raw const ROOT_META, collections::ARRAY, &[];
    "_OBJC_CLASS_NSDictionary" NSDICTIONARY DICTIONARY_META c"NSDictionary"
        &raw const NSOBJECT, &raw const ROOT_META, collections::DICTIONARY, &[];
    "_OBJC_CLASS_OS_dispatch_data" DISPATCH_DATA DISPATCH_DATA_META c"OS_dispatch_data"
        &raw const NSOBJECT, &raw const ROOT_META, collections::DATA, &[];
    "_OBJC_CLASS_NSURL" NSURL URL_META c"NSURL"
        &raw const NSOBJECT, &raw const ROOT_META, foundation::URL, foundation::URL_CLASS;
    "_OBJC_CLASS_MTLCompileOptions" COMPILE_OPTIONS COMPILE_OPTIONS_META c"MTLCompileOptions"
        &raw const NSOBJECT, &raw const ROOT_META, descriptors::COMPILE_OPTIONS, &[];
    "_OBJC_CLASS_MTLCommandBufferDescriptor" COMMAND_BUFFER_DESCRIPTOR COMMAND_BUFFER_DESCRIPTOR_META c"MTLCommandBufferDescriptor"
        &raw const NSOBJECT, &raw const ROOT_META, descriptors::COMMAND_BUFFER, &[];
    "_OBJC_CLASS_MTLCommandQueueDescriptor" QUEUE_DESCRIPTOR QUEUE_DESCRIPTOR_META c"MTLCommandQueueDescriptor"
        &raw const NSOBJECT, &raw const ROOT_META, descriptors::QUEUE, &[];
    "_OBJC_CLASS_MTLComputePipelineDescriptor" PIPELINE_DESCRIPTOR PIPELINE_DESCRIPTOR_META c"MTLComputePipelineDescriptor"
        &raw const NSOBJECT, &raw const ROOT_META, descriptors::PIPELINE, &[];
    "_OBJC_CLASS_MTLResidencySetDescriptor" RESIDENCY_DESCRIPTOR RESIDENCY_DESCRIPTOR_META c"MTLResidencySetDescriptor"
        &raw const NSOBJECT, &raw const ROOT_META, descriptors::RESIDENCY, &[];
    "_TIDEGATE_CLASS_ZOMBIE" ZOMBIE ZOMBIE_META c"a deallocated object"
        null_mut(), &raw const ROOT_META, &[], &[];
}
