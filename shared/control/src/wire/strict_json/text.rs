//! Strings and numbers: the parts of JSON with a grammar inside.

use std::borrow::Cow;

use super::{Reader, SyntaxError};
use crate::wire::suggestion::shown;

impl<'b> Reader<'b> {
    /// A string, from its opening to its closing quote.
    pub(super) fn string(&mut self) -> Result<Cow<'b, str>, SyntaxError> {
        let quote = self.at;
        self.skip('"');
        let start = self.at;
        // Most strings have no escape and can be borrowed as they stand.
        let plain = self
            .rest()
            .find(|c: char| c == '"' || c == '\\' || c < ' ')
            .unwrap_or(self.rest().len());
        self.at = start.saturating_add(plain);
        let plain = self.text.get(start..self.at).unwrap_or("");
        if self.eat('"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut decoded = plain.to_owned();
        while let Some(character) = self.string_character(quote)? {
            decoded.push(character);
        }
        Ok(Cow::Owned(decoded))
    }

    /// The next character of the string that was opened at `quote`; `None` at its end.
    pub(super) fn string_character(&mut self, quote: usize) -> Result<Option<char>, SyntaxError> {
        let Some(character) = self.peek() else {
            return Err(SyntaxError::new(
                quote,
                "not JSON: the text ends inside this string",
            ));
        };
        match character {
            '"' => {
                self.skip('"');
                Ok(None)
            }
            '\\' => self.escape().map(Some),
            control if control < ' ' => Err(self.unexpected(&format!(
                "character U+{:04X} in a string: write line breaks and other control characters as escapes",
                u32::from(control)
            ))),
            plain => {
                self.skip(plain);
                Ok(Some(plain))
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let start = self.at;
        self.skip('\\');
        let Some(letter) = self.peek() else {
            return Err(self.expected("an escape"));
        };
        self.skip(letter);
        match letter {
            '"' | '\\' | '/' => Ok(letter),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'u' => self.unicode_escape(start),
            unknown => Err(SyntaxError::new(
                start,
                format!(
                    "not JSON: unknown escape `\\{}` in a string",
                    shown(&unknown.to_string())
                ),
            )),
        }
    }

    /// What follows `\u`: one code unit, or two that make up one character.
    fn unicode_escape(&mut self, start: usize) -> Result<char, SyntaxError> {
        let first = self.code_unit(start)?;
        let is_high_surrogate = (0xD800..0xDC00).contains(&first);
        let has_second = is_high_surrogate && self.rest().starts_with("\\u");
        let units = if has_second {
            self.at = self.at.saturating_add(2);
            vec![first, self.code_unit(start)?]
        } else {
            vec![first]
        };
        let mut decoded = char::decode_utf16(units);
        match (decoded.next(), decoded.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(SyntaxError::new(
                start,
                format!("not JSON: `\\u{first:04x}` is half of a surrogate pair and not a character"),
            )),
        }
    }

    fn code_unit(&mut self, start: usize) -> Result<u16, SyntaxError> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at = self.at.saturating_add(4);
        unit.ok_or_else(|| SyntaxError::new(start, "not JSON: `\\u` takes four hexadecimal digits"))
    }

    /// A number, as written.
    pub(super) fn number(&mut self) -> Result<&'b str, SyntaxError> {
        let start = self.at;
        self.eat('-');
        if self.eat('0') {
            if self.peek().is_some_and(|c| c.is_ascii_digit()) {
                return Err(SyntaxError::new(
                    start,
                    "not JSON: a number does not begin with 0",
                ));
            }
        } else {
            self.digits()?;
        }
        if self.eat('.') {
            self.digits()?;
        }
        if self.eat('e') || self.eat('E') {
            let _ = self.eat('+') || self.eat('-');
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or(""))
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.expected("a digit"));
        }
        self.at = self.at.saturating_add(length);
        Ok(())
    }
}
