//! Tests that cannot do their work here say so by name.

use std::io::Write;

/// Says on standard error that a test was skipped, and why. The line is seen even where the test runner keeps output back.
pub fn skipped(test: &str, why: &str) {
    // A line that cannot be written is no reason to fail.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// Returns true if there is a font for Hangul. Without one the part of the test that needs it is skipped by name.
///
/// # Panics
/// In CI, which installs a font.
pub fn has_font<T>(test: &str, font: Option<T>) -> bool {
    if font.is_some() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{test}: CI has no font for Hangul");
    skipped(test, "no font for Hangul");
    false
}
