//! Colours and contrast.

use std::fmt;

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

impl Colour {
    /// Reads `#rrggbb`.
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        let hex = s.strip_prefix('#').filter(|h| h.len() == 6 && h.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let n = u32::from_str_radix(hex, 16).ok()?;
        Some(Self((n >> 16) as u8, (n >> 8) as u8, n as u8))
    }

    /// Relative luminance (WCAG 2.2).
    #[must_use]
    pub fn luminance(self) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// Contrast ratio with another colour, 1 to 21 (WCAG 2.2).
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// A share `t` of the way to another colour.
    #[must_use]
    pub fn mix(self, other: Self, t: f64) -> Self {
        let m = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t).round() as u8;
        Self(m(self.0, other.0), m(self.1, other.1), m(self.2, other.2))
    }
}

const WHITE: Colour = Colour(255, 255, 255);
const INK: Colour = Colour(0, 0, 0);

/// The colours of a picture: ground, panel behind the text, accent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette {
    /// The ground.
    pub ground: Colour,
    /// Behind the text.
    pub panel: Colour,
    /// Shapes and rules.
    pub accent: Colour,
}

/// Palettes by name: ground, panel, accent.
pub const NAMED: &[(&str, [Colour; 3])] = &[
    ("SUNSET", [Colour(255, 179, 128), Colour(122, 28, 48), Colour(255, 94, 77)]),
    ("FOREST", [Colour(200, 226, 194), Colour(24, 66, 44), Colour(92, 156, 96)]),
    ("OCEAN", [Colour(178, 220, 239), Colour(12, 52, 92), Colour(46, 134, 193)]),
    ("BLOSSOM", [Colour(253, 221, 230), Colour(138, 28, 84), Colour(240, 98, 146)]),
    ("HONEY", [Colour(255, 236, 179), Colour(94, 60, 8), Colour(255, 179, 0)]),
    ("MONO", [Colour(236, 236, 236), Colour(28, 28, 30), Colour(120, 120, 128)]),
    ("NEON", [Colour(24, 16, 48), Colour(240, 46, 170), Colour(64, 224, 208)]),
    ("CREAM", [Colour(250, 243, 224), Colour(255, 253, 246), Colour(184, 134, 11)]),
];

impl Palette {
    /// Reads the name of a palette, or 1 to 5 colours `#rrggbb` separated by commas (panel, ground, accent, the rest unused).
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        if let Some((_, [ground, panel, accent])) = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(s.trim())) {
            return Some(Self { ground: *ground, panel: *panel, accent: *accent });
        }
        let colours: Vec<Colour> = s.split(',').map(|c| Colour::parse(c.trim())).collect::<Option<_>>()?;
        let panel = *colours.first().filter(|_| colours.len() <= 5)?;
        let ground = colours.get(1).copied().unwrap_or_else(|| panel.mix(WHITE, 0.7));
        let accent = colours.get(2).copied().unwrap_or_else(|| panel.mix(ground, 0.5));
        Some(Self { ground, panel, accent })
    }

    /// The text colour: white or ink, whichever contrasts more with the panel (always at least 4.5:1).
    #[must_use]
    pub fn text(&self) -> Colour {
        if self.panel.contrast(WHITE) >= self.panel.contrast(INK) { WHITE } else { INK }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn palettes_are_read() {
        assert!(NAMED.iter().all(|(name, _)| Palette::parse(name).is_some()));
        assert!(Palette::parse("#ff0000").is_some() && Palette::parse("#ff0000, #00ff00,#0000ff").is_some());
        for bad in
            ["", "red", "#ff00", "#gg0000", "#ff0000;x", "#1,#2", "#000000,#000000,#000000,#000000,#000000,#000000"]
        {
            assert_eq!(Palette::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]
        #[test]
        fn text_contrasts_with_any_panel(r: u8, g: u8, b: u8) {
            let p = Palette { ground: WHITE, panel: Colour(r, g, b), accent: WHITE };
            prop_assert!(p.panel.contrast(p.text()) >= 4.5);
        }
    }
}
