use super::*;

fn stack(value: &str) -> Instance {
    Instance::new().with("stack", value)
}

#[test]
fn word_and_symbol_forms_are_the_same_expression() {
    for (word, symbol) in [
        ("attribute:a equals b", "attribute:a == b"),
        ("attribute:a not_equals b", "attribute:a != b"),
        ("attribute:a greater_than b", "attribute:a > b"),
        ("attribute:a greater_than_equal b", "attribute:a >= b"),
        ("attribute:a less_than b", "attribute:a < b"),
        ("attribute:a less_than_equal b", "attribute:a <= b"),
        ("attribute:a not_exists", "attribute:a !exists"),
        ("attribute:a not_in [b]", "attribute:a !in [b]"),
        ("attribute:a matches b", "attribute:a =~ b"),
        ("attribute:a not_matches b", "attribute:a !~ b"),
        ("not attribute:a exists", "!attribute:a exists"),
        (
            "attribute:a exists and attribute:b exists",
            "attribute:a exists && attribute:b exists",
        ),
        (
            "attribute:a exists or attribute:b exists",
            "attribute:a exists || attribute:b exists",
        ),
        (
            "NOT attribute:a EXISTS Or attribute:a Not_In [b]",
            "not attribute:a exists or attribute:a !in [b]",
        ),
        (
            "attribute:a MATCHES b AND agentConnected == TRUE",
            "attribute:a =~ b and agentConnected == true",
        ),
    ] {
        assert_eq!(parse(word), parse(symbol), "{word}");
        assert_eq!(parse(word).to_string(), parse(symbol).to_string());
    }
}

#[test]
fn spaces_are_needed_only_between_words() {
    for (dense, spaced) in [
        ("attribute:a==b", "attribute:a == b"),
        (
            "attribute:a!=b&&attribute:c=~d.*||!attribute:e exists",
            "attribute:a != b and attribute:c =~ d.* or not attribute:e exists",
        ),
        (
            "attribute:a=~g2.*&&attribute:b=='c'",
            "attribute:a =~ g2.* && attribute:b == c",
        ),
        (
            "(attribute:a=~(t2|m5)\\.(small|large))and(attribute:b!exists)",
            "attribute:a =~ '(t2|m5)\\.(small|large)' and attribute:b !exists",
        ),
        ("attribute:a in['x','y']", "attribute:a in [x, y]"),
        ("attribute:a!in[\"x\",y]", "attribute:a !in [x, y]"),
        ("runningTasksCount<=5", "runningTasksCount <= 5"),
        ("not(task:group==database)", "not ( task:group  ==\n\tdatabase )"),
        ("!!agentConnected==true", "not not agentConnected == true"),
        ("attribute:a =~ [()]", "attribute:a =~ '[()]'"),
        ("(attribute:a =~ \\(x)", "attribute:a =~ '\\(x'"),
    ] {
        assert_eq!(parse(dense), parse(spaced), "{dense}");
    }
}

#[test]
fn not_binds_tighter_than_and_which_binds_tighter_than_or() {
    for (text, canonical) in [
        (
            "attribute:a exists or attribute:b exists and attribute:c exists",
            "attribute:a exists or attribute:b exists and attribute:c exists",
        ),
        (
            "(attribute:a exists or attribute:b exists) and attribute:c exists",
            "(attribute:a exists or attribute:b exists) and attribute:c exists",
        ),
        (
            "attribute:a exists or (attribute:b exists and attribute:c exists)",
            "attribute:a exists or attribute:b exists and attribute:c exists",
        ),
        (
            "not attribute:a exists and attribute:b exists",
            "not attribute:a exists and attribute:b exists",
        ),
        (
            "not (attribute:a exists and attribute:b exists)",
            "not (attribute:a exists and attribute:b exists)",
        ),
        ("((attribute:a exists))", "attribute:a exists"),
    ] {
        assert_eq!(parse(text).to_string(), canonical);
    }
    let only_a = Instance::new().with("a", "1");
    assert!(holds(
        "attribute:a exists or attribute:b exists and attribute:c exists",
        &only_a
    ));
    assert!(!holds(
        "(attribute:a exists or attribute:b exists) and attribute:c exists",
        &only_a
    ));
    assert!(!holds("not attribute:a exists and attribute:b exists", &only_a));
    assert!(holds("not (attribute:a exists and attribute:b exists)", &only_a));
}

#[test]
fn a_missing_attribute_passes_negative_operators_only() {
    for (test, missing, without_value, other_value) in [
        ("exists", false, true, true),
        ("!exists", true, false, false),
        ("== prod", false, false, false),
        ("!= prod", true, true, true),
        ("in [prod, dev]", false, false, false),
        ("!in [prod, dev]", true, true, true),
        ("=~ p.*", false, false, false),
        ("=~ .*", false, false, true),
        ("!~ p.*", true, true, true),
        ("!~ .*", true, true, false),
        ("< zzz", false, false, true),
        ("<= zzz", false, false, true),
        ("> a", false, false, true),
        ("== ''", false, false, false),
    ] {
        let text = format!("attribute:stack {test}");
        assert_eq!(holds(&text, &Instance::new()), missing, "missing: {text}");
        assert_eq!(
            holds(&text, &Instance::new().with_valueless("stack")),
            without_value,
            "no value: {text}"
        );
        assert_eq!(holds(&text, &stack("test")), other_value, "test: {text}");
        let negated = format!("not({text})");
        assert_eq!(holds(&negated, &Instance::new()), !missing, "missing: {negated}");
    }
}

#[test]
fn values_and_attribute_names_are_compared_as_they_are_written() {
    assert!(!holds("attribute:stack == Prod", &stack("prod")));
    assert!(!holds("attribute:Stack exists", &stack("prod")));
    assert!(holds("attribute:stack == 'my team'", &stack("my team")));
    assert!(holds("attribute:stack == \"it's\"", &stack("it's")));
    assert!(holds("attribute:stack == 'a\\b'", &stack("a\\b")));
    assert!(holds("attribute:stack == and", &stack("and")));
    assert!(holds(
        "attribute:stack == not or attribute:stack == in",
        &stack("in")
    ));
    assert!(holds(
        "attribute:stack in [a@b.example/x:y_z-1]",
        &stack("a@b.example/x:y_z-1")
    ));
    assert!(holds(
        "attribute:a/b\\c.d_e-f == 1",
        &Instance::new().with("a/b\\c.d_e-f", "1")
    ));
    assert!(
        !holds("attribute:stack == 1.0", &stack("1")),
        "equality is of text, also between numbers"
    );
}

#[test]
fn attributes_are_ordered_by_their_numbers_or_else_as_text() {
    for (value, test, expected) in [
        ("9", "< 10", true),
        ("10", "<= 9", false),
        ("535.104.05", "> 535.86.10", true),
        ("1.9", "< 1.14", true),
        ("1.14", ">= 1.14.0", true),
        ("9", "< 10a", false),
        ("9b", "> 10", true),
        ("abc", "< abd", true),
        ("B", "< a", true),
        ("-5", "< -3", false),
    ] {
        assert_eq!(
            holds(&format!("attribute:stack {test}"), &stack(value)),
            expected,
            "{value} {test}"
        );
    }
}

#[test]
fn agent_versions_compare_as_versions() {
    let instance = Instance::new().agent("1.14.5");
    for (test, expected) in [
        ("== 1.14.5", true),
        ("== 1.14.5.0", true),
        ("!= 1.14.5", false),
        ("> 1.9.12", true),
        ("< 1.100", true),
        (">= '1.14.5'", true),
        ("<= 1.14.4", false),
    ] {
        assert_eq!(
            holds(&format!("agentVersion {test}"), &instance),
            expected,
            "{test}"
        );
    }
    for unreadable in [Instance::new(), Instance::new().agent("dev")] {
        assert!(!holds("agentVersion > 0", &unreadable));
        assert!(!holds("agentVersion <= 99", &unreadable));
        assert!(holds("agentVersion != 1.14.5", &unreadable));
    }
}

#[test]
fn registration_is_compared_as_an_instant_in_every_documented_format() {
    let instance = Instance::new().registered("2018-06-18T22:28:28Z");
    for literal in [
        "2018-06-18T22:28:28+00:00",
        "2018-06-18T22:28:28Z",
        "2018-06-18T22:28:28",
        "2018-06-19T00:28:28+02:00",
    ] {
        assert!(
            holds(&format!("registeredAt == {literal}"), &instance),
            "{literal}"
        );
        assert!(
            holds(&format!("registeredAt >= '{literal}'"), &instance),
            "{literal}"
        );
        assert!(
            !holds(&format!("registeredAt < {literal}"), &instance),
            "{literal}"
        );
    }
    assert!(holds(
        "registeredAt > 2018-06-18 and registeredAt < 2018-06-19",
        &instance
    ));
    assert!(!holds("registeredAt < 2100-01-01", &Instance::new()));
    assert!(holds("registeredAt != 2100-01-01", &Instance::new()));
}

#[test]
fn running_tasks_compare_as_numbers() {
    let instance = Instance::new().running(10);
    for (test, expected) in [
        ("> 9", true),
        ("== 010", true),
        ("!= 10", false),
        ("<= 10", true),
        ("< '10'", false),
    ] {
        assert_eq!(
            holds(&format!("runningTasksCount {test}"), &instance),
            expected,
            "{test}"
        );
    }
    assert!(holds(
        "runningTasksCount >= 4294967295",
        &Instance::new().running(u32::MAX)
    ));
}

#[test]
fn task_groups_are_a_set_of_which_any_may_pass() {
    let busy = Instance::new().groups(&["web", "database"]);
    let idle = Instance::new();
    for (text, on_busy, on_idle) in [
        ("task:group == database", true, false),
        ("task:group != database", false, true),
        ("not(task:group == database)", false, true),
        ("task:group != cache", true, true),
        ("task:group in [cache, web]", true, false),
        ("task:group !in [cache, web]", false, true),
        ("task:group =~ data.*", true, false),
        ("task:group !~ data.*", false, true),
        ("task:group exists", true, false),
        ("task:group !exists", false, true),
        ("task:group < m", true, false),
    ] {
        assert_eq!(holds(text, &busy), on_busy, "busy: {text}");
        assert_eq!(holds(text, &idle), on_idle, "idle: {text}");
    }
}

#[test]
fn agent_connected_takes_true_and_false_with_every_operator_it_has() {
    let (connected, gone) = (Instance::new().connected(), Instance::new());
    for (test, on_connected) in [
        ("== true", true),
        ("== False", false),
        ("!= false", true),
        ("in [true]", true),
        ("!in [true, false]", false),
        ("=~ t.*", true),
        ("!~ f.*", true),
    ] {
        assert_eq!(
            holds(&format!("agentConnected {test}"), &connected),
            on_connected,
            "{test}"
        );
    }
    assert!(holds("agentConnected == 'false'", &gone));
}

#[test]
fn an_external_instance_has_no_ec2_instance_id() {
    assert!(!holds("ec2InstanceId =~ .*", &Instance::new()));
    assert!(holds("ec2InstanceId != i-1", &Instance::new()));
}

#[test]
fn what_a_result_depends_on_is_the_most_changing_subject_in_it() {
    for (text, expected) in [
        (
            "attribute:a == b or not attribute:c exists",
            Dependencies::AttributesOnly,
        ),
        (
            "attribute:a == b and ec2InstanceId == i-1",
            Dependencies::InstanceIdentity,
        ),
        ("agentConnected == true", Dependencies::InstanceIdentity),
        ("not(agentVersion < 1.2)", Dependencies::InstanceIdentity),
        ("registeredAt < 2024-01-01", Dependencies::InstanceIdentity),
        (
            "registeredAt < 2024-01-01 or (attribute:a exists and runningTasksCount < 3)",
            Dependencies::RunningTasks,
        ),
        ("not task:group == a", Dependencies::RunningTasks),
    ] {
        assert_eq!(parse(text).depends_on(), expected, "{text}");
    }
    assert!(Dependencies::AttributesOnly < Dependencies::InstanceIdentity);
    assert!(Dependencies::InstanceIdentity < Dependencies::RunningTasks);
}

#[test]
fn expressions_are_equal_when_they_mean_the_same_word_for_word() {
    assert_eq!(parse("attribute:a in [y, 'x', y]"), parse("attribute:a in[x,y]"));
    assert_eq!(
        parse("registeredAt<2024-01-01"),
        parse("registeredAt less_than 2024-01-01T01:00:00+01:00")
    );
    assert_ne!(parse("attribute:a == b"), parse("attribute:a == B"));
    assert_ne!(parse("attribute:a == b"), parse("attribute:a =~ b"));
    assert!(parse("attribute:a == b") < parse("attribute:b == a"));
    assert_eq!(parse("attribute:a=='b'").as_written(), "attribute:a=='b'");
}

#[test]
fn limits_are_inclusive() {
    let longest = format!("attribute:a == '{}'", "é".repeat(EXPRESSION_CHARACTERS_MAX - 17));
    assert_eq!(longest.chars().count(), EXPRESSION_CHARACTERS_MAX);
    parse(&longest);
    parse(&format!(
        "{}agentConnected == true{}",
        "(".repeat(32),
        ")".repeat(32)
    ));
    parse(&format!("{}agentConnected == true", "!".repeat(32)));
    parse(&format!("attribute:{} exists", "n".repeat(128)));
    parse(&["attribute:a == b"; 90].join(" or "));
}
