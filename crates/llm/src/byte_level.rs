//! GPT-2's way of writing any byte as a visible character, in which byte-level vocabularies are stored.
//!
//! A byte that is a visible character of Latin-1 is itself. The 68 others are the characters from U+0100 on, in order:
//! a space is `Ġ` (U+0120) and a newline is `Ċ` (U+010A).

const VISIBLE: [std::ops::RangeInclusive<u8>; 3] = [b'!'..=b'~', 0xA1..=0xAC, 0xAE..=0xFF];

fn is_visible(byte: u8) -> bool {
    VISIBLE.iter().any(|range| range.contains(&byte))
}

/// The character that stands for `byte`.
pub(crate) fn to_char(byte: u8) -> char {
    if is_visible(byte) {
        return char::from(byte);
    }
    let hidden_before = (0..byte).filter(|&other| !is_visible(other)).count() as u32;
    // At most U+0143.
    char::from_u32(0x100 + hidden_before).unwrap_or(char::REPLACEMENT_CHARACTER)
}
