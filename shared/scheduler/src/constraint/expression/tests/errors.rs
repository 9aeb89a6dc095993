use super::*;

fn error(text: &str) -> ExpressionError {
    match Expression::parse(text) {
        Ok(expression) => panic!("`{text}` was read as `{expression}`"),
        Err(error) => error,
    }
}

/// Each row: the text, the part of it that the error marks, and a part of the message.
#[track_caller]
fn assert_errors(rows: &[(&str, &str, &str)]) {
    for (text, marked, message) in rows {
        let error = error(text);
        assert_eq!(&&text[error.span()], marked, "{text}: {error}");
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(!error.to_string().contains('\n'), "{text}: {error}");
    }
}

#[test]
fn an_error_of_structure_marks_the_place_and_says_what_was_expected() {
    assert_errors(&[
        ("", "", "expression is empty"),
        (" \n ", " \n ", "expression is empty"),
        (
            "attribute:a",
            "",
            "unexpected end of the expression: expected one of `==`, `!=`",
        ),
        (
            "attribute:a ==",
            "",
            "unexpected end of the expression: expected a value",
        ),
        ("attribute:a == and b", "b", "expected `and`, `or` or the end"),
        (
            "attribute:a == hello world",
            "world",
            "a value with spaces needs quotes",
        ),
        (
            "attribute:a == b attribute:c == d",
            "attribute:c",
            "expected `and`, `or` or the end",
        ),
        ("attribute:a == b)", ")", "unexpected `)`"),
        ("(attribute:a == b", "(", "parenthesis is not closed"),
        ("(attribute:a == b c)", "c", "expected `and`, `or` or `)`"),
        ("()", ")", "unexpected `)`: expected a subject"),
        ("and attribute:a exists", "and", "unknown subject `and`"),
        (
            "attribute:a exists and",
            "",
            "unexpected end of the expression: expected a subject",
        ),
        ("attribute:a exists & attribute:b exists", "&", "unexpected `&`"),
        ("not", "", "expected a subject"),
        ("== b", "==", "unexpected `==`: expected a subject"),
        ("'attribute:a' == b", "'attribute:a'", "expected a subject"),
        ("attribute:a == 'b", "'b", "quote is not closed"),
        (
            "attribute:a 'b",
            "'b",
            "unexpected quote that is not closed: expected one of",
        ),
    ]);
}

#[test]
fn an_error_of_a_test_marks_the_place_and_says_what_was_expected() {
    assert_errors(&[
        ("attribute:a == == b", "==", "unexpected `==`: expected a value"),
        ("attribute:a == [b]", "[", "only `in` and `!in` take a list"),
        (
            "attribute:a in b",
            "b",
            "unexpected `b`: expected a list such as `[a, b]`",
        ),
        (
            "attribute:a in []",
            "]",
            "unexpected `]`: expected a value of the list",
        ),
        ("attribute:a in [b,]", "]", "expected a value of the list"),
        ("attribute:a in [b c]", "c", "expected `,` or `]`"),
        ("attribute:a in [b", "", "expected `,` or `]`"),
        ("attribute:a exists b", "b", "expected `and`, `or` or the end"),
        ("attribute: == b", "attribute:", "invalid attribute name ``"),
        (
            "attribute:a$b == c",
            "attribute:a$b",
            "invalid attribute name `a$b`: expected 1 to 128 letters",
        ),
        (
            "stack == prod",
            "stack",
            "unknown subject `stack`: expected `attribute:NAME`, `agentConnected`",
        ),
        (
            "attribute:a purple b",
            "purple",
            "unknown operator `purple`: expected one of `==`, `!=`",
        ),
    ]);
}

#[test]
fn a_subject_says_which_operators_and_values_it_takes() {
    assert_errors(&[
        (
            "agentConnected exists",
            "exists",
            "operator `exists` cannot be used with `agentConnected`: expected one of `==`, `!=`, `in`, `!in`, `=~`, `!~`",
        ),
        ("ec2InstanceId > i-1", ">", "cannot be used with `ec2InstanceId`"),
        (
            "runningTasksCount !in [1]",
            "!in",
            "operator `!in` cannot be used with `runningTasksCount`: expected one of `==`, `!=`, `>`, `>=`, `<`, `<=`",
        ),
        ("agentVersion =~ 1.*", "=~", "cannot be used with `agentVersion`"),
        (
            "registeredAt matches 2018.*",
            "matches",
            "cannot be used with `registeredAt`",
        ),
        (
            "agentConnected == yes",
            "yes",
            "`yes` cannot be compared with `agentConnected`: expected `true` or `false`",
        ),
        ("agentConnected in [true, 1]", "1", "expected `true` or `false`"),
        (
            "agentVersion < v1.14",
            "v1.14",
            "expected a version number such as `1.14.5`",
        ),
        (
            "registeredAt < 'last week'",
            "'last week'",
            "expected a date such as `2018-06-18`",
        ),
        ("registeredAt < 2018-02-30", "2018-02-30", "expected a date"),
        ("runningTasksCount == 1.5", "1.5", "expected a whole number"),
        ("runningTasksCount == +1", "+1", "expected a whole number"),
        (
            "runningTasksCount == 4294967296",
            "4294967296",
            "expected a whole number",
        ),
    ]);
}

#[test]
fn an_error_of_a_pattern_marks_the_place_in_the_expression() {
    assert_errors(&[
        ("attribute:a =~", "", "expected a pattern"),
        ("attribute:é =~ (?=x)y", "attribute:é", "invalid attribute name"),
        (
            "attribute:a =~ (?=x)y",
            "(?=",
            "look-ahead `(?=` is not supported in patterns",
        ),
        (
            "attribute:a =~ 'é(?<!x)y'",
            "(?<!",
            "look-behind `(?<!` is not supported in patterns",
        ),
        (
            "attribute:a !~ x++",
            "+",
            "possessive quantifier is not supported in patterns",
        ),
        ("attribute:a =~ (a{999}){999}", "}", "patterns are too large"),
        (
            "attribute:a =~ 'a(b'",
            "(",
            "invalid pattern: group is not closed",
        ),
    ]);
}

#[test]
fn near_misses_come_with_a_suggestion() {
    for (text, suggestion) in [
        ("attribute:a = b", "=="),
        ("attribute:a === b", "=="),
        ("runningTasksCount => 3", ">="),
        ("runningTasksCount =< 3", "<="),
        ("attribute:a <> b", "!="),
        ("attribute:a ~ b", "=~"),
        ("attribute:a equal b", "equals"),
        ("attribute:a !exist", "!exists"),
        ("attribute:a not in [b]", "!in"),
        ("attribute:a not exists", "!exists"),
        ("attribute:a like b", "=~"),
        ("agentconnected == true", "agentConnected"),
        ("runningTaskCount < 3", "runningTasksCount"),
        ("ecs.instance-type == t2.small", "attribute:ecs.instance-type"),
        ("attribute.stack == prod", "attribute:stack"),
        ("group == database", "task:group"),
    ] {
        let error = error(text);
        assert_eq!(error.suggestion(), Some(suggestion), "{text}: {error}");
        assert!(
            error
                .to_string()
                .ends_with(&format!("; did you mean `{suggestion}`?")),
            "{error}"
        );
    }
    assert_eq!(error("attribute:a purple b").suggestion(), None);
}

#[test]
fn rendering_puts_carets_under_the_place() {
    let text = "attribute:stack == 'été' and\trunningTasksCount => 3";
    let rendered = error(text).render(text);
    let lines: Vec<&str> = rendered.lines().collect();
    assert_eq!(lines[0], "attribute:stack == 'été' and runningTasksCount => 3");
    assert_eq!(lines[1], "                                               ^^");
    assert!(
        lines[2].starts_with("unknown operator `=>`: expected one of"),
        "{rendered}"
    );
    assert_eq!(lines.len(), 3);

    let text = "attribute:stack ==";
    assert!(
        error(text)
            .render(text)
            .starts_with("attribute:stack ==\n                  ^\n")
    );
}

#[test]
fn rendering_shows_only_the_surroundings_in_a_long_text() {
    let many = ["attribute:a == b"; 40].join(" or ");
    let text = format!("{many} or attribute:b = c or {many}");
    let rendered = error(&text).render(&text);
    let lines: Vec<&str> = rendered.lines().collect();
    assert!(lines[0].starts_with('…') && lines[0].ends_with('…'), "{rendered}");
    assert_eq!(lines[0].chars().count(), 1 + 60 + 1 + 60 + 1);
    assert_eq!(lines[0].chars().nth(lines[1].len() - 1), Some('='));

    let endless = "x".repeat(1_000_000);
    let rendered = error(&endless).render(&endless);
    assert!(rendered.len() < 1_000, "{} bytes", rendered.len());
    assert!(rendered.contains("expression has 1000000 characters: expected at most 2000"));
}

#[test]
fn a_place_outside_another_text_is_rendered_without_panicking() {
    let error = error("attribute:some-attribute = c");
    for other in ["", "é", "aé", "short"] {
        assert!(error.render(other).contains("unknown operator"));
    }
}

#[test]
fn what_exceeds_a_limit_is_refused() {
    let too_long = format!("attribute:a == '{}'", "x".repeat(EXPRESSION_CHARACTERS_MAX - 16));
    assert!(error(&too_long).to_string().contains("2001 characters"));
    for text in [
        format!("{}agentConnected == true{}", "(".repeat(33), ")".repeat(33)),
        format!("{}agentConnected == true", "!".repeat(33)),
        format!("{}agentConnected == true", "not ".repeat(33)),
        format!("{}agentConnected == true{}", "not(".repeat(17), ")".repeat(17)),
        "(".repeat(2000),
        "!".repeat(2000),
        "!(".repeat(1000),
    ] {
        assert!(error(&text).to_string().contains("nested too deep"), "{text}");
    }
    assert!(
        error(&format!("attribute:{} exists", "n".repeat(129)))
            .to_string()
            .contains("invalid attribute name")
    );
    let patterns = ["attribute:a =~ .{125}"; 3].join(" or ");
    assert!(error(&patterns).to_string().contains("patterns are too large"));
}
