//! Tables of comma-separated values, read strictly: every problem is named with its line and column.
//!
//! The first line names the columns, in any order. A field with commas, quotes or line breaks is put in double
//! quotes; a quote inside it is doubled. White space around fields, empty lines and a byte order mark do not
//! matter.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use crate::seconds::read_millis;

/// Problems of a file that are named at most; the others are counted.
const PROBLEMS_MAX: usize = 10;

/// Characters of a value that a message repeats at most.
const SHOWN_CHARACTERS_MAX: usize = 60;

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    file: String,
    problems: Vec<Problem>,
    left_out: usize,
}

/// What is wrong at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    place: Place,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File,
    Line(usize),
    Field {
        line: usize,
        column: usize,
        name: String,
    },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Problem { place, reason }) in self.problems.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            match place {
                Place::File => write!(f, "{}: {reason}", self.file)?,
                Place::Line(line) => write!(f, "{}: line {line}: {reason}", self.file)?,
                Place::Field { line, column, name } => {
                    write!(
                        f,
                        "{}: line {line}, column {column} (`{name}`): {reason}",
                        self.file
                    )?;
                }
            }
        }
        match self.left_out {
            0 => Ok(()),
            1 => write!(f, "\n{}: and 1 more problem", self.file),
            more => write!(f, "\n{}: and {more} more problems", self.file),
        }
    }
}

impl std::error::Error for InputError {}

impl InputError {
    /// The file cannot be read at all.
    pub fn unreadable(file: &str, error: &std::io::Error) -> Self {
        let reason = format!("cannot be read: {error}");
        Self {
            file: file.to_owned(),
            problems: vec![Problem {
                place: Place::File,
                reason,
            }],
            left_out: 0,
        }
    }
}

/// Collects the problems of a file.
#[derive(Debug)]
pub(super) struct Problems {
    error: InputError,
}

impl Problems {
    /// None so far.
    pub(super) fn of(file: &str) -> Self {
        Self {
            error: InputError {
                file: file.to_owned(),
                problems: Vec::new(),
                left_out: 0,
            },
        }
    }

    fn add(&mut self, place: Place, reason: String) {
        if self.error.problems.len() < PROBLEMS_MAX {
            self.error.problems.push(Problem { place, reason });
        } else {
            self.error.left_out = self.error.left_out.saturating_add(1);
        }
    }

    /// A problem of the file as a whole.
    pub(super) fn in_file(&mut self, reason: impl Into<String>) {
        self.add(Place::File, reason.into());
    }

    fn in_line(&mut self, line: usize, reason: impl Into<String>) {
        self.add(Place::Line(line), reason.into());
    }

    /// A problem of one field.
    pub(super) fn in_field(&mut self, field: &Field<'_>, reason: impl Into<String>) {
        let name = field.name.to_owned();
        self.add(
            Place::Field {
                line: field.line,
                column: field.column,
                name,
            },
            reason.into(),
        );
    }

    /// What was read, if there was no problem.
    ///
    /// # Errors
    /// The problems.
    pub(super) fn finish<T>(self, read: T) -> Result<T, InputError> {
        if self.error.problems.is_empty() {
            Ok(read)
        } else {
            Err(self.error)
        }
    }
}

/// One field of a row.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    /// Its text, without white space around it.
    pub(super) text: Cow<'a, str>,
    /// The line where its row begins, counted from 1.
    pub(super) line: usize,
    column: usize,
    name: &'static str,
}

impl Field<'_> {
    /// A whole number of this range; `None`, and a problem more, when it is none.
    pub(super) fn whole(&self, range: RangeInclusive<u32>, problems: &mut Problems) -> Option<u32> {
        let (least, most) = (*range.start(), *range.end());
        let wanted = format!("a whole number, {least} to {most}");
        match self.text.parse::<u32>() {
            Ok(number) if range.contains(&number) => Some(number),
            Ok(_) => self.refuse("is out of range", &wanted, problems),
            Err(_) if is_whole_number(&self.text) => self.refuse("is out of range", &wanted, problems),
            Err(_) => self.refuse("is not a whole number", &wanted, problems),
        }
    }

    /// A length of time, in milliseconds, from seconds with up to three digits after the point.
    pub(super) fn seconds(&self, most: u32, problems: &mut Problems) -> Option<u64> {
        let wanted = format!("seconds, 0 to {most}, with at most three digits after the point");
        match read_millis(&self.text) {
            Some(millis) if millis <= u64::from(most).saturating_mul(1_000) => Some(millis),
            Some(_) => self.refuse("is out of range", &wanted, problems),
            None if is_whole_number(&self.text) => self.refuse("is out of range", &wanted, problems),
            None => self.refuse("is not a number of seconds", &wanted, problems),
        }
    }

    fn refuse<T>(&self, what: &str, wanted: &str, problems: &mut Problems) -> Option<T> {
        let reason = if self.text.is_empty() {
            format!("empty: give {wanted}")
        } else {
            format!("`{}` {what}: give {wanted}", shown(&self.text))
        };
        problems.in_field(self, reason);
        None
    }
}

/// With a sign or too large for any type, but a whole number to whoever wrote it.
fn is_whole_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A value as a message can repeat it.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARACTERS_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// The text of a file, or the first place where it is none.
pub(super) fn text_of<'a>(bytes: &'a [u8], problems: &mut Problems) -> Option<&'a str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = good
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                .saturating_add(1);
            problems.in_line(line, "not UTF-8 text: save the file as UTF-8");
            None
        }
    }
}

/// The rows below the header, each with its fields in the order of `columns`, whatever order the file has. The
/// columns in `optional` may be missing: their fields are empty then.
pub(super) fn rows<'a, const N: usize>(
    text: &'a str,
    columns: [&'static str; N],
    optional: &[&str],
    problems: &mut Problems,
) -> Vec<[Field<'a>; N]> {
    let mut records = Records { rest: text, line: 1 };
    let Some((line, header)) = records.next(problems) else {
        problems.in_file(format!(
            "empty: the first line names the columns: {}",
            columns.join(",")
        ));
        return Vec::new();
    };
    let Some(order) = column_order(line, &header, columns, optional, problems) else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    while let Some((line, mut fields)) = records.next(problems) {
        if fields.len() != header.len() {
            let hint = if fields.len() > header.len() {
                ": put a field with commas in double quotes"
            } else {
                ""
            };
            let reason = format!(
                "{} fields, but the header has {}{hint}",
                fields.len(),
                header.len()
            );
            problems.in_line(line, reason);
            continue;
        }
        let mut names = columns.iter();
        rows.push(order.map(|at| {
            Field {
                text: at
                    .and_then(|at| fields.get_mut(at))
                    .map(std::mem::take)
                    .unwrap_or_default(),
                line,
                column: at.unwrap_or(0).saturating_add(1),
                name: names.next().copied().unwrap_or_default(),
            }
        }));
    }
    rows
}

/// Where each column is in the file, if it is there.
fn column_order<const N: usize>(
    line: usize,
    header: &[Cow<'_, str>],
    columns: [&'static str; N],
    optional: &[&str],
    problems: &mut Problems,
) -> Option<[Option<usize>; N]> {
    let mut seen = BTreeSet::new();
    let mut good = true;
    for (at, name) in header.iter().enumerate() {
        let place = || Place::Field {
            line,
            column: at.saturating_add(1),
            name: shown(name),
        };
        if !columns.contains(&&**name) {
            problems.add(
                place(),
                format!("unknown column: the columns are {}", columns.join(",")),
            );
            good = false;
        } else if !seen.insert(name.as_ref()) {
            problems.add(place(), "this column is there twice: give it once".to_owned());
            good = false;
        }
    }
    let is_missing = |name: &&str| !seen.contains(name) && !optional.contains(name);
    let missing: Vec<&str> = columns.into_iter().filter(is_missing).collect();
    if !missing.is_empty() {
        let these = missing.join("`, `");
        problems.in_line(
            line,
            format!("missing column `{these}`: the columns are {}", columns.join(",")),
        );
        good = false;
    }
    good.then(|| columns.map(|name| header.iter().position(|found| found == name)))
}

/// Splits text into records.
struct Records<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Records<'a> {
    /// The next record that is not an empty line, with the line where it begins.
    fn next(&mut self, problems: &mut Problems) -> Option<(usize, Vec<Cow<'a, str>>)> {
        while !self.rest.is_empty() {
            let line = self.line;
            let fields = self.record(problems);
            if fields.len() > 1 || fields.iter().any(|field| !field.is_empty()) {
                return Some((line, fields));
            }
        }
        None
    }

    fn record(&mut self, problems: &mut Problems) -> Vec<Cow<'a, str>> {
        let mut fields = Vec::new();
        loop {
            let spaces = self.rest.trim_start_matches([' ', '\t']);
            let field = match spaces.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted, problems),
                None => Cow::Borrowed(self.plain()),
            };
            fields.push(field);
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
                continue;
            }
            self.rest = self.rest.strip_prefix('\n').unwrap_or(self.rest);
            self.line = self.line.saturating_add(1);
            return fields;
        }
    }

    /// The text up to the next comma or line end.
    fn plain(&mut self) -> &'a str {
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        field.trim()
    }

    fn quoted(&mut self, opened: &'a str, problems: &mut Problems) -> Cow<'a, str> {
        let (begin, mut rest) = (self.line, opened);
        let mut text = String::new();
        loop {
            let Some((part, behind)) = rest.split_once('"') else {
                problems.in_line(begin, "a double quote is opened and never closed");
                self.rest = "";
                return Cow::Owned(text);
            };
            text.push_str(part);
            self.line = self.line.saturating_add(part.matches('\n').count());
            match behind.strip_prefix('"') {
                Some(more) => {
                    text.push('"');
                    rest = more;
                }
                None => {
                    self.rest = behind;
                    break;
                }
            }
        }
        if !self.plain().is_empty() {
            problems.in_line(
                begin,
                "text behind a closing double quote: double the quotes inside a field",
            );
        }
        Cow::Owned(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<[String; 2]>, String> {
        let mut problems = Problems::of("f.csv");
        let rows = rows(text, ["a", "b"], &[], &mut problems);
        let texts = rows
            .into_iter()
            .map(|row| row.map(|field| field.text.into_owned()))
            .collect();
        problems.finish(texts).map_err(|error| error.to_string())
    }

    #[test]
    fn quotes_line_ends_order_and_white_space_are_read() {
        let expected = vec![
            ["1".to_owned(), "x, \"y\"\nz".to_owned()],
            ["2".to_owned(), String::new()],
        ];
        assert_eq!(
            read("\n b ,a\r\n \"x, \"\"y\"\"\nz\" , 1\r\n\r\n,2"),
            Ok(expected)
        );
    }

    #[test]
    fn a_wrong_header_names_every_column_that_is_wrong() {
        let error = read("a,c,a\n1,2,3").unwrap_err();
        assert_eq!(
            error,
            "f.csv: line 1, column 2 (`c`): unknown column: the columns are a,b\n\
             f.csv: line 1, column 3 (`a`): this column is there twice: give it once\n\
             f.csv: line 1: missing column `b`: the columns are a,b"
        );
        assert_eq!(
            read(" \n\n").unwrap_err(),
            "f.csv: empty: the first line names the columns: a,b"
        );
    }

    #[test]
    fn a_row_of_another_length_is_named_with_its_line() {
        let error = read("a,b\n\"1\n2\",3\n4\n5,6,7\n\"8").unwrap_err();
        assert_eq!(
            error,
            "f.csv: line 4: 1 fields, but the header has 2\n\
             f.csv: line 5: 3 fields, but the header has 2: put a field with commas in double quotes\n\
             f.csv: line 6: a double quote is opened and never closed"
        );
    }

    #[test]
    fn only_the_first_problems_are_named_and_the_others_counted() {
        let error = read(&format!("a,b{}", "\n1".repeat(13))).unwrap_err();
        assert_eq!(error.lines().count(), PROBLEMS_MAX + 1);
        assert!(error.ends_with("f.csv: and 3 more problems"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_text_are_named_with_their_line() {
        let mut problems = Problems::of("f.csv");
        assert_eq!(text_of(b"a,b\n\xff", &mut problems), None);
        let error = problems.finish(()).unwrap_err().to_string();
        assert_eq!(error, "f.csv: line 2: not UTF-8 text: save the file as UTF-8");
    }
}
