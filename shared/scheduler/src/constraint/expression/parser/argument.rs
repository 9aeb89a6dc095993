//! What stands after an operator, read as the subject's type.

use super::super::ast::{Check, Operand, TextCheck, TextSubject};
use super::super::error::{ExpressionError, Problem, quoted};
use super::super::lexer::{Span, TokenKind};
use super::super::operator::{Comparison, Operator};
use super::super::pattern::{PATTERN_SIZE_MAX, Pattern, PatternError, PatternProblem};
use super::super::version::VersionNumber;
use super::{OrderedSubject, Parser, unexpected};
use crate::timestamp::Timestamp;

/// A value, without its quotes.
struct Argument<'t> {
    text: &'t str,
    span: Span,
}

impl<'t> Parser<'t> {
    pub(super) fn text_check(
        &mut self,
        subject: &TextSubject,
        operator: Operator,
    ) -> Result<TextCheck, ExpressionError> {
        match operator {
            Operator::Exists => Ok(TextCheck::Exists),
            Operator::Compare(comparison) => {
                let value = text_value(subject, &self.value()?)?;
                Ok(TextCheck::Compare(comparison, Operand::new(&value)))
            }
            Operator::In => {
                let mut values = Vec::new();
                for value in self.list()? {
                    values.push(text_value(subject, &value)?);
                }
                values.sort_unstable();
                values.dedup();
                Ok(TextCheck::In(values))
            }
            Operator::Matches => self.pattern().map(TextCheck::Matches),
        }
    }

    pub(super) fn ordered_check(
        &mut self,
        subject: OrderedSubject,
        comparison: Comparison,
    ) -> Result<Check, ExpressionError> {
        let value = self.value()?;
        match subject {
            OrderedSubject::AgentVersion => VersionNumber::parse(value.text)
                .map(|version| Check::AgentVersion(comparison, version))
                .ok_or_else(|| invalid(&value, subject.name(), "a version number such as `1.14.5`")),
            OrderedSubject::RegisteredAt => Timestamp::parse_iso8601(value.text)
                .map(|instant| Check::RegisteredAt(comparison, instant))
                .ok_or_else(|| {
                    let expected =
                        "a date such as `2018-06-18`, `2018-06-18T22:28:28Z` or `2018-06-18T22:28:28+00:00`";
                    invalid(&value, subject.name(), expected)
                }),
            OrderedSubject::RunningTasksCount => parse_count(value.text)
                .map(|count| Check::RunningTasksCount(comparison, count))
                .ok_or_else(|| invalid(&value, subject.name(), "a whole number from 0 to 4294967295")),
        }
    }

    fn value(&mut self) -> Result<Argument<'t>, ExpressionError> {
        let token = self.lexer.next();
        match token.kind {
            TokenKind::Word(text) | TokenKind::Quoted(text) => Ok(Argument {
                text,
                span: token.span,
            }),
            TokenKind::OpenList => Err(unexpected(token, "one value, as only `in` and `!in` take a list")),
            _ => Err(unexpected(token, "a value")),
        }
    }

    fn list(&mut self) -> Result<Vec<Argument<'t>>, ExpressionError> {
        let open = self.lexer.next();
        if open.kind != TokenKind::OpenList {
            return Err(unexpected(open, "a list such as `[a, b]`"));
        }
        let mut values = Vec::new();
        loop {
            let token = self.lexer.next();
            let (TokenKind::Word(text) | TokenKind::Quoted(text)) = token.kind else {
                return Err(unexpected(token, "a value of the list"));
            };
            values.push(Argument {
                text,
                span: token.span,
            });
            let separator = self.lexer.next();
            match separator.kind {
                TokenKind::Comma => {}
                TokenKind::CloseList => return Ok(values),
                _ => {
                    return Err(unexpected(
                        separator,
                        "`,` or `]` (a value with spaces needs quotes)",
                    ));
                }
            }
        }
    }

    fn pattern(&mut self) -> Result<Pattern, ExpressionError> {
        let token = self.lexer.next_pattern();
        let (text, offset) = match token.kind {
            TokenKind::Word(text) => (text, token.span.start),
            TokenKind::Quoted(text) => (text, token.span.start.saturating_add(1)),
            _ => return Err(unexpected(token, "a pattern such as `g2.*`")),
        };
        let pattern = Pattern::parse(text).map_err(|PatternError { problem, span }| {
            let span = Span {
                start: offset.saturating_add(span.start),
                end: offset.saturating_add(span.end),
            };
            ExpressionError::new(Problem::Pattern(problem), span)
        })?;
        self.pattern_size = self.pattern_size.saturating_add(pattern.size());
        if self.pattern_size > PATTERN_SIZE_MAX {
            return Err(ExpressionError::new(
                Problem::Pattern(PatternProblem::TooLarge),
                token.span,
            ));
        }
        Ok(pattern)
    }
}

fn text_value(subject: &TextSubject, value: &Argument<'_>) -> Result<Box<str>, ExpressionError> {
    match subject {
        TextSubject::AgentConnected if value.text.eq_ignore_ascii_case("true") => Ok("true".into()),
        TextSubject::AgentConnected if value.text.eq_ignore_ascii_case("false") => Ok("false".into()),
        TextSubject::AgentConnected => Err(invalid(value, subject.name(), "`true` or `false`")),
        TextSubject::Attribute(_) | TextSubject::Ec2InstanceId | TextSubject::TaskGroup => {
            Ok(value.text.into())
        }
    }
}

/// Digits only: no sign.
fn parse_count(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

fn invalid(value: &Argument<'_>, subject: &'static str, expected: &'static str) -> ExpressionError {
    let problem = Problem::InvalidOperand {
        found: quoted(value.text),
        subject,
        expected,
    };
    ExpressionError::new(problem, value.span)
}
