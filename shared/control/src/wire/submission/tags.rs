//! `tags`.

use super::request::Tag;
use crate::wire::refusal::Refusal;
use crate::wire::strict_json::field::Field;

// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html>
const TAGS_MAX: usize = 50;
const KEY_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;
const RESERVED_PREFIX: &str = "aws:";
const ALLOWED: &str = "letters, digits, spaces or `+`, `-`, `=`, `.`, `_`, `:`, `/`, `@`";

/// Reads `tags`.
pub(super) fn decode_tags(field: &Field<'_>) -> Result<Vec<Tag>, Refusal> {
    let mut tags: Vec<Tag> = Vec::new();
    for item in field.items(TAGS_MAX, "tags")? {
        let tag = decode_tag(&item)?;
        if tags.iter().any(|earlier| earlier.key == tag.key) {
            return Err(item.refuse(&format!("key `{}` is given twice: give each key once", tag.key)));
        }
        tags.push(tag);
    }
    Ok(tags)
}

fn decode_tag(item: &Field<'_>) -> Result<Tag, Refusal> {
    let object = item.object("an object with `key` and `value`")?;
    let (mut key, mut value) = (None, String::new());
    for (name, field) in object.fields() {
        match name {
            "key" => key = Some(decode_part(&field, 1, KEY_CHARACTERS_MAX)?),
            "value" => value = decode_part(&field, 0, VALUE_CHARACTERS_MAX)?,
            _ => return Err(field.unknown(&["key", "value"])),
        }
    }
    let key = key.ok_or_else(|| object.missing("key", "a text"))?;
    Ok(Tag { key, value })
}

fn decode_part(field: &Field<'_>, characters_min: usize, characters_max: usize) -> Result<String, Refusal> {
    let give = format!("{characters_min} to {characters_max} {ALLOWED}");
    let text = field.text(&give)?;
    let characters = text.chars().count();
    let is_allowed = |c: char| c.is_alphanumeric() || " +-=._:/@".contains(c);
    if characters < characters_min || characters > characters_max {
        return Err(field.refuse_value(&format!("has {characters} characters"), &give));
    }
    if let Some(bad) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(field.refuse_value(&format!("has the character U+{:04X}", u32::from(bad)), &give));
    }
    // AWS keeps the prefix for itself in any combination of upper and lower case.
    if text
        .get(..RESERVED_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX))
    {
        return Err(field.refuse_value(
            "begins with `aws:`",
            "a text without this prefix, which AWS reserves",
        ));
    }
    Ok(text.to_owned())
}
