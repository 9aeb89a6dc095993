use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Reads anything; what is read must survive being written back, what is refused must be explainable.
fn check_any_text(text: &str) {
    match Expression::parse(text) {
        Ok(expression) => check_round_trip(&expression),
        Err(error) => {
            assert!(
                text.get(error.span()).is_some(),
                "{text:?}: {error:?} is no part of the text"
            );
            assert!(!error.to_string().contains('\n'), "{text:?}: {error}");
            let rendered = error.render(text);
            assert_eq!(rendered.lines().count(), 3, "{text:?}: {rendered}");
        }
    }
}

fn check_round_trip(expression: &Expression) {
    let canonical = expression.to_string();
    if canonical.chars().count() <= EXPRESSION_CHARACTERS_MAX {
        let reread = parse(&canonical);
        assert_eq!(reread.0.root, expression.0.root, "{canonical}");
        assert_eq!(reread.to_string(), canonical);
        for instance in [busy_instance(), Instance::new()] {
            assert_eq!(
                reread.matches(&instance),
                expression.matches(&instance),
                "{canonical}"
            );
        }
    }
    assert_eq!(&parse(expression.as_written()), expression);
}

fn busy_instance() -> Instance {
    Instance::new()
        .with("a", "g2.xlarge")
        .with("b", "10")
        .with_valueless("c")
        .connected()
        .agent("1.14.5")
        .id("i-1")
        .registered("2024-01-01")
        .running(3)
        .groups(&["web", "service:x"])
}

const TOKENS: [&str; 79] = [
    "attribute:a",
    "attribute:b",
    "attribute:c",
    "attribute:",
    "agentConnected",
    "agentVersion",
    "ec2InstanceId",
    "registeredAt",
    "runningTasksCount",
    "task:group",
    "==",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "=~",
    "!~",
    "=",
    "!",
    "exists",
    "!exists",
    "not_exists",
    "in",
    "!in",
    "not_in",
    "equals",
    "not_equals",
    "greater_than",
    "less_than_equal",
    "matches",
    "not_matches",
    "and",
    "or",
    "not",
    "&&",
    "||",
    "AND",
    "Or",
    "NOT",
    "(",
    ")",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "g2.*",
    "g2.xlarge",
    "10",
    "3",
    "1.14.5",
    "true",
    "false",
    "2024-01-01",
    "2024-01-01T00:00:00+01:00",
    "web",
    "service:x",
    "'a b'",
    "\"it's\"",
    "[web, 'x']",
    "[a]",
    "(a|b)*",
    "[^a]",
    "a++",
    "(?=a)",
    "(a{99}){99}",
    "\\",
    "\\d+",
    "\\Q",
    ".",
    "*",
    "{2}",
    "|",
    "&",
    "~",
    "é",
    "\n",
    "\u{2028}",
];

/// A text that is an expression more often than random characters would be.
fn well_formed_test() -> impl Strategy<Value = String> {
    let text_subject = select(vec![
        "attribute:a",
        "attribute:b",
        "attribute:c",
        "attribute:d",
        "task:group",
    ]);
    let word = select(vec![
        "web",
        "g2.xlarge",
        "10",
        "9",
        "'a b'",
        "\"it's\"",
        "''",
        "and",
        "x@y/z:1",
    ]);
    let pattern = select(vec![
        "g2.*", "'w.b'", "(web|10)", "[^a]+", "\\d{1,3}", "'a b|c'", "i-\\w+", ".*",
    ]);
    let comparison = select(vec![
        "==",
        "!=",
        ">",
        ">=",
        "<",
        "<=",
        " equals ",
        " not_equals ",
        " less_than ",
    ]);
    let literal = select(vec![
        ("agentVersion", "1.14.5"),
        ("agentVersion", "1.9"),
        ("registeredAt", "2024-01-01"),
        ("registeredAt", "'2023-12-31T23:59:59.999+00:00'"),
        ("runningTasksCount", "3"),
        ("runningTasksCount", "010"),
    ]);
    prop_oneof![
        (text_subject.clone(), comparison.clone(), word.clone()).prop_map(|(s, o, v)| format!("{s}{o}{v}")),
        (
            text_subject.clone(),
            select(vec!["exists", "!exists", "NOT_EXISTS"])
        )
            .prop_map(|(s, o)| format!("{s} {o}")),
        (
            text_subject.clone(),
            select(vec![" in", "!in", " not_in"]),
            prop::collection::vec(word.clone(), 1..4)
        )
            .prop_map(|(s, o, v)| format!("{s}{o}[{}]", v.join(","))),
        (text_subject, select(vec!["=~", "!~", " matches "]), pattern)
            .prop_map(|(s, o, p)| format!("{s}{o}{p}")),
        (comparison, literal).prop_map(|(o, (s, v))| format!("{s}{o}{v}")),
        Just("agentConnected==true".to_owned()),
        Just("ec2InstanceId in ['i-1', i-2]".to_owned()),
    ]
}

/// The text of an expression with all of its parentheses, and whether it holds for the busy instance as
/// far as its connectives go: each test is asked alone.
fn well_formed_expression() -> impl Strategy<Value = (String, bool)> {
    let test = well_formed_test().prop_map(|text| {
        let holds = holds(&text, &busy_instance());
        (text, holds)
    });
    test.prop_recursive(5, 24, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            (inner, select(vec!["not", "!", "NOT "]))
                .prop_map(|((text, holds), not)| (format!("{not}({text})"), !holds)),
            (several.clone(), select(vec![" and ", "&&", " AND "])).prop_map(|(parts, and)| {
                let texts: Vec<String> = parts.iter().map(|(text, _)| format!("({text})")).collect();
                (texts.join(and), parts.iter().all(|(_, holds)| *holds))
            }),
            (several, select(vec![" or ", "||"])).prop_map(|(parts, or)| {
                let texts: Vec<String> = parts.iter().map(|(text, _)| format!("({text})")).collect();
                (texts.join(or), parts.iter().any(|(_, holds)| *holds))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        check_any_text(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_any_text(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_soup_of_tokens_is_read_or_refused(
        tokens in prop::collection::vec((select(TOKENS.to_vec()), select(vec!["", " "])), 0..40),
    ) {
        check_any_text(&tokens.iter().flat_map(|(token, space)| [*token, *space]).collect::<String>());
    }

    #[test]
    fn any_pattern_is_read_or_refused(tokens in prop::collection::vec(select(TOKENS.to_vec()), 0..30)) {
        check_any_text(&format!("attribute:a =~ {}", tokens.concat()));
        check_any_text(&format!("attribute:a =~ '{}'", tokens.concat()));
    }

    #[test]
    fn connectives_combine_their_tests_and_survive_being_written_back((text, expected) in well_formed_expression()) {
        let expression = parse(&text);
        prop_assert_eq!(expression.matches(&busy_instance()), expected, "{}", text);
        check_round_trip(&expression);
    }

    /// `NegativeIsNot`, for every kind of test.
    #[test]
    fn a_negation_holds_exactly_when_its_test_does_not(text in well_formed_test()) {
        for instance in [busy_instance(), Instance::new()] {
            prop_assert_eq!(holds(&format!("not {text}"), &instance), !holds(&text, &instance));
        }
    }
}
