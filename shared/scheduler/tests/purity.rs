//! INVARIANT (Purity): this crate decides from values alone, so that every decision can be replayed.
//!
//! Checked on what it depends on and on its source: nothing it could reach the world with may be named.

#![expect(clippy::expect_used, reason = "a test that cannot read the source must fail")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// `regex` and what it is made of.
const DEPENDENCIES_ALLOWED: [&str; 6] = [
    "berth-scheduler",
    "regex",
    "regex-automata",
    "regex-syntax",
    "aho-corasick",
    "memchr",
];

/// What reaches the world, depends on the order of a hash map, or rounds.
const WORDS_FORBIDDEN: [&str; 22] = [
    "SystemTime",
    "Instant",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "HashMap",
    "HashSet",
    "RandomState",
    "async",
    "await",
    "f32",
    "f64",
    "unsafe",
    "static mut",
    "Mutex",
    "println!",
    "eprintln!",
    "include_bytes!",
    "thread_local!",
];

#[test]
fn it_depends_on_nothing_but_regular_expressions() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "berth-scheduler",
            "-e",
            "normal",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&output.stdout);
    let names: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(names.contains(&"berth-scheduler"), "{tree}{errors}");
    for name in names {
        assert!(
            DEPENDENCIES_ALLOWED.contains(&name),
            "`{name}` is not an allowed dependency"
        );
    }
}

#[test]
fn its_source_names_nothing_that_reaches_the_world() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() > 20, "the scan found only {} files", sources.len());
    let mut offences = Vec::new();
    for path in sources {
        let text = std::fs::read_to_string(&path).expect("a source file is text");
        // Unit tests stand at the end of a file and may do more.
        let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (line, number) in code.lines().zip(1..) {
            for word in words_in(line) {
                offences.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn the_scan_sees_code_and_not_comments() {
    assert_eq!(words_in("use std::collections::HashMap; // why"), ["HashMap"]);
    assert_eq!(words_in("    let now = std::time::Instant::now();"), ["Instant"]);
    assert_eq!(words_in("/// The instant, never a HashMap."), Vec::<&str>::new());
    assert_eq!(words_in("fn instant() {} // Instant"), Vec::<&str>::new());
    assert_eq!(words_in("let asynchronous = InstantFood;"), Vec::<&str>::new());
}

/// The forbidden words in the code of a line, as whole words.
fn words_in(line: &str) -> Vec<&'static str> {
    let code = line.split("//").next().unwrap_or("");
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let stands_alone = |word: &str| {
        code.match_indices(word).any(|(at, _)| {
            let (before, after) = (&code[..at], &code[at + word.len()..]);
            !is_part(before.chars().next_back()) && !is_part(after.chars().next())
        })
    };
    WORDS_FORBIDDEN
        .into_iter()
        .filter(|word| stands_alone(word))
        .collect()
}

/// All source files but test modules.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && name != "tests" {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
    found
}
