//! What is wrong with an expression, where, and what to write instead.

use std::fmt;
use std::ops::Range;

use super::lexer::Span;
use super::operator::OperatorSet;
use super::pattern::PatternProblem;
use super::{EXPRESSION_CHARACTERS_MAX, EXPRESSION_DEPTH_MAX};

/// Characters of a user's text that a message repeats at most.
const QUOTED_CHARACTERS_MAX: usize = 40;

/// Characters shown on either side of the place that [`ExpressionError::render`] points at.
const CONTEXT_CHARACTERS: usize = 60;

/// Why a text is not an expression of the cluster query language.
///
/// Displays as one line; [`ExpressionError::render`] also shows the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    problem: Problem,
    span: Span,
    suggestion: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    Empty,
    TooLong {
        characters: usize,
    },
    TooDeep,
    UnclosedQuote,
    UnclosedParenthesis,
    UnknownSubject {
        found: String,
    },
    InvalidAttributeName {
        found: String,
    },
    UnknownOperator {
        found: String,
        allowed: OperatorSet,
    },
    OperatorNotAllowed {
        operator: String,
        subject: &'static str,
        allowed: OperatorSet,
    },
    MissingOperator {
        found: String,
        allowed: OperatorSet,
    },
    InvalidOperand {
        found: String,
        subject: &'static str,
        expected: &'static str,
    },
    Unexpected {
        found: String,
        expected: &'static str,
    },
    Pattern(PatternProblem),
}

impl ExpressionError {
    pub(super) fn new(problem: Problem, span: Span) -> ExpressionError {
        ExpressionError {
            problem,
            span,
            suggestion: None,
        }
    }

    pub(super) fn with_suggestion(mut self, suggestion: Option<&str>) -> ExpressionError {
        self.suggestion = suggestion.map(str::to_owned);
        self
    }

    /// The bytes of the text that the error is about; empty at the end of the text.
    pub fn span(&self) -> Range<usize> {
        self.span.start..self.span.end
    }

    /// What was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// The error over three lines: `text`, which must be what was parsed, a line of carets under the place,
    /// and the message. A long text is cut to the surroundings of the place.
    ///
    /// ```
    /// use berth_scheduler::constraint::expression::Expression;
    ///
    /// let text = "attribute:stack = prod";
    /// let error = Expression::parse(text).expect_err("one equals sign is no operator");
    /// assert_eq!(
    ///     error.render(text),
    ///     "attribute:stack = prod\n\
    ///     \u{20}               ^\n\
    ///      unknown operator `=`: expected one of `==`, `!=`, `>`, `>=`, `<`, `<=`, `exists`, `!exists`, `in`, \
    ///      `!in`, `=~`, `!~`; did you mean `==`?"
    /// );
    /// ```
    pub fn render(&self, text: &str) -> String {
        let (before, from_start) = text.split_at_checked(self.span.start).unwrap_or((text, ""));
        let length = self.span.end.saturating_sub(self.span.start);
        let (marked, after) = from_start.split_at_checked(length).unwrap_or((from_start, ""));

        let skipped = before.chars().count().saturating_sub(CONTEXT_CHARACTERS);
        let mut line = String::from(if skipped > 0 { "…" } else { "" });
        line.extend(before.chars().skip(skipped).map(printable));
        let indent = line.chars().count();
        line.extend(marked.chars().take(CONTEXT_CHARACTERS).map(printable));
        let carets = line.chars().count().saturating_sub(indent).max(1);
        if marked.chars().nth(CONTEXT_CHARACTERS).is_none() {
            line.extend(after.chars().take(CONTEXT_CHARACTERS).map(printable));
        }
        if from_start.chars().count() > carets.saturating_add(CONTEXT_CHARACTERS) {
            line.push('…');
        }
        format!("{line}\n{:indent$}{:^<carets$}\n{self}", "", "")
    }
}

/// Control characters, line breaks among them, would tear the caret from its place.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// As much of `text` as a message repeats.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTED_CHARACTERS_MAX).map(printable).collect();
    if text.chars().nth(QUOTED_CHARACTERS_MAX).is_some() {
        quoted.push('…');
    }
    quoted
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExpressionError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Empty => f.write_str("expression is empty: expected a subject such as `attribute:NAME`"),
            Problem::TooLong { characters } => write!(
                f,
                "expression has {characters} characters: expected at most {EXPRESSION_CHARACTERS_MAX}"
            ),
            Problem::TooDeep => write!(
                f,
                "parentheses and negations are nested too deep: expected at most {EXPRESSION_DEPTH_MAX} levels"
            ),
            Problem::UnclosedQuote => f.write_str("quote is not closed: expected the same quote again"),
            Problem::UnclosedParenthesis => f.write_str("parenthesis is not closed: expected `)`"),
            Problem::UnknownSubject { found } => write!(
                f,
                "unknown subject `{found}`: expected `attribute:NAME`, `agentConnected`, `agentVersion`, \
                 `ec2InstanceId`, `registeredAt`, `runningTasksCount` or `task:group`"
            ),
            Problem::InvalidAttributeName { found } => write!(
                f,
                "invalid attribute name `{found}`: expected 1 to 128 letters, digits or `.`, `_`, `-`, `/`, `\\`"
            ),
            Problem::UnknownOperator { found, allowed } => {
                write!(f, "unknown operator `{found}`: expected {allowed}")
            }
            Problem::OperatorNotAllowed {
                operator,
                subject,
                allowed,
            } => {
                write!(
                    f,
                    "operator `{operator}` cannot be used with `{subject}`: expected {allowed}"
                )
            }
            Problem::MissingOperator { found, allowed } => {
                write!(f, "unexpected {found}: expected {allowed}")
            }
            Problem::InvalidOperand {
                found,
                subject,
                expected,
            } => {
                write!(
                    f,
                    "`{found}` cannot be compared with `{subject}`: expected {expected}"
                )
            }
            Problem::Unexpected { found, expected } => write!(f, "unexpected {found}: expected {expected}"),
            Problem::Pattern(problem) => problem.fmt(f),
        }
    }
}
