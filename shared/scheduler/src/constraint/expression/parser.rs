//! From tokens to the syntax tree.
//!
//! ```text
//! or      := and { ("or" | "||") and }
//! and     := unary { ("and" | "&&") unary }
//! unary   := ("not" | "!") unary | "(" or ")" | test
//! test    := subject operator [ value | pattern | list ]
//! list    := "[" value { "," value } "]"
//! ```

mod argument;

use std::borrow::Cow;

use super::ast::{Check, Node, Test, TextSubject};
use super::error::{ExpressionError, Problem, quoted};
use super::lexer::{Lexer, Span, Token, TokenKind};
use super::operator::{Operator, OperatorSet};
use super::{EXPRESSION_CHARACTERS_MAX, EXPRESSION_DEPTH_MAX, suggestion};

const EXPECTED_TEST: &str = "a subject such as `attribute:NAME`, `not` or `(`";
const EXPECTED_AFTER_TEST: &str =
    "`and`, `or` or the end of the expression (a value with spaces needs quotes)";

pub(super) fn parse(text: &str) -> Result<Node, ExpressionError> {
    let whole = Span {
        start: 0,
        end: text.len(),
    };
    let characters = text.chars().count();
    if characters > EXPRESSION_CHARACTERS_MAX {
        return Err(ExpressionError::new(Problem::TooLong { characters }, whole));
    }
    if text.trim().is_empty() {
        return Err(ExpressionError::new(Problem::Empty, whole));
    }
    let mut parser = Parser {
        lexer: Lexer::new(text),
        depth: 0,
        pattern_size: 0,
    };
    let root = parser.or()?;
    let end = parser.lexer.next();
    match end.kind {
        TokenKind::End => Ok(root),
        _ => Err(unexpected(end, EXPECTED_AFTER_TEST)),
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    /// Levels of parentheses and negations around the current place.
    depth: usize,
    /// Size of all patterns so far, counted as [`super::pattern::Pattern::size`] does.
    pattern_size: usize,
}

/// What a test is about, before it is known what is asked of it.
enum Subject {
    Text(TextSubject),
    Ordered(OrderedSubject),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OrderedSubject {
    AgentVersion,
    RegisteredAt,
    RunningTasksCount,
}

impl<'t> Parser<'t> {
    fn or(&mut self) -> Result<Node, ExpressionError> {
        let first = self.and()?;
        if !self.take_connective("||", "or") {
            return Ok(first);
        }
        let mut alternatives = vec![first, self.and()?];
        while self.take_connective("||", "or") {
            alternatives.push(self.and()?);
        }
        Ok(Node::Or(alternatives))
    }

    fn and(&mut self) -> Result<Node, ExpressionError> {
        let first = self.unary()?;
        if !self.take_connective("&&", "and") {
            return Ok(first);
        }
        let mut conjuncts = vec![first, self.unary()?];
        while self.take_connective("&&", "and") {
            conjuncts.push(self.unary()?);
        }
        Ok(Node::And(conjuncts))
    }

    fn unary(&mut self) -> Result<Node, ExpressionError> {
        if let Some(span) = self.lexer.take_exclamation_mark() {
            return self.negation(span);
        }
        let token = self.lexer.next();
        match token.kind {
            TokenKind::Word(word) if word.eq_ignore_ascii_case("not") => self.negation(token.span),
            TokenKind::Word(word) => self.test(word, token.span),
            TokenKind::Open => {
                self.enter(token.span)?;
                let inside = self.or()?;
                self.depth = self.depth.saturating_sub(1);
                let close = self.lexer.next();
                match close.kind {
                    TokenKind::Close => Ok(inside),
                    TokenKind::End => Err(ExpressionError::new(Problem::UnclosedParenthesis, token.span)),
                    _ => Err(unexpected(
                        close,
                        "`and`, `or` or `)` (a value with spaces needs quotes)",
                    )),
                }
            }
            _ => Err(unexpected(token, EXPECTED_TEST)),
        }
    }

    fn negation(&mut self, span: Span) -> Result<Node, ExpressionError> {
        self.enter(span)?;
        let negated = self.unary()?;
        self.depth = self.depth.saturating_sub(1);
        Ok(Node::Not(Box::new(negated)))
    }

    fn enter(&mut self, span: Span) -> Result<(), ExpressionError> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > EXPRESSION_DEPTH_MAX {
            return Err(ExpressionError::new(Problem::TooDeep, span));
        }
        Ok(())
    }

    fn take_connective(&mut self, symbol: &str, word: &str) -> bool {
        let is_connective = match self.lexer.peek().kind {
            TokenKind::Connective(found) => found == symbol,
            TokenKind::Word(found) => found.eq_ignore_ascii_case(word),
            _ => false,
        };
        if is_connective {
            self.lexer.next();
        }
        is_connective
    }

    fn test(&mut self, word: &'t str, span: Span) -> Result<Node, ExpressionError> {
        let subject = parse_subject(word, span)?;
        let allowed = subject.operators();
        let (found, span) = self.operator_text(allowed)?;
        let Some((operator, polarity)) = Operator::parse(&found) else {
            let suggestion = self.operator_meant(&found, allowed);
            let problem = Problem::UnknownOperator {
                found: quoted(&found),
                allowed,
            };
            return Err(ExpressionError::new(problem, span).with_suggestion(suggestion));
        };
        let check = match (subject, operator) {
            (Subject::Text(subject), operator) if allowed.contains(operator) => {
                let check = self.text_check(&subject, operator)?;
                Check::Text(subject, check)
            }
            (Subject::Ordered(subject), Operator::Compare(comparison)) => {
                self.ordered_check(subject, comparison)?
            }
            (subject, _) => {
                let problem = Problem::OperatorNotAllowed {
                    operator: found.into_owned(),
                    subject: subject.name(),
                    allowed,
                };
                return Err(ExpressionError::new(problem, span));
            }
        };
        Ok(Node::Test(Test { polarity, check }))
    }

    fn operator_text(&mut self, allowed: OperatorSet) -> Result<(Cow<'t, str>, Span), ExpressionError> {
        let token = self.lexer.next();
        match token.kind {
            TokenKind::Symbols("!") => Ok(self.exclamation_operator(token)),
            TokenKind::Symbols(found) | TokenKind::Word(found) => Ok((found.into(), token.span)),
            _ => {
                let problem = Problem::MissingOperator {
                    found: describe(token),
                    allowed,
                };
                Err(ExpressionError::new(problem, token.span))
            }
        }
    }

    fn operator_meant(&self, found: &str, allowed: OperatorSet) -> Option<&'static str> {
        let next = self.lexer.peek().kind;
        match next {
            TokenKind::Word(next) if found.eq_ignore_ascii_case("not") => {
                suggestion::operator_like(&format!("!{next}"), allowed)
            }
            _ => suggestion::operator_like(found, allowed),
        }
    }

    /// The `!` of `!exists` and `!in` with the word after it.
    fn exclamation_operator(&mut self, exclamation: Token<'t>) -> (Cow<'t, str>, Span) {
        let next = self.lexer.peek();
        match next.kind {
            TokenKind::Word(word) => {
                self.lexer.next();
                (
                    format!("!{word}").into(),
                    Span {
                        start: exclamation.span.start,
                        end: next.span.end,
                    },
                )
            }
            _ => ("!".into(), exclamation.span),
        }
    }
}

fn parse_subject(word: &str, span: Span) -> Result<Subject, ExpressionError> {
    match word {
        "agentConnected" => Ok(Subject::Text(TextSubject::AgentConnected)),
        "agentVersion" => Ok(Subject::Ordered(OrderedSubject::AgentVersion)),
        "ec2InstanceId" => Ok(Subject::Text(TextSubject::Ec2InstanceId)),
        "registeredAt" => Ok(Subject::Ordered(OrderedSubject::RegisteredAt)),
        "runningTasksCount" => Ok(Subject::Ordered(OrderedSubject::RunningTasksCount)),
        "task:group" => Ok(Subject::Text(TextSubject::TaskGroup)),
        _ => match word.strip_prefix("attribute:") {
            Some(name) if is_attribute_name(name) => Ok(Subject::Text(TextSubject::Attribute(name.into()))),
            Some(name) => {
                let problem = Problem::InvalidAttributeName { found: quoted(name) };
                Err(ExpressionError::new(problem, span))
            }
            None => {
                let problem = Problem::UnknownSubject { found: quoted(word) };
                let suggestion = suggestion::subject_like(word);
                Err(ExpressionError::new(problem, span).with_suggestion(suggestion.as_deref()))
            }
        },
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Attribute.html>
fn is_attribute_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/\\".contains(&byte))
}

impl Subject {
    fn name(&self) -> &'static str {
        match self {
            Subject::Text(subject) => subject.name(),
            Subject::Ordered(subject) => subject.name(),
        }
    }

    fn operators(&self) -> OperatorSet {
        match self {
            Subject::Text(TextSubject::Attribute(_) | TextSubject::TaskGroup) => OperatorSet::All,
            Subject::Text(TextSubject::AgentConnected | TextSubject::Ec2InstanceId) => OperatorSet::Identity,
            Subject::Ordered(_) => OperatorSet::Ordered,
        }
    }
}

impl OrderedSubject {
    fn name(self) -> &'static str {
        match self {
            OrderedSubject::AgentVersion => "agentVersion",
            OrderedSubject::RegisteredAt => "registeredAt",
            OrderedSubject::RunningTasksCount => "runningTasksCount",
        }
    }
}

fn unexpected(token: Token<'_>, expected: &'static str) -> ExpressionError {
    let problem = match token.kind {
        TokenKind::UnclosedQuote => Problem::UnclosedQuote,
        _ => Problem::Unexpected {
            found: describe(token),
            expected,
        },
    };
    ExpressionError::new(problem, token.span)
}

fn describe(token: Token<'_>) -> String {
    let text = match token.kind {
        TokenKind::End => return "end of the expression".to_owned(),
        TokenKind::UnclosedQuote => return "quote that is not closed".to_owned(),
        TokenKind::Open => "(",
        TokenKind::Close => ")",
        TokenKind::OpenList => "[",
        TokenKind::CloseList => "]",
        TokenKind::Comma => ",",
        TokenKind::Connective(text)
        | TokenKind::Symbols(text)
        | TokenKind::Word(text)
        | TokenKind::Quoted(text) => text,
    };
    format!("`{}`", quoted(text))
}
