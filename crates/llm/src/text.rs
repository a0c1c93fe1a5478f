//! Text from bytes that come a token at a time.

/// Turns bytes into text as they come, and never shows part of a character.
///
/// A token is a run of bytes, not of characters: `🙂` is two tokens in SmolLM2's vocabulary. Bytes that may still become
/// a character are held back; bytes that no longer can are shown as U+FFFD, as [`String::from_utf8_lossy`] does.
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    held_back: Vec<u8>,
}

impl TextStream {
    /// Takes bytes, and returns what can be shown by now; often nothing.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.held_back.extend(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.held_back) {
                Ok(rest) => {
                    text.push_str(rest);
                    self.held_back.clear();
                    return text;
                }
                Err(error) => {
                    let (valid, rest) = self.held_back.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(invalid) = error.error_len() else {
                        self.held_back = rest.to_vec();
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.held_back = rest[invalid..].to_vec();
                }
            }
        }
    }

    /// What is still held back, when no more bytes come: nothing, or U+FFFD.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.held_back).into_owned();
        self.held_back.clear();
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_appear_whole() {
        let mut stream = TextStream::default();
        let mut shown = Vec::new();
        for byte in "aé世🙂".bytes() {
            shown.push(stream.push(&[byte]));
        }
        assert_eq!(shown, ["a", "", "é", "", "", "世", "", "", "", "🙂"]);
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn what_cannot_become_a_character_is_marked_at_once() {
        let mut stream = TextStream::default();
        assert_eq!(stream.push(b"\xE4"), "");
        assert_eq!(stream.push(b"x\xFFy"), "\u{FFFD}x\u{FFFD}y");
        assert_eq!(stream.push(b"\xF0\x9F\x99"), "");
        assert_eq!(stream.finish(), "\u{FFFD}");
        assert_eq!(stream.finish(), "");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_text(
            bytes in prop::collection::vec(
                prop_oneof![any::<u8>(), prop::sample::select(b"\xF0\x9F\x99\x82\xE4\xB8\x96\xC3\xA9 a".to_vec())], 0..64),
            pieces in 1usize..9,
        ) {
            let mut stream = TextStream::default();
            let mut text = String::new();
            for piece in bytes.chunks(pieces) {
                text.push_str(&stream.push(piece));
            }
            text.push_str(&stream.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
