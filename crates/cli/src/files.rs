//! Files that the user names.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Refuses a file that would be written over another of the run's, whether that is read or written too. Options come with their names.
pub(crate) fn check_distinct(
    read: &[(&str, &Path)],
    written: &[(&str, Option<PathBuf>)],
) -> Result<(), Failure> {
    let mut seen: Vec<(&str, PathBuf)> = read
        .iter()
        .filter_map(|(option, path)| Some((*option, place(path)?)))
        .collect();
    for (option, path) in written {
        let Some(place) = path.as_deref().and_then(place) else {
            continue;
        };
        if let Some((other, _)) = seen.iter().find(|it| it.1 == place) {
            return Err(Failure::Usage(format!(
                "{other} and {option} name the same file, {}",
                place.display()
            )));
        }
        seen.push((option, place));
    }
    Ok(())
}

/// Where a file is or will be, however it is written; none for a device such as `/dev/null`, which may be named twice.
fn place(path: &Path) -> Option<PathBuf> {
    match path.canonicalize() {
        Ok(place) => place.is_file().then_some(place),
        Err(_) => {
            let folder = path.parent().filter(|it| *it != Path::new(""));
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(folder.join(path.file_name()?))
        }
    }
}
