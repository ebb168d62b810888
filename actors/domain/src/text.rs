//! Text that people type: trimmed, bounded, without control characters.

use std::fmt;

/// Why a text was refused. Lengths are in characters (Unicode scalar values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("empty")]
    Empty,
    /// Longer than allowed.
    #[error("longer than {max} characters")]
    TooLong {
        /// The most characters allowed.
        max: usize,
    },
    /// Control or text-direction characters, which hide what a text says.
    #[error("control characters")]
    Control,
}

/// One line: trimmed, 1 to `max` characters, no control characters, no bidi overrides.
///
/// # Errors
/// Says which rule the text broke.
pub fn line(s: &str, max: usize) -> Result<String, TextError> {
    let s = s.trim();
    if s.is_empty() {
        return Err(TextError::Empty);
    }
    if s.chars().any(hides) {
        return Err(TextError::Control);
    }
    if s.chars().count() > max {
        return Err(TextError::TooLong { max });
    }
    Ok(s.to_owned())
}

/// Several lines: as [`line()`], with line feeds kept.
///
/// # Errors
/// Says which rule the text broke.
pub fn paragraph(s: &str, max: usize) -> Result<String, TextError> {
    let s = s.replace("\r\n", "\n");
    let s = s.trim();
    if s.is_empty() {
        return Err(TextError::Empty);
    }
    if s.chars().any(|c| c != '\n' && hides(c)) {
        return Err(TextError::Control);
    }
    if s.chars().count() > max {
        return Err(TextError::TooLong { max });
    }
    Ok(s.to_owned())
}

fn hides(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A number in groups of three digits, as both languages write it: 1,234,567.
#[must_use]
pub fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut groups: Vec<&str> = digits.as_bytes().rchunks(3).filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.reverse();
    format!("{}{}", if n < 0 { "-" } else { "" }, groups.join(","))
}

/// A person's name, 1 to 40 characters. `Debug` shows the masked form only.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// The most characters of a name.
    pub const MAX: usize = 40;

    /// Reads a name.
    ///
    /// # Errors
    /// Empty, too long, or with control characters.
    pub fn parse(s: &str) -> Result<Self, TextError> {
        line(s, Self::MAX).map(Self)
    }

    /// The plain name, for sealing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// First and last character, the rest starred: 홍*동, 김*, J***n.
    #[must_use]
    pub fn masked(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        match chars.as_slice() {
            [] => String::new(),
            [_] => "*".into(),
            [first, _] => format!("{first}*"),
            [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len())),
        }
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Digits of any width people's keyboards make, as ASCII.
pub(crate) fn narrow_digit(c: char) -> char {
    match c {
        '\u{ff10}'..='\u{ff19}' => char::from(b'0' + (c as u32 - 0xff10) as u8),
        '\u{ff0b}' => '+',
        _ => c,
    }
}

/// What people put between digits: spaces and dashes of every kind, dots, brackets.
pub(crate) fn is_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{3000}' | '\u{2000}'..='\u{200a}' | '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}'
            | '\u{30fc}' | '.' | '\u{b7}' | '(' | ')' | '\u{ff08}' | '\u{ff09}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_grouped() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (-12_345, "-12,345"), (100_000_000, "100,000,000")]
        {
            assert_eq!(grouped(n), text);
        }
    }

    #[test]
    fn names_are_masked() {
        for (name, masked) in [("홍길동", "홍*동"), ("김구", "김*"), ("이", "*"), ("John", "J**n")] {
            assert_eq!(PersonName::parse(name).unwrap().masked(), masked);
        }
    }

    #[test]
    fn hidden_characters_are_refused() {
        for bad in ["a\0b", "a\u{202e}b", "a\nb", "\u{7}x"] {
            assert_eq!(line(bad, 10), Err(TextError::Control), "{bad:?}");
        }
        assert_eq!(line(" \t ", 10), Err(TextError::Empty));
        assert_eq!(line("가나다", 2), Err(TextError::TooLong { max: 2 }));
        assert_eq!(paragraph("a\r\nb", 9).unwrap(), "a\nb");
    }

    proptest! {
        #[test]
        fn a_line_that_passes_passes_again(s in ".{0,60}") {
            if let Ok(once) = line(&s, 50) {
                prop_assert_eq!(line(&once, 50).unwrap(), once);
            }
        }
    }
}
