//! Refuses what would exhaust the stack.
//!
//! naga 30 limits how deep brackets and braces nest, but a chain such as `a + a + a` or `else if` nests without either.
//! Each link costs it stack: about 1 KiB when optimized, 20 KiB when not, and twice as much for an `else if`. So the
//! text is scanned before it is parsed.

use crate::{Module, ShaderError};

/// Refuses a text longer than [`Module::WGSL_BYTES_MAX`], or with an expression deeper than [`Module::WGSL_DEPTH_MAX`].
///
/// The scan needs no grammar, so it counts a little too much, such as the `=` of an assignment.
pub(super) fn check(text: &str) -> Result<(), ShaderError> {
    if text.len() > Module::WGSL_BYTES_MAX {
        let (have, max) = (text.len() as u64, Module::WGSL_BYTES_MAX as u64);
        return Err(ShaderError::TooLarge {
            what: "the number of bytes of WGSL",
            have,
            max,
        });
    }
    let mut depth = Depth::default();
    let mut rest = text.as_bytes();
    while let Some((token, after)) = token(rest) {
        rest = after;
        depth.token(token);
        for (what, have, max) in [
            (
                "the depth of an expression or an `else if`",
                depth.total,
                Module::WGSL_DEPTH_MAX,
            ),
            (
                "the number of declarations",
                depth.declarations,
                Module::WGSL_DECLARATIONS_MAX,
            ),
        ] {
            if have > max {
                return Err(ShaderError::TooLarge {
                    what,
                    have: have as u64,
                    max: max as u64,
                });
            }
        }
    }
    Ok(())
}

/// How deep the tree of the text read so far may be.
#[derive(Default)]
struct Depth {
    /// The links of each bracket still open, from the outermost. The innermost is `links`.
    open: Vec<Links>,
    links: Links,
    /// The sum of all links, and one for each open bracket.
    total: usize,
    /// Declarations at the scope of the module.
    declarations: usize,
    after_brace: bool,
}

/// The links of the chains being read, between the same two brackets.
#[derive(Clone, Copy, Default)]
struct Links {
    operators: usize,
    /// Two for each.
    elses: usize,
}

impl Depth {
    fn token(&mut self, token: &[u8]) {
        if std::mem::take(&mut self.after_brace) {
            let elses = if token == b"else" {
                self.links.elses + 2
            } else {
                0
            };
            self.set(Links {
                operators: 0,
                elses,
            });
        }
        let links = self.links;
        match token {
            b"fn" | b"const" | b"override" | b"var" | b"struct" | b"alias"
                if self.open.is_empty() =>
            {
                self.declarations += 1;
            }
            b"(" | b"{" | b"[" => {
                // `a[0][0]` is a chain as well.
                let operators = links.operators + usize::from(token == b"[");
                self.set(Links { operators, ..links });
                self.open.push(self.links);
                self.links = Links::default();
                self.total += 1;
            }
            b")" | b"}" | b"]" => {
                if let Some(outer) = self.open.pop() {
                    self.set(Links::default());
                    self.links = outer;
                    self.total -= 1;
                }
                self.after_brace = token == b"}";
            }
            b"," => self.set(Links {
                operators: 0,
                ..links
            }),
            b";" => self.set(Links::default()),
            [character, ..] if character.is_ascii_punctuation() && !b"@:_".contains(character) => {
                self.set(Links {
                    operators: links.operators + 1,
                    ..links
                });
            }
            _ => {}
        }
    }

    fn set(&mut self, links: Links) {
        self.total -= self.links.operators + self.links.elses;
        self.total += links.operators + links.elses;
        self.links = links;
    }
}

/// The next word, number, operator or single character that is neither space nor comment; and what follows it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut text = text.trim_ascii_start();
    while let Some(length) = comment(text) {
        text = text.get(length..)?.trim_ascii_start();
    }
    let first = *text.first()?;
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let number = first.is_ascii_digit();
    let within = |&&byte: &&u8| word(byte) || (number && byte == b'.');
    let length = match text {
        _ if word(first) => text.iter().take_while(within).count(),
        // naga reads these as one, so that they cannot be stacked up as prefixes.
        [
            b'=' | b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'|' | b'^',
            b'=',
            ..,
        ] => 2,
        [b'&', b'&', ..] | [b'|', b'|', ..] | [b'+', b'+', ..] | [b'-', b'-' | b'>', ..] => 2,
        _ => 1,
    };
    text.split_at_checked(length)
}

/// Bytes of the comment that the text starts with. Block comments nest.
fn comment(text: &[u8]) -> Option<usize> {
    match text {
        [b'/', b'/', ..] => {
            // Any of WGSL's line breaks ends it: <https://www.w3.org/TR/WGSL/#line-break>.
            let breaks = |rest: &[u8]| {
                matches!(
                    rest,
                    [b'\n' | b'\r' | 0x0b | 0x0c, ..]
                        | [0xc2, 0x85, ..]
                        | [0xe2, 0x80, 0xa8 | 0xa9, ..]
                )
            };
            Some(
                (2..text.len())
                    .find(|&at| text.get(at..).is_some_and(breaks))
                    .unwrap_or(text.len()),
            )
        }
        [b'/', b'*', ..] => {
            let (mut at, mut depth) = (2, 1);
            while depth > 0 {
                match text.get(at..) {
                    Some([b'*', b'/', ..]) => (at, depth) = (at + 2, depth - 1),
                    Some([b'/', b'*', ..]) => (at, depth) = (at + 2, depth + 1),
                    Some([_, ..]) => at += 1,
                    _ => return Some(text.len()),
                }
            }
            Some(at)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deepest(text: &str) -> usize {
        let (mut depth, mut rest, mut deepest) = (Depth::default(), text.as_bytes(), 0);
        while let Some((token, after)) = token(rest) {
            rest = after;
            depth.token(token);
            deepest = deepest.max(depth.total);
        }
        deepest
    }

    #[test]
    fn chains_and_brackets_add_up() {
        assert_eq!(deepest("a + b + c"), 2);
        assert_eq!(deepest("a * (b + (c - d))"), 5);
        assert_eq!(deepest("a[0][0].x"), 3);
        assert_eq!(deepest("~~~a"), 3);
        assert_eq!(deepest("a == b && c >= d"), 3);
        assert_eq!(deepest("(=(=(=a"), 6);
        assert_eq!(deepest("if a {} else if b {} else if c {} else {}"), 7);
    }

    #[test]
    fn neighbours_do_not_add_up() {
        assert_eq!(deepest("f(a + b, c + d, e + f)"), 2);
        assert_eq!(deepest("a + b; c + d;"), 1);
        assert_eq!(deepest("if a {} if b {} if c {}"), 1);
        assert_eq!(deepest("1.5 + 2.25"), 1);
    }

    #[test]
    fn comments_do_not_count_and_end_where_they_should() {
        assert_eq!(deepest("a // + + +\n+ b"), 1);
        assert_eq!(deepest("a /* + /* + */ + */ + b"), 1);
        assert_eq!(deepest("a // + \u{2028} + b"), 1);
        assert_eq!(deepest(&"/**/".repeat(100_000)), 0);
        assert_eq!(deepest("/* + "), 0);
    }

    #[test]
    fn unbalanced_brackets_are_left_to_the_parser() {
        assert_eq!(deepest("))) + ]]] }}}"), 1);
        assert_eq!(deepest("((("), 3);
    }
}
