//! Files that are written when the work is done.

use std::fs::{File, OpenOptions};
use std::io::{Error, Write as _};
use std::path::{Path, PathBuf};

/// A file that is opened before the work, so that nobody waits for what cannot be written. What it held stays until it is written, and so is not lost if the work fails.
#[derive(Debug)]
pub struct PlannedFile {
    path: PathBuf,
    file: File,
}

impl PlannedFile {
    /// Opens the file, and makes it if it is not there.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        match options.write(true).create(true).truncate(false).open(path) {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
            }),
            Err(error) => Err(cannot_be_written(path, &error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `bytes` in place of what it held.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // A device such as `/dev/null` has no length.
        let emptied = match self.file.metadata() {
            Ok(it) if it.is_file() => self.file.set_len(0),
            _ => Ok(()),
        };
        let written = emptied.and_then(|()| self.file.write_all(bytes));
        written.map_err(|error| cannot_be_written(&self.path, &error))
    }
}

fn cannot_be_written(path: &Path, error: &Error) -> Error {
    let words = format!("{} cannot be written: {error}", path.display());
    Error::new(error.kind(), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_what_it_held_until_it_is_written() {
        let path = std::env::temp_dir().join(format!("tidegate-planned-{}", std::process::id()));
        std::fs::write(&path, "what was there before").unwrap();
        let mut file = PlannedFile::open(&path).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "what was there before"
        );
        file.write(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        std::fs::remove_file(&path).unwrap();
        let folder = PlannedFile::open(&std::env::temp_dir()).unwrap_err();
        assert!(folder.to_string().contains("cannot be written"), "{folder}");
    }
}
