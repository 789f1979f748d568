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
