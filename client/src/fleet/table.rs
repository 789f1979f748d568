//! A table for people: columns as wide as they need, within the terminal, the one that can be cut cut from its left.

/// What separates columns.
pub(crate) const GAP: &str = "  ";
/// What stands for what was cut off.
const CUT: char = '…';
/// Narrower than this, a cut column says nothing.
const CUT_MIN: usize = 8;

/// Lines of the table. Rows have as many cells as the heading. Where the lines would be wider than `width`, the column
/// `elastic` gives way: what ends its cells matters most.
pub(crate) fn lines(heading: &[&str], rows: &[Vec<String>], elastic: usize, width: Option<usize>) -> Vec<String> {
    let mut widths: Vec<usize> = heading.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let all: usize = widths.iter().sum::<usize>() + GAP.len() * heading.len().saturating_sub(1);
    if let (Some(most), Some(column)) = (width, widths.get_mut(elastic)) {
        let least = heading.get(elastic).map_or(0, |title| least(title, *column));
        *column = column.saturating_sub(all.saturating_sub(most)).max(least);
    }
    let heading: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    std::iter::once(&heading).chain(rows).map(|row| line(row, &widths)).collect()
}

/// How narrow a column of this width can be cut. A heading that is cut says nothing.
pub(crate) fn least(title: &str, width: usize) -> usize {
    width.min(CUT_MIN.max(title.chars().count()))
}

/// Columns of the terminal that standard output is; `None` for a file or a pipe.
pub(crate) fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{:<width$}", cut(cell, *width))).collect();
    cells.join(GAP).trim_end().to_owned()
}

fn cut(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return cell.to_owned();
    }
    std::iter::once(CUT).chain(cell.chars().skip(length + 1 - width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        [["a", "assumed-role/Admin/jane@example.com", "1s"], ["bbbb", "user/joe", "10m"]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec()
    }

    #[test]
    fn columns_stand_below_each_other() {
        assert_eq!(
            lines(&["ID", "WHO", "AGE"], &rows(), 1, None),
            [
                "ID    WHO                                  AGE",
                "a     assumed-role/Admin/jane@example.com  1s",
                "bbbb  user/joe                             10m",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_elastic_column_from_its_left() {
        let lines = lines(&["ID", "WHO", "AGE"], &rows(), 1, Some(30));
        assert_eq!(
            lines,
            ["ID    WHO                  AGE", "a     …n/jane@example.com  1s", "bbbb  user/joe             10m"]
        );
        let narrowest = super::lines(&["ID", "WHO", "AGE"], &rows(), 1, Some(5));
        assert_eq!(narrowest[1], "a     …ple.com  1s");
    }
}
