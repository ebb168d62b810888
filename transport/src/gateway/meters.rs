//! Counts and durations of requests, by route: each series is looked up once, not at every request.

use axum::http::Method;
use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::time::Duration;

/// Methods with series of their own; the rest count as CONNECT, which nothing here answers.
const KNOWN: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

/// The series of each route.
#[derive(Default)]
pub(crate) struct Meters {
    routes: RwLock<HashMap<String, Route>>,
}

struct Route {
    seconds: Histogram,
    answers: HashMap<(Method, u16), Counter>,
}

impl Meters {
    /// Counts an answer, and how long it took unless it asked to be held, which says nothing about how fast we are.
    pub(crate) fn count(&self, method: &Method, route: &str, status: u16, took: Option<Duration>) {
        // A client may make methods up: they share a series.
        let method = if KNOWN.contains(method) { method } else { &Method::CONNECT };
        let known = self.routes.read();
        let series = known.get(route).and_then(|r| Some((r.answers.get(&(method.clone(), status))?, &r.seconds)));
        if let Some((answers, seconds)) = series {
            answers.increment(1);
            if let Some(took) = took {
                seconds.record(took.as_secs_f64());
            }
            return;
        }
        drop(known);
        self.add(method, route, status);
        self.count(method, route, status, took);
    }

    fn add(&self, method: &Method, route: &str, status: u16) {
        let mut routes = self.routes.write();
        let entry = routes.entry(route.to_owned()).or_insert_with(|| Route {
            seconds: metrics::histogram!("http_request_duration_seconds", "route" => route.to_owned()),
            answers: HashMap::new(),
        });
        entry.answers.entry((method.clone(), status)).or_insert_with(|| {
            metrics::counter!("http_requests_total", "method" => method.to_string(), "route" => route.to_owned(),
                "status" => status.to_string())
        });
    }
}
