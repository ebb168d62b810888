//! The six digits shown in the shop: RFC 6238 with HMAC-SHA-256 and a step of 60 s, accepted one step either way.

use crate::digits;
use crate::text::shown;
use crate::time::Instant;
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Seconds a code is shown.
pub const STEP_SECONDS: i64 = 60;
/// Digits of a code.
const CODE_DIGITS: usize = 6;

/// A code and the instant from which the next one is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitCode {
    /// Six digits.
    pub code: String,
    /// When the next one appears.
    pub valid_until: Instant,
}

/// The code of this minute.
#[must_use]
pub fn current(key: &[u8; 32], now: Instant) -> VisitCode {
    let step = now.timestamp().div_euclid(STEP_SECONDS);
    let next = DateTime::from_timestamp((step + 1) * STEP_SECONDS, 0).expect("a minute after a valid instant is valid");
    VisitCode { code: code_of(key, step), valid_until: next }
}

/// Brings what a customer typed to the form that is compared: `123 456`, `123-456` and full-width digits are six
/// digits. Anything else comes back as it was, trimmed: it may be something else than a code, and is empty where nothing
/// that shows was typed.
#[must_use]
pub fn typed(s: &str) -> String {
    match digits::read(s) {
        Some(typed) if !typed.plus && typed.text.len() == CODE_DIGITS => typed.text,
        _ => shown(s).trim().to_owned(),
    }
}

/// Is this the code of this minute, the one before or the one after? Compares in constant time.
#[must_use]
pub fn accepts(key: &[u8; 32], code: &str, now: Instant) -> bool {
    let step = now.timestamp().div_euclid(STEP_SECONDS);
    let given = code.as_bytes();
    (-1..=1).fold(false, |found, d| {
        let right = code_of(key, step + d);
        let differing = right.bytes().zip(given.iter()).fold(0u8, |acc, (a, b)| acc | (a ^ b));
        found | (given.len() == CODE_DIGITS && differing == 0)
    })
}

fn code_of(key: &[u8; 32], step: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[digest.len() - 1] & 0x0f);
    let word = u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_6238_appendix_b_sha256() {
        // Time 59 s with the appendix's 30 s step is counter 1: 46119246 in eight digits.
        let key: [u8; 32] = *b"12345678901234567890123456789012";
        assert_eq!(code_of(&key, 1), "119246");
        assert_eq!(code_of(&key, 37_037_036), "084774");
    }

    /// Case 30.
    #[test]
    fn a_code_is_typed_in_many_ways() {
        for s in [
            "123456",
            "123 456",
            "123-456",
            "１２３４５６",
            " 123\u{a0}456 ",
            "1 2 3 4 5 6",
            "123\u{200b}456\u{feff}",
            "123ㅡ456",
        ] {
            assert_eq!(typed(s), "123456", "{s:?}");
        }
        for (s, same) in [
            ("12345", "12345"),
            (" 1234567", "1234567"),
            ("12a456 ", "12a456"),
            ("+123456", "+123456"),
            ("\u{200b} ", ""),
        ] {
            assert_eq!(typed(s), same, "{s:?}");
        }
        assert_eq!(typed("kJ3-xY_9 "), "kJ3-xY_9");
    }

    proptest! {
        #[test]
        fn one_step_either_way(t in 0i64..4_000_000_000, late in -59i64..60, key in any::<[u8; 32]>()) {
            let at = DateTime::from_timestamp(t, 0).unwrap();
            let code = current(&key, at).code;
            prop_assert!(accepts(&key, &code, DateTime::from_timestamp(t + late, 0).unwrap()));
            prop_assert!(!accepts(&key, "", at) && !accepts(&key, "12345", at) && !accepts(&key, "1234567", at));
        }
    }
}
