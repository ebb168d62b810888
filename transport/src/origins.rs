//! Whose pages may call from a browser: those of our own address and of the origins that are configured. A socket of any
//! other is refused before its upgrade, and so is a request that would change something; of an answer over REST the browser
//! keeps from it what we do not say it may see (CORS).

use crate::config::Settings;
use crate::policy::Policy;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::Url;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What a browser asks before a request that a form could not make; for so many seconds it need not ask again.
const PREFLIGHT: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "authorization, content-type, idempotency-key, if-match, if-none-match, prefer",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "600"),
];
/// What a page may read besides the usual.
const EXPOSED: &str = "etag, location, ratelimit, ratelimit-policy, retry-after, x-cache, x-trace-id";

/// The origins that may call.
pub(crate) struct Origins {
    ours: String,
    more: Vec<String>,
    /// On a loopback listener: the origin of its pages, which have other names too.
    loopback: Option<String>,
    /// `http` or `https`, where a listener on all addresses has no public one: any address of this machine is its own.
    any_address: Option<&'static str>,
    policy: Policy,
}

impl Origins {
    /// The origins of a server that listens there.
    pub(crate) fn new(public_url: &str, settings: &Settings, listening: SocketAddr) -> Self {
        let more = settings.allowed_origins.iter().filter_map(|origin| of(origin)).collect();
        let (ours, ip) = (of(public_url).unwrap_or_default(), listening.ip().to_canonical());
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let loopback = ip.is_loopback().then(|| of(&format!("{scheme}://127.0.0.1:{}", listening.port()))).flatten();
        let any_address = (ip.is_unspecified() && settings.public_url.is_none()).then_some(scheme);
        let policy = Policy::new(&ours, settings.tls.is_some());
        Self { ours, more, loopback, any_address, policy }
    }

    /// What browsers are told with every answer.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Is it one of them? `null`, as sandboxed pages have it, is none.
    pub(crate) fn know(&self, origin: &HeaderValue) -> bool {
        let Some(origin) = origin.to_str().ok().and_then(exact) else { return false };
        let same = |known: &String| origin == *known || same_machine(&origin, known);
        same(&self.ours) || self.loopback.as_ref().is_some_and(same) || self.more.contains(&origin)
    }

    /// May the page that sent a request call? A request without an `Origin` is no page's.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        origins.all(|origin| self.know(origin) || self.is_of_this_address(origin, headers))
    }

    /// Is the page of the very address that it calls? A name may be pointed at this machine by anybody (DNS rebinding), an
    /// address may not.
    fn is_of_this_address(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        let Some(scheme) = self.any_address else { return false };
        let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let asked = asked.and_then(|host| exact(&format!("{scheme}://{host}")));
        let origin = origin.to_str().ok().and_then(exact);
        origin.is_some_and(|origin| Some(&origin) == asked.as_ref() && is_address(&origin))
    }

    /// Lets a page that may call see the answer; says to caches whom it is for.
    pub(crate) fn open(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.more.is_empty() {
            return;
        }
        answer.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin.filter(|origin| self.know(origin)) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }

    /// The answer's headers to a browser that asks whether one of our pages may call; `None`: this is no such question.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<HeaderMap> {
        let asks = method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let ours = asks && !self.more.is_empty() && headers.get(header::ORIGIN).is_some_and(|origin| self.know(origin));
        ours.then(|| PREFLIGHT.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect())
    }
}

/// Scheme, host and port of an address, as browsers write them: `https://마당.kr:443/` is `https://xn--ok1b32k.kr`.
pub(crate) fn of(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.origin()).filter(|origin| origin.is_tuple()).map(|origin| origin.ascii_serialization())
}

/// An origin as [`of`] writes it, from one that says nothing more than an origin does.
fn exact(origin: &str) -> Option<String> {
    let (_, host) = origin.split_once("://")?;
    of(origin).filter(|_| !host.contains(['/', '\\', '?', '#', '@']) && !host.contains(char::is_whitespace))
}

/// `localhost` and the loopback addresses are one place, at the same port.
fn same_machine(one: &str, other: &str) -> bool {
    let place = |origin: &str| {
        let url = Url::parse(origin).ok()?;
        let here = url.host_str().is_some_and(is_loopback_name);
        here.then(|| (url.scheme().to_owned(), url.port_or_known_default()))
    };
    place(one).is_some_and(|place_of_one| Some(place_of_one) == place(other))
}

/// Is the host of an origin an address, or this machine's own name?
fn is_address(origin: &str) -> bool {
    let url = Url::parse(origin).ok();
    let host = url.as_ref().and_then(Url::host_str);
    host.is_some_and(|host| is_loopback_name(host) || address(host).is_some())
}

fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().ok().map(|v6| v6.to_canonical()),
        None => host.parse().ok(),
    }
}

/// Is a host this very machine, by a name that nobody else can give: `localhost`, or a loopback address?
pub(crate) fn is_loopback_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_do() {
        for (url, origin) in [
            ("https://a.kr/shop", Some("https://a.kr")),
            ("HTTPS://A.kr:443", Some("https://a.kr")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("https://마당.kr/", Some("https://xn--ok1b32k.kr")),
            ("https://", None),
            ("data:text/html,x", None),
        ] {
            assert_eq!(of(url).as_deref(), origin, "{url}");
        }
    }

    #[test]
    fn one_machine_has_many_names() {
        assert!(same_machine("http://localhost:8080", "http://127.0.0.1:8080"));
        for other in
            ["http://localhost:8081", "http://localhost.evil.kr:8080", "https://localhost:8080", "http://evil.kr:8080"]
        {
            assert!(!same_machine(other, "http://127.0.0.1:8080"), "{other}");
        }
    }

    fn headers(origin: &str, host: &str) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).expect("a header");
        HeaderMap::from_iter([(header::ORIGIN, value(origin)), (header::HOST, value(host))])
    }

    fn origins(listening: &str, public_url: Option<&str>) -> Origins {
        let mut settings = Settings::defaults().expect("defaults are fine");
        settings.public_url = public_url.map(str::to_owned);
        let listening: SocketAddr = listening.parse().expect("an address");
        Origins::new(&settings.public_url(listening), &settings, listening)
    }

    /// Cases M5, 2 and 3: a page opened at this machine is ours by each of its names, whatever the public address is.
    #[test]
    fn a_loopback_listener_is_its_own_by_every_name() {
        for public in [None, Some("https://shop.example.kr")] {
            let origins = origins("127.0.0.1:8080", public);
            for own in [
                "http://127.0.0.1:8080",
                "http://localhost:8080",
                "http://LocalHost:8080",
                "http://localhost.:8080",
                "http://[::1]:8080",
                "http://[0:0:0:0:0:0:0:1]:8080",
                "http://[::ffff:127.0.0.1]:8080",
            ] {
                assert!(origins.allow(&headers(own, "127.0.0.1:8080")), "{own} {public:?}");
            }
            for foreign in [
                "null",
                "http://localhost:8081",
                "https://localhost:8080",
                "http://localhost",
                "http://localhost:8080.evil.kr",
                "http://localhost:8080@evil.kr",
                "http://localhost.evil.kr:8080",
                "http://evil.kr:8080",
                "http://192.168.0.5:8080",
                "http://localhost:8080/path",
                "http://user@localhost:8080",
                "localhost:8080",
                "",
            ] {
                assert!(!origins.allow(&headers(foreign, "127.0.0.1:8080")), "{foreign} {public:?}");
            }
            assert_eq!(origins.allow(&headers("https://shop.example.kr", "127.0.0.1:8080")), public.is_some());
        }
    }

    /// Case 3: on all addresses without a public one, a page is ours at the address that it calls, never by a name.
    #[test]
    fn a_listener_on_all_addresses_is_its_own_at_each() {
        for listening in ["0.0.0.0:8080", "[::]:8080"] {
            let any = origins(listening, None);
            for host in ["192.168.0.5:8080", "127.0.0.1:8080", "localhost:8080", "[fe80::1]:8080", "[::1]:8080"] {
                assert!(any.allow(&headers(&format!("http://{host}"), host)), "{host}");
                assert!(!any.allow(&headers(&format!("https://{host}"), host)), "{host}");
                assert!(!any.allow(&headers("http://192.168.0.99:8080", host)), "another machine's page, to {host}");
                assert!(!any.allow(&headers("http://evil.kr:8080", host)), "{host}");
            }
            assert!(!any.allow(&headers("http://evil.kr:8080", "evil.kr:8080")), "a name that was pointed here");
            let named = origins(listening, Some("https://shop.example.kr"));
            assert!(named.allow(&headers("https://shop.example.kr", "shop.example.kr")));
            assert!(!named.allow(&headers("http://192.168.0.5:8080", "192.168.0.5:8080")), "it has a public address");
        }
    }
}
