//! The stories' figures as a picture: how long the large tasks wait, on a logarithmic scale, in SVG.
//!
//! Bars and words are all it has, so it is written here and no plotting library is built for it.

use std::fmt::Write as _;

use super::{PolicyReport, StoryReport, VariantReport};

/// The shortest and the longest wait on the scale, in seconds.
const SCALE_S: (f64, f64) = (10.0, 30_000.0);

/// The waits with a line and a label, in seconds.
const LABELLED_S: [f64; 4] = [10.0, 100.0, 1_000.0, 10_000.0];

// Lengths in the picture's own unit, which is a pixel when it is not scaled.
const WIDTH: f64 = 860.0;
const BARS_FROM: f64 = 190.0;
const BARS_TO: f64 = 600.0;
const ROW: f64 = 24.0;
const BAR: f64 = 14.0;
const TITLE: f64 = 46.0;
const AXIS: f64 = 34.0;

// Colours of bars.
const SERVED: &str = "#4878a8";
const STARVED: &str = "#c0504d";

impl PolicyReport {
    /// The report as an SVG picture.
    pub fn to_svg(&self) -> String {
        let height: f64 = self.stories.iter().map(height_of).sum();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        let mut top = 0.0;
        for story in &self.stories {
            draw_story(&mut svg, story, self.replicas, top);
            top += height_of(story);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn height_of(story: &StoryReport) -> f64 {
    TITLE + ROW * story.variants.len() as f64 + AXIS
}

/// Whether more than one large task in twenty had not started when the story was over. The last ones of a story
/// that wait as briefly as all others do not make one.
const fn starved(report: &VariantReport) -> bool {
    report.large_started.saturating_mul(20) < report.large.saturating_mul(19)
}

/// Where a wait is on the scale. What is shorter or longer than the scale is at its end.
fn x_of(wait_s: f64) -> f64 {
    let (least, most) = SCALE_S;
    let share = (wait_s.clamp(least, most) / least).ln() / (most / least).ln();
    BARS_FROM + share * (BARS_TO - BARS_FROM)
}

fn draw_story(svg: &mut String, story: &StoryReport, replicas: usize, top: f64) {
    let rows_from = top + TITLE;
    let rows_to = rows_from + ROW * story.variants.len() as f64;
    write_text(svg, 10.0, top + 18.0, "start", "bold", story.story.title);
    let what = format!(
        "mean wait of the large tasks, mean of {replicas} replicas and standard deviation; red: more than one in twenty \
         had not started in the end"
    );
    write_text(svg, 10.0, top + 36.0, "start", "normal", &what);
    for seconds in LABELLED_S {
        let x = x_of(seconds);
        write_line(svg, (x, rows_from), (x, rows_to), "#ddd");
        write_text(
            svg,
            x,
            rows_to + 16.0,
            "middle",
            "normal",
            &format!("{seconds:.0} s"),
        );
    }
    let mut row = rows_from;
    for variant in &story.variants {
        draw_variant(svg, variant, row);
        row += ROW;
    }
}

fn draw_variant(svg: &mut String, report: &VariantReport, top: f64) {
    let middle = top + ROW / 2.0;
    let baseline = middle + 4.0;
    write_text(
        svg,
        BARS_FROM - 8.0,
        baseline,
        "end",
        "normal",
        report.variant.title,
    );
    let wait = report.wait_s;
    let colour = if starved(report) { STARVED } else { SERVED };
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<rect x=\"{BARS_FROM}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>",
        middle - BAR / 2.0,
        x_of(wait.mean) - BARS_FROM
    );
    let ends = (x_of(wait.mean - wait.deviation), x_of(wait.mean + wait.deviation));
    write_line(svg, (ends.0, middle), (ends.1, middle), "black");
    let words = format!(
        "{}, {:.1} % in use",
        report.wait_text(),
        report.utilisation_percent.mean
    );
    write_text(svg, BARS_TO + 8.0, baseline, "start", "normal", &words);
}

fn write_text(svg: &mut String, x: f64, y: f64, anchor: &str, weight: &str, text: &str) {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{text}</text>"
    );
}

fn write_line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
        from.0, from.1, to.0, to.1
    );
}
