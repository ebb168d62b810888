//! What shows that a customer is in the shop: six digits to type (RFC 6238 with HMAC-SHA-256 and a step of 60 s), and a
//! token of 128 bits for a QR code, of the same minute or for a day on paper. Each is accepted one step either way.
//!
//! Nothing of them is stored: tokens of a minute are an HMAC of the minute, those on paper of their last second and of how
//! often papers were voided before.

use crate::digits;
use crate::event::state::hex;
use crate::text::shown;
use crate::time::Instant;
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Seconds a code is shown.
pub const STEP_SECONDS: i64 = 60;
/// Hours a token on paper is good for: a shop prints it in the morning.
pub const PAPER_HOURS: i64 = 24;
/// Hex digits of a token: 128 bits.
const TOKEN_DIGITS: usize = 32;
/// Hex digits of the second in which a token on paper ends, before its own.
const END_DIGITS: usize = 10;
/// Characters of a claim that are looked at: several times a token, whatever else stands between its digits.
const MAX_CLAIM: usize = 256;
/// The first letter of a token on paper: no hex digit.
const PAPER: char = 'p';

/// A code and the instant from which the next one is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitCode {
    /// Six digits.
    pub code: String,
    /// The token of the same minute.
    pub token: String,
    /// When the next ones appear.
    pub valid_until: Instant,
}

/// A token on paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaperToken {
    /// For the QR code.
    pub token: String,
    /// When it ends.
    pub valid_until: Instant,
}

/// What a customer says to have seen in the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VisitClaim {
    /// Typed: digits, or anything else that is no token.
    Typed(String),
    /// Read from a QR code.
    Token(String),
}

impl VisitClaim {
    /// Reads what was typed or scanned. Digits are read however they are written (`123 456`, `123-456`, full width); a token
    /// in capitals or small letters; anything else is taken as it is, and is wrong. `None`: nothing that shows was typed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = shown(text).trim().chars().take(MAX_CLAIM).collect::<String>().to_ascii_lowercase();
        if is_token(&text) {
            return Some(Self::Token(text));
        }
        let typed = match digits::read(&text) {
            Some(typed) if !typed.plus => typed.text,
            _ => text,
        };
        (!typed.is_empty()).then_some(Self::Typed(typed))
    }
}

fn is_token(text: &str) -> bool {
    let is_hex = |s: &str, digits: usize| s.len() == digits && s.bytes().all(|b| b.is_ascii_hexdigit());
    let on_paper = text.strip_prefix(PAPER).is_some_and(|rest| is_hex(rest, END_DIGITS + TOKEN_DIGITS));
    on_paper || is_hex(text, TOKEN_DIGITS)
}

/// The code and token of this minute.
#[must_use]
pub fn current(key: &[u8; 32], now: Instant) -> VisitCode {
    let step = now.timestamp().div_euclid(STEP_SECONDS);
    let next = DateTime::from_timestamp((step + 1) * STEP_SECONDS, 0).expect("a minute after a valid instant is valid");
    VisitCode { code: code_of(key, step), token: token_of(key, step), valid_until: next }
}

/// A token to be printed, good for a day. `voided`: how often papers of the event were voided before.
#[must_use]
pub fn paper(key: &[u8; 32], voided: u32, now: Instant) -> PaperToken {
    let end = now.timestamp() + PAPER_HOURS * 3600;
    let valid_until = DateTime::from_timestamp(end, 0).expect("a day after a valid instant is valid");
    PaperToken { token: paper_of(key, voided, end), valid_until }
}

/// Is this the code or token of this minute, the one before or the one after, or a token on paper that is still good?
/// Compares in constant time.
#[must_use]
pub fn accepts(key: &[u8; 32], claim: &VisitClaim, voided: u32, now: Instant) -> bool {
    let step = now.timestamp().div_euclid(STEP_SECONDS);
    let one_of = |given: &str, right: fn(&[u8; 32], i64) -> String| {
        (-1..=1).fold(false, |found, d| found | same(&right(key, step + d), given))
    };
    match claim {
        VisitClaim::Typed(code) => one_of(code.as_str(), code_of),
        VisitClaim::Token(token) => match token.strip_prefix(PAPER).and_then(|rest| rest.get(..END_DIGITS)) {
            Some(end) => {
                let end = i64::from_str_radix(end, 16).unwrap_or(0);
                let left = end.saturating_sub(now.timestamp());
                (1..=PAPER_HOURS * 3600 + STEP_SECONDS).contains(&left) && same(&paper_of(key, voided, end), token)
            }
            None => one_of(token.as_str(), token_of),
        },
    }
}

fn same(right: &str, given: &str) -> bool {
    let differing = right.bytes().zip(given.bytes()).fold(0u8, |acc, (a, b)| acc | (a ^ b));
    right.len() == given.len() && differing == 0
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

fn token_of(key: &[u8; 32], step: i64) -> String {
    let digest = mac(key, &[b"madang-visit-token-1", &step.to_be_bytes()]).finalize().into_bytes();
    hex(&digest[..TOKEN_DIGITS / 2])
}

fn paper_of(key: &[u8; 32], voided: u32, end: i64) -> String {
    let digest =
        mac(key, &[b"madang-visit-paper-1", &voided.to_be_bytes(), &end.to_be_bytes()]).finalize().into_bytes();
    format!("{PAPER}{end:0digits$x}{}", hex(&digest[..TOKEN_DIGITS / 2]), digits = END_DIGITS)
}

fn code_of(key: &[u8; 32], step: i64) -> String {
    let digest = mac(key, &[&step.to_be_bytes()]).finalize().into_bytes();
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

    fn typed(code: &str) -> VisitClaim {
        VisitClaim::Typed(code.to_owned())
    }

    /// Case 30, and its siblings: however people write six digits, they are the same six digits.
    #[test]
    fn codes_are_read_as_people_write_them() {
        for text in [
            "123456",
            "123 456",
            "123-456",
            " 123456\n",
            "１２３４５６",
            "１２３－４５６",
            "123\u{a0}456",
            "123\u{3000}456",
            "12\u{200b}34\u{feff}56\u{ad}",
            "\u{202d}123456\u{202c}",
            "123ㅡ456",
            "123ー456",
            "123.456",
            "123_456",
            "123–456",
            "123\u{3164}456",
            "1 2 3 4 5 6",
        ] {
            assert_eq!(VisitClaim::parse(text), Some(typed("123456")), "{text:?}");
        }
        for nothing in ["", "  ", "\u{200b}", "-", "\u{3164}"] {
            assert_eq!(VisitClaim::parse(nothing), None, "{nothing:?}");
        }
        for other in ["12345", "1234567", "12345a", "१२३४५६"] {
            assert!(matches!(VisitClaim::parse(other), Some(VisitClaim::Typed(text)) if text != "123456"), "{other}");
        }
        let token = "00112233445566778899aabbccddeeff";
        for text in [token.to_owned(), token.to_uppercase(), format!(" {token}\n")] {
            assert_eq!(VisitClaim::parse(&text), Some(VisitClaim::Token(token.into())), "{text}");
        }
        assert!(matches!(VisitClaim::parse(&token[1..]), Some(VisitClaim::Typed(_))));
    }

    proptest! {
        #[test]
        fn one_step_either_way(t in 0i64..4_000_000_000, late in -59i64..60, key in any::<[u8; 32]>(), voided in any::<u32>()) {
            let at = |s: i64| DateTime::from_timestamp(s, 0).unwrap();
            let now = current(&key, at(t));
            let token = VisitClaim::parse(&now.token).unwrap();
            prop_assert_eq!(&token, &VisitClaim::Token(now.token.clone()));
            for claim in [typed(&now.code), token.clone()] {
                prop_assert!(accepts(&key, &claim, voided, at(t + late)));
            }
            prop_assert!(!accepts(&key, &token, voided, at(t + 3 * STEP_SECONDS)), "a minute's token ends");
            for wrong in ["", "12345", "1234567"] {
                prop_assert!(!accepts(&key, &typed(wrong), voided, at(t)));
            }
        }

        #[test]
        fn a_paper_is_good_for_a_day_and_until_it_is_voided(
            t in 0i64..4_000_000_000, after in 0i64..86_400, key in any::<[u8; 32]>(), voided in 0u32..1000, at_digit in 1usize..43,
        ) {
            let at = |s: i64| DateTime::from_timestamp(s, 0).unwrap();
            let paper = paper(&key, voided, at(t));
            prop_assert_eq!(paper.valid_until, at(t + 86_400));
            let claim = VisitClaim::parse(&paper.token).unwrap();
            prop_assert_eq!(&claim, &VisitClaim::Token(paper.token.clone()));
            prop_assert!(accepts(&key, &claim, voided, at(t + after)));
            prop_assert!(!accepts(&key, &claim, voided, at(t + 86_400)), "its day is over");
            prop_assert!(!accepts(&key, &claim, voided + 1, at(t + after)), "it was voided");
            let mut other: Vec<char> = paper.token.chars().collect();
            other[at_digit] = if other[at_digit] == '0' { '1' } else { '0' };
            let other = VisitClaim::Token(other.into_iter().collect());
            prop_assert!(!accepts(&key, &other, voided, at(t + after)), "no digit of it may be another");
        }
    }
}
