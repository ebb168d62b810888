//! Korean mobile numbers: `010` and eight digits, however people write them.

use crate::digits;
use crate::text::shown;
use std::fmt;

/// A mobile number in its one normal form, `010` and eight digits. `Debug` and `Display` mask it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

/// Not `010` and eight digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 010 and eight digits")]
pub struct PhoneError;

impl Phone {
    /// Reads a number written with dashes, spaces, dots, brackets, full-width digits, `+82`, `0082` or `82`, as a link
    /// (`tel:`), or with the invisible marks that telephones and address books paste with it.
    ///
    /// # Errors
    /// Anything that is not `010` and eight digits then.
    pub fn parse(s: &str) -> Result<Self, PhoneError> {
        let typed = digits::read(without_scheme(shown(s).trim())).ok_or(PhoneError)?;
        let text = typed.text.as_str();
        let national = if typed.plus {
            text.strip_prefix("82").ok_or(PhoneError)?
        } else if let Some(rest) = text.strip_prefix("0082").or_else(|| text.strip_prefix("82")) {
            rest
        } else if text.starts_with('0') {
            return Self::national(text);
        } else {
            return Err(PhoneError);
        };
        // After the country code the trunk zero is left out, or kept by habit.
        if national.starts_with('0') { Self::national(national) } else { Self::national(&format!("0{national}")) }
    }

    fn national(digits: &str) -> Result<Self, PhoneError> {
        if digits.len() == 11 && digits.starts_with("010") { Ok(Self(digits.to_owned())) } else { Err(PhoneError) }
    }

    /// The plain number, eleven ASCII digits, for sealing and indexing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `010-****-1234`.
    #[must_use]
    pub fn masked(&self) -> String {
        format!("010-****-{}", &self.0[7..])
    }
}

/// The number of a link (`tel:`, `tel://`), or of a spreadsheet's text cell, which begins with an apostrophe.
fn without_scheme(s: &str) -> &str {
    // Directions are turned in front of the link.
    let s = s.trim_start_matches(['\u{202d}', '\u{202e}', '\'', '\u{2019}']);
    match s.split_at_checked("tel:".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel:") => rest.strip_prefix("//").unwrap_or(rest),
        _ => s,
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_people_write_it() {
        for s in [
            "01012345678",
            "010-1234-5678",
            "010 1234 5678",
            "010.1234.5678",
            "(010) 1234-5678",
            "+82 10-1234-5678",
            "+821012345678",
            "+82 (0)10 1234 5678",
            "0082 10 1234 5678",
            "82-10-1234-5678",
            "０１０１２３４５６７８",
            "０１０－１２３４－５６７８",
            "010–1234—5678",
            " 010\u{3000}1234\u{a0}5678 ",
            "010\u{30fc}1234\u{30fc}5678",
            "010\u{2212}1234\u{b7}5678",
        ] {
            assert_eq!(Phone::parse(s).map(|p| p.expose().to_owned()), Ok("01012345678".to_owned()), "{s}");
        }
    }

    /// Case 7.
    #[test]
    fn every_way_devices_paste_it() {
        for s in [
            "\u{202d}010-1234-5678\u{202c}",
            "\u{2068}+82 10-1234-5678\u{2069}",
            "010\u{200b}-1234-5678",
            "010ㅡ1234ㅡ5678",
            "\u{feff}01012345678",
            "010\u{ad}-1234\u{ad}-5678",
            "tel:010-1234-5678",
            "TEL:+82-10-1234-5678",
            "Tel://01012345678",
            "\u{202d}tel:01012345678\u{202c}",
            "tel: 010 1234 5678",
            "010_1234_5678",
            "010\t1234\t5678",
            "'010-1234-5678",
            "010/1234/5678",
            "\"010-1234-5678\"",
            "010-1234-5678,",
            "<010-1234-5678>",
            "010〜1234～5678",
            "010ㆍ1234・5678",
            "+82-010-1234-5678",
            "(010)12345678",
            "82 10 1234 5678",
            "＋８２ １０ １２３４ ５６７８",
        ] {
            assert_eq!(Phone::parse(s).map(|p| p.expose().to_owned()), Ok("01012345678".to_owned()), "{s:?}");
        }
    }

    #[test]
    fn every_wrong_shape() {
        for s in [
            "",
            "010",
            "0101234567",
            "010123456789",
            "011-123-4567",
            "02-123-4567",
            "1012345678",
            "+1 10 1234 5678",
            "010-1234-567a",
            "010-1234-5678;drop",
            "++821012345678",
            "010+12345678",
            "010\n12345678",
            "٠١٠١٢٣٤٥٦٧٨",
            "+8201112345678",
            "0822101234567",
            "010-1234-5678 x",
            "00000000000000000000000000000",
            "tel:",
            "telephone 010-1234-5678",
            "mailto:010-1234-5678",
            "010-1234-5678;ext=1",
            "⓪①⓪12345678",
            "０1０-1234-567\u{0665}",
            "\u{200b}",
            "공일공-1234-5678",
        ] {
            assert_eq!(Phone::parse(s), Err(PhoneError), "{s}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn any_spelling_has_one_normal_form(n in 0u32..100_000_000, style in 0usize..6) {
            let d = format!("{n:08}");
            let (a, b) = d.split_at(4);
            let spelled = match style {
                0 => format!("010{d}"), 1 => format!("010-{a}-{b}"), 2 => format!("+82 10 {a} {b}"),
                3 => format!("82 10{d}"), 4 => format!("010.{a}.{b}"),
                _ => format!("010{d}").chars().map(|c| char::from_u32(c as u32 - 0x30 + 0xff10).unwrap()).collect(),
            };
            let phone = Phone::parse(&spelled).unwrap();
            prop_assert_eq!(phone.expose(), format!("010{}", d));
            let masked = format!("010-****-{b}");
            prop_assert_eq!(format!("{:?}", phone), masked.clone());
            prop_assert_eq!(phone.to_string(), masked);
        }

        /// Case 7.
        #[test]
        fn separators_change_nothing(n in 0u32..100_000_000, marks in prop::collection::vec(prop::sample::select(digits::separators()), 12)) {
            let digits = format!("010{n:08}");
            let spelled: String = digits.chars().zip(&marks).flat_map(|(d, m)| [*m, d]).chain([marks[11]]).collect();
            prop_assert_eq!(Phone::parse(&spelled).map(|p| p.expose().to_owned()), Ok(digits), "{:?}", spelled);
        }

        #[test]
        fn a_letter_makes_it_no_number(n in 0u32..100_000_000, at in 0usize..12, letter in "[a-zA-Z가-힣一-十٠-٩]") {
            let mut spelled = format!("010{n:08}");
            spelled.insert_str(at.min(11), &letter);
            prop_assert_eq!(Phone::parse(&spelled), Err(PhoneError));
        }

        #[test]
        fn never_panics_and_is_idempotent(s in "\\PC{0,24}") {
            if let Ok(phone) = Phone::parse(&s) {
                prop_assert_eq!(Phone::parse(phone.expose()).unwrap(), phone);
            }
        }
    }
}
