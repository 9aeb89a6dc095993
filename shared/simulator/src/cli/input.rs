//! Text files that commands read.

use std::io::Read;
use std::path::Path;

/// Bytes of a file at most: a cluster of 5,000 container instances has about 80 MB.
const FILE_BYTES_MAX: u64 = 512 * 1_024 * 1_024;

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// A file's name for messages.
pub(super) fn name_of(path: &Path) -> String {
    if path == Path::new(STANDARD_INPUT) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Checks that standard input, which can be read once, is at most one of these files.
///
/// # Errors
/// When it is named twice.
pub(super) fn check_standard_input<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<(), String> {
    let named = paths
        .into_iter()
        .filter(|path| *path == Path::new(STANDARD_INPUT))
        .count();
    if named > 1 {
        return Err("standard input: named for two files: give one of them by its path".to_owned());
    }
    Ok(())
}

/// Reads a file; `-` is standard input.
///
/// # Errors
/// Names the file and the reason.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let name = name_of(path);
    let mut bytes = Vec::new();
    let read = if path == Path::new(STANDARD_INPUT) {
        std::io::stdin()
            .lock()
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
    };
    match read {
        Err(error) => Err(format!("{name}: cannot be read: {error}")),
        Ok(length) if length as u64 >= FILE_BYTES_MAX => Err(format!(
            "{name}: is too large: give less than {FILE_BYTES_MAX} bytes"
        )),
        Ok(_) => String::from_utf8(bytes).map(without_mark).map_err(|error| {
            format!(
                "{name}: is not UTF-8 text, from byte {} on",
                error.utf8_error().valid_up_to()
            )
        }),
    }
}

/// Some editors begin a text with a byte order mark.
fn without_mark(text: String) -> String {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}
