//! Records as DynamoDB items: native attributes, so that people can read and query them in the console.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};

use super::key::{Key, PARTITION, SORT};

/// An item of a table.
pub(super) type Item = HashMap<String, AttributeValue>;

/// When DynamoDB may delete the item, in seconds since 1970. Only what is over has it.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>
pub(super) const EXPIRES_AT: &str = "expiresAt";

/// The item of a record under a key.
pub(super) fn item_of(key: &Key, record: &Value) -> Item {
    let mut item: Item = match record {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), attribute_of(value)))
            .collect(),
        _ => Item::new(),
    };
    item.extend(key_item(key));
    item
}

/// The item with the key alone, to name a record.
pub(super) fn key_item(key: &Key) -> Item {
    Item::from([
        (PARTITION.to_owned(), AttributeValue::S(key.partition.clone())),
        (SORT.to_owned(), AttributeValue::S(key.sort.clone())),
    ])
}

/// The record of an item: everything but its key and its expiry.
pub(super) fn record_of(item: &Item) -> Value {
    let fields = item.iter().filter(|(name, _)| !is_no_field_of_a_record(name));
    Value::Object(
        fields
            .map(|(name, value)| (name.clone(), value_of(value)))
            .collect(),
    )
}

/// Whether an attribute is the item's own: its key and its expiry.
pub(crate) fn is_no_field_of_a_record(name: &str) -> bool {
    [PARTITION, SORT, EXPIRES_AT].contains(&name)
}

/// The key of an item that was read, for messages.
pub(super) fn key_of(item: &Item) -> String {
    let part = |name| text(item, name).unwrap_or("?");
    format!("{}/{}", part(PARTITION), part(SORT))
}

/// A text attribute of an item.
pub(super) fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    match item.get(name)? {
        AttributeValue::S(text) => Some(text),
        _ => None,
    }
}

/// A whole number of an item; 0 when there is none, which is where counters begin.
pub(super) fn counter(item: &Item, name: &str) -> u64 {
    match item.get(name) {
        Some(AttributeValue::N(number)) => number.parse().unwrap_or_default(),
        _ => 0,
    }
}

/// A whole number as an attribute.
pub(super) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A value as an attribute.
pub(super) fn attribute_of(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(values.iter().map(attribute_of).collect()),
        Value::Object(fields) => AttributeValue::M(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), attribute_of(value)))
                .collect(),
        ),
    }
}

/// An attribute as a value. Binaries and sets, which records have none of, are null.
pub(super) fn value_of(attribute: &AttributeValue) -> Value {
    match attribute {
        AttributeValue::Bool(flag) => Value::Bool(*flag),
        AttributeValue::N(number) => number_of(number),
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::L(attributes) => Value::Array(attributes.iter().map(value_of).collect()),
        AttributeValue::M(fields) => {
            let fields = fields
                .iter()
                .map(|(name, attribute)| (name.clone(), value_of(attribute)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

/// A number as DynamoDB writes it.
pub(crate) fn number_of(text: &str) -> Value {
    let whole = text
        .parse::<u64>()
        .map(Number::from)
        .or_else(|_| text.parse::<i64>().map(Number::from));
    let number = whole
        .ok()
        .or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
    number.map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key() -> Key {
        Key {
            partition: "task#etl".to_owned(),
            sort: "task".to_owned(),
        }
    }

    #[test]
    fn a_record_comes_back_from_its_item() {
        let record = json!({
            "schema": 1, "name": "", "flag": false, "nothing": null, "whole": 18_446_744_073_709_551_615_u64,
            "negative": -5, "fraction": 0.25, "list": [1, "a", [], {}], "map": {"a": {"b": [null]}}
        });
        let mut item = item_of(&key(), &record);
        assert_eq!(item.get("pk"), Some(&AttributeValue::S("task#etl".to_owned())));
        assert_eq!(item.get("flag"), Some(&AttributeValue::Bool(false)));
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N("1".to_owned()));
        assert_eq!(record_of(&item), record);
        assert_eq!(key_of(&item), "task#etl/task");
    }

    #[test]
    fn a_counter_begins_at_zero() {
        let item = item_of(&key(), &json!({"generation": 7}));
        assert_eq!(counter(&item, "generation"), 7);
        assert_eq!(counter(&item, "epoch"), 0);
    }
}
