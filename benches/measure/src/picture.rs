//! The ratios of the table as a bar chart, in which lambda_runtime has the full width.

use std::fmt::Write;

use crate::table::Report;

const LABELS: usize = 330;
const WHOLE: f64 = 420.0;
const ROW: usize = 26;

pub fn draw(report: &Report) -> String {
    let rows: Vec<_> = report.rows.iter().filter(|row| row.ratio().is_some()).collect();
    let (width, height) = (LABELS + WHOLE as usize + 70, rows.len() * ROW + 64);
    let end = LABELS + WHOLE as usize;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#57606a\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#ffffff\"/>\n\
         <text x=\"{LABELS}\" y=\"22\">this runtime relative to lambda_runtime; lower is better</text>\n\
         <line x1=\"{end}\" x2=\"{end}\" y1=\"32\" y2=\"{}\" stroke=\"#8c959f\"/>\n",
        height - 24
    );
    for (number, row) in rows.iter().enumerate() {
        let ratio = row.ratio().unwrap_or_default();
        let y = 36 + number * ROW;
        let (text, bar) = (y + 15, WHOLE * ratio.min(1.0));
        let label = without_unit(row.figure.label()).replace('`', "");
        // Writing to a string cannot fail.
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{label}</text>\n\
             <rect x=\"{LABELS}\" y=\"{y}\" width=\"{WHOLE}\" height=\"20\" fill=\"#eaeef2\"/>\n\
             <rect x=\"{LABELS}\" y=\"{y}\" width=\"{bar:.1}\" height=\"20\" fill=\"#0969da\"/>\n\
             <text x=\"{}\" y=\"{text}\" fill=\"#1f2328\">{ratio:.2}</text>\n",
            LABELS - 10,
            end + 12,
        );
        if let Some(most) = row.target() {
            let x = LABELS as f64 + WHOLE * most;
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"#cf222e\" stroke-width=\"2\"/>",
                y - 2,
                y + 22
            );
        }
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LABELS}\" y=\"{}\" font-size=\"11\">red: the target of this runtime</text>\n</svg>",
        height - 8
    );
    svg
}

/// Removes the unit, which follows the last comma of a label. A ratio has no unit.
fn without_unit(label: &str) -> &str {
    label.rsplit_once(", ").map_or(label, |(rest, _)| rest)
}
