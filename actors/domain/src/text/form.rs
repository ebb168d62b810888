//! The one form of a text: NFC, no invisible or control character, plain spaces, few marks on a letter.

use super::TextError;
use std::borrow::Cow;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_segmentation::UnicodeSegmentation;

/// Combining marks in a row. Vietnamese and Thai write two and pointed Arabic three; more only hides the lines around.
const MAX_MARKS: usize = 4;
/// Bytes per character that people see, on average over a text: a family of four has 25, a kiss with two skin tones, the
/// longest emoji that fonts have, 35. It bounds what a single one can carry.
const MAX_BYTES_PER_CHARACTER: usize = 35;

const JOINER: char = '\u{200d}';
const TEXT_STYLE: char = '\u{fe0e}';
const EMOJI_STYLE: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';

/// Does a character show nothing? Keyboards and pasting add most of these by themselves: zero-width spaces, soft
/// hyphens, direction marks, byte order marks. Fillers and the empty Braille cell only pretend to be a text; so do the blanks
/// and controls of Egyptian hieroglyphs and the musical note without a head.
#[rustfmt::skip]
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202c}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{13430}'..='\u{1345f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Turns a text around, so that it reads as another one than it is.
fn is_override(c: char) -> bool {
    matches!(c, '\u{202d}' | '\u{202e}')
}

/// Is a character to be passed over where only digits count?
pub(crate) fn is_unseen(c: char) -> bool {
    is_invisible(c) || is_override(c)
}

fn is_refused(c: char) -> bool {
    let is_no_character = u32::from(c) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    let breaks_line = matches!(c, '\u{2028}' | '\u{2029}');
    (c.is_control() && c != '\t') || is_override(c) || breaks_line || is_no_character
}

/// Is a character a pictograph, which takes a style and joins others?
#[rustfmt::skip]
fn is_picture(c: char) -> bool {
    matches!(
        c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2194}'..='\u{2199}' | '\u{21a9}'
            | '\u{21aa}' | '\u{231a}'..='\u{23ff}' | '\u{24c2}' | '\u{25aa}'..='\u{25fe}' | '\u{2600}'..='\u{27bf}'
            | '\u{2934}' | '\u{2935}' | '\u{2b05}'..='\u{2b55}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
            | '\u{1f000}'..='\u{1f1e5}' | '\u{1f200}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}'
    )
}

fn is_skin_tone(c: char) -> bool {
    ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)
}

/// Has a joiner or a style a meaning between these two? Elsewhere it shows nothing.
fn has_meaning(c: char, before: Option<char>, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    match c {
        JOINER => {
            (is_picture(before) || is_skin_tone(before) || before == EMOJI_STYLE) && after.is_some_and(is_picture)
        }
        TEXT_STYLE | EMOJI_STYLE => {
            is_picture(before) || (matches!(before, '0'..='9' | '#' | '*') && after == Some(KEYCAP))
        }
        _ => false,
    }
}

fn composed(s: &str) -> Cow<'_, str> {
    if is_nfc(s) { Cow::Borrowed(s) } else { Cow::Owned(s.nfc().collect()) }
}

fn without_invisible(s: &str) -> String {
    let pieces: Vec<char> =
        s.chars().filter(|c| !is_invisible(*c) || matches!(*c, JOINER | TEXT_STYLE | EMOJI_STYLE)).collect();
    let mut kept = String::with_capacity(s.len());
    let mut before = None;
    for (i, &c) in pieces.iter().enumerate() {
        if !is_invisible(c) || has_meaning(c, before, pieces.get(i + 1).copied()) {
            kept.push(c);
            before = Some(c);
        }
    }
    kept
}

/// What a text shows, in NFC; its white space, controls and overrides are still there.
#[must_use]
pub fn shown(s: &str) -> String {
    if s.is_ascii() {
        return s.to_owned();
    }
    // Before: a style belongs to the character that NFC makes. After: what stood between a letter and its mark is gone.
    let kept = without_invisible(&composed(s));
    composed(&kept).into_owned()
}

/// One line with plain spaces, one at a time, and none at its ends.
fn spaced(line: &str) -> Result<String, TextError> {
    if line.chars().any(is_refused) {
        return Err(TextError::Control);
    }
    let mut words = String::with_capacity(line.len());
    for word in line.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    bear_marks(&words)?;
    Ok(words)
}

/// Checks that every combining mark has a letter, and no letter too many of them.
fn bear_marks(line: &str) -> Result<(), TextError> {
    let mut marks = MAX_MARKS;
    for c in line.chars() {
        if is_combining_mark(c) {
            marks += 1;
        } else {
            marks = if c == ' ' { MAX_MARKS } else { 0 };
        }
        if marks > MAX_MARKS {
            return Err(TextError::Marks);
        }
    }
    Ok(())
}

fn bounded(text: String, max: usize) -> Result<String, TextError> {
    let fits = text.len() <= max * MAX_BYTES_PER_CHARACTER && text.graphemes(true).count() <= max;
    if fits { Ok(text) } else { Err(TextError::TooLong { max }) }
}

/// One line, of 1 to `max` characters.
pub(super) fn line(s: &str, max: usize) -> Result<String, TextError> {
    let text = shown(s);
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    bounded(spaced(text)?, max)
}

/// Several lines, of 1 to `max` characters together.
pub(super) fn paragraph(s: &str, max: usize) -> Result<String, TextError> {
    let text = shown(s);
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let lines = text.split('\n').map(spaced).collect::<Result<Vec<_>, _>>()?;
    bounded(lines.join("\n"), max)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 17.
    #[test]
    fn a_text_is_composed_and_counted_as_people_see_it() {
        let taken_apart: String = "강".repeat(14).nfd().collect();
        assert_eq!(line(&taken_apart, 14), Ok("강".repeat(14)));
        assert_eq!(line(&"강".repeat(15), 14), Err(TextError::TooLong { max: 14 }));
        assert_eq!(line(&"👍🏽".repeat(40), 40), Ok("👍🏽".repeat(40)));
        assert_eq!(line(&"👍🏽".repeat(41), 40), Err(TextError::TooLong { max: 40 }));
        for emoji in ["👨‍👩‍👧‍👦", "👩🏻‍❤️‍💋‍👨🏿"] {
            assert_eq!(line(&emoji.repeat(60), 60), Ok(emoji.repeat(60)), "{emoji}");
            assert_eq!(line(&emoji.repeat(61), 60), Err(TextError::TooLong { max: 60 }), "{emoji}");
        }
        // A single character that people see may carry a book.
        assert_eq!(line(&"\u{1100}".repeat(5_000), 40), Err(TextError::TooLong { max: 40 }));
        assert_eq!(line(&"👩\u{200d}".repeat(500), 40), Err(TextError::TooLong { max: 40 }));
    }

    /// Case 19.
    #[test]
    fn what_shows_nothing_is_no_text() {
        let nothing = "\u{3164}\u{200b}\u{2800}\u{2060}\u{ad}\u{115f}\u{1160}\u{ffa0}\u{180e}\u{fe0f}\u{34f}\u{e0041}\u{feff}\u{200d}\u{61c}\u{2066}\u{202a}\u{3000}\u{a0}";
        for c in nothing.chars() {
            for s in [c.to_string(), format!("{c}{c}"), format!(" {c} ")] {
                assert_eq!(line(&s, 40), Err(TextError::Empty), "{:x}", u32::from(c));
                assert_eq!(paragraph(&s, 40), Err(TextError::Empty), "{:x}", u32::from(c));
            }
        }
        for lone in ["\u{301}", "a \u{301}", "홍\u{301}\u{301}\u{301}\u{301}\u{301}", "\u{200b}\u{301}홍"] {
            assert_eq!(line(lone, 40), Err(TextError::Marks), "{lone:?}");
        }
        assert_eq!(line(&format!("홍{}", "\u{301}".repeat(30)), 40), Err(TextError::Marks));
    }

    /// Case 19: every Default_Ignorable_Code_Point and every format character (Cf) of Unicode 16, but those that draw a sign.
    #[test]
    fn nothing_that_unicode_ignores_is_a_text() {
        const IGNORED: &[(u32, u32)] = &[
            (0xad, 0xad),
            (0x34f, 0x34f),
            (0x61c, 0x61c),
            (0x115f, 0x1160),
            (0x17b4, 0x17b5),
            (0x180b, 0x180f),
            (0x200b, 0x200f),
            (0x202a, 0x202e),
            (0x2060, 0x206f),
            (0x2800, 0x2800),
            (0x3164, 0x3164),
            (0xfe00, 0xfe0f),
            (0xfeff, 0xfeff),
            (0xffa0, 0xffa0),
            (0xfff0, 0xfffb),
            (0x13430, 0x1345f),
            (0x1bca0, 0x1bca3),
            (0x1d159, 0x1d159),
            (0x1d173, 0x1d17a),
            (0xe0000, 0xe0fff),
        ];
        for c in IGNORED.iter().flat_map(|(first, last)| *first..=*last).filter_map(char::from_u32) {
            assert!(is_unseen(c), "{:x}", u32::from(c));
            let expected = if is_override(c) { TextError::Control } else { TextError::Empty };
            assert_eq!(line(&format!(" {c}{c}"), 40), Err(expected), "{:x}", u32::from(c));
        }
        // Signs of numbers and verses, which are of this kind and show something.
        for sign in ["\u{600}", "\u{605}", "\u{6dd}", "\u{8e2}", "\u{110bd}"] {
            assert!(line(sign, 40).is_ok(), "{sign:?}");
        }
    }

    #[test]
    fn what_a_paste_adds_is_taken_away() {
        for (typed, text) in [
            ("\u{feff}홍길동", "홍길동"),
            ("홍\u{200b}길\u{ad}동\u{2060}", "홍길동"),
            ("\u{2068}홍길동\u{2069}", "홍길동"),
            ("\u{200e}John\u{200f}", "John"),
            ("e\u{34f}\u{301}", "é"),
            ("홍\t길동", "홍 길동"),
            ("홍 \u{3000}\u{a0} 길동", "홍 길동"),
            ("가\u{e0100}나\u{fe01}", "가나"),
            ("\u{2329}\u{fe0f}", "\u{3008}"),
        ] {
            assert_eq!(line(typed, 40).as_deref(), Ok(text), "{typed:?}");
        }
        assert_eq!(paragraph("첫 줄 \r\n\u{200b}둘째\u{2028}셋째\r", 40).as_deref(), Ok("첫 줄\n둘째\n셋째"));
    }

    #[test]
    fn pictures_stay_whole() {
        for whole in ["❤️‍🔥", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👩🏽‍🚀", "1️⃣", "🇰🇷", "☕️ 한 잔", "👁️‍🗨️", "©️"]
        {
            assert_eq!(line(whole, 40).as_deref(), Ok(whole));
        }
        for (typed, text) in
            [("가\u{200d}나", "가나"), ("🔥\u{200d}", "🔥"), ("🔥\u{200d}\u{200d}❤", "🔥\u{200d}❤"), ("1\u{fe0f}", "1")]
        {
            assert_eq!(line(typed, 40).as_deref(), Ok(text), "{typed:?}");
        }
    }

    #[test]
    fn what_hides_a_text_is_refused() {
        for bad in
            ["a\0b", "a\u{202e}b", "a\u{202d}b", "a\nb", "a\u{2028}b", "a\u{85}b", "\u{7}x", "a\u{ffff}", "\u{fdd0}"]
        {
            assert_eq!(line(bad, 10), Err(TextError::Control), "{bad:?}");
        }
        for bad in ["a\0b", "a\u{202e}\nb", "a\n\u{7}"] {
            assert_eq!(paragraph(bad, 10), Err(TextError::Control), "{bad:?}");
        }
    }
}
