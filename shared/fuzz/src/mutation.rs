//! Inputs out of other inputs: bytes are changed, and where the input is JSON, its values are.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// Changes that one input goes through at most.
const CHANGES_MAX: usize = 4;

/// Bytes of an input at most: a little more than the longest message.
const BYTES_MAX: usize = 80_000;

/// What is inserted now and then: the corners of grammars and of number types.
const TOKENS: [&str; 30] = [
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\\ud800",
    "\\u0000",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\n",
    "\r\n",
    "#",
    "(",
    ")",
    "-1",
    "1e999",
    "18446744073709551616",
    "9223372036854775808",
    "4294967296",
    "NaN",
    "null",
    "true",
    "not ",
    "and",
    "=~ (a+)+$",
    "{1,1000}",
];

/// Makes a new input out of those of a corpus.
pub fn mutate(corpus: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = pick(corpus, random).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..=CHANGES_MAX) {
        input = match (random.bool(), serde_json::from_slice::<Value>(&input)) {
            (true, Ok(mut value)) => {
                change_value(&mut value, random);
                value.to_string().into_bytes()
            }
            _ => change_bytes(input, corpus, random),
        };
    }
    input.truncate(BYTES_MAX);
    input
}

fn pick<'a, T>(from: &'a [T], random: &mut Rng) -> Option<&'a T> {
    from.get(random.usize(0..from.len().max(1)))
}

fn change_bytes(mut input: Vec<u8>, corpus: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let at = random.usize(0..=input.len());
    let end = at.saturating_add(random.usize(0..32)).min(input.len());
    match random.u8(0..7) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.u8(0..8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.u8(..);
            }
        }
        2 => {
            input.drain(at..end);
        }
        3 => {
            let token = pick(&TOKENS, random).map_or("", |token| token);
            input.splice(
                at..at,
                token
                    .bytes()
                    .cycle()
                    .take(token.len().saturating_mul(random.usize(1..4))),
            );
        }
        4 => {
            let copy: Vec<u8> = input.get(at..end).unwrap_or_default().to_vec();
            let times = random.usize(1..40);
            input.splice(at..at, copy.repeat(times));
        }
        5 => {
            let other = pick(corpus, random).cloned().unwrap_or_default();
            let from = random.usize(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(other.get(from..).unwrap_or_default());
        }
        _ => input.truncate(at),
    }
    input
}

/// Changes one value somewhere in a JSON value.
fn change_value(value: &mut Value, random: &mut Rng) {
    let deeper = random.u8(0..5) > 0;
    match value {
        Value::Object(fields) if deeper && !fields.is_empty() => {
            let chosen = random.usize(0..fields.len());
            match random.u8(0..8) {
                0 => remove_field(fields, chosen),
                1 => rename_field(fields, chosen, random),
                _ => {
                    if let Some(field) = fields.values_mut().nth(chosen) {
                        change_value(field, random);
                    }
                }
            }
        }
        Value::Array(values) if deeper && !values.is_empty() => {
            let chosen = random.usize(0..values.len());
            match random.u8(0..8) {
                0 => {
                    values.remove(chosen);
                }
                1 => values.extend(
                    values
                        .get(chosen)
                        .cloned()
                        .map(|it| vec![it; 12])
                        .unwrap_or_default(),
                ),
                _ => {
                    if let Some(element) = values.get_mut(chosen) {
                        change_value(element, random);
                    }
                }
            }
        }
        _ => *value = odd_value(value, random),
    }
}

fn remove_field(fields: &mut Map<String, Value>, chosen: usize) {
    if let Some(name) = fields.keys().nth(chosen).cloned() {
        fields.remove(&name);
    }
}

fn rename_field(fields: &mut Map<String, Value>, chosen: usize, random: &mut Rng) {
    if let Some(name) = fields.keys().nth(chosen).cloned()
        && let Some(value) = fields.remove(&name)
    {
        let other = pick(&TOKENS, random).map_or_else(String::new, |token| format!("{name}{token}"));
        fields.insert(other, value);
    }
}

/// A value that has the wrong type, the wrong size or the wrong words.
fn odd_value(value: &Value, random: &mut Rng) -> Value {
    let numbers = [
        json!(-1),
        json!(0),
        json!(1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(u64::from(u32::MAX) + 1),
        json!(0.5),
        json!(1e300),
    ];
    match random.u8(0..8) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 | 3 => pick(&numbers, random).cloned().unwrap_or_default(),
        4 => json!([value]),
        5 => json!({ "x": value }),
        6 => json!(
            pick(&TOKENS, random)
                .map_or("", |token| token)
                .repeat(random.usize(1..300))
        ),
        _ => match value {
            Value::String(text) => json!(format!(
                "{text}{}",
                pick(&TOKENS, random).map_or("", |token| token)
            )),
            Value::Number(number) => json!(number.to_string()),
            other => json!(other.to_string()),
        },
    }
}
