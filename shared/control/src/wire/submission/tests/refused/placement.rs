//! Placement constraints and strategies.

use super::*;

/// Values of `placementConstraints`; the field is relative to it.
const CONSTRAINTS: &[Case] = &[
    ("{}", "", "give a list of at most 10 constraints"),
    ("[\"distinctInstance\"]", "[0]", "is a text: give an object"),
    (
        "[{}]",
        "[0].type",
        "missing: give `memberOf` or `distinctInstance`",
    ),
    (
        r#"[{"expression": "agentConnected == true"}]"#,
        "[0].type",
        "missing",
    ),
    (r#"[{"type": "memberOf"}]"#, "[0].expression", "missing"),
    (
        r#"[{"type": "memberof", "expression": "x"}]"#,
        "[0].type",
        "did you mean `memberOf`?",
    ),
    (
        r#"[{"type": "affinity"}]"#,
        "[0].type",
        "`affinity` is not known here",
    ),
    (r#"[{"type": 1}]"#, "[0].type", "is a number"),
    (
        r#"[{"type": "memberOf", "expresion": "x"}]"#,
        "[0].expresion",
        "did you mean `expression`?",
    ),
    (
        r#"[{"type": "memberOf", "expression": ""}]"#,
        "[0].expression",
        "expression is empty",
    ),
    (
        r#"[{"type": "memberOf", "expression": null}]"#,
        "[0].expression",
        "is null",
    ),
    (
        r#"[{"type": "memberOf", "expression": ["a"]}]"#,
        "[0].expression",
        "is a list",
    ),
    (
        r#"[{"type": "memberOf", "expression": "attribute:a = b"}]"#,
        "[0].expression",
        "did you mean `==`?",
    ),
    (
        r#"[{"type": "memberOf", "expression": "attribute:a == "}]"#,
        "[0].expression",
        "expected",
    ),
    (
        r#"[{"type": "memberOf", "expression": "(agentConnected == true"}]"#,
        "[0].expression",
        "not closed",
    ),
    (
        r#"[{"type": "memberOf", "expression": "stack == prod"}]"#,
        "[0].expression",
        "unknown subject `stack`",
    ),
    (
        r#"[{"type": "memberOf", "expression": "attribute:a =~ (b"}]"#,
        "[0].expression",
        "",
    ),
    (
        r#"[{"type": "distinctInstance", "expression": "agentConnected == true"}]"#,
        "[0].expression",
        "takes no expression",
    ),
    (
        r#"[{"expression": "agentConnected == true", "type": "distinctInstance"}]"#,
        "[0].expression",
        "takes no expression",
    ),
    (
        r#"[{"type": "distinctInstance"}, {"type": "random"}]"#,
        "[1].type",
        "not known here",
    ),
];

#[test]
fn constraints_are_as_runtask_takes_them() {
    let at = |rest: &str| format!("placementConstraints{rest}");
    for (constraints, rest, piece) in CONSTRAINTS {
        check_body(
            &format!("{{\"placementConstraints\": {constraints}}}"),
            &at(rest),
            piece,
        );
    }
    let eleven = [r#"{"type": "distinctInstance"}"#; 11].join(",");
    check_body(
        &format!("{{\"placementConstraints\": [{eleven}]}}"),
        &at(""),
        "has 11 entries: give a list of at most 10",
    );
    for (expression, piece) in [
        (
            format!("attribute:a == {}", "b".repeat(2_000)),
            "expression has 2015 characters: give at most 2000",
        ),
        (
            format!("{}agentConnected == true", "not ".repeat(100)),
            "nested too deep",
        ),
        (
            format!("{}agentConnected == true", "(".repeat(100)),
            "nested too deep",
        ),
    ] {
        let body =
            format!(r#"{{"placementConstraints": [{{"type": "memberOf", "expression": "{expression}"}}]}}"#);
        check_body(&body, &at("[0].expression"), piece);
    }
}

#[test]
fn a_broken_expression_is_shown_with_its_place_marked() {
    let body = r#"{"placementConstraints": [{"type": "memberOf", "expression": "attribute:stack = prod"}]}"#;
    let refusal = decode(body).unwrap_err();
    assert!(
        refusal
            .reason
            .ends_with("\nattribute:stack = prod\n                ^"),
        "{}",
        refusal.reason
    );
    assert_eq!(refusal.position, Some(Position { line: 1, column: 79 }));
}

/// Values of `placementStrategy`; the field is relative to it.
const STRATEGIES: &[Case] = &[
    ("\"spread\"", "", "give a list of at most 5 strategies"),
    ("[\"spread\"]", "[0]", "is a text: give an object"),
    ("[{}]", "[0].type", "missing"),
    (
        r#"[{"type": "spred", "field": "host"}]"#,
        "[0].type",
        "did you mean `spread`?",
    ),
    (r#"[{"type": "Random"}]"#, "[0].type", "did you mean `random`?"),
    (
        r#"[{"type": "random", "field": "cpu"}]"#,
        "[0].field",
        "`random` takes no field",
    ),
    (
        r#"[{"field": "", "type": "random"}]"#,
        "[0].field",
        "`random` takes no field",
    ),
    (
        r#"[{"type": "binpack"}]"#,
        "[0].field",
        "missing: give `cpu` or `memory`",
    ),
    (
        r#"[{"type": "binpack", "field": "gpu"}]"#,
        "[0].field",
        "give `cpu` or `memory`",
    ),
    (
        r#"[{"type": "binpack", "field": "host"}]"#,
        "[0].field",
        "nothing to pack by",
    ),
    (r#"[{"type": "binpack", "field": 1}]"#, "[0].field", "is a number"),
    (r#"[{"type": "spread"}]"#, "[0].field", "missing"),
    (
        r#"[{"type": "spread", "field": "zone"}]"#,
        "[0].field",
        "`instanceId`, `host` or `attribute:NAME`",
    ),
    (
        r#"[{"type": "spread", "field": "attribute:"}]"#,
        "[0].field",
        "names no attribute",
    ),
    (
        r#"[{"type": "spread", "field": "attribute:a b"}]"#,
        "[0].field",
        "names no attribute",
    ),
    (
        r#"[{"type": "spread", "fields": ["host"]}]"#,
        "[0].fields",
        "did you mean `field`?",
    ),
];

#[test]
fn strategies_are_as_runtask_takes_them() {
    for (strategies, rest, piece) in STRATEGIES {
        check_body(
            &format!("{{\"placementStrategy\": {strategies}}}"),
            &format!("placementStrategy{rest}"),
            piece,
        );
    }
    let six = [r#"{"type": "random"}"#; 6].join(",");
    check_body(
        &format!("{{\"placementStrategy\": [{six}]}}"),
        "placementStrategy",
        "has 6 entries",
    );
}

#[test]
fn a_template_is_known_by_name_and_has_no_strategy_beside_it() {
    check_body(
        r#"{"placementTemplate": "az-balanced-binpak"}"#,
        "placementTemplate",
        "did you mean `az-balanced-binpack`?",
    );
    check_body(
        r#"{"placementTemplate": "binpack", "placementStrategy": [{"type": "random"}]}"#,
        "placementStrategy",
        "the template `binpack` has strategies of its own",
    );
}
