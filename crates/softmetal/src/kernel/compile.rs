//! The compiler: clang, on the source between our own headers, with what it made kept by the hash of all that went in.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::gpu::fiber;
use crate::kernel::signature::{self, Signature};
use crate::kernel::{Argument, Kernel, Kernels, Problem};
use crate::rules::lock;

const HEADERS: [(&str, &str); 6] = [
    ("metal_stdlib", include_str!("../../msl/metal_stdlib")),
    ("simd/simd.h", include_str!("../../msl/simd/simd.h")),
    ("soft_vector.h", include_str!("../../msl/soft_vector.h")),
    ("soft_math.h", include_str!("../../msl/soft_math.h")),
    ("soft_sync.h", include_str!("../../msl/soft_sync.h")),
    ("soft_entry.h", include_str!("../../msl/soft_entry.h")),
];

/// Exact results: nothing is contracted, and a constant without a suffix is a float.
const FLAGS: [&str; 13] = [
    "-x",
    "c++",
    "-std=c++20",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-w",
    "-nostdinc",
    "-nostdinc++",
    "-cl-single-precision-constant",
    "-ffp-contract=off",
    "-fno-exceptions",
    "-fno-caret-diagnostics",
];

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

/// What went wrong outside the source.
fn system(what: impl std::fmt::Display) -> Problem {
    Problem(format!("the software Metal's compiler: {what}"))
}

/// Compiles a source, or loads what an earlier run made of it.
pub(crate) fn compile(source: &str) -> Result<Kernels, Problem> {
    let signatures = signature::read(source)?;
    let entries: String = signatures.iter().map(Signature::entry).collect();
    let text = format!(
        "#include <metal_stdlib>\n#line 1 \"program_source\"\n{}\n#line 1 \"soft_entries\"\n#undef static_cast\n#include \"soft_entry.h\"\n{entries}",
        signature::with_shared_variables(source)
    );
    let flags = flags();
    let mut hasher = DefaultHasher::new();
    (&text, &flags, HEADERS).hash(&mut hasher);
    let (folder, key) = (cache()?, hasher.finish());
    let library = folder.join(format!("{key:016x}-{:x}.so", text.len()));
    // One at a time in this process; other processes may write the same file, each by renaming a whole one.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = lock(&ONE);
    if !library.exists() {
        run_clang(&folder, &text, &flags, &library)?;
    }
    // Another kernel may wait even if this one does not; that only costs time.
    let waits = ["threadgroup_barrier", "simd_", "simdgroup_barrier", "quad_"];
    let waits = waits.iter().any(|word| source.contains(word));
    load(&library, &signatures, waits)
}

fn flags() -> Vec<String> {
    let mut flags: Vec<String> = FLAGS.iter().map(|it| (*it).to_owned()).collect();
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        flags.push("-march=x86-64-v3".to_owned());
    }
    if std::env::var_os("TIDEGATE_SOFTMETAL_ASAN").is_some() {
        flags.push("-fsanitize=address".to_owned());
    }
    flags
}

/// Where compiled kernels are kept, with our headers in it.
fn cache() -> Result<PathBuf, Problem> {
    let root = match std::env::var_os("TIDEGATE_SOFTMETAL_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(concat!(env!("OUT_DIR"), "/kernels")),
    };
    let mut hasher = DefaultHasher::new();
    HEADERS.hash(&mut hasher);
    let folder = root.join(format!("{:016x}", hasher.finish()));
    for (name, text) in HEADERS {
        let path = folder.join("include").join(name);
        if path.exists() {
            continue;
        }
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).map_err(system)?;
        let unique = unique(&path);
        std::fs::write(&unique, text).map_err(system)?;
        std::fs::rename(&unique, &path).map_err(system)?;
    }
    Ok(folder)
}

/// A name that no other thread or process uses.
fn unique(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{next}.new", std::process::id()))
}

fn run_clang(folder: &Path, text: &str, flags: &[String], library: &Path) -> Result<(), Problem> {
    let source = unique(&library.with_extension("cpp"));
    let object = unique(library);
    std::fs::write(&source, text).map_err(system)?;
    let clang = std::env::var_os("TIDEGATE_SOFTMETAL_CLANG").unwrap_or_else(|| "clang-19".into());
    let output = Command::new(&clang)
        .args(flags)
        .arg("-isystem")
        .arg(folder.join("include"))
        .arg(&source)
        .args([
            OsStr::new("-shared"),
            OsStr::new("-lm"),
            OsStr::new("-o"),
            object.as_os_str(),
        ])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| system(format!("{}: {error}", clang.to_string_lossy())))?;
    let _ = std::fs::remove_file(&source);
    if !output.status.success() {
        let _ = std::fs::remove_file(&object);
        return Err(Problem(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    std::fs::rename(&object, library).map_err(system)
}

/// As `soft_argument` in `soft_entry.h`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawArgument {
    kind: u32,
    index: u32,
    bytes: u32,
    align: u32,
    writable: u32,
}

fn load(library: &Path, signatures: &[Signature], waits: bool) -> Result<Kernels, Problem> {
    const NOW: c_int = 2;
    let path = CString::new(library.as_os_str().as_bytes()).map_err(system)?;
    // SAFETY: a library that clang made of the entries above, with no initialisers of its own.
    let handle = unsafe { dlopen(path.as_ptr(), NOW) };
    if handle.is_null() {
        // SAFETY: a failed dlopen leaves a message.
        let message = unsafe { CStr::from_ptr(dlerror()) };
        return Err(system(message.to_string_lossy()));
    }
    let symbol = |name: String| {
        let text = CString::new(name.clone()).map_err(system)?;
        // SAFETY: an open library and a C string.
        let symbol = unsafe { dlsym(handle, text.as_ptr()) };
        if symbol.is_null() {
            return Err(system(format!("no symbol {name}")));
        }
        Ok(symbol)
    };
    let host = symbol("soft_functions".to_owned())?.cast::<fiber::Host>();
    // SAFETY: the variable of that name and type; no kernel of the library runs yet, or it is written with what it holds.
    unsafe { host.write(fiber::HOST) };
    let mut kernels = Vec::new();
    for it in signatures {
        let name = &it.name;
        let arguments = symbol(format!("soft_arguments_{name}"))?.cast::<RawArgument>();
        let run_thread = symbol(format!("soft_thread_{name}"))?;
        let run_group = symbol(format!("soft_group_{name}"))?;
        kernels.push(Arc::new(Kernel {
            name: name.clone(),
            arguments: read_arguments(arguments),
            threads_max: it.threads_max,
            waits,
            // SAFETY: the entries above have these types.
            run_thread: unsafe { std::mem::transmute::<*mut c_void, super::RunThread>(run_thread) },
            // SAFETY: as above.
            run_group: unsafe { std::mem::transmute::<*mut c_void, super::RunGroup>(run_group) },
        }));
    }
    Ok(kernels)
}

fn read_arguments(mut at: *const RawArgument) -> Vec<Argument> {
    let mut all = Vec::new();
    loop {
        // SAFETY: a table that ends with an entry of kind 2.
        let it = unsafe { at.read() };
        let (index, bytes) = (it.index as usize, it.bytes as usize);
        match it.kind {
            0 => all.push(Argument::Buffer {
                slot: index,
                bytes,
                align: it.align as usize,
                writable: it.writable != 0,
            }),
            1 => all.push(Argument::Threadgroup { index, bytes }),
            _ => return all,
        }
        // SAFETY: not the last entry.
        at = unsafe { at.add(1) };
    }
}
