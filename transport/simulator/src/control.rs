//! Switching faults and looking at what arrived, while it runs: `/_control` on the simulator's own port, for programs of this
//! machine. A page of another origin may not, nor one whose name was pointed at this machine (DNS rebinding).

use crate::faults::Rule;
use crate::scenario::Scenario;
use crate::server::{Shared, Simulator};
use axum::extract::{Path, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::IpAddr;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/state", get(state))
        .route("/rules", post(rules).delete(heal))
        .route("/scenario", post(scenario))
        .route("/posts/{upstream}", get(posts))
        .route_layer(from_fn(programs_here))
}

/// Refuses what a page could have sent.
async fn programs_here(request: Request, next: Next) -> Response {
    if is_of_this_machine(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "only programs of this machine may do this").into_response()
    }
}

/// Does a request ask for this machine by a name that nobody else can give it, and is it no page's of another origin?
fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let own = format!("http://{host}");
    let mut origins = headers.get_all(header::ORIGIN).iter();
    is_loopback(host) && origins.all(|origin| origin.to_str().is_ok_and(|origin| origin.eq_ignore_ascii_case(&own)))
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name).parse::<IpAddr>();
    let here = |address: IpAddr| address.to_canonical().is_loopback();
    !host.contains('@') && (name.eq_ignore_ascii_case("localhost") || address.is_ok_and(here))
}

async fn state(State(s): State<Shared>) -> Json<Value> {
    Json(Simulator::state_of(&s))
}

/// Replaces all rules that were set by hand.
async fn rules(State(s): State<Shared>, Json(rules): Json<Vec<Rule>>) -> StatusCode {
    s.set_rules(rules);
    StatusCode::NO_CONTENT
}

async fn heal(State(s): State<Shared>) -> StatusCode {
    s.set_rules(Vec::new());
    s.play(None);
    StatusCode::NO_CONTENT
}

/// Starts a scenario (TOML), in place of the one that plays.
async fn scenario(State(s): State<Shared>, text: String) -> Result<StatusCode, (StatusCode, String)> {
    let scenario = Scenario::parse(&text).map_err(|e| (StatusCode::UNPROCESSABLE_ENTITY, e))?;
    s.play(Some(scenario));
    Ok(StatusCode::NO_CONTENT)
}

/// What was posted to an upstream and not taken back: id, key, event.
async fn posts(State(s): State<Shared>, Path(upstream): Path<String>) -> Json<Value> {
    let all: Vec<Value> =
        s.posts.of(&upstream).into_iter().map(|p| json!({"id": p.id, "key": p.key, "event": p.event})).collect();
    Json(json!({"items": all}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    /// Low list: neither a name that was pointed here nor a page of another origin changes faults.
    #[test]
    fn only_programs_of_this_machine() {
        for (host, origin, fine) in [
            ("127.0.0.1:8090", None, true),
            ("localhost:8090", None, true),
            ("[::1]:8090", None, true),
            ("localhost:8090", Some("http://localhost:8090"), true),
            ("localhost:8090", Some("http://localhost:8080"), false),
            ("127.0.0.1:8090", Some("https://evil.kr"), false),
            ("127.0.0.1:8090", Some("null"), false),
            ("evil.kr:8090", None, false),
            ("localhost.evil.kr:8090", None, false),
            ("a@127.0.0.1:8090", None, false),
            ("192.168.0.5:8090", None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_of_this_machine(&headers), fine, "{host} {origin:?}");
        }
        assert!(!is_of_this_machine(&HeaderMap::new()));
    }
}
