//! Elastic tab stops, as Go's `text/tabwriter` lays them out for descriptions: cells end with a tab,
//! and a column is as wide as its widest cell in adjacent lines, plus two.

/// What separates columns.
const PADDING: usize = 2;

/// Replaces tabs by blanks.
pub(crate) fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|l| l.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines
        .iter()
        .map(|l| vec![0; l.len().saturating_sub(1)])
        .collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut start = 0;
        while start < lines.len() {
            let end = (start..lines.len())
                .find(|i| widths[*i].len() <= column)
                .unwrap_or(lines.len());
            let widest = (start..end)
                .map(|i| lines[i][column].chars().count())
                .max()
                .unwrap_or(0);
            for row in &mut widths[start..end] {
                row[column] = if widest == 0 { 0 } else { widest + PADDING };
            }
            start = end + 1;
        }
    }
    let rendered = lines.iter().zip(&widths).map(|(cells, widths)| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(
                ' ',
                width.saturating_sub(cell.chars().count()),
            ));
        }
        line.push_str(cells.last().unwrap_or(&""));
        line
    });
    rendered.collect::<Vec<_>>().join("\n")
}
