//! Korean business registration numbers (사업자등록번호): ten digits with a checksum.

use crate::digits;
use std::fmt;

/// A checksum-valid number, ten ASCII digits. `Debug` and `Display` mask it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BusinessNumber(String);

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusinessNumberError {
    /// Not ten digits.
    #[error("not ten digits")]
    Shape,
    /// The check digit does not fit, or the office code is 000 (which passes the arithmetic but does not exist).
    #[error("checksum does not match")]
    Checksum,
}

const WEIGHTS: [u32; 9] = [1, 3, 7, 1, 3, 7, 1, 3, 5];

impl BusinessNumber {
    /// Reads `123-45-67890`, with or without separators, in digits of any width.
    ///
    /// # Errors
    /// Not ten digits, a wrong check digit, or the prefix 000.
    pub fn parse(s: &str) -> Result<Self, BusinessNumberError> {
        let typed = digits::read(s).filter(|typed| !typed.plus && typed.text.len() == 10);
        let digits = typed.ok_or(BusinessNumberError::Shape)?.text;
        if digits.starts_with("000") || check_digit(&digits) != digits.as_bytes()[9] - b'0' {
            return Err(BusinessNumberError::Checksum);
        }
        Ok(Self(digits))
    }

    /// The ten digits, for sealing, indexing and the tax service.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `123-**-*****`.
    #[must_use]
    pub fn masked(&self) -> String {
        format!("{}-**-*****", &self.0[..3])
    }
}

/// The check digit that belongs to the first nine digits.
fn check_digit(digits: &str) -> u8 {
    let d: Vec<u32> = digits.bytes().take(9).map(|b| u32::from(b - b'0')).collect();
    let sum: u32 = d.iter().zip(WEIGHTS).map(|(d, w)| d * w).sum::<u32>() + d[8] * 5 / 10;
    ((10 - sum % 10) % 10) as u8
}

impl fmt::Debug for BusinessNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Display for BusinessNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_vectors() {
        for s in [
            "124-81-00998",
            "120-88-00767",
            "132-05-57431",
            "220-81-62517",
            "101-81-34613",
            "120-81-00040",
            "214-88-00010",
            "1248100998",
            "１２４-８１-００９９８",
            "124 81 00998",
            "\u{202d}124-81-00998\u{202c}",
            "124ㅡ81ㅡ00998",
            "124\u{200b}8100998",
        ] {
            assert!(BusinessNumber::parse(s).is_ok(), "{s}");
        }
        assert_eq!(BusinessNumber::parse("101-81-34618"), Err(BusinessNumberError::Checksum));
        assert_eq!(BusinessNumber::parse("000-00-00000"), Err(BusinessNumberError::Checksum));
        for s in ["", "124-81-0099", "124-81-009988", "124-81-0099a", "12481\n00998", "+1248100998"] {
            assert_eq!(BusinessNumber::parse(s), Err(BusinessNumberError::Shape), "{s}");
        }
    }

    #[test]
    fn shown_masked() {
        let number = BusinessNumber::parse("124-81-00998").unwrap();
        assert_eq!(format!("{number} {number:?}"), "124-**-***** 124-**-*****");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn exactly_one_check_digit_fits(n in 1_000_000u32..1_000_000_000) {
            let valid = (0..10).filter(|c| BusinessNumber::parse(&format!("{n:09}{c}")).is_ok()).count();
            prop_assert_eq!(valid, usize::from(n >= 1_000_000 && !format!("{n:09}").starts_with("000")));
        }

        #[test]
        fn one_wrong_digit_is_caught_where_the_weights_allow(n in 1_000_000u32..1_000_000_000, at in 0usize..8, by in 1u8..10) {
            let body = format!("{n:09}");
            let good = format!("{body}{}", check_digit(&body));
            let mut bad = good.clone().into_bytes();
            bad[at] = b'0' + (bad[at] - b'0' + by) % 10;
            prop_assert!(BusinessNumber::parse(std::str::from_utf8(&bad).unwrap()).is_err());
        }
    }
}
