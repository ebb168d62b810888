//! Korean mobile numbers: `010` and eight digits, however people write them.

use crate::text::{is_separator, narrow_digit};
use std::fmt;

/// A mobile number in its one normal form, `010` and eight digits. `Debug` and `Display` mask it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

/// Not `010` and eight digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 010 and eight digits")]
pub struct PhoneError;

impl Phone {
    /// Reads a number written with hyphens, spaces, dots, brackets, full-width digits, `+82`, `0082` or `82`.
    ///
    /// # Errors
    /// Anything that is not `010` and eight digits then.
    pub fn parse(s: &str) -> Result<Self, PhoneError> {
        let mut digits = String::with_capacity(11);
        let mut plus = false;
        for c in s.trim().chars().map(narrow_digit) {
            match c {
                '0'..='9' => digits.push(c),
                '+' if digits.is_empty() && !plus => plus = true,
                c if is_separator(c) => {}
                _ => return Err(PhoneError),
            }
            if digits.len() > 16 {
                return Err(PhoneError);
            }
        }
        let national = if plus {
            digits.strip_prefix("82").ok_or(PhoneError)?
        } else if let Some(rest) = digits.strip_prefix("0082").or_else(|| digits.strip_prefix("82")) {
            rest
        } else if digits.starts_with('0') {
            return Self::national(&digits);
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
        ] {
            assert_eq!(Phone::parse(s).map(|p| p.expose().to_owned()), Ok("01012345678".to_owned()), "{s}");
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

        #[test]
        fn never_panics_and_is_idempotent(s in "\\PC{0,24}") {
            if let Ok(phone) = Phone::parse(&s) {
                prop_assert_eq!(Phone::parse(phone.expose()).unwrap(), phone);
            }
        }
    }
}
