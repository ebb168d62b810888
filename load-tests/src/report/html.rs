//! The report as one page: tables and drawings, nothing loaded from anywhere.

use super::{Report, millis};
use std::fmt::Write;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 24.0;
/// Bars of the histogram.
const BARS: usize = 60;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto}text{font-size:11px;fill:#555}\
@media(prefers-color-scheme:dark){body{background:#151515;color:#ddd}td,th{border-color:#333}text{fill:#aaa}}";

/// A line of a drawing.
struct Line {
    name: &'static str,
    colour: &'static str,
    points: Vec<f64>,
}

/// The page.
pub fn page(r: &Report) -> String {
    let mut out = String::new();
    let title = escape(&r.title);
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{}</p>",
        escape(&r.setup)
    );
    for note in &r.notes {
        let _ = write!(out, "<p>{}</p>", escape(note));
    }
    table(&mut out, r);
    let seconds = &r.recorder.seconds;
    let over = |f: &dyn Fn(&crate::load::Second) -> f64| seconds.iter().map(f).collect::<Vec<_>>();
    section(
        &mut out,
        "Throughput, a second",
        &[
            Line { name: "done", colour: "#2a7", points: over(&|s| s.counts.done as f64) },
            Line { name: "refused", colour: "#c70", points: over(&|s| s.counts.refused as f64) },
            Line {
                name: "unknown or failed",
                colour: "#c33",
                points: over(&|s| (s.counts.failed + s.counts.unknown) as f64),
            },
        ],
    );
    section(
        &mut out,
        "Latency, ms",
        &[
            Line { name: "p50", colour: "#27c", points: over(&|s| millis(s.latency.value_at_quantile(0.5))) },
            Line { name: "p99", colour: "#c3c", points: over(&|s| millis(s.latency.value_at_quantile(0.99))) },
            Line { name: "refusals p99", colour: "#c70", points: over(&|s| millis(s.refused.value_at_quantile(0.99))) },
        ],
    );
    for (name, kind) in &r.recorder.kinds {
        histogram(&mut out, name, kind);
    }
    let memory = r.samples.iter().map(|s| s.resident_mib).collect();
    section(&mut out, "Memory of the server, MiB", &[Line { name: "resident", colour: "#27c", points: memory }]);
    let per_unit = r
        .samples
        .iter()
        .zip(seconds)
        .map(|(sample, second)| sample.cores * 1e6 / (second.counts.done + second.counts.refused).max(1) as f64)
        .collect();
    section(
        &mut out,
        &format!("Processor time per answer, µs ({})", r.of),
        &[Line { name: "µs", colour: "#27c", points: per_unit }],
    );
    out.push_str("</html>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn table(out: &mut String, r: &Report) {
    out.push_str("<table><tr><th><th>sent<th>done<th>refused<th>unknown<th>failed<th>in already<th>p50 ms<th>p99 ms<th>p99.9 ms<th>max ms</tr>");
    for (name, kind) in &r.recorder.kinds {
        let (c, at) = (kind.counts, |q: f64| millis(kind.done.value_at_quantile(q)));
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.2}<td>{:.2}<td>{:.2}<td>{:.2}</tr>",
            escape(name),
            c.sent,
            c.done,
            c.refused,
            c.unknown,
            c.failed,
            c.duplicate,
            at(0.5),
            at(0.99),
            at(0.999),
            millis(kind.done.max())
        );
    }
    let _ = write!(out, "</table><p>The database holds {} entries.</p>", r.stored);
}

/// Lines over the seconds of the run.
fn section(out: &mut String, title: &str, lines: &[Line]) {
    let most = lines.iter().flat_map(|l| &l.points).copied().fold(1e-9, f64::max);
    let count = lines.iter().map(|l| l.points.len()).max().unwrap_or(0).max(2);
    let _ = write!(
        out,
        "<h2>{}</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{}\">",
        escape(title),
        escape(title)
    );
    axes(out, most, &format!("{} s", count - 1));
    for (index, line) in lines.iter().enumerate() {
        let points: Vec<String> = line
            .points
            .iter()
            .enumerate()
            .map(|(i, v)| format!("{:.1},{:.1}", x(i as f64 / (count - 1) as f64), y(v / most)))
            .collect();
        let _ = write!(
            out,
            "<polyline fill=none stroke=\"{}\" stroke-width=1.5 points=\"{}\"/><text x=\"{}\" y=14 style=\"fill:{}\">{}</text>",
            line.colour,
            points.join(" "),
            LEFT + 8.0 + index as f64 * 130.0,
            line.colour,
            line.name
        );
    }
    out.push_str("</svg>");
}

/// How often each latency was; both axes by powers.
fn histogram(out: &mut String, name: &str, kind: &crate::load::Kind) {
    let (low, high) = (kind.done.min().max(1) as f64, kind.done.max().max(2) as f64);
    let step = (high / low).ln().max(1e-6) / BARS as f64;
    let mut bars = vec![0u64; BARS];
    for value in kind.done.iter_recorded() {
        let at = ((value.value_iterated_to() as f64 / low).ln() / step) as usize;
        bars[at.min(BARS - 1)] += value.count_since_last_iteration();
    }
    let most = bars.iter().copied().max().unwrap_or(1).max(1) as f64;
    let title = format!("Latency of {}: {:.2} to {:.2} ms", escape(name), low / 1000.0, high / 1000.0);
    let _ = write!(out, "<h2>{title}</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{title}\">");
    axes(out, most, &format!("{:.2} ms, logarithmic", high / 1000.0));
    for (i, n) in bars.iter().enumerate().filter(|(_, n)| **n > 0) {
        let top = y((*n as f64).ln_1p() / most.ln_1p());
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#27c\"/>",
            x(i as f64 / BARS as f64),
            (WIDTH - LEFT) / BARS as f64 - 1.0,
            HEIGHT - BOTTOM - top
        );
    }
    out.push_str("</svg>");
}

fn x(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - 8.0)
}

fn y(share: f64) -> f64 {
    20.0 + (1.0 - share.clamp(0.0, 1.0)) * (HEIGHT - BOTTOM - 20.0)
}

fn axes(out: &mut String, most: f64, right: &str) {
    let base = HEIGHT - BOTTOM;
    let _ = write!(
        out,
        "<path d=\"M{LEFT} 20V{base}H{WIDTH}\" fill=none stroke=\"#999\"/><text x=4 y=28>{most:.1}</text><text x=4 y=\"{base}\">0</text>\
         <text x=\"{}\" y=\"{}\" text-anchor=end>{}</text>",
        WIDTH - 8.0,
        HEIGHT - 6.0,
        escape(right)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Op, Outcome, Recorder};
    use crate::report::Sample;
    use std::time::{Duration, Instant};

    #[test]
    fn a_report_is_whole_and_inert() {
        let mut recorder = Recorder::new(Instant::now());
        (1..100).for_each(|n| recorder.note(Op::Ready, Outcome::Done, Duration::from_millis(n), Duration::ZERO));
        let report = Report {
            title: "<b>".into(),
            setup: "a & b".into(),
            disk: (Duration::ZERO, Duration::ZERO),
            recorder,
            samples: vec![Sample { second: 1, cores: 0.5, resident_mib: 20.0 }],
            lasts: 1,
            of: "a test",
            stored: 3,
            notes: vec!["<script>".into()],
        };
        let page = page(&report);
        assert!(page.contains("&lt;b>") && page.contains("a &amp; b") && !page.contains("<script"));
        assert!(!page.contains("http"), "nothing is loaded");
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(page.matches("<rect").count() > 10);
    }
}
