//! The cheapest answer there is. In a storm most who come are told to come back, and what that costs decides how many can
//! be told: no route is looked for, no body parsed, no text made, and headers are copied from finished ones. Past what may be
//! spent on it, who is refused waits for a turn, and meanwhile no further request is read from that connection.

use super::{X_TRACE_ID, account, trace_id};
use crate::error::{Problem, prefers_english};
use crate::server::Early;
use crate::state::App;
use actors::EnterError;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where customers enter, as the router has it.
const ENTRIES: &str = "/api/participation/events/{slug}/entries";

/// An answer in one language, but for its trace id.
struct RefusalTemplate {
    headers: HeaderMap,
    /// The body up to the trace id, and from there.
    body: (Vec<u8>, Vec<u8>),
}

impl RefusalTemplate {
    fn of(app: &App, english: bool) -> Self {
        const HERE: &str = "00000000000000000000000000000000";
        let problem = Problem::from(EnterError::Overloaded);
        let mut headers = problem.headers(english);
        app.origins.policy().secure(&mut headers, true);
        // A place for it: a copy that has to grow costs as much again.
        headers.insert(X_TRACE_ID, HeaderValue::from_static(HERE));
        let body = problem.body(english, HERE);
        let (before, after) = body.split_once(HERE).expect("every problem says its trace id");
        Self { headers, body: (before.into(), after.into()) }
    }

    fn with(&self, trace: &str) -> Response<Full<Bytes>> {
        let mut headers = self.headers.clone();
        headers.insert(X_TRACE_ID, HeaderValue::from_str(trace).expect("hexadecimal"));
        let body = [&self.body.0, trace.as_bytes(), &self.body.1].concat();
        let mut response = Response::new(Full::from(body));
        (*response.status_mut(), *response.headers_mut()) = (StatusCode::SERVICE_UNAVAILABLE, headers);
        response
    }
}

/// Refusals a second and processor: at some 20 µs each, half of it. The rest is for those who got in.
const REFUSALS_PER_SECOND_AND_CORE: u64 = 25_000;
/// 50,000,000 ns of turns that were not used lately may be used at once.
const MAX_BURST_NANOS: u64 = 50_000_000;
/// Nobody waits longer for a turn, in nanoseconds.
const MAX_WAIT_NANOS: u64 = 1_000_000_000;

/// Spreads refusals over time (the generic cell rate algorithm).
struct RefusalPacer {
    begun: Instant,
    /// Nanoseconds from one to the next.
    apart: u64,
    /// When the next one is free, in nanoseconds since the beginning.
    next: AtomicU64,
}

impl RefusalPacer {
    fn new(a_second: u64) -> Self {
        Self { begun: Instant::now(), apart: 1_000_000_000 / a_second, next: AtomicU64::new(0) }
    }

    /// Takes a turn: how long until it comes.
    fn take(&self, now: Instant) -> Duration {
        let now = u64::try_from(now.duration_since(self.begun).as_nanos()).unwrap_or(u64::MAX);
        let free = |next: u64| next.clamp(now.saturating_sub(MAX_BURST_NANOS), now + MAX_WAIT_NANOS);
        let taken = |next: u64| Some(free(next) + self.apart);
        let mine = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).map_or(now, free);
        Duration::from_nanos(mine.saturating_sub(now))
    }
}

/// Refuses entries while there is no place for them; everything else goes its way.
pub(crate) fn early(app: App) -> Early {
    let (korean, english) = (RefusalTemplate::of(&app, false), RefusalTemplate::of(&app, true));
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let turns = RefusalPacer::new(REFUSALS_PER_SECOND_AND_CORE * processors);
    Arc::new(move |request| {
        if !app.handles.events.is_full() || request.method() != Method::POST || !is_entries(request.uri().path()) {
            return None;
        }
        let (started, trace) = (Instant::now(), trace_id());
        let finished = if prefers_english(request.headers()) { &english } else { &korean };
        let (mut response, hold) = (finished.with(&trace), turns.take(started));
        app.origins.open(request.headers().get(header::ORIGIN), response.headers_mut());
        account(&app, request.method(), ENTRIES, response.status(), started.elapsed() + hold, false, &trace);
        Some((response, hold))
    })
}

/// Would the path be routed to [`ENTRIES`]?
fn is_entries(path: &str) -> bool {
    let slug = ENTRIES
        .split_once("{slug}")
        .and_then(|(before, after)| path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)));
    slug.is_some_and(|slug| !slug.is_empty() && !slug.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_keep_their_pace() {
        let turns = RefusalPacer::new(1_000);
        let (now, ms) = (turns.begun + Duration::from_secs(60), Duration::from_millis);
        let waits: Vec<Duration> = (0..200).map(|_| turns.take(now)).collect();
        assert!(waits[..=50].iter().all(Duration::is_zero), "what was not used lately may be used at once");
        assert_eq!((waits[51], waits[150]), (ms(1), ms(100)));
        assert_eq!(turns.take(now + ms(100)), ms(50), "turns that were taken stay taken");
        assert!(turns.take(now + ms(1_000)).is_zero());
        let longest = (0..5_000).map(|_| turns.take(now + ms(2_000))).max();
        assert_eq!(longest, Some(ms(1_000)), "nobody waits for ever");
    }

    #[test]
    fn paths() {
        assert!(is_entries(&ENTRIES.replace("{slug}", "a-slug")));
        for other in ["/api/participation/events//entries", "/api/participation/events/a/b/entries", "/api/events/a"] {
            assert!(!is_entries(other), "{other}");
        }
    }
}
