//! Fitting text into a box: widths from a table, wrapping by word, the largest size that fits.

/// Lines of a size.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The lines.
    pub lines: Vec<String>,
    /// Font size in pixels.
    pub size: f64,
}

/// Line height over font size.
pub const LEADING: f64 = 1.28;

/// How wide a character is, in em: at least as wide as any common Hangul face draws it.
#[must_use]
pub fn width(c: char) -> f64 {
    match c {
        '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{300}'..='\u{36f}' => 0.0,
        ' ' => 0.32,
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '!' | '\'' | '|' | '(' | ')' | '[' | ']' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        'A'..='Z' | '&' | '#' => 0.74,
        '0'..='9' => 0.62,
        c if c.is_ascii() => 0.60,
        '\u{a1}'..='\u{24f}' => 0.70,
        _ => 1.0,
    }
}

/// How wide a text is, in em.
#[must_use]
pub fn text_width(s: &str) -> f64 {
    s.chars().map(width).sum()
}

/// Wraps a text to a width in em: by word, and a word longer than a line by character.
#[must_use]
pub fn wrap(text: &str, max: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if text_width(&joined) <= max {
                line = joined;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line = break_word(word, max, &mut lines);
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}

/// Pushes full lines of a word that is too long; what is left of it.
fn break_word(word: &str, max: f64, lines: &mut Vec<String>) -> String {
    let mut line = String::new();
    for c in word.chars() {
        if !line.is_empty() && text_width(&line) + width(c) > max {
            lines.push(std::mem::take(&mut line));
        }
        line.push(c);
    }
    line
}

/// The largest size from `max` down to `min` pixels (in steps of 2) at which the text fits the box; at the smallest,
/// what does not fit is cut with an ellipsis.
#[must_use]
pub fn fit(text: &str, box_width: f64, box_height: f64, max: f64, min: f64) -> Fitted {
    let mut size = max;
    loop {
        let lines = wrap(text, box_width / size);
        if lines.len() as f64 * size * LEADING <= box_height {
            return Fitted { lines, size };
        }
        if size - 2.0 < min {
            return cut(lines, size, box_width, box_height);
        }
        size -= 2.0;
    }
}

fn cut(mut lines: Vec<String>, size: f64, box_width: f64, box_height: f64) -> Fitted {
    let room = ((box_height / (size * LEADING)) as usize).max(1);
    lines.truncate(room);
    if let Some(last) = lines.last_mut() {
        while text_width(last) + width('…') > box_width / size && last.pop().is_some() {}
        last.push('…');
    }
    Fitted { lines, size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hangul_wraps_by_word() {
        assert_eq!(wrap("가을맞이 아메리카노 무료 이벤트", 9.0), ["가을맞이", "아메리카노 무료", "이벤트"]);
        assert_eq!(wrap("가나다라마바사", 3.0), ["가나다", "라마바", "사"]);
        assert_eq!(wrap("첫 줄\n둘째 줄", 20.0), ["첫 줄", "둘째 줄"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn nothing_sticks_out_and_nothing_is_lost(text in "[가-힣a-zA-Z0-9 😀!]{1,60}", w in 200f64..1000.0, h in 80f64..600.0) {
            let fitted = fit(&text, w, h, 96.0, 14.0);
            for line in &fitted.lines {
                prop_assert!(text_width(line) * fitted.size <= w + 0.01 || line.chars().count() <= 1, "{line}");
            }
            let kept: String = fitted.lines.concat().replace(' ', "");
            if !kept.ends_with('…') {
                prop_assert_eq!(kept, text.split_whitespace().collect::<String>());
                prop_assert!(fitted.lines.len() as f64 * fitted.size * LEADING <= h + 0.01);
            }
        }
    }
}
