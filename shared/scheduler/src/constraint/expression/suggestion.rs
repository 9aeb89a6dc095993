//! What was probably meant by a word that the language does not have.

use super::operator::OperatorSet;

/// How other languages, and hurried fingers, write the operators.
const FOREIGN_OPERATORS: [(&str, &str); 22] = [
    ("=", "=="),
    ("===", "=="),
    ("is", "=="),
    ("eq", "=="),
    ("!==", "!="),
    ("=!", "!="),
    ("<>", "!="),
    ("ne", "!="),
    ("neq", "!="),
    ("=>", ">="),
    ("ge", ">="),
    ("gte", ">="),
    ("gt", ">"),
    ("=<", "<="),
    ("le", "<="),
    ("lte", "<="),
    ("lt", "<"),
    ("~", "=~"),
    ("~=", "=~"),
    ("like", "=~"),
    ("contains", "=~"),
    ("not", "!in"),
];

const SUBJECTS: [(&str, &str); 18] = [
    ("agentConnected", "agentConnected"),
    ("agentVersion", "agentVersion"),
    ("ec2InstanceId", "ec2InstanceId"),
    ("registeredAt", "registeredAt"),
    ("runningTasksCount", "runningTasksCount"),
    ("task:group", "task:group"),
    ("agent-connected", "agentConnected"),
    ("agent_connected", "agentConnected"),
    ("agent-version", "agentVersion"),
    ("version", "agentVersion"),
    ("instanceId", "ec2InstanceId"),
    ("instance-id", "ec2InstanceId"),
    ("registered", "registeredAt"),
    ("runningTasks", "runningTasksCount"),
    ("tasksCount", "runningTasksCount"),
    ("group", "task:group"),
    ("taskGroup", "task:group"),
    ("task.group", "task:group"),
];

const ATTRIBUTE_PREFIX: &str = "attribute:";

/// Longer words are not compared: no name of the language is nearly as long.
const COMPARED_CHARACTERS_MAX: usize = 24;

pub(super) fn operator_like(found: &str, allowed: OperatorSet) -> Option<&'static str> {
    let foreign = FOREIGN_OPERATORS
        .iter()
        .find(|(foreign, _)| foreign.eq_ignore_ascii_case(found));
    let near = || closest(found, allowed.spellings().map(|spelling| (spelling, spelling)));
    foreign
        .map(|(_, operator)| *operator)
        .filter(|operator| allowed.spellings().any(|spelling| spelling == *operator))
        .or_else(near)
}

pub(super) fn subject_like(found: &str) -> Option<String> {
    if found.starts_with("ecs.") || found.starts_with("com.amazonaws.") {
        return Some(format!("{ATTRIBUTE_PREFIX}{found}"));
    }
    if let Some(subject) = closest(found, SUBJECTS.into_iter()) {
        return Some(subject.to_owned());
    }
    let (prefix, name) = found.split_once([':', '.'])?;
    let is_attribute = closest(prefix, [("attribute", ""), ("attr", "")].into_iter()).is_some();
    (is_attribute && !name.is_empty()).then(|| format!("{ATTRIBUTE_PREFIX}{name}"))
}

/// What belongs to the candidate that is `found` but for a few letters; in doubt the first.
fn closest<'c>(found: &str, candidates: impl Iterator<Item = (&'c str, &'c str)>) -> Option<&'c str> {
    let found: Vec<char> = found
        .chars()
        .take(COMPARED_CHARACTERS_MAX)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    candidates
        .map(|(candidate, meant)| (edit_distance(&found, candidate), candidate.len(), meant))
        .filter(|(distance, length, _)| *distance <= length / 4)
        .min_by_key(|(distance, _, _)| *distance)
        .map(|(_, _, meant)| meant)
}

/// How many letters must be inserted, removed or replaced, or pairs of neighbours exchanged, at least.
fn edit_distance(one: &[char], other: &str) -> usize {
    let other: Vec<char> = other.chars().map(|c| c.to_ascii_lowercase()).collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
    let mut before_previous: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=other.len()).collect();
    for (row_number, from) in one.iter().enumerate() {
        let mut row = vec![row_number.saturating_add(1)];
        for (column, to) in other.iter().enumerate() {
            let replaced = at(&previous, column).saturating_add(usize::from(from != to));
            let removed = at(&previous, column.saturating_add(1)).saturating_add(1);
            let inserted = at(&row, column).saturating_add(1);
            let is_exchanged = column.checked_sub(1).and_then(|earlier| other.get(earlier)) == Some(from)
                && row_number.checked_sub(1).and_then(|earlier| one.get(earlier)) == Some(to);
            let exchanged = column
                .checked_sub(1)
                .filter(|_| is_exchanged)
                .map_or(usize::MAX, |earlier| {
                    at(&before_previous, earlier).saturating_add(1)
                });
            row.push(replaced.min(removed).min(inserted).min(exchanged));
        }
        before_previous = std::mem::replace(&mut previous, row);
    }
    at(&previous, other.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_and_foreign_operators_are_recognised() {
        for (found, expected) in [
            ("=", Some("==")),
            ("=>", Some(">=")),
            ("<>", Some("!=")),
            ("equal", Some("equals")),
            ("graeter_than", Some("greater_than")),
            ("not_equal", Some("not_equals")),
            ("matchs", Some("matches")),
            ("LIKE", Some("=~")),
            ("exist", Some("exists")),
            ("purple", None),
            ("", None),
        ] {
            assert_eq!(operator_like(found, OperatorSet::All), expected, "{found}");
        }
    }

    #[test]
    fn only_operators_that_the_subject_takes_are_suggested() {
        assert_eq!(operator_like("like", OperatorSet::Ordered), None);
        assert_eq!(operator_like("gt", OperatorSet::Identity), None);
        assert_eq!(operator_like("gt", OperatorSet::Ordered), Some(">"));
    }

    #[test]
    fn mistyped_subjects_are_recognised() {
        for (found, expected) in [
            ("agentconnected", Some("agentConnected")),
            ("agentVersoin", Some("agentVersion")),
            ("ec2instanceid", Some("ec2InstanceId")),
            ("runningTaskCount", Some("runningTasksCount")),
            ("tasks:group", Some("task:group")),
            ("ecs.instance-type", Some("attribute:ecs.instance-type")),
            ("atribute:stack", Some("attribute:stack")),
            ("attribute.stack", Some("attribute:stack")),
            ("Attributes:stack", Some("attribute:stack")),
            ("stack", None),
            ("attribute", None),
        ] {
            assert_eq!(subject_like(found).as_deref(), expected, "{found}");
        }
    }
}
