//! Numbers as people type and paste them: digits with spaces, dashes, dots and brackets of every kind between them.

use crate::text::is_unseen;

/// Digits that are read. The longest number of ours has 15, a phone with `00`, country code and trunk zero.
const MAX_DIGITS: usize = 16;

/// What was typed, in ASCII digits.
pub(crate) struct Digits {
    /// Did a plus stand in front?
    pub(crate) plus: bool,
    pub(crate) text: String,
}

/// Reads the digits. `None`: something else than a separator stands among them, or there are too many.
pub(crate) fn read(s: &str) -> Option<Digits> {
    let mut digits = Digits { plus: false, text: String::with_capacity(MAX_DIGITS) };
    for c in s.trim_matches(|c: char| c.is_whitespace() || AROUND.contains(&c)).chars().map(narrow) {
        match c {
            '0'..='9' => digits.text.push(c),
            '+' if digits.text.is_empty() && !digits.plus => digits.plus = true,
            c if is_separator(c) || is_unseen(c) => {}
            _ => return None,
        }
        if digits.text.len() > MAX_DIGITS {
            return None;
        }
    }
    Some(digits)
}

/// A digit or plus of any width that Korean keyboards make, as ASCII. Digits of other scripts stay as they are.
fn narrow(c: char) -> char {
    match c {
        '\u{ff10}'..='\u{ff19}' => char::from(b'0' + (c as u32 - 0xff10) as u8),
        '\u{ff0b}' | '\u{fe62}' => '+',
        _ => c,
    }
}

/// What people put between digits.
fn is_separator(c: char) -> bool {
    is_space(c) || [DASHES, DOTS, BRACKETS].iter().any(|all| all.contains(&c))
}

/// White space within a line; a line break parts two numbers.
fn is_space(c: char) -> bool {
    c.is_whitespace() && !matches!(c, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Dashes (Unicode category Pd), minus signs, low lines and tildes, and what looks like a dash and is at hand on a
/// Korean or Japanese keyboard: `ㅡ`, `ー`, `─`.
#[rustfmt::skip]
const DASHES: &[char] = &[
    '-', '\u{58a}', '\u{5be}', '\u{1400}', '\u{1806}', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}',
    '\u{2015}', '\u{2e17}', '\u{2e1a}', '\u{2e3a}', '\u{2e3b}', '\u{2e40}', '\u{2e5d}', '\u{301c}', '\u{3030}',
    '\u{30a0}', '\u{fe31}', '\u{fe32}', '\u{fe58}', '\u{fe63}', '\u{ff0d}', '\u{10d6e}', '\u{10ead}',
    '\u{2d7}', '\u{2043}', '\u{207b}', '\u{208b}', '\u{2212}', '_', '\u{ff3f}', '~', '\u{223c}', '\u{ff5e}',
    '\u{1173}', '\u{3161}', '\u{ffda}', '\u{30fc}', '\u{ff70}', '\u{2500}', '\u{2501}',
];
/// Full stops, strokes, and the middle dots of Korean and Japanese keyboards.
#[rustfmt::skip]
const DOTS: &[char] = &[
    '.', '/', '\u{ff0f}', '\u{ff0e}', '\u{3002}', '\u{ff61}', '\u{b7}', '\u{2022}', '\u{2027}', '\u{2219}', '\u{22c5}', '\u{30fb}',
    '\u{ff65}', '\u{318d}', '\u{119e}',
];
/// What a list, a letter or a table puts around a number.
const AROUND: &[char] = &['"', '\'', '<', '>', ',', ';', '\u{201c}', '\u{201d}'];
const BRACKETS: &[char] = &['(', ')', '[', ']', '\u{ff08}', '\u{ff09}'];

/// Everything that may stand between digits, for the properties of those who read them.
#[cfg(test)]
pub(crate) fn separators() -> Vec<char> {
    ('\0'..=char::MAX).filter(|c| is_separator(*c) || is_unseen(*c)).collect()
}
