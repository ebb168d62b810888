//! Text that people type, in one form: NFC, trimmed, bounded, nothing invisible, no control characters.

mod form;

pub(crate) use form::is_unseen;
pub use form::shown;

use std::fmt;
use unicode_segmentation::UnicodeSegmentation;

/// Why a text was refused. Lengths are in characters that people see (grapheme clusters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing that shows.
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
    /// Accents without a letter, or too many on one.
    #[error("accents without a letter")]
    Marks,
}

/// Characters that a search in titles reads. A title has at most 60.
pub const MAX_SEARCH: usize = 200;

/// One line in its one form, of 1 to `max` characters.
///
/// # Errors
/// Says which rule the text broke.
pub fn line(s: &str, max: usize) -> Result<String, TextError> {
    form::line(s, max)
}

/// Several lines: as [`line()`], with line feeds kept.
///
/// # Errors
/// Says which rule the text broke.
pub fn paragraph(s: &str, max: usize) -> Result<String, TextError> {
    form::paragraph(s, max)
}

/// Returns what is looked for in titles, case-blind; `None` where nothing that shows was typed.
///
/// # Errors
/// Says which rule the text broke.
pub fn search(s: &str) -> Result<Option<String>, TextError> {
    match line(s, MAX_SEARCH) {
        Ok(text) => Ok(Some(text.to_lowercase())),
        Err(TextError::Empty) => Ok(None),
        Err(other) => Err(other),
    }
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

    /// Reads a name that was stored, under whatever rules were in force then: it stays readable, and has the one form
    /// where it can.
    #[must_use]
    pub fn stored(s: &str) -> Self {
        Self::parse(s).unwrap_or_else(|_| Self(shown(s).trim().to_owned()))
    }

    /// The plain name, for sealing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// First and last character that people see, the rest starred: 홍*동, 김*, J***n.
    #[must_use]
    pub fn masked(&self) -> String {
        let seen: Vec<&str> = self.0.graphemes(true).collect();
        match seen.as_slice() {
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

    /// Case 17.
    #[test]
    fn names_are_masked_by_what_people_see() {
        for (name, masked) in [
            ("홍길동", "홍*동"),
            ("\u{1112}\u{1169}\u{11bc}\u{1100}\u{1175}\u{11af}\u{1103}\u{1169}\u{11bc}", "홍*동"),
            ("김구", "김*"),
            ("이", "*"),
            ("John", "J**n"),
            ("José", "J**é"),
            ("Jose\u{301}", "J**é"),
            ("👩‍👩‍👧김👍🏽", "👩‍👩‍👧*👍🏽"),
        ] {
            assert_eq!(PersonName::parse(name).unwrap().masked(), masked);
        }
    }

    #[test]
    fn a_name_of_other_rules_stays_readable() {
        assert_eq!(PersonName::stored("\u{1112}\u{1169}\u{11bc}").expose(), "홍");
        assert_eq!(PersonName::stored("\u{3164}").masked(), "");
        assert_eq!(PersonName::stored("").masked(), "");
        let long = "가".repeat(60);
        assert_eq!(PersonName::stored(&long).expose(), long);
    }

    #[test]
    fn each_rule_has_its_error() {
        assert_eq!(line("a\u{202e}b", 10), Err(TextError::Control));
        assert_eq!(line(" \t ", 10), Err(TextError::Empty));
        assert_eq!(line("가나다", 2), Err(TextError::TooLong { max: 2 }));
        assert_eq!(paragraph("a\r\nb", 9).unwrap(), "a\nb");
    }

    #[test]
    fn a_search_is_case_blind_and_may_be_nothing() {
        assert_eq!(search(" E\u{301}TÉ  세일 "), Ok(Some("été 세일".into())));
        assert_eq!(search("\u{200b} "), Ok(None));
        assert_eq!(search("a\0"), Err(TextError::Control));
    }

    proptest! {
        #[test]
        fn a_text_that_passes_passes_again(s in ".{0,60}") {
            if let Ok(once) = line(&s, 50) {
                prop_assert_eq!(line(&once, 50).unwrap(), once);
            }
            if let Ok(once) = paragraph(&s, 50) {
                prop_assert_eq!(paragraph(&once, 50).unwrap(), once);
            }
        }
    }
}
