//! Which requests for the customer page are clicks of people: messengers and search engines look at links too, browsers
//! fetch ahead of the person, and anybody can ask in a loop.

use axum::http::{HeaderMap, Method, StatusCode, header};
use domain::channel::Source;
use domain::event::Event;
use domain::ids::EventId;
use domain::visit_guard::AddressTag;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How long clicks of one address on one link are taken together.
const CLICK_WINDOW: Duration = Duration::from_secs(10);
/// Clicks of one browser of one address on one link that count meanwhile: people behind one Wi-Fi have the same phones, and
/// click together when a QR code is shown to them; a loop goes on.
const MAX_TOGETHER: u32 = 20;
/// The same of all browsers of an address: a loop may call itself something else each time.
const MAX_OF_ADDRESS: u32 = 200;
/// Addresses, browsers and links remembered; past it all are forgotten, and counted anew.
const MAX_REMEMBERED: usize = 50_000;

/// Parts of the user agents of programs that look at links, in lower case. Browsers inside messengers and portals are
/// people: `KAKAOTALK`, `NAVER(inapp`, `Line/` and `DaumApps` must not match. Libraries count: an app of a shop may use one.
const PROGRAMS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "preview",
    "scrap",
    "slurp",
    "fetcher",
    "facebookexternalhit",
    "facebookcatalog",
    "meta-external",
    "whatsapp",
    "slack-imgproxy",
    "line-poker",
    "yeti",
    "daum/",
    "daumoa",
    "embedly",
    "iframely",
    "vkshare",
    "pinterest/0",
    "mediapartners-google",
    "google-inspectiontool",
    "google-safety",
    "google-read-aloud",
    "googleother",
    "lighthouse",
    "monitor",
    "uptime",
    "compatible;",
    "viber/",
    "zalo/",
    "tumblr/",
    "mastodon/",
    "pleroma",
    "misskey",
    "akkoma",
    "zoomwebkit",
    "zoom.us",
    "rocket.chat",
    "jandi",
    "snap url",
    "google-pagerenderer",
    "headlesschrome",
    "cfnetwork/",
];
/// Phones whose name has one of these parts in it.
const PHONES: &[&str] = &["cubot"];
/// Headers by which browsers say why they fetch a page nobody has opened.
const PURPOSES: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// Returns whether a request, answered with this status, is a person's visit.
pub(crate) fn is_visit(method: &Method, headers: &HeaderMap, answered: StatusCode) -> bool {
    let of = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let ahead = PURPOSES.iter().any(|name| ["prefetch", "prerender", "preview"].iter().any(|p| of(name).contains(p)));
    // A browser that says what a page is for says `document` of one that a person opens.
    let dest = of("sec-fetch-dest");
    method == Method::GET
        && answered == StatusCode::OK
        && !headers.contains_key(header::RANGE)
        && !ahead
        && (dest.is_empty() || dest == "document")
        && !is_program(&of("user-agent"))
}

fn is_program(agent: &str) -> bool {
    let agent = PHONES.iter().fold(agent.to_owned(), |agent, phone| agent.replace(phone, ""));
    PROGRAMS.iter().any(|part| agent.contains(part))
}

/// Returns where a click is counted: what names a channel that was not chosen came by the bare link, and is shown there.
pub(crate) fn source_of(named: Option<&str>, event: &Event) -> Source {
    let source = named.and_then(|code| Source::parse(&code.trim().to_uppercase()));
    source.filter(|s| s.channel().is_none_or(|c| event.channels.contains(&c))).unwrap_or(Source::Direct)
}

/// A visitor: an address, and a keyed hash of what its browser calls itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor {
    address: AddressTag,
    agent: u64,
}

/// Key of a count of clicks: address, browser (`None`: any of them), event and source.
type ClickKey = (AddressTag, Option<u64>, EventId, Source);

/// Clicks of the last moments: how many, and since when.
#[derive(Default)]
pub(crate) struct RecentClicks {
    seen: Mutex<HashMap<ClickKey, (u32, Instant)>>,
    hasher: RandomState,
}

impl RecentClicks {
    /// Tells visitors of one address apart by their browsers.
    pub(crate) fn visitor(&self, address: AddressTag, headers: &HeaderMap) -> Visitor {
        let agent = headers.get(header::USER_AGENT).map(|agent| agent.as_bytes()).unwrap_or_default();
        Visitor { address, agent: self.hasher.hash_one(agent) }
    }

    /// Notes a click; returns whether it counts.
    pub(crate) fn count(&self, by: Visitor, event: EventId, source: Source, now: Instant) -> bool {
        self.note((by.address, Some(by.agent), event, source), now) <= MAX_TOGETHER
            && self.note((by.address, None, event, source), now) <= MAX_OF_ADDRESS
    }

    /// Returns how many there were of late, with this one.
    fn note(&self, key: ClickKey, now: Instant) -> u32 {
        let mut recent = self.seen.lock();
        let lately = |since: Instant| now.saturating_duration_since(since) < CLICK_WINDOW;
        if recent.len() >= MAX_REMEMBERED {
            recent.retain(|_, (_, since)| lately(*since));
            if recent.len() >= MAX_REMEMBERED {
                recent.clear();
            }
        }
        let (clicks, since) = recent.entry(key).or_insert((0, now));
        if !lately(*since) {
            (*clicks, *since) = (0, now);
        }
        *clicks = clicks.saturating_add(1);
        *clicks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn visit(headers: &[(&str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        is_visit(&Method::GET, &headers.collect(), StatusCode::OK)
    }

    /// Case 27.
    #[test]
    fn programs_that_look_at_links_are_no_visits() {
        for agent in [
            "facebookexternalhit/1.1; kakaotalk-scrap/1.0; +https://devtalk.kakao.com/t/scrap/33984",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "facebookexternalhit/1.1;line-poker/1.0",
            "Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Slack-ImgProxy (+https://api.slack.com/robots)",
            "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
            "TelegramBot (like TwitterBot)",
            "Twitterbot/1.0",
            "WhatsApp/2.23.20.0 A",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/125.0 Safari/537.36",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "Mozilla/5.0 (compatible; Daum/4.1; +http://cs.daum.net/faq/15/4118.html?faqId=28966)",
            "Mozilla/5.0 (compatible; Daumoa/4.0)",
            "LinkedInBot/1.0 (compatible; Mozilla/5.0)",
            "SkypeUriPreview Preview/0.5",
            "APPLEBOT/0.1",
            "some-Crawler",
            "Baiduspider/2.0",
            "Viber/13.3.0.22 CFNetwork/1220.1 Darwin/20.3.0",
            "Zalo/1.0 (+https://zalo.me)",
            "Tumblr/14.0.835.186",
            "http.rb/5.1.1 (Mastodon/4.2.1; +https://mastodon.social/)",
            "Mozilla/5.0 (compatible; Zoom.us)",
            "Rocket.Chat/6.5",
            "jandi-link-preview/1.0",
            "Mozilla/5.0 (compatible; MSIE 9.0; LinkCheck)",
            "MobileSMS/1.0 CFNetwork/1410.0.3 Darwin/22.6.0",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120.0 Safari/537.36",
        ] {
            assert!(!visit(&[("user-agent", agent)]), "{agent}");
        }
        for agent in [
            "Mozilla/5.0 (Linux; Android 13; SM-S911N) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36;KAKAOTALK 2410450",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 NAVER(inapp; search; 2000; 12.3.2)",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari Line/13.20.0",
            "Mozilla/5.0 (Linux; Android 12; CUBOT X19) AppleWebKit/537.36 Chrome/119.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 Chrome/119.0 Mobile Safari/537.36 DaumApps/8.5",
            "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Instagram 312.0.0.0",
            "",
        ] {
            assert!(visit(&[("user-agent", agent)]), "{agent}");
        }
    }

    /// Case 27.
    #[test]
    fn what_nobody_opened_is_no_visit() {
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("Purpose", "Preview"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
            ("range", "bytes=0-1023"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-dest", "image"),
        ] {
            assert!(!visit(&[(name, value)]), "{name}: {value}");
        }
        assert!(visit(&[]) && visit(&[("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")]));
        let none = HeaderMap::new();
        assert!(!is_visit(&Method::HEAD, &none, StatusCode::OK));
        assert!(!is_visit(&Method::GET, &none, StatusCode::NOT_MODIFIED));
        assert!(!is_visit(&Method::GET, &none, StatusCode::NOT_FOUND));
    }

    fn agent(name: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_str(name).unwrap())])
    }

    /// Case 27.
    #[test]
    fn a_loop_ends_counting_and_everybody_fits() {
        let (recent, begun, event) = (RecentClicks::default(), Instant::now(), EventId::new());
        let by = |address| recent.visitor(address, &HeaderMap::new());
        let counted = |after: u64, source| recent.count(by([1; 8]), event, source, begun + Duration::from_secs(after));
        assert_eq!((0..50).filter(|_| counted(0, Source::Naver)).count(), 20);
        assert!(counted(0, Source::Qr), "another link");
        assert!(recent.count(by([2; 8]), event, Source::Naver, begun), "another address");
        assert!(!counted(9, Source::Naver) && counted(10, Source::Naver));
        for n in 0..120_000u64 {
            recent.count(by(n.to_be_bytes()), event, Source::Qr, begun);
        }
        assert!(recent.seen.lock().len() <= MAX_REMEMBERED);
    }

    /// Case 27: a carrier or a shop's Wi-Fi has one address for many.
    #[test]
    fn visitors_behind_one_address_count() {
        let (recent, begun, event) = (RecentClicks::default(), Instant::now(), EventId::new());
        let counted = |name: &str| recent.count(recent.visitor([1; 8], &agent(name)), event, Source::Qr, begun);
        let phones = |n: u32| format!("Mozilla/5.0 (Linux; Android 13; SM-S{n})");
        assert_eq!((0..100).filter(|n| counted(&phones(n / 5))).count(), 100, "twenty kinds of phones, five of each");
        assert_eq!((0..500).filter(|n| counted(&format!("loop {n}"))).count(), 100, "a loop of many names ends too");
    }
}
