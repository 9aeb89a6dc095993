//! The cluster query language of ECS: expressions such as
//! `attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d`.
//!
//! AWS describes the language by examples only
//! (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-query-language.html>).
//! What the page leaves open is decided here:
//!
//! - `not` binds tighter than `and`, and `and` tighter than `or`. Keywords are read in any case, subjects
//!   and values only as they are written.
//! - Values are compared as text, byte by byte. Ordering operators on attributes and task groups compare
//!   as version numbers when both sides consist of digits and dots (so 9 < 10 and 1.9 < 1.14), else as
//!   text. `agentVersion` compares as version number, `registeredAt` as instant (a date alone is midnight,
//!   no zone is UTC), `runningTasksCount` as whole number.
//! - A pattern must match the whole value. It is read as `java.util.regex` reads it, or refused by the name of
//!   what cannot be matched in linear time: look-around, back-references, possessive quantifiers, atomic
//!   groups, `\Q..\E`, class intersection and nesting, Unicode properties, flags other than `i` and `s`.
//!   Without quotes a pattern ends at white space, `&&`, `||` or a `)` that it did not open.
//! - A negative operator is the negation of its positive one, and a positive one is false on an attribute
//!   that an instance does not have. So `attribute:stack != prod` holds for instances without `stack`, as
//!   in AWS's own example. An attribute without a value exists, and equals nothing.
//! - `task:group` is a set: a positive operator asks whether any running task's group passes. So
//!   `task:group != database` means `not(task:group == database)`.
//!
//! Text becomes tokens (`lexer`), tokens a syntax tree (`parser`, `ast`), and the tree is evaluated for one
//! instance after the other (`eval`).

mod ast;
mod error;
mod eval;
mod lexer;
mod operator;
mod parser;
mod pattern;
mod suggestion;
mod version;

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use error::ExpressionError;

/// The longest expression that ECS takes, in characters.
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementConstraint.html>
pub const EXPRESSION_CHARACTERS_MAX: usize = 2_000;

/// How deep parentheses and negations may be nested in one another.
///
/// Far more than anybody writes by hand, and little enough that a call per level is no danger to the stack.
pub const EXPRESSION_DEPTH_MAX: usize = 32;

/// A parsed expression. Cloning is cheap.
///
/// Two expressions are equal when they are written the same way in canonical form ([`fmt::Display`]).
#[derive(Clone)]
pub struct Expression(Arc<Parsed>);

struct Parsed {
    as_written: Box<str>,
    canonical: Box<str>,
    root: ast::Node,
    depends_on: Dependencies,
}

impl Expression {
    /// Reads an expression.
    ///
    /// ```
    /// use berth_scheduler::constraint::expression::Expression;
    ///
    /// let expression = Expression::parse("attribute:ecs.instance-type=~g2.* && not(task:group == database)")?;
    /// assert_eq!(expression.to_string(), "attribute:ecs.instance-type =~ g2.* and not task:group == database");
    ///
    /// let error = Expression::parse("runningTasksCount => 3").expect_err("this is no operator of ECS");
    /// assert_eq!(error.suggestion(), Some(">="));
    /// # Ok::<(), berth_scheduler::constraint::expression::ExpressionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the text is not an expression, exceeds a limit, or uses a pattern that would mean something
    /// else in Java.
    pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
        let root = parser::parse(text)?;
        let mut canonical = String::with_capacity(text.len());
        // Writing to a string cannot fail.
        let _ = write!(canonical, "{root}");
        Ok(Expression(Arc::new(Parsed {
            as_written: text.into(),
            canonical: canonical.into(),
            depends_on: root.depends_on(),
            root,
        })))
    }

    /// Whether the expression holds for this container instance.
    pub fn matches(&self, subject: &(impl ExpressionSubject + ?Sized)) -> bool {
        self.0.root.holds_for(subject)
    }

    /// What the result can change with, hence how long and for whom it can be kept.
    pub fn depends_on(&self) -> Dependencies {
        self.0.depends_on
    }

    /// The text that was parsed. It can always be parsed again; the canonical form can be longer than
    /// [`EXPRESSION_CHARACTERS_MAX`] when this is close to it.
    pub fn as_written(&self) -> &str {
        &self.0.as_written
    }
}

/// The canonical form: symbols for operators, words for connectives, single spaces, lists sorted.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.canonical)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.0.canonical).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.0.canonical == other.0.canonical
    }
}

impl Eq for Expression {}

impl PartialOrd for Expression {
    fn partial_cmp(&self, other: &Expression) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Expression {
    fn cmp(&self, other: &Expression) -> Ordering {
        self.0.canonical.cmp(&other.0.canonical)
    }
}

impl Hash for Expression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.canonical.hash(state);
    }
}

/// What the result of an expression can change with; later ones include earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependencies {
    /// Attributes only: instances with equal attributes have equal results.
    AttributesOnly,
    /// Also `ec2InstanceId`, `agentVersion`, `registeredAt` or `agentConnected`: every instance has its own
    /// result, which stays while its description does.
    InstanceIdentity,
    /// Also `runningTasksCount` or `task:group`: the result can change with every task.
    RunningTasks,
}

/// What the query language can ask of a container instance.
pub trait ExpressionSubject {
    /// The attribute of exactly this name.
    fn attribute(&self, name: &str) -> AttributeLookup<'_>;
    /// Whether the agent is connected to ECS.
    fn agent_connected(&self) -> bool;
    /// The agent's version number, such as `1.14.5`.
    fn agent_version(&self) -> Option<&str>;
    /// The id of the EC2 instance; external instances have none.
    fn ec2_instance_id(&self) -> Option<&str>;
    /// The instant of registration, in milliseconds since 1970.
    fn registered_at_millis(&self) -> Option<i64>;
    /// How many tasks are RUNNING on the instance.
    fn running_tasks_count(&self) -> u32;
    /// Visits the group of every task with desired status RUNNING; the same group may come repeatedly.
    fn for_each_task_group(&self, visit: &mut dyn FnMut(&str));
}

/// An attribute of a container instance, as far as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeLookup<'a> {
    /// The instance has no such attribute.
    Missing,
    /// It has the attribute, which carries no value, like most capabilities.
    WithoutValue,
    /// It has the attribute with this value.
    Value(&'a str),
}

#[cfg(test)]
mod tests;
