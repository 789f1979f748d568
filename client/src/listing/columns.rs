//! A table column by column. One in which nobody has anything can be left out: terminals are narrow.

use crate::fleet::table;

/// Stands for what is not known.
pub(super) const UNKNOWN: &str = "-";

/// Columns from left to right, with as many cells each.
#[derive(Debug, Default)]
pub(super) struct Columns(Vec<(&'static str, Vec<String>)>);

impl Columns {
    /// A further column.
    pub(super) fn with(mut self, title: &'static str, cells: impl Iterator<Item = String>) -> Self {
        self.0.push((title, cells.collect()));
        self
    }

    /// A further column, if anything in it is known.
    pub(super) fn with_known(self, title: &'static str, cells: impl Iterator<Item = Option<String>>) -> Self {
        let cells: Vec<_> = cells.collect();
        if cells.iter().all(Option::is_none) {
            return self;
        }
        self.with(title, cells.into_iter().map(|cell| cell.unwrap_or_else(|| UNKNOWN.to_owned())))
    }

    /// The columns that a terminal of this width has room for: the first of `expendable` goes first, when cutting `elastic` is not
    /// enough. A file or a pipe has room for all.
    pub(super) fn within(mut self, width: Option<usize>, elastic: &str, expendable: &[&str]) -> Self {
        for title in expendable {
            if width.is_none_or(|most| self.least(elastic) <= most) {
                break;
            }
            self.0.retain(|(known, _)| known != title);
        }
        self
    }

    /// The narrowest that lines can be.
    fn least(&self, elastic: &str) -> usize {
        let widths = self.0.iter().map(|(title, cells)| {
            let cells = cells.iter().map(|cell| cell.chars().count());
            let width = cells.chain([title.chars().count()]).max().unwrap_or_default();
            if *title == elastic { table::least(title, width) } else { width }
        });
        widths.sum::<usize>() + table::GAP.len() * self.0.len().saturating_sub(1)
    }

    /// Lines of the table; nothing, not even its heading, when there are no rows. The column `elastic` gives way where the
    /// terminal is narrower.
    pub(super) fn lines(&self, elastic: &str, width: Option<usize>) -> Vec<String> {
        let heading: Vec<&str> = self.0.iter().map(|(title, _)| *title).collect();
        let count = self.0.first().map_or(0, |(_, cells)| cells.len());
        if count == 0 {
            return Vec::new();
        }
        let row = |number| self.0.iter().filter_map(|(_, cells)| cells.get(number)).cloned().collect();
        let rows: Vec<Vec<String>> = (0..count).map(row).collect();
        let elastic = heading.iter().position(|title| *title == elastic).unwrap_or_default();
        table::lines(&heading, &rows, elastic, width)
    }
}

/// Lines as text, each with its end.
pub(super) fn text(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        let cell = |text: &str| std::iter::once(text.to_owned());
        Columns::default()
            .with("TASK", cell("0123abcd"))
            .with("ADDRESS", cell("10.0.1.100"))
            .with("CONTAINERS", cell("app,proxy,log-router"))
            .with("DEFINITION", cell("a-family-with-a-long-name:123"))
    }

    fn shown(width: Option<usize>) -> String {
        columns().within(width, "DEFINITION", &["CONTAINERS", "ADDRESS"]).lines("DEFINITION", width).join("\n")
    }

    #[test]
    fn a_narrow_terminal_has_fewer_columns_and_no_line_that_is_too_long() {
        let all =
            "TASK      ADDRESS     CONTAINERS            DEFINITION\n0123abcd  10.0.1.100  app,proxy,log-router  ";
        assert_eq!(shown(None), format!("{all}a-family-with-a-long-name:123"));
        assert_eq!(shown(Some(80)), format!("{all}a-family-with-a-long-name:123"));
        assert_eq!(shown(Some(60)), format!("{all}…a-long-name:123"), "it is cut before any other goes");
        assert_eq!(
            shown(Some(50)),
            "TASK      ADDRESS     DEFINITION\n0123abcd  10.0.1.100  …family-with-a-long-name:123"
        );
        assert_eq!(shown(Some(20)), "TASK      DEFINITION\n0123abcd  …-name:123");
        assert_eq!(shown(Some(5)).lines().count(), 2, "what identifies a row stays");
    }
}
