//! The syntax tree evaluated for one container instance, without allocating.
//!
//! `NegativeIsNot`: a negative operator holds exactly when its positive one does not. Together with
//! `MissingIsFalse` this decides every case of a missing attribute in one place:
//!
//! | | missing | without a value |
//! |---|---|---|
//! | `exists` / `!exists` | false / true | true / false |
//! | `==` `in` `=~` `<` `<=` `>` `>=` | false | false |
//! | `!=` `!in` `!~` | true | true |

use super::ast::{Check, Node, Operand, Polarity, Test, TextCheck, TextSubject};
use super::operator::Comparison;
use super::{AttributeLookup, Dependencies, ExpressionSubject};

impl Node {
    /// The recursion ends: the parser limits the depth of the tree.
    pub(super) fn holds_for(&self, subject: &(impl ExpressionSubject + ?Sized)) -> bool {
        match self {
            Node::Or(alternatives) => alternatives.iter().any(|node| node.holds_for(subject)),
            Node::And(conjuncts) => conjuncts.iter().all(|node| node.holds_for(subject)),
            Node::Not(negated) => !negated.holds_for(subject),
            Node::Test(test) => test.holds_for(subject),
        }
    }

    pub(super) fn depends_on(&self) -> Dependencies {
        match self {
            Node::Or(nodes) | Node::And(nodes) => nodes
                .iter()
                .map(Node::depends_on)
                .max()
                .unwrap_or(Dependencies::AttributesOnly),
            Node::Not(negated) => negated.depends_on(),
            Node::Test(test) => match test.check {
                Check::Text(TextSubject::Attribute(_), _) => Dependencies::AttributesOnly,
                Check::Text(TextSubject::AgentConnected | TextSubject::Ec2InstanceId, _)
                | Check::AgentVersion(..)
                | Check::RegisteredAt(..) => Dependencies::InstanceIdentity,
                Check::Text(TextSubject::TaskGroup, _) | Check::RunningTasksCount(..) => {
                    Dependencies::RunningTasks
                }
            },
        }
    }
}

impl Test {
    /// `NegativeIsNot` is kept here.
    fn holds_for(&self, subject: &(impl ExpressionSubject + ?Sized)) -> bool {
        match self.polarity {
            Polarity::Positive => self.check.holds_for(subject),
            Polarity::Negative => !self.check.holds_for(subject),
        }
    }
}

impl Check {
    /// `MissingIsFalse` is kept here: what an instance does not have passes no positive check.
    fn holds_for(&self, subject: &(impl ExpressionSubject + ?Sized)) -> bool {
        match self {
            Check::Text(text_subject, check) => check.holds_for(text_subject, subject),
            Check::AgentVersion(comparison, version) => subject
                .agent_version()
                .and_then(|actual| version.order_of(actual))
                .is_some_and(|order| comparison.accepts(order)),
            Check::RegisteredAt(comparison, instant) => subject
                .registered_at_millis()
                .is_some_and(|actual| comparison.accepts(actual.cmp(&instant.as_millis()))),
            Check::RunningTasksCount(comparison, count) => {
                comparison.accepts(subject.running_tasks_count().cmp(count))
            }
        }
    }
}

impl TextCheck {
    /// Part of `MissingIsFalse`; of a set of task groups, one that passes is enough.
    fn holds_for(&self, of: &TextSubject, subject: &(impl ExpressionSubject + ?Sized)) -> bool {
        match of {
            TextSubject::Attribute(name) => match subject.attribute(name) {
                AttributeLookup::Missing => false,
                AttributeLookup::WithoutValue => *self == TextCheck::Exists,
                AttributeLookup::Value(value) => self.accepts(value),
            },
            TextSubject::AgentConnected => self.accepts(if subject.agent_connected() {
                "true"
            } else {
                "false"
            }),
            TextSubject::Ec2InstanceId => subject.ec2_instance_id().is_some_and(|id| self.accepts(id)),
            TextSubject::TaskGroup => {
                let mut is_any_accepted = false;
                subject.for_each_task_group(&mut |group| {
                    is_any_accepted = is_any_accepted || self.accepts(group);
                });
                is_any_accepted
            }
        }
    }

    fn accepts(&self, value: &str) -> bool {
        match self {
            TextCheck::Exists => true,
            TextCheck::Compare(Comparison::Equal, operand) => value == operand.as_str(),
            TextCheck::Compare(comparison, operand) => {
                let order = match operand {
                    Operand::Number(number) => number.order_of(value),
                    Operand::Text(_) => None,
                };
                comparison.accepts(order.unwrap_or_else(|| value.cmp(operand.as_str())))
            }
            TextCheck::In(values) => values.binary_search_by(|listed| (**listed).cmp(value)).is_ok(),
            TextCheck::Matches(pattern) => pattern.matches(value),
        }
    }
}
