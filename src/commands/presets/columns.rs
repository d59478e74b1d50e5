//! A table whose cells are wrapped at words.

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// The most characters of a line, unless one word is longer.
    pub(super) width: usize,
}

const GAP: &str = "  ";

/// Renders rows, each on as many lines as its longest cell needs.
pub(super) fn render_columns<const N: usize>(columns: [Column; N], rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        let cells: Vec<Vec<String>> =
            row.iter().zip(columns).map(|(cell, column)| wrap(cell, column.width)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for line in 0..height {
            let parts: Vec<String> = cells
                .iter()
                .zip(columns)
                .map(|(cell, Column { width })| {
                    format!("{:<width$}", cell.get(line).map_or("", String::as_str))
                })
                .collect();
            text.push_str(parts.join(GAP).trim_end());
            text.push('\n');
        }
    }
    text
}

/// Lines of at most `width` characters, unless one word is longer.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        let fits = line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width;
        if !fits {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cell_is_continued_below_its_beginning() {
        let rows = [["a".to_owned(), "one two three".to_owned()], ["bc".to_owned(), "four".to_owned()]];
        let table = render_columns([Column { width: 2 }, Column { width: 7 }], &rows);
        assert_eq!(table, "a   one two\n    three\nbc  four\n");
    }

    #[test]
    fn a_word_that_is_longer_than_its_column_is_not_cut() {
        assert_eq!(wrap("a 0123456789 b", 4), ["a", "0123456789", "b"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
