//! A strict JSON reader that remembers where everything stands in the text.
//!
//! Stricter than most: a key may be given once per object, nesting is bounded, and nothing is guessed.
//! Every value keeps its place, so that a refusal can point at it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::suggestion::{escaped, shown};

pub(crate) mod field;
mod text;

/// How deep lists and objects may be nested in one another. The deepest message that means something to
/// Berth has six levels; this bounds the reader's use of the stack.
const DEPTH_MAX: usize = 32;

/// How other languages write values; naming them helps more than their first character.
const FOREIGN_WORDS: [&str; 8] = [
    "True",
    "False",
    "None",
    "NULL",
    "NaN",
    "nan",
    "Infinity",
    "undefined",
];

/// A value and where it begins.
pub(crate) struct Node<'b> {
    /// Byte offset of its first character.
    pub(crate) offset: usize,
    /// The value.
    pub(crate) value: Value<'b>,
}

/// A JSON value. Has no `Debug`: messages carry secrets, which must not reach a log by accident.
pub(crate) enum Value<'b> {
    Null,
    Bool(bool),
    /// As written: what range it must be in is for the field to say.
    Number(&'b str),
    Text(Cow<'b, str>),
    Array(Vec<Node<'b>>),
    Object(Vec<Member<'b>>),
}

/// A key of an object and its value.
pub(crate) struct Member<'b> {
    pub(crate) key: Cow<'b, str>,
    /// Byte offset of the key's opening quote.
    pub(crate) key_offset: usize,
    pub(crate) node: Node<'b>,
}

/// Why a text is not strict JSON, and where.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    /// Byte offset.
    pub(crate) offset: usize,
    /// The field it is in; empty at the top.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) reason: String,
}

impl SyntaxError {
    fn new(offset: usize, reason: impl Into<String>) -> Self {
        Self {
            offset,
            path: String::new(),
            reason: reason.into(),
        }
    }

    /// The same error, seen from one level further out.
    fn within(mut self, outer: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{outer}{joint}{}", self.path);
        self
    }
}

/// The path of an object's member.
pub(crate) fn member_path(object: &str, key: &str) -> String {
    let joint = if object.is_empty() { "" } else { "." };
    format!("{object}{joint}{}", key_shown(key))
}

/// The key as a path can contain it: in quotes if it could be mistaken for more than one step.
fn key_shown(key: &str) -> String {
    let is_plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if is_plain {
        shown(key)
    } else {
        format!("\"{}\"", shown(key))
    }
}

/// Reads a text that is one JSON value, with nothing but white space around it.
///
/// # Errors
/// At the first character that does not belong there.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, SyntaxError> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_white_space();
    let node = reader.value(0)?;
    reader.skip_white_space();
    match reader.peek() {
        None => Ok(node),
        Some(found) => Err(reader.unexpected(&format!(
            "`{}` after the end of the JSON value",
            escaped(&found.to_string())
        ))),
    }
}

/// The byte offset, in `text`, of byte `decoded_offset` of the string value whose opening quote stands at
/// `quote`: escapes make the two differ.
pub(crate) fn offset_in_string(text: &str, quote: usize, decoded_offset: usize) -> usize {
    let mut reader = Reader {
        text,
        at: quote.saturating_add(1),
    };
    let mut decoded = 0_usize;
    while decoded < decoded_offset {
        let Ok(Some(character)) = reader.string_character(quote) else {
            break;
        };
        decoded = decoded.saturating_add(character.len_utf8());
    }
    reader.at
}

struct Reader<'b> {
    text: &'b str,
    at: usize,
}

impl<'b> Reader<'b> {
    fn rest(&self) -> &'b str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, character: char) {
        self.at = self.at.saturating_add(character.len_utf8());
    }

    fn eat(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.skip(wanted);
        }
        is_there
    }

    fn skip_white_space(&mut self) {
        let rest = self.rest();
        let length = rest
            .len()
            .saturating_sub(rest.trim_start_matches([' ', '\t', '\n', '\r']).len());
        self.at = self.at.saturating_add(length);
    }

    fn unexpected(&self, what: &str) -> SyntaxError {
        SyntaxError::new(self.at, format!("not JSON: unexpected {what}"))
    }

    /// The error at the next character, where `expected` should stand.
    fn expected(&self, expected: &str) -> SyntaxError {
        let found = match self.peek() {
            None => "the text ends".to_owned(),
            Some('\'') => "found `'`; JSON takes double quotes only".to_owned(),
            Some('/' | '#') => "found a comment, which JSON does not have".to_owned(),
            Some(_) if FOREIGN_WORDS.contains(&self.word()) => format!("found `{}`", self.word()),
            // Never more than one character: behind a forgotten quote, the rest may be of a secret.
            Some(character) => format!("found `{}`", escaped(&character.to_string())),
        };
        SyntaxError::new(self.at, format!("not JSON: expected {expected}, but {found}"))
    }

    /// The word that begins here; empty when what begins here is none.
    fn word(&self) -> &'b str {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        rest.get(..length).unwrap_or(rest)
    }

    fn value(&mut self, depth: usize) -> Result<Node<'b>, SyntaxError> {
        let offset = self.at;
        let value = match self.peek() {
            Some('{') => Value::Object(self.object(depth)?),
            Some('[') => Value::Array(self.array(depth)?),
            Some('"') => Value::Text(self.string()?),
            Some('-' | '0'..='9') => Value::Number(self.number()?),
            _ => self.literal()?,
        };
        Ok(Node { offset, value })
    }

    fn literal(&mut self) -> Result<Value<'b>, SyntaxError> {
        let word = self.word();
        let value = match word {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(self.expected("a value")),
        };
        self.at = self.at.saturating_add(word.len());
        Ok(value)
    }

    fn check_depth(&self, depth: usize) -> Result<(), SyntaxError> {
        if depth < DEPTH_MAX {
            return Ok(());
        }
        Err(SyntaxError::new(
            self.at,
            format!("nested too deep: give at most {DEPTH_MAX} levels of lists and objects"),
        ))
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member<'b>>, SyntaxError> {
        self.check_depth(depth)?;
        self.eat('{');
        self.skip_white_space();
        let mut members = Vec::new();
        let mut keys: BTreeSet<Cow<'b, str>> = BTreeSet::new();
        if self.eat('}') {
            return Ok(members);
        }
        loop {
            let key_offset = self.at;
            if self.peek() != Some('"') {
                return Err(self.expected("a key in double quotes"));
            }
            let key = self.string()?;
            if !keys.insert(key.clone()) {
                let twice = SyntaxError::new(key_offset, "given twice: give each field once");
                return Err(twice.within(&key_shown(&key)));
            }
            let in_member = |error: SyntaxError| error.within(&key_shown(&key));
            self.skip_white_space();
            if !self.eat(':') {
                return Err(in_member(self.expected("`:` after the key")));
            }
            self.skip_white_space();
            let node = self.value(depth.saturating_add(1)).map_err(in_member)?;
            members.push(Member {
                key,
                key_offset,
                node,
            });
            self.skip_white_space();
            if self.eat('}') {
                return Ok(members);
            }
            if !self.eat(',') {
                return Err(self.expected("`,` or `}`"));
            }
            self.skip_white_space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Node<'b>>, SyntaxError> {
        self.check_depth(depth)?;
        self.eat('[');
        self.skip_white_space();
        let mut items = Vec::new();
        if self.eat(']') {
            return Ok(items);
        }
        loop {
            let index = items.len();
            let item = self
                .value(depth.saturating_add(1))
                .map_err(|error| error.within(&format!("[{index}]")))?;
            items.push(item);
            self.skip_white_space();
            if self.eat(']') {
                return Ok(items);
            }
            if !self.eat(',') {
                return Err(self.expected("`,` or `]`"));
            }
            self.skip_white_space();
        }
    }
}

#[cfg(test)]
mod tests;
