//! Text that the user gives.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use tidegate_llm::tokenizer::TEXT_BYTES_MAX;

use crate::failure::Failure;

/// The UTF-8 text in a file, or in standard input where that is `-`, as it is.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let name = if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let failed = |it: io::Error| Failure::Failed(format!("cannot read {name}: {it}"));
    let bytes = if path == Path::new("-") {
        read_bounded(io::stdin().lock())
    } else {
        File::open(path).and_then(read_bounded)
    }
    .map_err(failed)?;
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(Failure::Usage(format!(
            "{name} has more than {TEXT_BYTES_MAX} bytes, which is past any context; shorten it"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Failure::Failed(format!(
            "{name} is not UTF-8, and nothing else is read: byte {offset} is no part of a character; convert it, as with `iconv -t UTF-8`"
        ))
    })
}

/// One byte more than is allowed, so that an endless file ends.
fn read_bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(TEXT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
