//! Reads of a Mach-O file what says whether it is ours: its kind, what it loads, and which names nobody vouched for.

use anyhow::{Context as _, Result, bail};

const MAGIC_64: u32 = 0xfeed_facf;
const CPU_ARM64: u32 = 0x0100_000c;
const EXECUTABLE: u32 = 2;
const HEADER_BYTES: usize = 32;

const SYMTAB: u32 = 0x2;
const LOAD_DYLIB: u32 = 0xc;
const LOAD_WEAK_DYLIB: u32 = 0x8000_0018;
const CODE_SIGNATURE: u32 = 0x1d;

const SYMBOL_BYTES: usize = 16;
/// Debugger entries, which are no symbols of the program.
const SYMBOL_STAB: u8 = 0xe0;
const SYMBOL_TYPE: u8 = 0x0e;
/// The library ordinal of a name that no library at link time was said to have.
const DYNAMIC_LOOKUP: u16 = 0xfe;

/// What was read of a program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    /// The install names of the libraries that it loads, in their order.
    pub(super) libraries: Vec<String>,
    /// The names that dyld is to find in any library.
    pub(super) unbound: Vec<String>,
    /// An arm64 Mac starts nothing without a signature.
    pub(super) is_signed: bool,
}

/// Reads an executable for arm64.
///
/// # Errors
/// It is something else, or cut short.
pub(super) fn parse(bytes: &[u8]) -> Result<Program> {
    if u32_at(bytes, 0)? != MAGIC_64 {
        bail!("not a 64-bit Mach-O file");
    }
    if u32_at(bytes, 4)? != CPU_ARM64 {
        bail!("not for arm64");
    }
    if u32_at(bytes, 12)? != EXECUTABLE {
        bail!("not an executable");
    }
    let mut program = Program::default();
    let mut at = HEADER_BYTES;
    for _ in 0..u32_at(bytes, 16)? {
        let command = u32_at(bytes, at)?;
        let length = size_at(bytes, at + 4)?;
        if length < 8 {
            bail!("a load command of {length} bytes");
        }
        match command {
            LOAD_DYLIB | LOAD_WEAK_DYLIB => {
                let name = at + size_at(bytes, at + 8)?;
                program.libraries.push(text_at(bytes, name)?);
            }
            SYMTAB => program.unbound = unbound(bytes, at)?,
            CODE_SIGNATURE => program.is_signed = true,
            _ => {}
        }
        at += length;
    }
    Ok(program)
}

/// The undefined symbols of the table at `command` that name no library.
fn unbound(bytes: &[u8], command: usize) -> Result<Vec<String>> {
    let symbols = size_at(bytes, command + 8)?;
    let count = size_at(bytes, command + 12)?;
    let names = size_at(bytes, command + 16)?;
    let mut found = Vec::new();
    for index in 0..count {
        let at = symbols + index * SYMBOL_BYTES;
        let entry = bytes
            .get(at..at + SYMBOL_BYTES)
            .context("its symbols end early")?;
        let is_undefined = entry[4] & SYMBOL_STAB == 0 && entry[4] & SYMBOL_TYPE == 0;
        let ordinal = u16::from_le_bytes([entry[6], entry[7]]) >> 8;
        if is_undefined && ordinal == DYNAMIC_LOOKUP {
            found.push(text_at(bytes, names + size_at(bytes, at)?)?);
        }
    }
    Ok(found)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let four = at
        .checked_add(4)
        .and_then(|end| bytes.get(at..end))
        .and_then(|four| four.try_into().ok())
        .with_context(|| format!("ends before byte {at}"))?;
    Ok(u32::from_le_bytes(four))
}

fn size_at(bytes: &[u8], at: usize) -> Result<usize> {
    Ok(usize::try_from(u32_at(bytes, at)?)?)
}

/// The text from `at` to the next zero.
fn text_at(bytes: &[u8], at: usize) -> Result<String> {
    let rest = bytes.get(at..).context("a name lies beyond the end")?;
    let text = rest.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one load command, one unbound name and one that a library has.
    fn file() -> Vec<u8> {
        let mut words = vec![MAGIC_64, CPU_ARM64, 0, EXECUTABLE, 3, 0, 0, 0];
        let name = b"/usr/lib/libobjc.A.dylib\0\0\0\0\0\0\0\0";
        let symtab_at = 32 + 24 + 32;
        let symbols = symtab_at + 24 + 8;
        words.extend([LOAD_DYLIB, 24 + 32, 24, 0, 0, 0]);
        words.extend(
            name.chunks(4)
                .map(|four| u32::from_le_bytes(four.try_into().unwrap())),
        );
        words.extend([SYMTAB, 24, symbols, 2, symbols + 32, 16]);
        words.extend([CODE_SIGNATURE, 8]);
        let ordinal = |ordinal: u32| 1 | ordinal << 24;
        words.extend([1, ordinal(0xfe), 0, 0]);
        words.extend([5, ordinal(1), 0, 0]);
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(b"\0_aX\0_objc_msgSend\0");
        bytes
    }

    #[test]
    fn reads_what_is_loaded_and_what_nobody_vouched_for() {
        let program = Program {
            libraries: vec!["/usr/lib/libobjc.A.dylib".to_owned()],
            unbound: vec!["_aX".to_owned()],
            is_signed: true,
        };
        assert_eq!(parse(&file()).unwrap(), program);
    }

    #[test]
    fn another_file_is_refused() {
        for (at, value) in [(0, 0x7f), (4, 7), (12, 6)] {
            let mut bytes = file();
            bytes[at] = value;
            assert!(parse(&bytes).is_err(), "byte {at}");
        }
        // A load command without a length would be read for ever, one that is too long reaches nowhere.
        for length in [0, 0xff] {
            let mut bytes = file();
            bytes[36] = length;
            assert!(parse(&bytes).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused() {
        let bytes = file();
        let names = bytes.len() - b"_objc_msgSend\0".len() - 4;
        for end in 0..names {
            assert!(parse(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
