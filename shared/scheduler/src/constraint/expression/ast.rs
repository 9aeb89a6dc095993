//! The syntax tree of the cluster query language, and how it is written back.

use std::fmt::{self, Write as _};

use super::lexer;
use super::operator::{Comparison, Operator};
use super::pattern::Pattern;
use super::version::VersionNumber;
use crate::timestamp::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

/// One question about a container instance.
///
/// A negative operator is exactly the negation of its positive one; see `NegativeIsNot` in the
/// evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) polarity: Polarity,
    pub(super) check: Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polarity {
    Positive,
    Negative,
}

/// A subject with what is asked of it; operands are already read as the subject's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    Text(TextSubject, TextCheck),
    AgentVersion(Comparison, VersionNumber),
    /// Instances registered before, at or after this instant.
    RegisteredAt(Comparison, Timestamp),
    RunningTasksCount(Comparison, u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextSubject {
    /// Is `true` or `false`.
    AgentConnected,
    Attribute(Box<str>),
    Ec2InstanceId,
    TaskGroup,
}

impl TextSubject {
    /// As error messages and the documentation call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            TextSubject::AgentConnected => "agentConnected",
            TextSubject::Attribute(_) => "attribute:NAME",
            TextSubject::Ec2InstanceId => "ec2InstanceId",
            TextSubject::TaskGroup => "task:group",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextCheck {
    Exists,
    Compare(Comparison, Operand),
    /// Sorted and without duplicates.
    In(Vec<Box<str>>),
    Matches(Pattern),
}

/// What a text is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    /// Digits and dots: is ordered by its numbers against other such texts.
    Number(VersionNumber),
    Text(Box<str>),
}

impl Operand {
    pub(super) fn new(text: &str) -> Operand {
        VersionNumber::parse(text).map_or_else(|| Operand::Text(text.into()), Operand::Number)
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Operand::Number(number) => number.as_str(),
            Operand::Text(text) => text,
        }
    }
}

/// The canonical text: symbols for operators, words for connectives, no more parentheses than needed.
///
/// Parentheses never nest deeper than in the text that was parsed, so the depth limit cannot refuse
/// an expression that is written back.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Or(alternatives) => {
                write_joined(f, alternatives, " or ", |node| matches!(node, Node::Or(_)))
            }
            Node::And(conjuncts) => write_joined(f, conjuncts, " and ", |node| {
                matches!(node, Node::Or(_) | Node::And(_))
            }),
            Node::Not(negated) => {
                f.write_str("not ")?;
                write_grouped(f, negated, matches!(**negated, Node::Or(_) | Node::And(_)))
            }
            Node::Test(test) => test.fmt(f),
        }
    }
}

fn write_joined(
    f: &mut fmt::Formatter<'_>,
    nodes: &[Node],
    connective: &str,
    needs_parentheses: impl Fn(&Node) -> bool,
) -> fmt::Result {
    for (position, node) in nodes.iter().enumerate() {
        if position > 0 {
            f.write_str(connective)?;
        }
        write_grouped(f, node, needs_parentheses(node))?;
    }
    Ok(())
}

fn write_grouped(f: &mut fmt::Formatter<'_>, node: &Node, in_parentheses: bool) -> fmt::Result {
    if in_parentheses {
        write!(f, "({node})")
    } else {
        write!(f, "{node}")
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.check {
            Check::Text(subject, check) => self.write_text_check(f, subject, check),
            Check::AgentVersion(comparison, version) => {
                write!(
                    f,
                    "agentVersion {} {}",
                    self.comparison(*comparison),
                    version.as_str()
                )
            }
            Check::RegisteredAt(comparison, instant) => {
                write!(f, "registeredAt {} {instant}", self.comparison(*comparison))
            }
            Check::RunningTasksCount(comparison, count) => {
                write!(f, "runningTasksCount {} {count}", self.comparison(*comparison))
            }
        }
    }
}

impl Test {
    fn write_text_check(
        &self,
        f: &mut fmt::Formatter<'_>,
        subject: &TextSubject,
        check: &TextCheck,
    ) -> fmt::Result {
        let operator = match check {
            TextCheck::Exists => Operator::Exists,
            TextCheck::Compare(comparison, _) => Operator::Compare(*comparison),
            TextCheck::In(_) => Operator::In,
            TextCheck::Matches(_) => Operator::Matches,
        };
        match subject {
            TextSubject::Attribute(name) => write!(f, "attribute:{name}")?,
            TextSubject::AgentConnected | TextSubject::Ec2InstanceId | TextSubject::TaskGroup => {
                f.write_str(subject.name())?;
            }
        }
        write!(f, " {}", operator.symbol(self.polarity))?;
        match check {
            TextCheck::Exists => Ok(()),
            TextCheck::Compare(_, operand) => write!(f, " {}", Value(operand.as_str())),
            TextCheck::Matches(pattern) => write!(f, " {}", Value(pattern.as_str())),
            TextCheck::In(values) => {
                f.write_str(" [")?;
                for (position, value) in values.iter().enumerate() {
                    let separator = if position > 0 { ", " } else { "" };
                    write!(f, "{separator}{}", Value(value))?;
                }
                f.write_char(']')
            }
        }
    }

    fn comparison(&self, comparison: Comparison) -> &'static str {
        Operator::Compare(comparison).symbol(self.polarity)
    }
}

/// A value as it must be written: bare where that is read back as one word, else in quotes.
///
/// A value that holds both kinds of quotes cannot be written, so no parsed expression has one.
struct Value<'v>(&'v str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if lexer::is_bare_word(self.0) {
            f.write_str(self.0)
        } else if self.0.contains('\'') {
            write!(f, "\"{}\"", self.0)
        } else {
            write!(f, "'{}'", self.0)
        }
    }
}
