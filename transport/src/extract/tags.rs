//! Entity tags of conditional requests (RFC 9110, 8.8.3 and 13.1): read here for every handler.

use crate::error::{ApiResult, Problem};
use crate::state::App;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};

/// What a conditional header names.
#[derive(Debug, PartialEq, Eq)]
enum Tags<'a> {
    /// `*`: whatever there is.
    Any,
    /// The tags of all its lines. A header that is no list of tags names none.
    Listed(Vec<Tag<'a>>),
}

/// One entity tag, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag<'a> {
    weak: bool,
    value: &'a str,
}

impl<'a> Tags<'a> {
    /// Reads a header. `None`: it is not there.
    fn of(headers: &'a HeaderMap, name: HeaderName) -> Option<Self> {
        let lines: Vec<&str> =
            headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("unreadable").trim()).collect();
        match lines.as_slice() {
            [] => None,
            ["*"] => Some(Self::Any),
            lines => {
                let lists: Option<Vec<Vec<Tag<'a>>>> = lines.iter().map(|line| list(line)).collect();
                Some(Self::Listed(lists.unwrap_or_default().concat()))
            }
        }
    }
}

/// Returns the tags of one line. A comma may stand in a tag. `None`: the line is no list of tags.
fn list(line: &str) -> Option<Vec<Tag<'_>>> {
    const BLANK: [char; 2] = [' ', '\t'];
    let (mut tags, mut rest) = (Vec::new(), line);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let weak = rest.strip_prefix("W/");
        let (value, after) = weak.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        tags.push(Tag { weak: weak.is_some(), value });
        rest = after.trim_start_matches(BLANK);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}

/// The versions that a change may be made on, from `If-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Any that there is: no header, or `*`.
    Any,
    /// One of these; there is at least one.
    OneOf(Vec<i64>),
}

impl IfMatch {
    /// Reads the header. The comparison is strong: a weak tag matches nothing, nor does a tag that was never given.
    fn of(headers: &HeaderMap) -> ApiResult<Self> {
        let Some(Tags::Listed(tags)) = Tags::of(headers, header::IF_MATCH) else { return Ok(Self::Any) };
        let strong = tags.iter().filter(|tag| !tag.weak);
        let versions: Vec<i64> = strong.filter_map(|tag| version(tag.value)).collect();
        if versions.is_empty() { Err(stale()) } else { Ok(Self::OneOf(versions)) }
    }

    /// Returns the version that the change must still find where it is stored; `None`: any.
    ///
    /// # Errors
    /// 412: the present version is none of those.
    pub(crate) fn on(&self, present: i64) -> ApiResult<Option<i64>> {
        match self {
            Self::Any => Ok(None),
            Self::OneOf(versions) if versions.contains(&present) => Ok(Some(present)),
            Self::OneOf(_) => Err(stale()),
        }
    }
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

fn stale() -> Problem {
    Problem::new(StatusCode::PRECONDITION_FAILED, "stale")
}

/// Returns the version that a tag names, in the one spelling that is given out.
fn version(value: &str) -> Option<i64> {
    value.parse::<i64>().ok().filter(|version| version.to_string() == value)
}

/// Returns whether `If-None-Match` names one of our tags. The comparison is weak.
pub(crate) fn is_known(headers: &HeaderMap, is_ours: impl Fn(&str) -> bool) -> bool {
    match Tags::of(headers, header::IF_NONE_MATCH) {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::Listed(tags)) => tags.iter().any(|tag| is_ours(tag.value)),
    }
}

/// Has the client this version already?
pub(crate) fn unchanged(headers: &HeaderMap, present: i64) -> bool {
    is_known(headers, |value| version(value) == Some(present))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_str(line).expect("a header"));
        }
        headers
    }

    #[test]
    fn a_change_is_made_on_one_of_the_listed_versions() {
        let matches = |lines: &[&str], present| {
            IfMatch::of(&headers(header::IF_MATCH, lines)).and_then(|asked| asked.on(present)).map_err(|p| p.status)
        };
        for (lines, present, expected) in [
            (&["*"][..], 7, Ok(None)),
            (&[], 7, Ok(None)),
            (&[" * "], 7, Ok(None)),
            (&["\"7\""], 7, Ok(Some(7))),
            (&["\"1\", \"7\""], 7, Ok(Some(7))),
            (&["\"7\", \"9\""], 7, Ok(Some(7))),
            (&["\"7\",\"9\""], 9, Ok(Some(9))),
            (&["\"1\"", "\"7\""], 7, Ok(Some(7))),
            (&[", \"x,y\" ,\t\"7\","], 7, Ok(Some(7))),
            (&["W/\"7\", \"7\""], 7, Ok(Some(7))),
            (&["\"1\", \"2\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["W/\"7\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["W/\"7\", \"8\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["\"x\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["\"07\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["\"+7\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["\"6,7\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            // What is no list of tags must not let a change through.
            (&["7"], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["\"7"], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["\"7\" \"8\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["*, \"7\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["*", "\"7\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&["w/\"7\""], 7, Err(StatusCode::PRECONDITION_FAILED)),
            (&[""], 7, Err(StatusCode::PRECONDITION_FAILED)),
        ] {
            assert_eq!(matches(lines, present), expected, "{lines:?} on {present}");
        }
    }

    #[test]
    fn a_client_has_what_it_names() {
        for (lines, known) in [
            (&["*"][..], true),
            (&[], false),
            (&["\"7\""], true),
            (&["W/\"7\""], true),
            (&["\"6\", W/\"7\""], true),
            (&["\"6\"", "\"7\""], true),
            (&["\"6\""], false),
            (&["7"], false),
            (&[""], false),
        ] {
            assert_eq!(unchanged(&headers(header::IF_NONE_MATCH, lines), 7), known, "{lines:?}");
        }
    }
}
