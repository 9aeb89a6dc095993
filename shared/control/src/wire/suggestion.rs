//! How a user's own text is repeated to them, and which word they probably meant.

use std::fmt::Write;

/// Characters of a user's text that a message repeats at most.
const SHOWN_CHARACTERS_MAX: usize = 80;

/// The text as a message can repeat it: shortened, and with characters escaped that would break a log line
/// or that SQS does not take.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        None => escaped(text),
        Some((end, _)) => format!("{}…", escaped(text.get(..end).unwrap_or(text))),
    }
}

/// The text with characters escaped that would break a log line or that SQS does not take.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "{}", character.escape_unicode());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Characters that show nothing or turn the text around them, and those that are none.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Longer words are not compared: no name of the message format is nearly as long.
const COMPARED_CHARACTERS_MAX: usize = 40;

/// The candidate that `found` is but for letter case or a few letters; in doubt the first.
pub(crate) fn closest<'c>(found: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let folded = |text: &str| -> Vec<char> {
        let letters = text.chars().filter(|c| *c != '_' && *c != '-');
        letters
            .take(COMPARED_CHARACTERS_MAX)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    let found = folded(found);
    candidates
        .iter()
        .map(|candidate| (edit_distance(&found, &folded(candidate)), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, removed or replaced, at least.
fn edit_distance(one: &[char], other: &[char]) -> usize {
    let mut previous: Vec<usize> = (0..=other.len()).collect();
    for (row, from) in one.iter().enumerate() {
        let mut left = row.saturating_add(1);
        let mut current = vec![left];
        // Zipped with its right neighbour, each entry of the previous row is the one above and to the left.
        for ((to, diagonal), above) in other.iter().zip(&previous).zip(previous.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(from != to));
            left = replaced.min(above.saturating_add(1)).min(left.saturating_add(1));
            current.push(left);
        }
        previous = current;
    }
    previous.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_recognised_and_a_foreign_one_is_not() {
        let names = ["priority", "cluster", "count", "enableECSManagedTags", "id"];
        for (found, expected) in [
            ("priorty", Some("priority")),
            ("Priority", Some("priority")),
            ("counts", Some("count")),
            ("enable_ecs_managed_tags", Some("enableECSManagedTags")),
            ("ID", Some("id")),
            ("memory", None),
            ("", None),
        ] {
            assert_eq!(closest(found, &names), expected, "{found}");
        }
    }

    #[test]
    fn a_repeated_text_is_short_and_harmless() {
        assert_eq!(shown("a\nb\u{202e}c\u{ffff}"), "a\\u{a}b\\u{202e}c\\u{ffff}");
        assert_eq!(
            shown(&"x".repeat(1_000)).chars().count(),
            SHOWN_CHARACTERS_MAX + 1
        );
    }
}
