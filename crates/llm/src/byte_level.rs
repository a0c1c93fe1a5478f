//! GPT-2's way of writing any byte as a visible character, in which byte-level vocabularies are stored.
//!
//! A byte that is a visible character of Latin-1 is itself. The 68 others are the characters from U+0100 on, in order:
//! a space is `Ġ` (U+0120) and a newline is `Ċ` (U+010A).

const VISIBLE: [std::ops::RangeInclusive<u8>; 3] = [b'!'..=b'~', 0xA1..=0xAC, 0xAE..=0xFF];

fn is_visible(byte: u8) -> bool {
    VISIBLE.iter().any(|range| range.contains(&byte))
}

/// The character that stands for `byte`.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn to_char(byte: u8) -> char {
    if is_visible(byte) {
        return char::from(byte);
    }
    let hidden_before = (0..byte).filter(|&other| !is_visible(other)).count() as u32;
    // At most U+0143.
    char::from_u32(0x100 + hidden_before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that `character` stands for, if it stands for one.
pub(crate) fn to_byte(character: char) -> Option<u8> {
    // Every such character is below U+0144; the table is 256 entries, so it is not worth keeping.
    match u32::from(character) {
        code @ 0..=0xFF => u8::try_from(code).ok().filter(|&byte| is_visible(byte)),
        code => (0..=u8::MAX)
            .filter(|&byte| !is_visible(byte))
            .nth(code as usize - 0x100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_characters_round_trip() {
        for byte in 0..=u8::MAX {
            assert_eq!(to_byte(to_char(byte)), Some(byte));
        }
        let known = [
            (b'a', 'a'),
            (b' ', 'Ġ'),
            (b'\n', 'Ċ'),
            (0, 'Ā'),
            (0x7F, 'ġ'),
            (0xAD, 'Ń'),
            (0xFF, 'ÿ'),
        ];
        for (byte, character) in known {
            assert_eq!(to_char(byte), character);
        }
        for other in [' ', '\n', '\u{AD}', '\u{144}', '世', char::MAX] {
            assert_eq!(to_byte(other), None, "{other:?}");
        }
    }
}
