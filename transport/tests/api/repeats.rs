//! Requests that are sent again while the first is being handled.

use crate::support::{owner_at, run, start};
use reqwest::Method;
use serde_json::json;
use simulator::Fault;
use std::time::{Duration, Instant};

/// Case M4: a repetition waits for the first answer as long as it asks to, not as long as a request usually has.
#[test]
fn a_repetition_waits_as_long_as_it_asks_to() {
    run(async {
        let usual = 4;
        let own = start(|s| s.request_seconds = usual).await;
        let api = owner_at(&own.base).await;
        let id = api.ready(json!({}), json!(["WOORI_TV"])).await;
        own.running.simulator().unwrap().set_fault("WOORI_TV", Some(Fault::Hang));
        let begun = Instant::now();
        let path = format!("/api/events/{id}/approve?wait=60");
        let approve = || {
            let request = api.request(Method::POST, &path).header("idempotency-key", "approve").json(&json!({}));
            api.send(request)
        };
        let (first, second) = tokio::join!(approve(), approve());
        let took = begun.elapsed();
        assert!(took > Duration::from_secs(usual), "the channel answered too soon for this test: {took:?}");
        let replayed = |headers: &reqwest::header::HeaderMap| headers.contains_key("idempotency-replayed");
        assert_ne!(replayed(&first.headers), replayed(&second.headers), "one of them was handled");
        assert_eq!(first.is(200), second.is(200));
        own.running.stop().await;
    });
}
