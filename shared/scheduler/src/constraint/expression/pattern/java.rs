//! Reads a pattern by the rules of `java.util.regex` and writes it for the regex engine.
//!
//! <https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/regex/Pattern.html>

use super::super::EXPRESSION_DEPTH_MAX;
use super::super::lexer::Span;
use super::class::{self, Case};
use super::{PATTERN_SIZE_MAX, PatternError, PatternProblem, SET_SIZE_UNICODE};
use PatternProblem::{Malformed, Unsupported};

/// A pattern in the engine's syntax.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translation {
    pub(super) regex: String,
    /// In the unit of [`PATTERN_SIZE_MAX`].
    pub(super) size: usize,
}

pub(super) fn translate(source: &str) -> Result<Translation, PatternError> {
    let mut translator = Translator {
        reader: Reader { source, rest: source },
        regex: String::new(),
        enclosing: Vec::new(),
        group: Group::new(
            Flags {
                case: Case::Sensitive,
                dot: Dot::StopsAtLine,
            },
            0,
        ),
        names: Vec::new(),
    };
    while let Some(c) = translator.reader.next() {
        translator.step(c)?;
    }
    if !translator.enclosing.is_empty() {
        let start = translator.group.start;
        return Err(error(
            Malformed("group is not closed"),
            start,
            start.saturating_add(1),
        ));
    }
    Ok(Translation {
        regex: translator.regex,
        size: translator.group.size,
    })
}

struct Translator<'p> {
    reader: Reader<'p>,
    regex: String,
    /// The groups around the current one, outermost first.
    enclosing: Vec<Group>,
    group: Group,
    names: Vec<&'p str>,
}

#[derive(Clone, Copy)]
struct Flags {
    case: Case,
    dot: Dot,
}

#[derive(Clone, Copy)]
enum Dot {
    StopsAtLine,
    MatchesAll,
}

struct Group {
    flags: Flags,
    /// Where its parenthesis stands.
    start: usize,
    size: usize,
    /// Size of what a quantifier would repeat, if there is anything.
    repeatable: Option<usize>,
}

impl Group {
    fn new(flags: Flags, start: usize) -> Group {
        Group {
            flags,
            start,
            size: 0,
            repeatable: None,
        }
    }

    fn add(&mut self, size: usize) {
        self.size = self.size.saturating_add(size);
        self.repeatable = Some(size);
    }
}

impl Translator<'_> {
    fn step(&mut self, c: char) -> Result<(), PatternError> {
        match c {
            '.' => match self.group.flags.dot {
                Dot::StopsAtLine => self.push_set(r"[^\n\r\x{85}\x{2028}\x{2029}]", SET_SIZE_UNICODE),
                Dot::MatchesAll => self.push_set("(?s:.)", SET_SIZE_UNICODE),
            },
            '^' => self.push_anchor(r"\A"),
            '$' => self.push_anchor(r"\z"),
            '|' => self.push_anchor("|"),
            '(' => return self.open_group(),
            ')' => return self.close_group(),
            '[' => {
                let (class, size) = class::translate(&mut self.reader, self.group.flags.case)?;
                self.push_set(&class, size);
            }
            '\\' => match self.reader.escape()? {
                Escape::Char(c) => self.push_char(c),
                Escape::Set(set) => self.push_set(set.in_case(self.group.flags.case), set.size()),
                Escape::Anchor(anchor) => self.push_anchor(anchor),
            },
            '*' | '+' => return self.repeat(1, c.to_string()),
            '?' => return self.repeat(1, "?".to_owned()),
            '{' => {
                let (copies, quantifier) = self.reader.counted_quantifier()?;
                return self.repeat(copies, quantifier);
            }
            c => self.push_char(c),
        }
        Ok(())
    }

    fn push_char(&mut self, c: char) {
        class::push_char(&mut self.regex, c, self.group.flags.case);
        self.group.add(1);
    }

    fn push_set(&mut self, set: &str, size: usize) {
        self.regex.push_str(set);
        self.group.add(size);
    }

    /// Adds what cannot be repeated.
    fn push_anchor(&mut self, anchor: &str) {
        self.regex.push_str(anchor);
        self.group.size = self.group.size.saturating_add(1);
        self.group.repeatable = None;
    }

    fn repeat(&mut self, copies: usize, quantifier: String) -> Result<(), PatternError> {
        let Some(size) = self.group.repeatable.take() else {
            return Err(self
                .reader
                .error_here(Malformed("there is nothing to repeat before the quantifier")));
        };
        if self.reader.rest.starts_with('+') {
            self.reader.next();
            return Err(self.reader.error_here(Unsupported("possessive quantifier")));
        }
        // Whether a quantifier is reluctant decides what groups capture, never what matches as a whole.
        self.reader.take("?");
        let more = size.saturating_mul(copies.saturating_sub(1));
        self.group.size = self.group.size.saturating_add(more);
        if self.group.size > PATTERN_SIZE_MAX {
            return Err(self.reader.error_here(PatternProblem::TooLarge));
        }
        self.regex.push_str(&quantifier);
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), PatternError> {
        let start = self.reader.last_position();
        let mut flags = self.group.flags;
        if self.reader.take("?") {
            if self.reader.take(":") {
            } else if self.reader.rest.starts_with('<') {
                self.group_name(start)?;
            } else {
                self.refuse_special_group(start)?;
                flags = self.flags(flags)?;
                if self.reader.take(")") {
                    self.group.flags = flags;
                    self.group.repeatable = None;
                    return Ok(());
                }
                if !self.reader.take(":") {
                    return Err(self.reader.error_from(start, Malformed("unknown kind of group")));
                }
            }
        }
        if self.enclosing.len() >= EXPRESSION_DEPTH_MAX {
            return Err(self.reader.error_from(start, PatternProblem::TooDeep));
        }
        self.enclosing
            .push(std::mem::replace(&mut self.group, Group::new(flags, start)));
        self.regex.push_str("(?:");
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), PatternError> {
        let Some(outer) = self.enclosing.pop() else {
            return Err(self.reader.error_here(Malformed("`)` closes no group")));
        };
        let closed = std::mem::replace(&mut self.group, outer);
        // An empty group is work too when it is repeated.
        self.group.add(closed.size.max(1));
        self.regex.push(')');
        Ok(())
    }

    fn group_name(&mut self, start: usize) -> Result<(), PatternError> {
        for (symbol, what) in [("<=", "look-behind `(?<=`"), ("<!", "look-behind `(?<!`")] {
            if self.reader.take(symbol) {
                return Err(self.reader.error_from(start, Unsupported(what)));
            }
        }
        self.reader.take("<");
        let name = self.reader.take_while(|c| c.is_ascii_alphanumeric());
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && self.reader.take(">");
        if !is_name || self.names.contains(&name) {
            let problem = Malformed("a group name must be letters and digits, used once, and end with `>`");
            return Err(self.reader.error_from(start, problem));
        }
        self.names.push(name);
        Ok(())
    }

    fn refuse_special_group(&mut self, start: usize) -> Result<(), PatternError> {
        for (symbol, what) in [
            ("=", "look-ahead `(?=`"),
            ("!", "look-ahead `(?!`"),
            (">", "atomic group `(?>`"),
        ] {
            if self.reader.take(symbol) {
                return Err(self.reader.error_from(start, Unsupported(what)));
            }
        }
        Ok(())
    }

    fn flags(&mut self, mut flags: Flags) -> Result<Flags, PatternError> {
        let mut is_on = true;
        loop {
            let next = self.reader.rest.chars().next();
            match (next, is_on) {
                (Some('i'), true) => flags.case = Case::Ignored,
                (Some('i'), false) => flags.case = Case::Sensitive,
                (Some('s'), true) => flags.dot = Dot::MatchesAll,
                (Some('s'), false) => flags.dot = Dot::StopsAtLine,
                (Some('-'), true) => is_on = false,
                (Some('d' | 'm' | 'u' | 'x' | 'U'), _) => {
                    self.reader.next();
                    return Err(self
                        .reader
                        .error_here(Unsupported("a flag other than `i` and `s`")));
                }
                _ => return Ok(flags),
            }
            self.reader.next();
        }
    }
}

/// What a backslash and the characters after it stand for.
pub(super) enum Escape {
    Char(char),
    Set(&'static class::Set),
    Anchor(&'static str),
}

/// A cursor over the pattern.
pub(super) struct Reader<'p> {
    source: &'p str,
    pub(super) rest: &'p str,
}

impl<'p> Reader<'p> {
    pub(super) fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    pub(super) fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &'p str {
        let end = self.rest.find(|c| !accepts(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    pub(super) fn position(&self) -> usize {
        self.source.len().saturating_sub(self.rest.len())
    }

    /// Where the character stands that was read last.
    pub(super) fn last_position(&self) -> usize {
        let read = self
            .source
            .split_at_checked(self.position())
            .map_or("", |(read, _)| read);
        read.char_indices()
            .next_back()
            .map_or(0, |(position, _)| position)
    }

    /// An error about the character that was read last.
    pub(super) fn error_here(&self, problem: PatternProblem) -> PatternError {
        error(problem, self.last_position(), self.position())
    }

    /// An error about everything read since `start`.
    pub(super) fn error_from(&self, start: usize, problem: PatternProblem) -> PatternError {
        error(problem, start, self.position())
    }

    /// Reads what follows a backslash.
    pub(super) fn escape(&mut self) -> Result<Escape, PatternError> {
        let start = self.last_position();
        let Some(c) = self.next() else {
            return Err(self.error_from(start, Malformed("nothing follows the backslash")));
        };
        let unsupported = match c {
            't' => return Ok(Escape::Char('\t')),
            'n' => return Ok(Escape::Char('\n')),
            'r' => return Ok(Escape::Char('\r')),
            'f' => return Ok(Escape::Char('\u{c}')),
            'a' => return Ok(Escape::Char('\u{7}')),
            'e' => return Ok(Escape::Char('\u{1b}')),
            'x' | 'u' => return self.code_point(start, c).map(Escape::Char),
            'b' => return Ok(Escape::Anchor(r"\b")),
            'B' => return Ok(Escape::Anchor(r"\B")),
            'A' => return Ok(Escape::Anchor(r"\A")),
            'z' | 'Z' => return Ok(Escape::Anchor(r"\z")),
            'p' | 'P' => return self.property(start, c),
            '1'..='9' | 'k' => "back-reference",
            'Q' | 'E' => r"quotation `\Q..\E`",
            '0' => r"octal escape `\0`",
            'c' => r"control escape `\c`",
            'N' => r"named character `\N`",
            'X' => r"grapheme cluster `\X`",
            'R' => r"line break `\R`",
            'G' => r"end of the previous match `\G`",
            c => match class::letter_set(c) {
                Some(set) => return Ok(Escape::Set(set)),
                None if c.is_ascii_alphabetic() => {
                    return Err(self.error_from(start, Malformed("unknown escape")));
                }
                None => return Ok(Escape::Char(c)),
            },
        };
        Err(self.error_from(start, Unsupported(unsupported)))
    }

    /// Reads `\xhh`, `\x{h}` and `\uhhhh` from behind their letter.
    fn code_point(&mut self, start: usize, letter: char) -> Result<char, PatternError> {
        let is_braced = letter == 'x' && self.take("{");
        let digits = if is_braced {
            self.take_while(|c| c.is_ascii_hexdigit())
        } else {
            let length = if letter == 'x' { 2 } else { 4 };
            let (digits, rest) = self.rest.split_at_checked(length).unwrap_or(("", self.rest));
            self.rest = rest;
            digits
        };
        let is_complete =
            digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && (!is_braced || self.take("}"));
        u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| is_complete)
            .and_then(char::from_u32)
            .ok_or_else(|| self.error_from(start, Malformed("the escape is not the number of a character")))
    }

    fn property(&mut self, start: usize, letter: char) -> Result<Escape, PatternError> {
        if !self.take("{") {
            self.next();
            return Err(self.error_from(start, Unsupported("Unicode property")));
        }
        let name = self.take_while(|c| c != '}');
        if !self.take("}") {
            return Err(self.error_from(start, Malformed("property is not closed with `}`")));
        }
        class::property_set(name, letter == 'P')
            .map(Escape::Set)
            .ok_or_else(|| self.error_from(start, Unsupported("Unicode property")))
    }

    /// Reads `{n}`, `{n,}` or `{n,m}` from behind the brace; returns how many copies it makes at most,
    /// counting what repeats without end as one more.
    fn counted_quantifier(&mut self) -> Result<(usize, String), PatternError> {
        let start = self.last_position();
        let least = self.take_while(|c| c.is_ascii_digit());
        let has_comma = self.take(",");
        let most = if has_comma {
            self.take_while(|c| c.is_ascii_digit())
        } else {
            least
        };
        if least.is_empty() || !self.take("}") {
            let problem = Malformed("a repetition must be written `{n}`, `{n,}` or `{n,m}`");
            return Err(self.error_from(start, problem));
        }
        let too_large = || self.error_from(start, PatternProblem::TooLarge);
        let least: usize = least.parse().map_err(|_| too_large())?;
        if most.is_empty() {
            return Ok((least.saturating_add(1), format!("{{{least},}}")));
        }
        let most: usize = most.parse().map_err(|_| too_large())?;
        if least > most {
            return Err(self.error_from(start, Malformed("a repetition ends below its beginning")));
        }
        Ok((most, format!("{{{least},{most}}}")))
    }
}

fn error(problem: PatternProblem, start: usize, end: usize) -> PatternError {
    PatternError {
        problem,
        span: Span { start, end },
    }
}
