use std::time::{Duration, Instant};

use super::PatternProblem::{Malformed, TooDeep, TooLarge, Unsupported};
use super::*;

fn problem(source: &str) -> Option<PatternProblem> {
    Pattern::parse(source).err().map(|error| error.problem)
}

fn matches(source: &str, value: &str) -> bool {
    Pattern::parse(source).unwrap().matches(value)
}

/// The values of a row are what Java 17 says; a pattern that Java refuses must not mean anything here.
#[test]
fn patterns_mean_what_they_mean_in_java() {
    const HEADER_LINES: usize = 2;
    let corpus = include_str!("java17.tsv");
    let mut verdicts = [0, 0, 0];
    for row in corpus.lines().skip(HEADER_LINES) {
        let fields: Vec<String> = row.split('\t').map(decode).collect();
        let [source, value, expected] = fields.as_slice() else {
            panic!("`{row}` has no three fields")
        };
        let pattern = Pattern::parse(source);
        let actual = match &pattern {
            Ok(pattern) if pattern.matches(value) => "true",
            Ok(_) => "false",
            Err(_) => "error",
        };
        assert_eq!(actual, expected, "{row}: {pattern:?}");
        verdicts[["true", "false", "error"]
            .iter()
            .position(|verdict| verdict == expected)
            .unwrap()] += 1;
    }
    assert!(verdicts.iter().all(|rows| *rows >= 100), "{verdicts:?}");
}

/// Undoes the corpus's way of writing what would not be visible: `%a;` is a line feed.
fn decode(field: &str) -> String {
    let mut parts = field.split('%');
    let mut decoded = parts.next().unwrap().to_owned();
    for part in parts {
        let (code_point, rest) = part.split_once(';').unwrap();
        decoded.extend(char::from_u32(u32::from_str_radix(code_point, 16).unwrap()));
        decoded.push_str(rest);
    }
    decoded
}

#[test]
fn the_whole_value_must_match() {
    assert!(matches("t2.*", "t2.small"));
    assert!(!matches("t2.*", "xt2.small"));
    assert!(!matches("t2", "t2.small"));
    assert!(!matches("a|ab", "abc"));
    assert!(matches("a|abc", "abc"));
}

#[test]
fn what_only_java_can_match_is_refused_by_name() {
    for (source, name) in [
        ("(?=a)a", "look-ahead `(?=`"),
        ("(?!a)b", "look-ahead `(?!`"),
        ("(?<=a)b", "look-behind `(?<=`"),
        ("(?<!a)b", "look-behind `(?<!`"),
        ("(?>a*)b", "atomic group `(?>`"),
        ("a++", "possessive quantifier"),
        ("a*+", "possessive quantifier"),
        ("a?+", "possessive quantifier"),
        ("a{2}+", "possessive quantifier"),
        (r"(a)\1", "back-reference"),
        (r"(?<n>a)\k<n>", "back-reference"),
        (r"\Qa.b\E", r"quotation `\Q..\E`"),
        (r"[\Qa\E]", r"quotation `\Q..\E`"),
        ("[a-z&&[^b]]", "class intersection `&&`"),
        ("[a[bc]]", "nested character class"),
        ("[[:alpha:]]", "nested character class"),
        (r"\p{L}", "Unicode property"),
        (r"\pL", "Unicode property"),
        (r"\P{IsGreek}", "Unicode property"),
        ("(?m)^a$", "a flag other than `i` and `s`"),
        ("(?x: a )", "a flag other than `i` and `s`"),
        (r"\R", r"line break `\R`"),
        (r"\07", r"octal escape `\0`"),
        (r"\cA", r"control escape `\c`"),
        (r"\X", r"grapheme cluster `\X`"),
        (r"\Ga", r"end of the previous match `\G`"),
        (r"\N{DIGIT ONE}", r"named character `\N`"),
    ] {
        assert_eq!(problem(source), Some(Unsupported(name)), "{source}");
    }
}

#[test]
fn syntax_of_other_regex_languages_is_no_pattern() {
    for source in [
        "(?P<n>a)",
        "(?<1n>a)",
        "(?<n>a)(?<n>b)",
        "(?",
        "(?<",
        "(",
        ")",
        "a)",
        "[",
        "[]",
        "[^]",
        "[a",
        "[a-",
        "*",
        "a|*",
        "(*)",
        "a**",
        "a???",
        "a{2}{3}",
        "^*",
        "{",
        "a{",
        "a{,3}",
        "a{x}",
        "a{3,2}",
        "a{1",
        r"a\",
        r"[a\",
        r"\y",
        r"\U0041",
        r"\x4",
        r"\x{110000}",
        r"\x{}",
        r"\x{41",
        r"\ud800",
        r"[\b]",
        r"[a-\d]",
        "[b-a]",
        r"\p{Lower",
    ] {
        assert!(
            matches!(problem(source), Some(Malformed(_))),
            "{source}: {:?}",
            problem(source)
        );
    }
}

#[test]
fn an_error_spans_the_characters_it_is_about() {
    for (source, marked) in [
        ("ab(?=c)", "(?="),
        ("a++", "+"),
        ("é(?>a)", "(?>"),
        (r"a\1", r"\1"),
        (r"ab\", r"\"),
        ("ab(c", "("),
        ("a[bc", "[bc"),
        ("[a&&b]", "&"),
        ("xa{5,1}", "{5,1}"),
        (r"a\p{IsGreek}b", r"\p{IsGreek}"),
    ] {
        let span = Pattern::parse(source).unwrap_err().span;
        assert_eq!(&source[span.start..span.end], marked, "{source}");
    }
}

#[test]
fn plain_text_and_plain_prefixes_need_no_engine() {
    for (source, expected) in [
        ("t2", "Equals(\"t2\")"),
        ("^t2$", "Equals(\"t2\")"),
        (r"t2\.micro", "Equals(\"t2.micro\")"),
        ("", "Equals(\"\")"),
        ("g2.*", "StartsWith(\"g2\")"),
        (r"^t2\..*$", "StartsWith(\"t2.\")"),
        (".*", "StartsWith(\"\")"),
    ] {
        assert_eq!(
            format!("{:?}", Pattern::parse(source).unwrap().matcher),
            expected,
            "{source}"
        );
    }
    for source in [
        "g2.", "g2.+", "g2.*a", "a*", "a|b", "(a)", "[a]", r"\d", r"\x41", "a$b", "a^b", "g.*?",
    ] {
        assert!(
            matches!(Pattern::parse(source).unwrap().matcher, Matcher::Engine(_)),
            "{source}"
        );
    }
}

#[test]
fn plain_matchers_and_the_engine_agree() {
    let values = [
        "",
        "g2",
        "g2.xlarge",
        "g2\n",
        "g2.\u{2028}",
        "xg2",
        "t2.micro",
        "t2xmicro",
        "^t2$",
        "t2",
    ];
    for source in [
        "t2",
        "^t2$",
        r"t2\.micro",
        "",
        "g2.*",
        r"^t2\..*$",
        ".*",
        r"\^t2\$",
    ] {
        let engine = compile(&java::translate(source).unwrap().regex, Span { start: 0, end: 0 }).unwrap();
        let pattern = Pattern::parse(source).unwrap();
        assert!(!matches!(pattern.matcher, Matcher::Engine(_)), "{source}");
        for value in values {
            assert_eq!(
                pattern.matches(value),
                engine.is_match(value),
                "{source} on {value:?}"
            );
        }
    }
}

#[test]
fn counted_repetition_cannot_make_a_small_pattern_large() {
    for source in [
        "(a{1000}){1000}",
        "a{2001}",
        "((a{20}){20}){20}",
        "(){3000}",
        "a{99999999999999999999}",
        "(a{2,}){900}",
    ] {
        assert_eq!(problem(source), Some(TooLarge), "{source}");
    }
    assert_eq!(problem(".{251}"), Some(TooLarge));
    assert_eq!(problem("[a-zé]{251}"), Some(TooLarge));
    assert_eq!(
        Pattern::parse("(ab){10}c{2,}d{0,3}e*").unwrap().size(),
        20 + 3 + 3 + 1
    );
    assert_eq!(
        Pattern::parse(r"\d{17}[a-f]{255}\S").unwrap().size(),
        34 + 510 + 8
    );
    assert!(matches("a{2000}", &"a".repeat(2000)));
    assert!(matches(".{1,128}", &"x".repeat(128)));
}

#[test]
fn groups_nest_up_to_the_limit() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")*".repeat(depth));
    assert!(matches(&nested(32), "aaa"));
    assert_eq!(problem(&nested(33)), Some(TooDeep));
    assert_eq!(problem(&"(".repeat(2000)), Some(TooDeep));
}

/// The largest patterns and values that ECS takes, of the shapes that take backtracking engines for ever.
#[test]
fn hostile_patterns_are_compiled_and_matched_in_bounded_time() {
    let value = format!("{}!", "a".repeat(255));
    for source in [
        "(a+)+".to_owned(),
        "(a|a)*".to_owned(),
        "(a|aa)+".to_owned(),
        "(.*a){11}".to_owned(),
        "(a*)*b".to_owned(),
        format!("{}{}", "a?".repeat(400), "a".repeat(400)),
        "(.*)".repeat(250),
        ".{250}".to_owned(),
        "(.{0,12}){20}".to_owned(),
        r"(\S{0,12}){20}".to_owned(),
        r"([^\x{100}-\x{1ff}a]|\V){117}".to_owned(),
        "((a{0,12}){0,12}){0,12}b".to_owned(),
    ] {
        let started = Instant::now();
        let pattern = Pattern::parse(&source).unwrap();
        let is_match = pattern.matches(&value);
        let elapsed = started.elapsed();
        assert!(!is_match || source.contains(".*)(.*"), "{source}");
        assert!(elapsed < Duration::from_secs(2), "{source} took {elapsed:?}");
    }
}
