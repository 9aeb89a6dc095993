//! Aligned columns for people.

use std::fmt::Write;

use berth_scheduler::snapshot::InstanceView;

/// Characters between two columns.
const GAP: usize = 2;

/// What a table shows where an instance does not have an attribute.
const MISSING: &str = "-";

/// What a table shows for an attribute that carries no value, like most capabilities.
const WITHOUT_VALUE: &str = "(no value)";

/// The value of an attribute as a table shows it.
pub fn attribute_text<'v>(instance: &'v InstanceView, name: &str) -> &'v str {
    match instance.attributes.get(name) {
        None => MISSING,
        Some(None) => WITHOUT_VALUE,
        Some(Some(value)) => value,
    }
}

/// One row per instance: `first` names the column of its number if there is one, then come its id and the
/// attributes asked for.
pub fn instance_table(first: Option<&str>, instances: &[&InstanceView], attributes: &[String]) -> String {
    let mut header: Vec<String> = first.map(str::to_owned).into_iter().collect();
    header.push("INSTANCE".to_owned());
    header.extend(attributes.iter().cloned());
    let rows = instances.iter().enumerate().map(|(position, instance)| {
        let number = position.saturating_add(1).to_string();
        let mut row: Vec<String> = first.map(|_| number).into_iter().collect();
        row.push(instance.record.arn().id().to_owned());
        row.extend(
            attributes
                .iter()
                .map(|name| attribute_text(instance, name).to_owned()),
        );
        row
    });
    aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}

fn aligned(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:<wide$}", wide = width.saturating_add(GAP));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_without_spaces() {
        let rows = [["A", "LONG", "C"], ["ä1234", "x", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "A      LONG  C\nä1234  x\n");
    }
}
