//! Patterns of `=~` and `!~`: the part of `java.util.regex` that can be matched in linear time.
//!
//! ECS evaluates these with `java.util.regex.Pattern`; Berth must not read a pattern in another way. So a
//! pattern is not handed to the regex engine as it is. It is read by Java's rules ([`java`]) and written
//! anew for the engine, and whatever is not known to mean the same is refused by its name.
//!
//! Taken: literals; `.`; `^ $ \A \z \Z \b \B`; `|`; groups `( ) (?: ) (?<name> )`; the flags `i` and `s`;
//! classes with ranges and negation; the escapes `\t \n \r \f \a \e \xhh \x{h} \uhhhh`, `\d \w \s \h \v`
//! and their negations, `\p{Alpha}` and the other ASCII classes; the quantifiers `? * + {n} {n,} {n,m}`,
//! also reluctant.
//!
//! Refused: look-around, back-references, possessive quantifiers, atomic groups, `\Q..\E`, class
//! intersection and nesting, Unicode properties, other flags, `\G \R \X \N \c \0`.
//!
//! Like in Java, `.` does not match line terminators, `\d \w \s` and the flag `i` are ASCII only, and a `$`
//! before a final line terminator cannot match the whole value. One difference is left: `$` followed by
//! more pattern never matches here, while Java lets a line terminator follow. No value of ECS has one.

mod class;
mod java;

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::lexer::Span;
use super::{EXPRESSION_CHARACTERS_MAX, EXPRESSION_DEPTH_MAX};

/// How large the patterns of one expression may be together, in characters after every counted repetition
/// is written out: `(ab){10}` has size 20. A set of characters counts as [`SET_SIZE_ASCII`] or
/// [`SET_SIZE_UNICODE`], which is about what the engine makes of it.
///
/// The work for one value is bounded by its length times this: about a millisecond at worst. It is the length
/// limit of expressions, so plain text never exceeds it.
pub(super) const PATTERN_SIZE_MAX: usize = EXPRESSION_CHARACTERS_MAX;

const SET_SIZE_ASCII: usize = 2;

/// For `.`, negated classes and all others that reach beyond ASCII.
const SET_SIZE_UNICODE: usize = 8;

/// Bytes of a compiled pattern. A second line of defence: [`PATTERN_SIZE_MAX`] is the one to be hit.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Bytes that one pattern's engine may use as cache while it matches.
const MATCHING_BYTES_MAX: usize = 512 << 10;

/// What the engine's own parser may nest; several of its levels make one of ours.
const ENGINE_NESTING_MAX: u32 = 16 * 32;

/// A compiled pattern. Equal when written the same way.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    source: Box<str>,
    size: usize,
    matcher: Matcher,
}

/// Most patterns in use are `g2.*` or plain text, for which an engine would only be a detour.
#[derive(Debug, Clone)]
enum Matcher {
    Equals(Box<str>),
    /// `PREFIX.*`
    StartsWith(Box<str>),
    Engine(Regex),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PatternError {
    pub(super) problem: PatternProblem,
    /// Bytes of the pattern.
    pub(super) span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatternProblem {
    /// Means something in Java which Berth cannot match.
    Unsupported(&'static str),
    /// Is an error in Java too, or a quantifier on something that cannot be repeated.
    Malformed(&'static str),
    TooDeep,
    TooLarge,
}

impl Pattern {
    pub(super) fn parse(source: &str) -> Result<Pattern, PatternError> {
        let whole = Span {
            start: 0,
            end: source.len(),
        };
        let translation = java::translate(source)?;
        if translation.size > PATTERN_SIZE_MAX {
            return Err(PatternError {
                problem: PatternProblem::TooLarge,
                span: whole,
            });
        }
        let matcher = match plain_matcher(source) {
            Some(plain) => plain,
            None => Matcher::Engine(compile(&translation.regex, whole)?),
        };
        Ok(Pattern {
            source: source.into(),
            size: translation.size,
            matcher,
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.source
    }

    /// In the unit of [`PATTERN_SIZE_MAX`].
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether the pattern matches the whole value.
    pub(super) fn matches(&self, value: &str) -> bool {
        match &self.matcher {
            Matcher::Equals(text) => value == &**text,
            Matcher::StartsWith(prefix) => value
                .strip_prefix(&**prefix)
                .is_some_and(|rest| !rest.contains(is_line_terminator)),
            Matcher::Engine(regex) => regex.is_match(value),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

fn compile(regex: &str, span: Span) -> Result<Regex, PatternError> {
    RegexBuilder::new(&format!(r"\A(?:{regex})\z"))
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(MATCHING_BYTES_MAX)
        .nest_limit(ENGINE_NESTING_MAX)
        .build()
        .map_err(|_| PatternError {
            problem: PatternProblem::TooLarge,
            span,
        })
}

/// The matcher of a pattern that is plain text, or plain text and `.*`; anchors at the ends change nothing.
///
/// Expects a pattern that has been translated without an error.
fn plain_matcher(source: &str) -> Option<Matcher> {
    let mut text = String::new();
    let mut rest = source.strip_prefix('^').unwrap_or(source).chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => text.push(rest.next().filter(|escaped| !escaped.is_ascii_alphanumeric())?),
            '.' if matches!(rest.as_str(), "*" | "*$") => return Some(Matcher::StartsWith(text.into())),
            '$' if rest.as_str().is_empty() => break,
            '.' | '^' | '$' | '|' | '?' | '*' | '+' | '(' | ')' | '[' | '{' => return None,
            _ => text.push(c),
        }
    }
    Some(Matcher::Equals(text.into()))
}

/// What `.` does not match.
///
/// <https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/regex/Pattern.html#lt>
fn is_line_terminator(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

impl fmt::Display for PatternProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatternProblem::Unsupported(what) => write!(f, "{what} is not supported in patterns"),
            PatternProblem::Malformed(why) => write!(f, "invalid pattern: {why}"),
            PatternProblem::TooDeep => {
                write!(
                    f,
                    "groups of the pattern are nested too deep: expected at most {EXPRESSION_DEPTH_MAX} levels"
                )
            }
            PatternProblem::TooLarge => write!(
                f,
                "patterns are too large: expected at most {PATTERN_SIZE_MAX} characters with repetitions written \
                 out (a set such as `.` counts as up to {SET_SIZE_UNICODE})"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
