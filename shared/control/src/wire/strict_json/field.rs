//! Typed reading of a message's fields. Every refusal names the field, its value and what to give instead,
//! and points at the place.

use std::ops::RangeInclusive;

use super::{Member, Node, Value, member_path, offset_in_string};
use crate::wire::refusal::{Position, Refusal};
use crate::wire::suggestion::{closest, escaped, shown};

/// The top of a message.
pub(crate) fn root<'a>(body: &'a str, node: &'a Node<'a>) -> Field<'a> {
    Field {
        body,
        path: String::new(),
        key_offset: node.offset,
        node,
    }
}

/// A value somewhere in a message.
pub(crate) struct Field<'a> {
    body: &'a str,
    path: String,
    key_offset: usize,
    node: &'a Node<'a>,
}

/// An object somewhere in a message.
pub(crate) struct Object<'a> {
    body: &'a str,
    path: String,
    offset: usize,
    members: &'a [Member<'a>],
}

fn refusal_at(body: &str, offset: usize, path: &str, reason: &str) -> Refusal {
    Refusal {
        field: (!path.is_empty()).then(|| path.to_owned()),
        position: Some(Position::of_offset(body, offset)),
        reason: if path.is_empty() {
            format!("the body {reason}")
        } else {
            format!("{path}: {reason}")
        },
    }
}

impl<'a> Field<'a> {
    /// Refuses the field's value.
    pub(crate) fn refuse(&self, reason: &str) -> Refusal {
        refusal_at(self.body, self.node.offset, &self.path, reason)
    }

    /// Refuses that the field is there at all.
    pub(crate) fn refuse_key(&self, reason: &str) -> Refusal {
        refusal_at(self.body, self.key_offset, &self.path, reason)
    }

    /// Refuses the part of a text value that begins at byte `offset` of it.
    pub(crate) fn refuse_within(&self, offset: usize, reason: &str) -> Refusal {
        let place = offset_in_string(self.body, self.node.offset, offset);
        refusal_at(self.body, place, &self.path, reason)
    }

    /// Refuses a value, repeating it.
    pub(crate) fn refuse_value(&self, problem: &str, give: &str) -> Refusal {
        self.refuse(&format!("{} {problem}: give {give}", self.value_shown()))
    }

    /// The value, for a field that may have one of several kinds.
    pub(crate) fn value(&self) -> &'a Value<'a> {
        &self.node.value
    }

    fn value_shown(&self) -> String {
        match &self.node.value {
            Value::Null => "`null`".to_owned(),
            Value::Bool(switch) => format!("`{switch}`"),
            Value::Number(number) => format!("`{}`", shown(number)),
            Value::Text(text) => format!("`{}`", shown(text)),
            Value::Array(_) => "`[...]`".to_owned(),
            Value::Object(_) => "`{...}`".to_owned(),
        }
    }

    fn kind(&self) -> &'static str {
        match &self.node.value {
            Value::Null => "is null, which is not a value",
            Value::Bool(_) => "is true or false",
            Value::Number(_) => "is a number",
            Value::Text(_) => "is a text",
            Value::Array(_) => "is a list",
            Value::Object(_) => "is an object",
        }
    }

    fn wrong_kind(&self, give: &str) -> Refusal {
        if self.path.is_empty() {
            self.refuse(&format!("{}: give {give}", self.kind()))
        } else {
            self.refuse_value(self.kind(), give)
        }
    }

    /// A text.
    pub(crate) fn text(&self, give: &str) -> Result<&'a str, Refusal> {
        match &self.node.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong_kind(give)),
        }
    }

    /// A text whose content no message may repeat, because it can be a secret.
    pub(crate) fn secret_text(&self) -> Result<&'a str, Refusal> {
        match &self.node.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.refuse(&format!("{}: give a text", self.kind()))),
        }
    }

    /// A text of so many characters at most, not empty, without control characters.
    pub(crate) fn line(&self, characters_max: usize, give: &str) -> Result<&'a str, Refusal> {
        let text = self.text(give)?;
        let problem = if text.is_empty() {
            "is empty"
        } else if text.chars().count() > characters_max {
            "is too long"
        } else if text.chars().any(char::is_control) {
            "has a control character"
        } else {
            return Ok(text);
        };
        Err(self.refuse_value(problem, &format!("{give} (1 to {characters_max} characters)")))
    }

    /// A text that `parse` understands; the parser's error says what it takes.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        give: &str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<T, Refusal> {
        parse(self.text(give)?).map_err(|error| self.refuse(&escaped(&error.to_string())))
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Refusal> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let give = list_of(&words);
        let text = self.text(&give)?;
        choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, choice)| *choice)
            .ok_or_else(|| {
                let meant = closest(text, &words).map(|word| format!("; did you mean `{word}`?"));
                self.refuse_value(
                    "is not known here",
                    &format!("{give}{}", meant.unwrap_or_default()),
                )
            })
    }

    /// A whole number.
    pub(crate) fn whole_number<N: TryFrom<i64> + Copy>(
        &self,
        allowed: RangeInclusive<i64>,
    ) -> Result<N, Refusal> {
        let give = format!("a whole number from {} to {}", allowed.start(), allowed.end());
        let Value::Number(number) = &self.node.value else {
            return Err(self.wrong_kind(&give));
        };
        if number.contains(['.', 'e', 'E']) {
            return Err(self.refuse_value("is not written as a whole number", &give));
        }
        let in_range = number.parse().ok().filter(|number| allowed.contains(number));
        in_range
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| self.refuse_value("is out of range", &give))
    }

    /// True or false.
    pub(crate) fn switch(&self) -> Result<bool, Refusal> {
        match &self.node.value {
            Value::Bool(switch) => Ok(*switch),
            _ => Err(self.wrong_kind("`true` or `false`")),
        }
    }

    /// The items of a list.
    pub(crate) fn items(&self, items_max: usize, of: &str) -> Result<Vec<Field<'a>>, Refusal> {
        let give = format!("a list of at most {items_max} {of}");
        let Value::Array(items) = &self.node.value else {
            return Err(self.wrong_kind(&give));
        };
        if items.len() > items_max {
            return Err(self.refuse(&format!("has {} entries: give {give}", items.len())));
        }
        let item = |(index, node): (usize, &'a Node<'a>)| Field {
            body: self.body,
            path: format!("{}[{index}]", self.path),
            key_offset: node.offset,
            node,
        };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// An object.
    pub(crate) fn object(&self, give: &str) -> Result<Object<'a>, Refusal> {
        let Value::Object(members) = &self.node.value else {
            return Err(self.wrong_kind(give));
        };
        Ok(Object {
            body: self.body,
            path: self.path.clone(),
            offset: self.node.offset,
            members,
        })
    }

    /// Refuses a field that the format does not have.
    pub(crate) fn unknown(&self, known: &[&str]) -> Refusal {
        let name = self.path.rsplit('.').next().unwrap_or(&self.path);
        let reason = match closest(name, known) {
            Some(meant) => format!("unknown field; did you mean `{meant}`?"),
            None => format!("unknown field: give {}", list_of(known)),
        };
        self.refuse_key(&reason)
    }
}

impl<'a> Object<'a> {
    /// The fields in the order of the message.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> + '_ {
        self.members.iter().map(|member| {
            let path = member_path(&self.path, &member.key);
            let field = Field {
                body: self.body,
                path,
                key_offset: member.key_offset,
                node: &member.node,
            };
            (&*member.key, field)
        })
    }

    /// Whether the object has this field.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.members.iter().any(|member| member.key == key)
    }

    /// Refuses that a field is missing. It points at the object that should have it.
    pub(crate) fn missing(&self, key: &str, give: &str) -> Refusal {
        self.refuse_default(key, &format!("missing: give {give}"))
    }

    /// Refuses what a field that was left out stands for.
    pub(crate) fn refuse_default(&self, key: &str, reason: &str) -> Refusal {
        refusal_at(self.body, self.offset, &member_path(&self.path, key), reason)
    }
}

/// `a`, `b` or `c`.
pub(crate) fn list_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [others @ .., last] => format!("`{}` or `{last}`", others.join("`, `")),
    }
}
