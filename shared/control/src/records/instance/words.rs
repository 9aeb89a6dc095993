//! Texts of words with one space between two of them, read strictly: nothing is skipped, guessed or left over.

use std::str::FromStr;

/// The words of a text that were not read yet.
pub(super) struct Words<'a> {
    left: Option<&'a str>,
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { left: Some(text) }
    }

    /// The next word, if it reads as what may stand here; else it is left for the next look.
    pub(super) fn next_if<T>(&mut self, read: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        let left = self.left?;
        let (word, after) = left
            .split_once(' ')
            .map_or((left, None), |(word, after)| (word, Some(after)));
        let found = read(word)?;
        self.left = after;
        Some(found)
    }

    /// The next word, which must read as what is expected.
    pub(super) fn next<T>(
        &mut self,
        expected: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, String> {
        let found = self.next_if(read);
        found.ok_or_else(|| self.unexpected(expected))
    }

    /// Whether the next word is this one, which is then read.
    pub(super) fn takes(&mut self, expected: &str) -> bool {
        self.next_if(|word| (word == expected).then_some(())).is_some()
    }

    /// All that is left, spaces included.
    pub(super) fn rest(self, expected: &str) -> Result<&'a str, String> {
        self.left.ok_or_else(|| self.unexpected(expected))
    }

    /// Nothing may be left.
    pub(super) fn end(self, expected: &str) -> Result<(), String> {
        match self.left {
            None => Ok(()),
            Some(_) => Err(self.unexpected(expected)),
        }
    }

    fn unexpected(&self, expected: &str) -> String {
        match self.left {
            None => format!("it ends where {expected} is expected"),
            Some(left) => format!("`{left}` where {expected} is expected"),
        }
    }
}

/// A whole number as it is written here: digits only, and no zero before others.
pub(super) fn whole<T: FromStr>(digits: &str) -> Option<T> {
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let is_shortest = digits == "0" || !digits.starts_with('0');
    (is_plain && is_shortest).then(|| digits.parse().ok()).flatten()
}

/// A number with its unit right behind it, `512m`.
pub(super) fn with_unit<T: FromStr>(word: &str, unit: char) -> Option<T> {
    whole(word.strip_suffix(unit)?)
}
