//! Sets of characters: classes in brackets, `\d` and its like.

use super::PatternProblem::{Malformed, Unsupported};
use super::java::{Escape, Reader};
use super::{PatternError, SET_SIZE_ASCII, SET_SIZE_UNICODE};

/// Whether letters match in either case. ASCII letters only, as in Java without its flag `u`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Sensitive,
    Ignored,
}

/// A named set in the engine's syntax; it can stand alone and inside a class.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Set {
    sensitive: &'static str,
    /// Differs for `\p{Lower}` and `\p{Upper}` only.
    ignored: &'static str,
}

impl Set {
    const fn new(set: &'static str) -> Set {
        Set {
            sensitive: set,
            ignored: set,
        }
    }

    pub(super) fn in_case(&self, case: Case) -> &'static str {
        match case {
            Case::Sensitive => self.sensitive,
            Case::Ignored => self.ignored,
        }
    }

    /// In the unit of [`super::PATTERN_SIZE_MAX`].
    pub(super) fn size(&self) -> usize {
        let is_ascii = !self.sensitive.starts_with("[^") && !self.sensitive.contains(r"\x{");
        if is_ascii {
            SET_SIZE_ASCII
        } else {
            SET_SIZE_UNICODE
        }
    }
}

/// The set behind an escape of one letter.
pub(super) fn letter_set(letter: char) -> Option<&'static Set> {
    const SETS: [(char, Set); 10] = [
        ('d', Set::new("[0-9]")),
        ('D', Set::new("[^0-9]")),
        ('w', Set::new("[0-9A-Za-z_]")),
        ('W', Set::new("[^0-9A-Za-z_]")),
        ('s', Set::new(r"[\t\n\x0B\x0C\r\x20]")),
        ('S', Set::new(r"[^\t\n\x0B\x0C\r\x20]")),
        (
            'h',
            Set::new(r"[\t\x20\xA0\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]"),
        ),
        (
            'H',
            Set::new(r"[^\t\x20\xA0\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]"),
        ),
        ('v', Set::new(r"[\n\x0B\x0C\r\x{85}\x{2028}\x{2029}]")),
        ('V', Set::new(r"[^\n\x0B\x0C\r\x{85}\x{2028}\x{2029}]")),
    ];
    const { &SETS }
        .iter()
        .find(|(name, _)| *name == letter)
        .map(|(_, set)| set)
}

/// The set behind `\p{name}`, or `\P{name}` when `is_negated`: the ASCII classes of POSIX.
pub(super) fn property_set(name: &str, is_negated: bool) -> Option<&'static Set> {
    const LETTERS: &str = "[A-Za-z]";
    const NO_LETTERS: &str = "[^A-Za-z]";
    const SETS: [(&str, Set, Set); 13] = [
        (
            "Lower",
            Set {
                sensitive: "[a-z]",
                ignored: LETTERS,
            },
            Set {
                sensitive: "[^a-z]",
                ignored: NO_LETTERS,
            },
        ),
        (
            "Upper",
            Set {
                sensitive: "[A-Z]",
                ignored: LETTERS,
            },
            Set {
                sensitive: "[^A-Z]",
                ignored: NO_LETTERS,
            },
        ),
        ("ASCII", Set::new(r"[\x00-\x7F]"), Set::new(r"[^\x00-\x7F]")),
        ("Alpha", Set::new(LETTERS), Set::new(NO_LETTERS)),
        ("Digit", Set::new("[0-9]"), Set::new("[^0-9]")),
        ("Alnum", Set::new("[0-9A-Za-z]"), Set::new("[^0-9A-Za-z]")),
        (
            "Punct",
            Set::new(r"[!-/:-@\[-`{-~]"),
            Set::new(r"[^!-/:-@\[-`{-~]"),
        ),
        ("Graph", Set::new("[!-~]"), Set::new("[^!-~]")),
        ("Print", Set::new(r"[\x20-~]"), Set::new(r"[^\x20-~]")),
        ("Blank", Set::new(r"[\t\x20]"), Set::new(r"[^\t\x20]")),
        (
            "Cntrl",
            Set::new(r"[\x00-\x1F\x7F]"),
            Set::new(r"[^\x00-\x1F\x7F]"),
        ),
        ("XDigit", Set::new("[0-9A-Fa-f]"), Set::new("[^0-9A-Fa-f]")),
        (
            "Space",
            Set::new(r"[\t\n\x0B\x0C\r\x20]"),
            Set::new(r"[^\t\n\x0B\x0C\r\x20]"),
        ),
    ];
    let (_, set, negated) = const { &SETS }.iter().find(|(known, _, _)| *known == name)?;
    Some(if is_negated { negated } else { set })
}

/// Adds one character in the engine's syntax, as something that can be repeated.
pub(super) fn push_char(regex: &mut String, c: char, case: Case) {
    match case {
        Case::Ignored if c.is_ascii_alphabetic() => {
            regex.extend(['[', c.to_ascii_lowercase(), c.to_ascii_uppercase(), ']']);
        }
        _ if c.is_ascii_alphanumeric() => regex.push(c),
        _ => regex.push_str(&format!(r"\x{{{:x}}}", u32::from(c))),
    }
}

/// Reads a class from behind its `[` to its `]`. Returns it with its size in the unit of
/// [`super::PATTERN_SIZE_MAX`].
pub(super) fn translate(reader: &mut Reader<'_>, case: Case) -> Result<(String, usize), PatternError> {
    let start = reader.last_position();
    let mut class = String::from("[");
    let mut size = SET_SIZE_ASCII;
    if reader.take("^") {
        class.push('^');
        size = SET_SIZE_UNICODE;
    }
    // A `]` that comes first stands for itself.
    let mut is_first = true;
    loop {
        let Some(c) = reader.next() else {
            return Err(reader.error_from(start, Malformed("character class is not closed")));
        };
        match c {
            ']' if !is_first => break,
            '[' => return Err(reader.error_here(Unsupported("nested character class"))),
            '&' if reader.take("&") => {
                return Err(reader.error_here(Unsupported("class intersection `&&`")));
            }
            _ => match element(reader, c)? {
                Escape::Char(from) => {
                    let to = range_end(reader, from)?;
                    push_range(&mut class, from, to, case);
                    size = if to.is_ascii() { size } else { SET_SIZE_UNICODE };
                }
                Escape::Set(set) => {
                    class.push_str(set.in_case(case));
                    size = size.max(set.size());
                }
                Escape::Anchor(_) => {
                    return Err(reader.error_here(Malformed("this escape has no meaning in a class")));
                }
            },
        }
        is_first = false;
    }
    class.push(']');
    Ok((class, size))
}

fn element(reader: &mut Reader<'_>, c: char) -> Result<Escape, PatternError> {
    if c == '\\' {
        reader.escape()
    } else {
        Ok(Escape::Char(c))
    }
}

/// The last character of the range that begins with `from`; `from` itself when it stands alone.
fn range_end(reader: &mut Reader<'_>, from: char) -> Result<char, PatternError> {
    let is_alone =
        !reader.rest.starts_with('-') || reader.rest.starts_with("-]") || reader.rest.starts_with("-[");
    if is_alone {
        return Ok(from);
    }
    reader.take("-");
    let Some(c) = reader.next() else {
        return Err(reader.error_here(Malformed("character class is not closed")));
    };
    match element(reader, c)? {
        Escape::Char(to) if to >= from => Ok(to),
        _ => Err(reader.error_here(Malformed("a range must end with a character above its first"))),
    }
}

fn push_range(class: &mut String, from: char, to: char, case: Case) {
    push_code_points(class, from, to);
    if case == Case::Ignored {
        let (lower_from, lower_to) = (from.max('a'), to.min('z'));
        if lower_from <= lower_to {
            push_code_points(
                class,
                lower_from.to_ascii_uppercase(),
                lower_to.to_ascii_uppercase(),
            );
        }
        let (upper_from, upper_to) = (from.max('A'), to.min('Z'));
        if upper_from <= upper_to {
            push_code_points(
                class,
                upper_from.to_ascii_lowercase(),
                upper_to.to_ascii_lowercase(),
            );
        }
    }
}

fn push_code_points(class: &mut String, from: char, to: char) {
    class.push_str(&format!(r"\x{{{:x}}}-\x{{{:x}}}", u32::from(from), u32::from(to)));
}
