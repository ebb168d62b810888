//! A picture as SVG.

use crate::colour::{Colour, Palette};
use crate::layout::{Fitted, LEADING, fit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use unicode_normalization::UnicodeNormalization;

/// How a picture looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureLook {
    /// Quiet: one panel, much space.
    Simple,
    /// Loud: confetti and a ribbon.
    Vivid,
    /// Modern: slanted blocks.
    Trendy,
}

/// What a picture shows.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// How it looks.
    pub look: PictureLook,
    /// The big text, up to 60 characters.
    pub headline: &'a str,
    /// The small text, up to 120 characters.
    pub body: &'a str,
    /// Its colours.
    pub palette: Palette,
    /// A PNG or JPEG without text; `None`: the built-in background.
    pub background: Option<&'a [u8]>,
}

/// Faces tried in this order; the last is whatever the machine has. Those that draw all syllables come first: a browser that
/// shows an SVG does not look for ink, and NanumSquare and NanumSquareRound have blanks for 8,693 of them.
pub const FAMILIES: &str = "NanumGothic, NanumBarunGothic, Noto Sans CJK KR, Noto Sans KR, Malgun Gothic, Apple SD Gothic Neo, NanumSquare, NanumSquareRound, sans-serif";

/// Smallest size of the headline, as a share of the picture's height: the longest title fits every format in whole words.
const MIN_HEADLINE_SHARE: f64 = 0.036;

/// Composes a picture. The same input is the same SVG on every machine; how Hangul is encoded changes nothing.
#[must_use]
pub fn compose(p: &Picture<'_>) -> String {
    let (w, h) = (f64::from(p.width), f64::from(p.height));
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}" viewBox="0 0 {} {}">"#,
        p.width, p.height, p.width, p.height
    );
    let _ = write!(svg, r#"<rect width="{w}" height="{h}" fill="{}"/>"#, p.palette.ground);
    match p.background {
        Some(bytes) => background(&mut svg, bytes, w, h),
        None => built_in(&mut svg, p, w, h),
    }
    text_panel(&mut svg, p, w, h);
    svg.push_str("</svg>");
    svg
}

fn background(svg: &mut String, bytes: &[u8], w: f64, h: f64) {
    let kind = if bytes.starts_with(b"\x89PNG") { "png" } else { "jpeg" };
    let _ = write!(
        svg,
        r#"<image width="{w}" height="{h}" preserveAspectRatio="xMidYMid slice" href="data:image/{kind};base64,{}"/>"#,
        STANDARD.encode(bytes)
    );
}

/// Shapes in a fixed pseudo-random order: a picture composed twice is the same picture.
fn built_in(svg: &mut String, p: &Picture<'_>, w: f64, h: f64) {
    let mut state: u32 = 0x9e37_79b9;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1u32 << 24)
    };
    let a = p.palette.accent;
    match p.look {
        PictureLook::Simple => {
            let _ = write!(
                svg,
                r#"<circle cx="{:.0}" cy="{:.0}" r="{:.0}" fill="{a}" opacity="0.35"/>"#,
                w * 0.86,
                h * 0.14,
                h * 0.22
            );
            let _ = write!(
                svg,
                r#"<circle cx="{:.0}" cy="{:.0}" r="{:.0}" fill="{a}" opacity="0.25"/>"#,
                w * 0.08,
                h * 0.92,
                h * 0.18
            );
        }
        PictureLook::Vivid => {
            for i in 0..60 {
                let (x, y, s, turn) = (next() * w, next() * h, 8.0 + next() * h * 0.03, next() * 90.0);
                let fill: Colour = [a, p.palette.panel, Colour(255, 255, 255)][i % 3];
                let _ = write!(
                    svg,
                    r#"<rect x="{x:.0}" y="{y:.0}" width="{s:.0}" height="{:.0}" rx="2" fill="{fill}" opacity="0.8" transform="rotate({turn:.0} {x:.0} {y:.0})"/>"#,
                    s * 0.5
                );
            }
        }
        PictureLook::Trendy => {
            for i in 0..4 {
                let x = w * (0.15 + 0.25 * f64::from(i));
                let _ = write!(
                    svg,
                    r#"<polygon points="{:.0},0 {:.0},0 {:.0},{h:.0} {:.0},{h:.0}" fill="{a}" opacity="{:.2}"/>"#,
                    x,
                    x + w * 0.12,
                    x - w * 0.1,
                    x - w * 0.22,
                    0.2 + 0.15 * f64::from(i)
                );
            }
        }
    }
}

fn text_panel(svg: &mut String, p: &Picture<'_>, w: f64, h: f64) {
    let (margin, pad) = (w * 0.07, w * 0.05);
    let (pw, ph) = (w - 2.0 * margin, h * 0.62);
    let (px, py) = (margin, (h - ph) / 2.0);
    let inner = (pw - 2.0 * pad, ph - 2.0 * pad);
    // Decomposed, a syllable would be two or three letters wide.
    let (headline, body): (String, String) = (p.headline.nfc().collect(), p.body.nfc().collect());
    let headline = fit(&headline, inner.0, inner.1 * 0.62, h * 0.13, h * MIN_HEADLINE_SHARE);
    let body = fit(&body, inner.0, inner.1 * 0.30, h * 0.055, h * 0.028);
    let radius = if p.look == PictureLook::Trendy { 0.0 } else { w * 0.03 };
    let _ = write!(
        svg,
        r#"<rect x="{px:.1}" y="{py:.1}" width="{pw:.1}" height="{ph:.1}" rx="{radius:.1}" fill="{}"/>"#,
        p.palette.panel
    );
    let head_height = headline.lines.len() as f64 * headline.size * LEADING;
    let body_height = body.lines.len() as f64 * body.size * LEADING;
    let gap = inner.1 * 0.06;
    let top = py + (ph - head_height - gap - body_height) / 2.0;
    let _ = write!(
        svg,
        r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" fill="{}"/>"#,
        w / 2.0 - w * 0.05,
        py + pad * 0.35,
        w * 0.1,
        (h * 0.008).max(3.0),
        p.palette.accent
    );
    lines(svg, &headline, w / 2.0, top, p.palette.text(), 700);
    lines(svg, &body, w / 2.0, top + head_height + gap, p.palette.text(), 400);
}

fn lines(svg: &mut String, text: &Fitted, x: f64, top: f64, fill: Colour, weight: u32) {
    for (i, line) in text.lines.iter().enumerate() {
        let y = top + (i as f64 + 0.95) * text.size * LEADING - text.size * 0.2;
        let _ = write!(
            svg,
            r#"<text x="{x:.1}" y="{y:.1}" font-family="{FAMILIES}" font-size="{:.1}" font-weight="{weight}" fill="{fill}" text-anchor="middle">{}</text>"#,
            text.size,
            escape(line)
        );
    }
}

/// XML-escapes a text; characters XML does not allow are left out.
#[must_use]
pub fn escape(s: &str) -> String {
    s.chars().fold(String::with_capacity(s.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
        out
    })
}
