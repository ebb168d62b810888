//! Golden pictures: layout is the same on every machine. `UPDATE_GOLDEN=1 cargo test -p creative` writes them anew;
//! look at the difference before committing it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use creative::layout::{fit, text_width};
use creative::{Fonts, Palette, Picture, PictureLook, compose};

const SIZES: [(&str, u32, u32); 3] = [("instagram", 1080, 1080), ("naver", 800, 600), ("kakao", 800, 400)];
const LONGEST: &str =
    "우리동네에서가장오래된빵집의가을맞이대축제 아메리카노와 소금빵을 함께 드리는 감사 이벤트에 초대합니다 꼭 오세요";

fn picture(width: u32, height: u32, look: PictureLook, headline: &str) -> String {
    let palette = Palette::parse("SUNSET").unwrap();
    let body = "11월 20일부터 7일간 · 응모하고 아메리카노 받기 ☕ & <b>굵게</b>";
    compose(&Picture { width, height, look, headline, body, palette, background: None })
}

#[test]
fn golden_pictures() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, w, h) in SIZES {
        for (look, kind) in
            [(PictureLook::Simple, "simple"), (PictureLook::Vivid, "vivid"), (PictureLook::Trendy, "trendy")]
        {
            for (headline, length) in [("가을맞이 Latte 무료 🎉", "short"), (LONGEST, "long")] {
                let svg = picture(w, h, look, headline);
                let path = folder.join(format!("{name}-{kind}-{length}.svg"));
                if std::env::var_os("UPDATE_GOLDEN").is_some() {
                    std::fs::write(&path, &svg).unwrap();
                }
                let golden = std::fs::read_to_string(&path).unwrap();
                assert!(svg == golden, "{} differs from its golden file", path.display());
            }
        }
    }
}

#[test]
fn the_longest_title_fits_the_smallest_picture_whole() {
    assert_eq!(LONGEST.chars().count(), 60);
    let svg = picture(800, 400, PictureLook::Simple, LONGEST);
    assert!(!svg.contains('…'), "cut");
    let hangul_only = "가".repeat(60);
    assert!(!picture(800, 400, PictureLook::Trendy, &hangul_only).contains('…'));
    let fitted = fit(&hangul_only, 600.0, 105.0, 52.0, 16.8);
    assert!(fitted.lines.iter().all(|l| text_width(l) * fitted.size <= 600.0));
}

#[test]
fn hostile_text_stays_text() {
    let svg = picture(800, 400, PictureLook::Simple, "</text><script>alert(1)</script>\"'&");
    assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"));
}

/// Bytes that are no SVG are refused, and files outside of one are never read; without fonts too.
#[test]
fn only_what_is_inside_a_picture_is_drawn() {
    let fonts = Fonts::none();
    let jpeg = fonts.jpeg(&picture(800, 400, PictureLook::Simple, "가을맞이 이벤트")).unwrap();
    assert!(jpeg.starts_with(&[0xff, 0xd8, 0xff]));
    assert!(fonts.jpeg("<svg").is_err());
    let outside = r#"<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="/etc/hostname" width="9" height="9"/></svg>"#;
    assert!(fonts.jpeg(outside).is_ok(), "outside files are ignored, not read");
}
