//! A plot as SVG: a logarithmic axis across, a linear one from zero up.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
/// Where the axes stand: left, right, top, bottom.
const AREA: (f64, f64, f64, f64) = (70.0, 700.0, 60.0, 310.0);

/// A line of points.
pub(crate) struct Series {
    name: &'static str,
    colour: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Series {
    pub(crate) const fn new(name: &'static str, colour: &'static str) -> Self {
        Self { name, colour, points: Vec::new() }
    }
}

/// What is drawn.
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    pub(crate) series: Vec<Series>,
    /// A band of so many percent about the first series' last point.
    pub(crate) within: Option<f64>,
}

impl Plot {
    /// Writes it down.
    pub(crate) fn write(&self, file: &Path) {
        fs::write(file, self.svg()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        println!("{}", file.display());
    }

    fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let first = points().map(|point| point.0).fold(f64::INFINITY, f64::min).log10().floor();
        let last = points().map(|point| point.0).fold(0.0, f64::max).log10().ceil().max(first + 1.0);
        let step = nice_step(points().map(|point| point.1).fold(0.0, f64::max) / 5.0);
        let top = (points().map(|point| point.1).fold(0.0, f64::max) / step).ceil().max(1.0) * step;
        let (left, right, above, below) = AREA;
        let x = |value: f64| left + (value.log10() - first) / (last - first) * (right - left);
        let y = |value: f64| below - value / top * (below - above);

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
             <text x=\"{left}\" y=\"20\" font-size=\"15\">{}</text>\n",
            self.title
        );
        let mut put = |text: String| {
            svg.push_str(&text);
            svg.push('\n');
        };
        if let (Some(percent), Some(end)) = (self.within, self.series.first().and_then(|series| series.points.last())) {
            let (high, low) = (y((end.1 * (1.0 + percent / 100.0)).min(top)), y(end.1 * (1.0 - percent / 100.0)));
            put(format!("<rect x=\"{left}\" y=\"{high:.1}\" width=\"{}\" height=\"{:.1}\" fill=\"#dfe9f5\"/>", right - left, low - high));
        }
        for at in 0..=(top / step).round() as u32 {
            let value = f64::from(at) * step;
            put(format!("<line x1=\"{left}\" x2=\"{right}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"#dddddd\"/>", y(value)));
            put(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", left - 6.0, y(value) + 4.0));
        }
        for power in first as i32..=last as i32 {
            let at = x(10f64.powi(power));
            put(format!("<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{above}\" y2=\"{below}\" stroke=\"#eeeeee\"/>"));
            put(format!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", below + 17.0, grouped(power)));
        }
        put(format!("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>", (left + right) / 2.0, below + 38.0, self.across));
        let middle = (above + below) / 2.0;
        put(format!("<text x=\"16\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle})\">{}</text>", self.up));
        let mut at = left;
        for series in &self.series {
            let colour = series.colour;
            let mut line = String::new();
            for (across, up) in &series.points {
                // To write into a String can't fail.
                let _ = write!(line, "{:.1},{:.1} ", x(*across), y(*up));
                put(format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(*across), y(*up)));
            }
            put(format!("<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", line.trim_end()));
            put(format!("<line x1=\"{at}\" x2=\"{}\" y1=\"40\" y2=\"40\" stroke=\"{colour}\" stroke-width=\"2\"/>", at + 20.0));
            put(format!("<text x=\"{}\" y=\"44\">{}</text>", at + 26.0, series.name));
            at += 46.0 + 7.0 * series.name.len() as f64;
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// The next of 1, 2, 5, 10, 20, ... above.
fn nice_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].iter().map(|factor| factor * power).find(|step| *step >= least).unwrap_or(10.0 * power)
}

/// A power of ten with commas.
fn grouped(power: i32) -> String {
    let digits = format!("{:.0}", 10f64.powi(power));
    let with_commas = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(with_commas).collect()
}
