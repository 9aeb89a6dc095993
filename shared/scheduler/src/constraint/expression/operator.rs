//! The operators, in symbol and word form, and which subjects take them.
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-query-language.html>

use std::cmp::Ordering;
use std::fmt;

use super::ast::Polarity::{self, Negative, Positive};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// Whether `value OP operand` holds when `value` stands in this order to `operand`.
    pub(super) fn accepts(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
        }
    }
}

/// An operator without its polarity: `!in` is the negative form of `In`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Compare(Comparison),
    Exists,
    In,
    Matches,
}

struct Spelling {
    operator: Operator,
    polarity: Polarity,
    symbol: &'static str,
    word: &'static str,
}

const fn spelling(
    operator: Operator,
    polarity: Polarity,
    symbol: &'static str,
    word: &'static str,
) -> Spelling {
    Spelling {
        operator,
        polarity,
        symbol,
        word,
    }
}

/// In the order in which error messages list them.
const SPELLINGS: [Spelling; 12] = [
    spelling(Operator::Compare(Comparison::Equal), Positive, "==", "equals"),
    spelling(Operator::Compare(Comparison::Equal), Negative, "!=", "not_equals"),
    spelling(
        Operator::Compare(Comparison::Greater),
        Positive,
        ">",
        "greater_than",
    ),
    spelling(
        Operator::Compare(Comparison::GreaterOrEqual),
        Positive,
        ">=",
        "greater_than_equal",
    ),
    spelling(Operator::Compare(Comparison::Less), Positive, "<", "less_than"),
    spelling(
        Operator::Compare(Comparison::LessOrEqual),
        Positive,
        "<=",
        "less_than_equal",
    ),
    spelling(Operator::Exists, Positive, "exists", "exists"),
    spelling(Operator::Exists, Negative, "!exists", "not_exists"),
    spelling(Operator::In, Positive, "in", "in"),
    spelling(Operator::In, Negative, "!in", "not_in"),
    spelling(Operator::Matches, Positive, "=~", "matches"),
    spelling(Operator::Matches, Negative, "!~", "not_matches"),
];

/// The operators that a subject takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OperatorSet {
    /// For attributes and `task:group`.
    All,
    /// For `agentConnected` and `ec2InstanceId`.
    Identity,
    /// For `agentVersion`, `registeredAt` and `runningTasksCount`.
    Ordered,
}

impl OperatorSet {
    pub(super) fn contains(self, operator: Operator) -> bool {
        match self {
            OperatorSet::All => true,
            OperatorSet::Identity => {
                matches!(
                    operator,
                    Operator::Compare(Comparison::Equal) | Operator::In | Operator::Matches
                )
            }
            OperatorSet::Ordered => matches!(operator, Operator::Compare(_)),
        }
    }

    /// Every spelling of these operators, symbol before word.
    pub(super) fn spellings(self) -> impl Iterator<Item = &'static str> {
        SPELLINGS
            .iter()
            .filter(move |spelling| self.contains(spelling.operator))
            .flat_map(|spelling| [spelling.symbol, spelling.word])
    }
}

/// As the end of a sentence that begins with "expected".
impl fmt::Display for OperatorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of ")?;
        for (position, symbol) in self.spellings().step_by(2).enumerate() {
            write!(f, "{}`{symbol}`", if position > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl Operator {
    /// Reads the symbol form, or the word form in any case.
    pub(super) fn parse(text: &str) -> Option<(Operator, Polarity)> {
        SPELLINGS
            .iter()
            .find(|spelling| {
                spelling.symbol.eq_ignore_ascii_case(text) || spelling.word.eq_ignore_ascii_case(text)
            })
            .map(|spelling| (spelling.operator, spelling.polarity))
    }

    /// Ordering operators have no negative form and keep their symbol.
    pub(super) fn symbol(self, polarity: Polarity) -> &'static str {
        SPELLINGS
            .iter()
            .find(|spelling| spelling.operator == self && spelling.polarity == polarity)
            .or_else(|| SPELLINGS.iter().find(|spelling| spelling.operator == self))
            .map_or("", |spelling| spelling.symbol)
    }
}
