//! Pages of other origins: those that are configured may call and read, others may not.

use crate::support::{anonymous, at, owner_at, run, server, start};
use reqwest::{Method, Response};
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const SHOP: &str = "https://shop.example.kr";

/// Asks as a browser does before a page of an origin edits an event.
async fn preflight(base: &str, origin: &str) -> Response {
    let request = reqwest::Client::new().request(Method::OPTIONS, format!("{base}/api/users/me"));
    let request = request.header("origin", origin).header("access-control-request-method", "PATCH");
    request.header("access-control-request-headers", "authorization,if-match").send().await.unwrap()
}

#[test]
fn pages_of_configured_origins_may_call() {
    run(async {
        let own = start(|s| s.allowed_origins = vec![format!("{SHOP}/")]).await;
        let asked = preflight(&own.base, SHOP).await;
        assert_eq!(asked.status(), 204);
        let header = |name: &str| asked.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("access-control-allow-origin"), SHOP);
        assert!(header("access-control-allow-methods").contains("PATCH"));
        for name in ["authorization", "content-type", "idempotency-key", "if-match", "prefer"] {
            assert!(header("access-control-allow-headers").contains(name), "{name}");
        }
        let api = owner_at(&own.base).await;
        let events = |api: &crate::support::Api, origin: &str| {
            api.request(Method::POST, "/api/events").header("origin", origin).json(&json!({"objective": "SALES"}))
        };
        for (caller, status) in [(&api, 201), (&at(&own.base), 401)] {
            let answer = caller.send(events(caller, SHOP)).await;
            assert_eq!(
                (answer.status, &answer.headers["access-control-allow-origin"]),
                (status, &SHOP.parse().unwrap())
            );
            assert!(answer.headers["access-control-expose-headers"].to_str().unwrap().contains("x-trace-id"));
            assert!(answer.headers.get_all("vary").iter().any(|v| v == "origin"));
        }
        for other in ["https://evil.example", "null", "https://shop.example.kr.evil.example"] {
            assert_eq!(preflight(&own.base, other).await.status(), 405, "{other}");
            let answer = api.send(events(&api, other)).await;
            assert!(!answer.headers.contains_key("access-control-allow-origin"), "{other}");
        }
        let mut socket = format!("{}/ws", own.base.replace("http", "ws")).into_client_request().unwrap();
        socket.headers_mut().insert("origin", SHOP.parse().unwrap());
        assert!(tokio_tungstenite::connect_async(socket).await.is_ok());
        own.running.stop().await;
    });
}

#[test]
fn where_none_is_configured_nobody_else_may_call() {
    run(async {
        let base = server().base.as_str();
        for origin in [SHOP, base] {
            assert_eq!(preflight(base, origin).await.status(), 405, "{origin}");
        }
        let answer = anonymous().send(anonymous().request(Method::GET, "/api/industries").header("origin", SHOP)).await;
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    });
}
