//! A syllable is drawn where it has ink: fonts made here have blank glyphs, those of the machine are looked through.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use creative::Fonts;
use std::io::Write;
use std::path::PathBuf;

/// Pixels a side of a cell in a picture of syllables.
const CELL: u32 = 60;
/// Syllables a row.
const ROW: u32 = 16;
/// No hole.
const NONE: [char; 0] = [];

fn u16s(all: &[u16]) -> Vec<u8> {
    all.iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn u32s(all: &[u32]) -> Vec<u8> {
    all.iter().flat_map(|n| n.to_be_bytes()).collect()
}

/// A TrueType font that maps every syllable: to a square, or to a glyph without an outline.
fn font(family: &str, is_blank: impl Fn(char) -> bool) -> Vec<u8> {
    let negative = |n: u16| 0u16.wrapping_sub(n);
    // One contour with its bounds, its last point, no instructions; four points on the curve, as steps.
    let square =
        [u16s(&[1, 100, 0, 900, 800, 3, 0]), vec![1; 4], u16s(&[100, 0, 800, 0]), u16s(&[0, 800, 0, negative(800)])]
            .concat();
    let (mut glyf, mut loca, mut glyphs) = (Vec::new(), vec![0u32, 0], 1u16);
    for syllable in '가'..='힣' {
        if !is_blank(syllable) {
            glyf.extend(&square);
        }
        loca.push(glyf.len() as u32);
        glyphs += 1;
    }
    let name: Vec<u16> = family.encode_utf16().collect();
    let bytes = 2 * name.len() as u16;
    let head = [u32s(&[0x1_0000, 0, 0, 0x5f0f_3cf5]), u16s(&[0, 1000]), vec![0; 16]].concat();
    let tables: [(&[u8; 4], Vec<u8>); 8] = [
        (b"cmap", [u16s(&[0, 1, 3, 10, 0, 12, 12, 0]), u32s(&[28, 0, 1, 0xac00, 0xd7a3, 1])].concat()),
        (b"glyf", glyf),
        (b"head", [head, u16s(&[0, 0, 1000, 1000, 0, 8, 2, 1, 0])].concat()),
        (b"hhea", u16s(&[1, 0, 800, negative(200), 0, 1000, 0, 0, 1000, 1, 0, 0, 0, 0, 0, 0, 0, 1])),
        (b"hmtx", [u16s(&[1000, 100]), u16s(&vec![100; usize::from(glyphs) - 1])].concat()),
        (b"loca", u32s(&loca)),
        (b"maxp", u16s(&[1, 0, glyphs, 4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
        (b"name", [u16s(&[0, 2, 30, 3, 1, 0x409, 1, bytes, 0, 3, 1, 0x409, 6, bytes, 0]), u16s(&name)].concat()),
    ];
    let mut file = u16s(&[1, 0, 8, 128, 3, 0]);
    let mut at = 12 + 16 * 8;
    for (tag, table) in &tables {
        file.extend(*tag);
        file.extend(u32s(&[0, at, table.len() as u32]));
        at += table.len().next_multiple_of(4) as u32;
    }
    for (_, mut table) in tables {
        table.resize(table.len().next_multiple_of(4), 0);
        file.extend(table);
    }
    file
}

/// A folder of one test, with these fonts in it.
fn folder(test: &str, fonts: &[(&str, Vec<u8>)]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (n, (_, bytes)) in fonts.iter().enumerate() {
        std::fs::write(folder.join(format!("{n}.ttf")), bytes).unwrap();
    }
    folder
}

fn loaded(test: &str, made: &[(&str, &dyn Fn(char) -> bool)]) -> Fonts {
    let files: Vec<_> = made.iter().map(|(family, is_blank)| (*family, font(family, is_blank))).collect();
    Fonts::load(Some(&folder(test, &files)))
}

/// The syllables that are holes in a picture of them.
fn holes(fonts: &Fonts, syllables: &[char], weight: u32) -> Vec<char> {
    let rows = (syllables.len() as u32).div_ceil(ROW);
    let (width, height) = (ROW * CELL, rows * CELL);
    let mut svg = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">"#);
    let corner = |n: usize| (n as u32 % ROW * CELL, n as u32 / ROW * CELL);
    for (n, syllable) in syllables.iter().enumerate() {
        let (x, y) = (corner(n).0 + CELL / 2, corner(n).1 + CELL * 3 / 4);
        svg += &format!(
            r#"<text x="{x}" y="{y}" font-family="serif" font-size="40" font-weight="{weight}" text-anchor="middle">{syllable}</text>"#
        );
    }
    svg += "</svg>";
    let picture = image::load_from_memory(&fonts.jpeg(&svg).unwrap()).unwrap().into_luma8();
    let has_ink = |n: usize| {
        let (left, top) = corner(n);
        (0..CELL).any(|x| (0..CELL).any(|y| picture.get_pixel(left + x, top + y).0[0] < 100))
    };
    syllables.iter().enumerate().filter(|(n, _)| !has_ink(*n)).map(|(_, syllable)| *syllable).collect()
}

/// The machine's fonts. Without a Hangul one a test is skipped by name, or fails in CI.
fn machine(test: &str) -> Option<Fonts> {
    let fonts = Fonts::load(None);
    if fonts.hangul().is_some() {
        return Some(fonts);
    }
    assert!(std::env::var_os("CI").is_none(), "{test}: no Hangul font: install one, as fonts-nanum");
    // The macro would hide it: a test that passes shows no output.
    // Written past the test runner, which keeps output of tests that pass. A line that cannot be written is no failure.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: no Hangul font");
    None
}

/// Blank syllables: a family without ink for some is not the one that pictures are drawn with, though it is listed first.
#[test]
fn a_complete_family_is_chosen_by_its_ink() {
    let odd = |c: char| u32::from(c) % 2 == 1;
    let fonts =
        loaded("complete", &[("NanumSquare", &odd), ("Noto Sans KR", &|_| false), ("NanumGothic", &|c| c == '뜌')]);
    assert_eq!(fonts.families(), ["Noto Sans KR", "NanumGothic", "NanumSquare"]);
    assert_eq!(holes(&fonts, &['훍', '펲', '뜌', '갂'], 700), NONE);
    // A family outside of the list may be the only complete one.
    let fonts = loaded("unlisted", &[("NanumSquare", &odd), ("Whole Hangul", &|_| false)]);
    assert_eq!(fonts.hangul(), Some("Whole Hangul"));
}

/// Blank syllables: where no family is complete, each text gets one that has ink for it.
#[test]
fn a_text_gets_a_family_that_draws_it() {
    let fonts = loaded("parts", &[("NanumGothic", &|c| c == '뜌'), ("NanumSquare", &|c| c == '갂')]);
    assert_eq!(fonts.families(), ["NanumGothic", "NanumSquare"]);
    for text in [['갂', '훍'], ['뜌', '훍']] {
        assert_eq!(holes(&fonts, &text, 400), NONE, "{text:?}");
        assert_eq!(fonts.hole_in(&String::from_iter(text)), None);
    }
    // No family draws all of this: it is drawn as well as possible, and the hole is known.
    assert_eq!(fonts.hole_in("갂뜌"), Some('뜌'));
    assert_eq!(holes(&fonts, &['갂', '뜌'], 400), ['뜌']);
    let empty = Fonts::load(Some(&folder("empty", &[])));
    assert_eq!((empty.hangul(), empty.hole_in("가")), (None, None));
}

/// Blank syllables: the fonts of this machine have ink for a sample of all syllables, in both weights.
#[test]
fn no_syllable_is_blank_with_the_fonts_of_this_machine() {
    let Some(fonts) = machine("no_syllable_is_blank_with_the_fonts_of_this_machine") else { return };
    let mut sample: Vec<char> = ('가'..='힣').step_by(37).collect();
    sample.extend(['훍', '펲', '뜌', '갂']);
    for weight in [400, 700] {
        for part in sample.chunks(16 * 16) {
            assert_eq!(holes(&fonts, part, weight), NONE, "{} at {weight}", fonts.hangul().unwrap());
        }
    }
}

/// Text is really drawn: a picture without it differs.
#[test]
fn hangul_is_drawn_where_there_is_a_font() {
    let Some(fonts) = machine("hangul_is_drawn_where_there_is_a_font") else { return };
    assert_eq!(holes(&fonts, &"가을맞이이벤트".chars().collect::<Vec<_>>(), 700), NONE);
    assert_eq!(holes(&fonts, &[' '], 700), [' '], "the test sees a hole");
}
