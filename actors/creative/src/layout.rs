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

/// Pairs that say one date or time, by the last character of a number's counter and that of the next one: `12월 8일`.
const COUNTER_PAIRS: [(char, char); 4] = [('년', '월'), ('월', '일'), ('시', '분'), ('분', '초')];
/// Words that say which half of the day the number behind them means.
const HALVES_OF_DAY: [&str; 6] = ["오전", "오후", "새벽", "아침", "저녁", "밤"];
/// Counters that stand apart from their number: `3 명`.
const COUNTERS: [&str; 16] =
    ["년", "월", "일", "시", "분", "초", "명", "개", "원", "만원", "잔", "회", "번", "장", "위", "%"];

/// Wraps a text to a width in em: by word, and a word wider than a line by character. A number and its counter stay on one
/// line where one line is wide enough.
#[must_use]
pub fn wrap(text: &str, max: f64) -> Vec<String> {
    fill(text, max, max, max).unwrap_or_default()
}

/// Fills lines of `max` em. Words that belong together stay so while they are at most `together` em wide; only a word wider
/// than `breakable` em is broken. `None`: another word is wider than a line.
fn fill(text: &str, max: f64, together: f64, breakable: f64) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for piece in pieces(paragraph, together) {
            let joined = if line.is_empty() { piece.clone() } else { format!("{line} {piece}") };
            if text_width(&joined) <= max {
                line = joined;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            let alone = text_width(&piece);
            if alone > max && alone <= breakable {
                return None;
            }
            line = if alone <= max { piece } else { break_word(&piece, max, &mut lines) };
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    Some(lines)
}

/// The words of a paragraph; those that belong together are one piece while it is at most `together` em wide.
fn pieces(paragraph: &str, together: f64) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for word in paragraph.split_whitespace() {
        match all.last_mut() {
            Some(last) if belongs(last, word) && text_width(last) + width(' ') + text_width(word) <= together => {
                last.push(' ');
                last.push_str(word);
            }
            _ => all.push(word.to_owned()),
        }
    }
    all
}

/// Whether no line may end between what came before and a word: `12월` and `8일까지`, `오후` and `3시`, `3` and `명`.
fn belongs(before: &str, word: &str) -> bool {
    let last = before.rsplit(' ').next().unwrap_or(before);
    let behind_digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
    if behind_digits.len() == word.len() {
        let number = last.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.'));
        return number && COUNTERS.iter().any(|counter| word.starts_with(counter));
    }
    let mut backwards = last.chars().rev();
    let pair = backwards.next().zip(behind_digits.chars().next());
    let counted = backwards.next().is_some_and(|c| c.is_ascii_digit());
    HALVES_OF_DAY.contains(&last) || (counted && pair.is_some_and(|pair| COUNTER_PAIRS.contains(&pair)))
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

/// The largest size from `max` down to `min` pixels (in steps of 2) at which the text fits the box with whole words; only a
/// word that is wider than the box at the smallest size is broken. Text that does not fit then is cut with an ellipsis.
#[must_use]
pub fn fit(text: &str, box_width: f64, box_height: f64, max: f64, min: f64) -> Fitted {
    let widest = box_width / min;
    for together in [widest, 0.0] {
        let mut size = max;
        loop {
            if let Some(lines) = fill(text, box_width / size, together, widest)
                && lines.len() as f64 * size * LEADING <= box_height
            {
                return Fitted { lines, size };
            }
            if size <= min {
                break;
            }
            size = (size - 2.0).max(min);
        }
    }
    cut(fill(text, widest, 0.0, widest).unwrap_or_default(), min, box_width, box_height)
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

    /// Case 18: a date is read as one, and so is a time, or a number with what it counts.
    #[test]
    fn a_number_and_its_counter_stay_together() {
        assert_eq!(wrap("동네빵집 · 12월 8일까지", 9.0), ["동네빵집 ·", "12월 8일까지"]);
        assert_eq!(wrap("잔치는 2026년 12월 8일 하루", 10.0), ["잔치는", "2026년 12월 8일", "하루"]);
        assert_eq!(wrap("토요일 오후 3시 30분부터", 9.0), ["토요일", "오후 3시 30분부터"]);
        assert_eq!(wrap("추첨해서 3 명에게", 6.0), ["추첨해서", "3 명에게"]);
        assert_eq!(wrap("경품은 12 개월 이용권", 5.0), ["경품은", "12 개월", "이용권"]);
        // One line is not wide enough for both.
        assert_eq!(wrap("2026년 12월", 4.0), ["2026년", "12월"]);
        assert_eq!(wrap("가나다라 3월 이벤트 5일", 8.0), ["가나다라 3월", "이벤트 5일"]);
    }

    /// Case 18: the size shrinks until the word is whole.
    #[test]
    fn a_word_is_broken_only_where_no_size_shows_it_whole() {
        for word in ["오픈기념이벤트", "크리스마스기념 할인", "개업1주년기념이벤트"] {
            let fitted = fit(word, 600.0, 200.0, 140.0, 22.0);
            assert_eq!(fitted.lines.join(" "), word);
            assert!(fitted.lines.iter().all(|l| text_width(l) * fitted.size <= 600.0));
        }
        let whole = fit("가나다라마바사", 70.0, 100.0, 96.0, 10.0);
        assert_eq!((whole.lines.as_slice(), whole.size), (&["가나다라마바사".to_owned()][..], 10.0));
        assert!(fit("가나다라마바사아", 70.0, 100.0, 96.0, 10.0).lines.len() > 1, "eight do not fit at ten pixels");
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
