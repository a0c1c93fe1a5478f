//! Modules and kernels.

use std::ffi::c_void;
use std::panic::catch_unwind;
use std::ptr;
use std::sync::Arc;

use tidegate::{Device, interface};

use super::{RawAny, Text, anywhere, call, give};
use crate::error::{Result, bail};
use crate::kernel::{Description, Kernel};
use crate::launch::{self, Value};
use crate::module::{Module, Source, Target};
use crate::tensor::DataType;

/// TVM uses them from any thread through pointers, where the compiler does not see it.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Module>();
    shared::<Kernel>();
};

/// # Safety
/// `format` is valid for reads, `module` for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_create(
    device_type: i32,
    format: Text,
    module: *mut *mut c_void,
) -> i32 {
    anywhere(|| {
        // SAFETY: the caller's promise.
        let made = Module::new(Target::new(device_type)?, unsafe { format.str() }?)?;
        // SAFETY: the caller's promise.
        unsafe { give(module, Box::into_raw(Box::new(made)).cast()) };
        Ok(())
    })
}

/// # Safety
/// `module` is from [`tidegate_module_create`] and nobody else uses it yet; all else is valid for reads.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_add(
    module: *mut c_void,
    name: Text,
    code: Text,
    shown: Text,
    types: *const DataType,
    types_len: usize,
    tags: *const Text,
    tags_len: usize,
) -> i32 {
    anywhere(|| {
        // SAFETY: the caller's promise.
        let (module, name, code) =
            unsafe { (&mut *module.cast::<Module>(), name.str()?, code.bytes()) };
        let types = match types_len {
            0 => Vec::new(),
            // SAFETY: the caller's promise.
            len => unsafe { std::slice::from_raw_parts(types, len) }.to_vec(),
        };
        let tags = (0..tags_len).map(|at| {
            // SAFETY: the caller's promise.
            unsafe { (*tags.add(at)).str() }.map(str::to_owned)
        });
        let description = Description {
            name: name.to_owned(),
            types,
            tags: tags.collect::<Result<_>>()?,
        };
        // SAFETY: the caller's promise.
        let shown = String::from_utf8_lossy(unsafe { shown.bytes() }).into_owned();
        module.insert(name.to_owned(), description, code.to_vec(), shown)
    })
}

/// # Safety
/// `bytes` is valid for reads, `module` for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_load(
    device_type: i32,
    bytes: Text,
    module: *mut *mut c_void,
) -> i32 {
    anywhere(|| {
        // SAFETY: the caller's promise.
        let made = Module::load(Target::new(device_type)?, unsafe { bytes.bytes() })?;
        // SAFETY: the caller's promise.
        unsafe { give(module, Box::into_raw(Box::new(made)).cast()) };
        Ok(())
    })
}

/// # Safety
/// `module` is from this file and alive.
unsafe fn module<'a>(module: *mut c_void) -> &'a Module {
    // SAFETY: the caller's promise.
    unsafe { &*module.cast::<Module>() }
}

/// # Safety
/// `handle` is a module that is alive, `bytes` valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_save(handle: *mut c_void, bytes: *mut Text) -> i32 {
    anywhere(|| {
        // SAFETY: the caller's promise.
        unsafe { give(bytes, Text::keep(module(handle).save())) };
        Ok(())
    })
}

/// # Safety
/// `handle` is a module that is alive, `format` valid for reads, `source` for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_source(
    handle: *mut c_void,
    format: Text,
    source: *mut Text,
) -> i32 {
    anywhere(|| {
        // SAFETY: the caller's promise.
        let text = unsafe { module(handle).source(format.str()?) }?;
        // SAFETY: the caller's promise.
        unsafe { give(source, Text::keep(text.into_bytes())) };
        Ok(())
    })
}

/// Gives a null pointer if there is no such kernel.
///
/// # Safety
/// `handle` is a module that is alive, `name` valid for reads, `kernel` for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_kernel(
    handle: *mut c_void,
    name: Text,
    kernel: *mut *const c_void,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let found = unsafe { module(handle).kernel(name.str()?) }?;
        let raw = found.map_or(ptr::null(), |it| Arc::into_raw(it).cast());
        // SAFETY: the caller's promise.
        unsafe { give(kernel, raw) };
        Ok(())
    })
}

/// # Safety
/// `handle` is a module that is alive, and not used again.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_module_drop(handle: *mut c_void) {
    // SAFETY: the caller's promise; it was made by `Box::into_raw`. A panic in a destructor would end the process in any case.
    let _ = catch_unwind(|| drop(unsafe { Box::from_raw(handle.cast::<Module>()) }));
}

/// # Safety
/// `kernel` is alive, `arguments` valid for `len` reads.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_kernel_launch(
    kernel: *const c_void,
    arguments: *const RawAny,
    len: i32,
) -> i32 {
    call(|| {
        // SAFETY: the caller's promise.
        let kernel = unsafe { &*kernel.cast::<Kernel>() };
        let arguments = match usize::try_from(len).unwrap_or(0) {
            0 => &[],
            // SAFETY: the caller's promise.
            len => unsafe { std::slice::from_raw_parts(arguments, len) },
        };
        launch::launch(kernel, arguments.len(), |at| {
            arguments.get(at).map_or(Value::Other(-1), RawAny::value)
        })
    })
}

/// # Safety
/// `kernel` is from [`tidegate_module_kernel`], and not used again.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn tidegate_kernel_drop(kernel: *const c_void) {
    // SAFETY: the caller's promise; it was made by `Arc::into_raw`.
    let _ = catch_unwind(|| drop(unsafe { Arc::from_raw(kernel.cast::<Kernel>()) }));
}

/// A module from WGSL without checks. Whoever turned them off answers for what the kernels do.
pub(crate) fn trusted_module(device: &Device, source: &str) -> Result<tidegate::Module> {
    // SAFETY: the promise of the person who turned checks off, see `Runtime::checks`: TVM's compiler made no kernel that leaves its buffers, which all of TVM's other runtimes rely on.
    Ok(unsafe { device.module_from_trusted_wgsl(source) }?)
}

/// A module of Metal's, which has no checks: TVM's compiler answers for it, as with its own runtime.
pub(crate) fn metal_module(
    device: &Device,
    source: &Source,
    kernel: interface::Kernel,
) -> Result<tidegate::Module> {
    if source.binary {
        // SAFETY: TVM's compiler made the code and the description of its arguments together.
        return Ok(unsafe { device.module_from_metallib(&source.code, vec![kernel]) });
    }
    match std::str::from_utf8(&source.code) {
        // SAFETY: as above.
        Ok(text) => Ok(unsafe { device.module_from_msl(text, vec![kernel]) }),
        Err(_) => bail!("its source is not text"),
    }
}
