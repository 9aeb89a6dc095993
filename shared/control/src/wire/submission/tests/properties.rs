//! Whatever is sent, it is read or refused with a reason.

use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::full::FULL;
use super::*;

/// Every refusal says something, in bounds, about a place that exists.
fn check(body: &str, settings: &Settings) -> Result<(), TestCaseError> {
    let Err(refusal) = decode_message(body, "m-1", settings) else {
        return Ok(());
    };
    prop_assert!(
        !refusal.reason.is_empty() && refusal.reason.len() < 4_000,
        "{}",
        refusal.reason
    );
    let position = refusal
        .position
        .ok_or_else(|| TestCaseError::fail("no position"))?;
    let lines: Vec<&str> = body.split('\n').collect();
    let line = lines
        .get(position.line - 1)
        .ok_or_else(|| TestCaseError::fail("no such line"))?;
    prop_assert!(
        (1..=line.chars().count() + 1).contains(&position.column),
        "{position:?} of {body}"
    );
    if let Some(field) = &refusal.field {
        prop_assert!(!field.is_empty());
        prop_assert!(
            refusal.reason.starts_with(field.as_str()),
            "{field}: {}",
            refusal.reason
        );
    }
    Ok(())
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("[{}]".to_owned()),
        Just("[null]".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        Just("1e999999".to_owned()),
        Just("99999999999999999999999999".to_owned()),
        ".{0,30}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ]
}

const FIELD_NAMES: [&str; 12] = [
    "id",
    "priority",
    "cluster",
    "taskDefinition",
    "count",
    "placementConstraints",
    "placementStrategy",
    "group",
    "overrides",
    "tags",
    "networkConfiguration",
    "wake",
];

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&String::from_utf8_lossy(&bytes), &settings())?;
    }

    #[test]
    fn random_values_in_known_fields(
        fields in prop::collection::btree_map(prop::sample::select(&FIELD_NAMES[..]), any_value(), 0..5),
    ) {
        let members: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        check(&format!("{{{}}}", members.join(",\n")), &permissive())?;
    }

    #[test]
    fn a_good_message_with_a_piece_cut_out_doubled_or_replaced(
        start in 0..FULL.len(),
        length in 0..60_usize,
        instead in prop_oneof![Just(None), any_value().prop_map(Some), ".{0,3}".prop_map(Some)],
        allow in any::<bool>(),
    ) {
        let end = (start + length).min(FULL.len());
        let piece = &FULL[start..end];
        let instead = instead.unwrap_or_else(|| piece.repeat(2));
        let body = format!("{}{instead}{}", &FULL[..start], &FULL[end..]);
        check(&body, &if allow { permissive() } else { settings() })?;
    }

    #[test]
    fn a_field_misspelt_anywhere_is_never_silent(
        which in 0..FULL.matches("\":").count(),
        letter in "[a-zA-Z]",
    ) {
        let (at, _) = FULL.match_indices("\":").nth(which).unwrap();
        let body = format!("{}{letter}{}", &FULL[..at], &FULL[at..]);
        let refusal = decode_message(&body, "m-1", &permissive());
        // An ARN has `":` nowhere, so each match ends a key.
        prop_assert!(refusal.is_err(), "{body}");
        check(&body, &permissive())?;
    }

    #[test]
    fn the_order_of_fields_does_not_change_what_is_read(seed in any::<u64>()) {
        let full: serde_json::Value = serde_json::from_str(FULL).unwrap();
        let mut members: Vec<String> = full
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{}: {value}", serde_json::Value::from(name.as_str())))
            .collect();
        members.sort_by_key(|member| {
            member.bytes().fold(seed, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte))
        });
        let shuffled = decode_with(&format!("{{{}}}", members.join(",")), &permissive());
        prop_assert_eq!(shuffled, decode_with(FULL, &permissive()));
    }
}
