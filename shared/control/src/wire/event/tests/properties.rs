use berth_scheduler::report::TaskStatus;
use proptest::prelude::*;

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!("arn:aws:ecs:us-east-1:123456789012:cluster/default")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{0,8}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Puts `replacement` in the place of the value that `path` leads to, wrapping around at each level.
fn mutate(value: &mut Value, path: &[usize], replacement: Value) {
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.iter_mut().map(|(_, field)| field).collect(),
        _ => Vec::new(),
    };
    let count = children.len();
    match path.split_first() {
        Some((step, rest)) if count > 0 => {
            let child = children.into_iter().nth(step % count).unwrap();
            mutate(child, rest, replacement);
        }
        _ => *value = replacement,
    }
}

/// What holds for everything that is decoded, however wrong the event.
fn check_decoded(decoded: &DecodedEvent) {
    match decoded {
        DecodedEvent::Instance { cluster, report, .. } => {
            assert!(clusters().contains(cluster));
            assert!(report.version.get() <= VERSION_MAX);
            for resources in [&report.registered, &report.remaining] {
                assert!(resources.cpu.get() <= i32::MAX.unsigned_abs());
                assert!(resources.memory.get() <= i32::MAX.unsigned_abs());
            }
        }
        DecodedEvent::Task { cluster, report, .. } => {
            assert!(clusters().contains(cluster));
            assert!(report.version.get() <= VERSION_MAX);
            assert_eq!(report.end.is_some(), report.status == TaskStatus::Stopped);
        }
        DecodedEvent::Ignored(ignored) => assert!(ignored.to_string().chars().count() < 1_500),
    }
}

proptest! {
    #[test]
    fn any_text_is_decoded_to_something(text in ".{0,200}") {
        check_decoded(&decode_event(&text, &clusters()));
    }

    #[test]
    fn any_json_is_decoded_to_something(value in any_json()) {
        check_decoded(&decode(&value));
        check_decoded(&decode(&event(INSTANCE_KIND, value.clone())));
        check_decoded(&decode(&event(TASK_KIND, value)));
    }

    #[test]
    fn a_good_event_with_anything_in_any_place_harms_nothing(
        path in prop::collection::vec(any::<usize>(), 1..6),
        replacement in any_json(),
        of_task in any::<bool>(),
    ) {
        let mut event = if of_task { task_event() } else { instance_event() };
        mutate(&mut event, &path, replacement);
        check_decoded(&decode(&event));
    }

    #[test]
    fn an_event_cut_off_anywhere_is_unusable(share in 0.0..1.0_f64) {
        let text = instance_event().to_string();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a short text")]
        let cut = (text.len() as f64 * share) as usize;
        let decoded = decode_event(&text[..cut], &clusters());
        let unusable = matches!(decoded, DecodedEvent::Ignored(IgnoredEvent::Unusable { .. }));
        prop_assert!(unusable);
    }
}
