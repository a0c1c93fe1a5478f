//! Files that the user names.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Refuses a file that would be written over another of the run's, whether that is read or written too. Options come with their names.
pub(crate) fn check_distinct(
    read: &[(&str, &Path)],
    written: &[(&str, Option<PathBuf>)],
) -> Result<(), Failure> {
    let mut seen: Vec<(&str, Place)> = read
        .iter()
        .filter_map(|(option, path)| Some((*option, place(path)?)))
        .collect();
    for (option, path) in written {
        let Some(path) = path else { continue };
        let Some(place) = place(path) else { continue };
        if let Some((other, _)) = seen.iter().find(|it| it.1 == place) {
            return Err(Failure::Usage(format!(
                "{other} and {option} name the same file, {}",
                path.display()
            )));
        }
        seen.push((option, place));
    }
    Ok(())
}

/// What tells files apart.
#[derive(PartialEq, Eq)]
enum Place {
    Path(PathBuf),
    /// Its device and its number there, which all its names share.
    #[cfg(unix)]
    Inode(u64, u64),
}

/// Where a file is or will be, however it is written; none for a device such as `/dev/null`, which may be named twice.
fn place(path: &Path) -> Option<Place> {
    if let Ok(about) = path.metadata() {
        #[cfg(unix)]
        let place = {
            use std::os::unix::fs::MetadataExt as _;
            Place::Inode(about.dev(), about.ino())
        };
        #[cfg(not(unix))]
        let place = Place::Path(path.canonicalize().ok()?);
        return about.is_file().then_some(place);
    }
    let folder = path.parent().filter(|it| *it != Path::new(""));
    let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
    Some(Place::Path(folder.join(path.file_name()?)))
}
