//! Backgrounds: drawn from the words of the prompt and the seed, without text.

use resvg::{tiny_skia, usvg};
use std::fmt::Write;

/// Side of a background in pixels.
const SIDE: u32 = 768;

/// A number from a text, the same every time (FNV-1a).
pub(crate) fn seed(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// Draws a background as PNG.
pub(crate) fn draw(prompt: &str, number: u32) -> Vec<u8> {
    let mut state = seed(prompt) ^ number.wrapping_mul(0x9e37_79b9);
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state >> 8) / f64::from(1u32 << 24)
    };
    let hue = next() * 360.0;
    let lively = prompt.contains("vibrant");
    let saturation = if lively { 75 } else { 45 };
    let colour = |hue: f64, light: u32| format!("hsl({:.0},{saturation}%,{light}%)", hue.rem_euclid(360.0));
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{SIDE}" height="{SIDE}"><defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="{}"/><stop offset="1" stop-color="{}"/></linearGradient></defs><rect width="{SIDE}" height="{SIDE}" fill="url(#g)"/>"##,
        colour(hue, 82),
        colour(hue + 40.0, 64)
    );
    let shapes = if lively { 46 } else { 16 };
    for _ in 0..shapes {
        let (x, y, r) = (next() * 768.0, next() * 768.0, 12.0 + next() * if lively { 40.0 } else { 150.0 });
        let fill = colour(hue + next() * 120.0 - 60.0, 55 + (next() * 35.0) as u32);
        let opacity = 0.25 + next() * 0.45;
        let _ = if prompt.contains("editorial") {
            write!(
                svg,
                r#"<rect x="{x:.0}" y="{y:.0}" width="{:.0}" height="{r:.0}" transform="rotate({:.0} {x:.0} {y:.0})" fill="{fill}" opacity="{opacity:.2}"/>"#,
                r * 2.5,
                next() * 180.0
            )
        } else {
            write!(svg, r#"<circle cx="{x:.0}" cy="{y:.0}" r="{r:.0}" fill="{fill}" opacity="{opacity:.2}"/>"#)
        };
    }
    svg.push_str("</svg>");
    render(&svg).unwrap_or_default()
}

fn render(svg: &str) -> Option<Vec<u8>> {
    let tree = usvg::Tree::from_str(svg, &usvg::Options::default()).ok()?;
    let mut pixels = tiny_skia::Pixmap::new(SIDE, SIDE)?;
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().ok()
}
