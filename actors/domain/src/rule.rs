//! Rules that a value can break.

use crate::text::TextError;
use std::fmt;
use std::ops::RangeInclusive;

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The stable code of the API.
    pub code: &'static str,
    /// The least and the most that is allowed, where that is what it says: a number, or how many characters or pieces.
    pub allowed: Option<(i64, i64)>,
}

impl Broken {
    /// Outside of what is allowed.
    fn beyond(code: &'static str, allowed: RangeInclusive<i64>) -> Self {
        Self { code, allowed: Some(allowed.into_inner()) }
    }
}

/// Checks a number, or how many there are of something.
///
/// # Errors
/// It is not within what is allowed.
pub fn within(code: &'static str, n: impl Into<i64>, allowed: RangeInclusive<i64>) -> Result<(), Broken> {
    if allowed.contains(&n.into()) { Ok(()) } else { Err(Broken::beyond(code, allowed)) }
}

impl From<&'static str> for Broken {
    fn from(code: &'static str) -> Self {
        Self { code, allowed: None }
    }
}

impl From<TextError> for Broken {
    fn from(e: TextError) -> Self {
        match e {
            TextError::Empty => "required".into(),
            TextError::TooLong { max } => Self::beyond("too-long", 1..=max as i64),
            TextError::Control | TextError::Marks => "invalid-characters".into(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}
