use proptest::prelude::*;

use super::*;
use crate::wire::refusal::Position;

/// Line and column, path and reason of the error.
fn error(text: &str) -> (usize, usize, String, String) {
    let Err(error) = parse(text) else {
        panic!("{text} was read")
    };
    let Position { line, column } = Position::of_offset(text, error.offset);
    (line, column, error.path, error.reason)
}

/// The value as another reader of JSON knows it.
fn as_serde(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(switch) => (*switch).into(),
        Value::Number(number) => serde_json::from_str(number).unwrap(),
        Value::Text(text) => text.as_ref().into(),
        Value::Array(items) => items.iter().map(|item| as_serde(&item.value)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|member| (member.key.to_string(), as_serde(&member.node.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

#[test]
fn errors_point_at_the_first_wrong_character() {
    for (text, line, column, piece) in [
        ("", 1, 1, "expected a value, but the text ends"),
        ("  ", 1, 3, "the text ends"),
        ("{", 1, 2, "expected a key in double quotes, but the text ends"),
        ("{\"a\"}", 1, 5, "expected `:`"),
        ("{\"a\":}", 1, 6, "expected a value, but found `}`"),
        (
            "{\"a\":1,}",
            1,
            8,
            "expected a key in double quotes, but found `}`",
        ),
        ("{\"a\":1 \"b\":2}", 1, 8, "expected `,` or `}`"),
        ("{a:1}", 1, 2, "found `a`"),
        ("{'a':1}", 1, 2, "double quotes only"),
        ("{\n  // note\n}", 2, 3, "a comment"),
        ("{\"a\":True}", 1, 6, "found `True`"),
        ("{\"a\":NaN}", 1, 6, "found `NaN`"),
        ("{\"a\":-}", 1, 7, "expected a digit"),
        ("{\"a\":01}", 1, 6, "does not begin with 0"),
        ("{\"a\":1.}", 1, 8, "expected a digit"),
        ("{\"a\":.5}", 1, 6, "expected a value"),
        ("{\"a\":+5}", 1, 6, "expected a value"),
        ("{\"a\":1e}", 1, 8, "expected a digit"),
        ("[1,]", 1, 4, "expected a value"),
        ("[1 2]", 1, 4, "expected `,` or `]`"),
        ("{} {}", 1, 4, "`{` after the end"),
        ("{\"a\":\"x}", 1, 6, "ends inside this string"),
        ("{\"a\":\"x\ny\"}", 1, 8, "U+000A"),
        ("{\"a\":\"\\x\"}", 1, 7, "unknown escape `\\x`"),
        ("{\"a\":\"\\u12g4\"}", 1, 7, "four hexadecimal digits"),
        ("{\"a\":\"\\u12\"}", 1, 7, "four hexadecimal digits"),
        ("{\"a\":\"\\ud800\"}", 1, 7, "half of a surrogate pair"),
        ("{\"a\":\"\\ud800\\u0041\"}", 1, 7, "half of a surrogate pair"),
        ("{\"a\":\"\\udc00\"}", 1, 7, "half of a surrogate pair"),
        ("\u{feff}{}", 1, 1, "`\\u{feff}`"),
        ("{\"日本\":日}", 1, 7, "found `日`"),
    ] {
        let (found_line, found_column, _, reason) = error(text);
        assert!(reason.contains(piece), "{text:?}: {reason}");
        assert_eq!((found_line, found_column), (line, column), "{text:?}: {reason}");
    }
}

#[test]
fn a_key_given_twice_is_refused_at_any_depth() {
    for (text, column, path) in [
        (r#"{"a":1,"a":1}"#, 8, "a"),
        (r#"{"a":1,"\u0061":1}"#, 8, "a"),
        (r#"{"x":[{},{"b":{"c":1,"d":2,"c":3}}]}"#, 28, "x[1].b.c"),
    ] {
        let (_, found, found_path, reason) = error(text);
        assert_eq!((found, found_path.as_str()), (column, path), "{text}");
        assert!(reason.contains("given twice"), "{reason}");
    }
}

#[test]
fn a_nesting_bomb_is_refused_at_the_first_level_too_many() {
    let just_right = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    assert!(parse(&just_right).is_ok());
    let (_, column, _, reason) = error(&"[".repeat(1_000_000));
    assert_eq!(column, DEPTH_MAX + 1);
    assert!(reason.contains("nested too deep"), "{reason}");
    let (_, _, path, reason) = error(&"{\"a\":".repeat(1_000_000));
    assert!(
        path.starts_with("a.a.a") && reason.contains("nested too deep"),
        "{path}: {reason}"
    );
}

#[test]
fn escapes_are_decoded_and_places_in_them_found_again() {
    let text = r#"  "a\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00z""#;
    let node = parse(text).unwrap();
    let Value::Text(decoded) = &node.value else {
        panic!("no text")
    };
    assert_eq!(decoded, "a\"\\/\u{8}\u{c}\n\r\téé😀z");
    let offset = offset_in_string(text, node.offset, decoded.find('z').unwrap());
    assert_eq!(text.get(offset..), Some("z\""));
    assert_eq!(text.get(offset_in_string(text, node.offset, 0)..=3), Some("a"));
}

/// JSON of any kind, not too large.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<i32>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn every_json_value_is_read_as_another_reader_reads_it(json in any_json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
        let node = parse(&text).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        prop_assert_eq!(as_serde(&node.value), json);
    }

    #[test]
    fn any_text_is_judged_as_another_reader_judges_it(
        text in r#"(\{|\}|\[|\]|,|:|"|"a"|"b"|1|-|\.|e|0|true|null| |\n|\\|u00e9|é){0,14}"#,
    ) {
        let ours = parse(&text);
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(json) => match ours {
                Ok(node) => prop_assert_eq!(as_serde(&node.value), json),
                Err(error) => prop_assert!(error.reason.contains("given twice"), "{}: {:?}", text, error),
            },
            // The other reader refuses numbers that no float can hold; we leave them to the field.
            Err(error) if error.to_string().contains("number out of range") => {}
            Err(_) => prop_assert!(ours.is_err(), "{} was read", text),
        }
    }
}
