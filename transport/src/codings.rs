//! The content coding of an answer, by `Accept-Encoding` (RFC 9110, 12.5.3): decided here, once a request.

use axum::http::{HeaderMap, HeaderValue, header};

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    /// Returns the name in headers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }
}

/// Chooses the coding that a client accepts most; of equals the smaller one. `None`: the client refuses all of them, and
/// identity too, by its name or by `*`.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<Coding> {
    let [mut brotli, mut gzip, mut identity, mut others] = [None::<f32>; 4];
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    for entry in lines.flat_map(|line| line.split(',')) {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is = |coding: &str| name.eq_ignore_ascii_case(coding);
        let place = if is("br") {
            &mut brotli
        } else if is("gzip") || is("x-gzip") {
            &mut gzip
        } else if is("identity") {
            &mut identity
        } else if is("*") {
            &mut others
        } else {
            continue;
        };
        *place = place.or(Some(weight(parts)));
    }
    let named = |coding: Option<f32>| coding.or(others).unwrap_or(0.0);
    match (named(brotli), named(gzip), named(identity)) {
        (b, g, i) if b > 0.0 && b >= g && b >= i => Some(Coding::Brotli),
        (_, g, i) if g > 0.0 && g >= i => Some(Coding::Gzip),
        // What is not named may be sent as it is.
        (_, _, i) if i > 0.0 || identity.or(others).is_none() => Some(Coding::Identity),
        _ => None,
    }
}

/// Returns the weight among the parameters of an entry. One that is no weight is passed over.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    let given = parameters.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
    let given = given.and_then(|weight| weight.parse::<f32>().ok());
    given.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0)
}

/// Writes the choice into the request. The compression layer would turn an answer that the client refuses into a 406, with
/// its body and its headers for caches, after a command was carried out.
pub(crate) fn settle(headers: &mut HeaderMap) -> Option<Coding> {
    let coding = accepted(headers)?;
    if headers.contains_key(header::ACCEPT_ENCODING) {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    Some(coding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(line).expect("a header"));
        }
        headers
    }

    #[test]
    fn codings_are_chosen_by_weight() {
        for (asked, coding) in [
            ("", Some(Coding::Identity)),
            ("identity", Some(Coding::Identity)),
            ("gzip", Some(Coding::Gzip)),
            ("GZIP;q=0.5", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0, br;q=0", Some(Coding::Identity)),
            ("gzip; q=0.000", Some(Coding::Identity)),
            ("*", Some(Coding::Brotli)),
            ("br;q=0, *;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0, *", Some(Coding::Brotli)),
            ("identity;q=1, gzip;q=0.2", Some(Coding::Identity)),
            ("gzip;q=0.2, br;q=0, *", Some(Coding::Identity)),
            ("zstd", Some(Coding::Identity)),
            ("identity;q=0, gzip", Some(Coding::Gzip)),
            ("identity;q=0, *", Some(Coding::Brotli)),
            ("*;q=0, gzip", Some(Coding::Gzip)),
            ("*;q=0, identity", Some(Coding::Identity)),
            ("*;q=0, identity;q=0.1", Some(Coding::Identity)),
            ("gzip;q=nan", Some(Coding::Gzip)),
            ("gzip;q=-1, br;q=2", Some(Coding::Brotli)),
            ("*;q=0", None),
            ("identity;q=0", None),
            ("identity;Q=0, zstd", None),
            ("*;q=0, zstd", None),
            ("gzip;q=0, identity;q=0", None),
            ("*, gzip;q=0, br;q=0, identity;q=0", None),
        ] {
            assert_eq!(accepted(&asking(&[asked])), coding, "{asked:?}");
        }
        assert_eq!(accepted(&asking(&[])), Some(Coding::Identity));
        assert_eq!(accepted(&asking(&["identity;q=0", "gzip"])), Some(Coding::Gzip), "lines are one list");
    }

    #[test]
    fn layers_behind_see_the_choice_alone() {
        let mut headers = asking(&["gzip;q=0", "*"]);
        assert_eq!(settle(&mut headers), Some(Coding::Brotli));
        assert_eq!(headers.get_all(header::ACCEPT_ENCODING).iter().collect::<Vec<_>>(), ["br"]);
        let mut none = asking(&[]);
        assert_eq!(settle(&mut none), Some(Coding::Identity));
        assert!(none.is_empty());
    }
}
