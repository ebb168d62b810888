//! The admin port: metrics, actors, breakers, dead letters, caches, audit. Loopback by default, by token but for the metrics.

mod refusals;

use crate::address::limit_key;
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Id, Origin, Query, RawBody};
use crate::gateway;
use crate::state::App;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use domain::channel::{Channel, Upstream};
use domain::ids::{EventId, StoreId};
use domain::rule::within;
use domain::shop::{Shop, Verification};
use domain::text::line;
use refusals::Refusals;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use storage::dead::Filter;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Invalidate {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    #[schemars(with = "Option<uuid::Uuid>")]
    event_id: Option<EventId>,
}

/// The admin router.
pub(crate) fn router(app: App) -> Router {
    let guard = Guard { app: app.clone(), refusals: Arc::default() };
    let guarded = Router::new()
        .route("/admin/actors", get(actors))
        .route("/admin/actors/{name}/restart", post(restart))
        .route("/admin/breakers", get(breakers))
        .route("/admin/breakers/{upstream}/{action}", post(force))
        .route("/admin/dlq", get(dead))
        .route("/admin/dlq/replay", post(replay_all))
        .route("/admin/dlq/{id}/replay", post(replay))
        .route("/admin/alarms", get(alarms))
        .route("/admin/cache/invalidate", post(invalidate))
        .route("/admin/stores", get(unverified))
        .route("/admin/stores/{store}/verification", post(verify))
        .route("/admin/audit", get(audit))
        .route("/admin/simulator", get(simulator_state).delete(heal))
        .route("/admin/simulator/faults", post(fault))
        .route("/admin/simulator/scenario", post(scenario))
        .route_layer(from_fn_with_state(guard.clone(), by_token))
        .merge(Router::new().route("/metrics", get(metrics)).route_layer(from_fn_with_state(guard, by_token_or_here)));
    Router::new()
        .merge(guarded)
        .method_not_allowed_fallback(gateway::not_allowed)
        .fallback(gateway::not_found)
        .layer(DefaultBodyLimit::max(app.settings.body_bytes))
        .layer(from_fn_with_state(app.clone(), gateway::everything))
        .with_state(app)
}

/// The callers that may come in, and those refused lately.
#[derive(Clone)]
struct Guard {
    app: App,
    refusals: Arc<Refusals>,
}

impl Guard {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.split_once(' '));
        let token = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        token.is_some_and(|token| self.app.handles.tools().keys.is_admin_token(token))
    }

    /// Counts a refusal; tells log and audit of the first one of an address in a while. Neither has what was given as token.
    fn refuse(&self, peer: SocketAddr) -> Response {
        metrics::counter!("auth_failures_total", "kind" => "admin").increment(1);
        let address = limit_key(peer.ip());
        if self.refusals.is_news(address, Instant::now()) {
            tracing::warn!(%address, "the admin port refused a caller without its token");
            let nobody = "anonymous".to_owned();
            self.app.audit_as(nobody, peer.ip(), "admin-refused", "admin".into(), json!({}));
        }
        Problem::unauthenticated().into_response()
    }
}

async fn by_token(
    State(guard): State<Guard>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if guard.admits(request.headers()) { next.run(request).await } else { guard.refuse(peer) }
}

/// Open to this machine, when it is asked by a name that no page can have; elsewhere by token.
async fn by_token_or_here(
    State(guard): State<Guard>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let here = peer.ip().to_canonical().is_loopback() && gateway::is_asked_by_loopback_name(request.headers());
    if here || guard.admits(request.headers()) { next.run(request).await } else { guard.refuse(peer) }
}

async fn metrics(State(app): State<App>) -> Response {
    let text = app.metrics.as_ref().map(metrics_exporter_prometheus::PrometheusHandle::render).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn actors(State(app): State<App>) -> Json<Value> {
    let events = app.handles.events.running();
    Json(json!({"items": app.handles.root.view().await, "eventsRunning": events, "nextCursor": null}))
}

async fn restart(State(app): State<App>, Origin(origin): Origin, Id(name): Id<String>) -> ApiResult<StatusCode> {
    if !app.handles.root.restart(&name).await {
        return Err(Problem::not_found());
    }
    app.audit_as("admin".into(), origin, "actor-restarted", format!("actor:{name}"), json!({}));
    Ok(StatusCode::ACCEPTED)
}

async fn breakers(State(app): State<App>) -> Json<Value> {
    Json(json!({"items": app.handles.breakers.view().await, "nextCursor": null}))
}

async fn force(
    State(app): State<App>,
    Origin(origin): Origin,
    path: Result<Path<(String, String)>, PathRejection>,
) -> ApiResult<StatusCode> {
    let Path((upstream, action)) = path.map_err(|_| Problem::not_found())?;
    let upstream = Upstream::parse(&upstream).ok_or_else(Problem::not_found)?;
    let open = match action.as_str() {
        "force-open" => true,
        "force-closed" => false,
        _ => return Err(Problem::not_found()),
    };
    app.handles.breakers.force(upstream, open);
    app.audit_as("admin".into(), origin, "breaker-forced", format!("upstream:{upstream}"), json!({"open": open}));
    Ok(StatusCode::NO_CONTENT)
}

/// Dead letters: `kind` (`job`, `publication`), `channel`, `limit`, `cursor`.
async fn dead(State(app): State<App>, query: Query) -> ApiResult<Json<Value>> {
    let limit = query.limit()?;
    let before = query.cursor::<i64>()?.and_then(chrono::DateTime::from_timestamp_micros);
    let filter = filter(query.get("kind"), query.get("channel"))?;
    let filter = Filter { before, ..filter };
    let letters = app.store().run(async move |c| storage::dead::list(c, filter, limit + 1).await).await?;
    Ok(Json(crate::extract::page(letters, limit, |l| l.parked_at.timestamp_micros().to_string(), |l| json!(l))))
}

fn filter(kind: Option<&str>, channel: Option<&str>) -> ApiResult<Filter> {
    if kind.is_some_and(|k| !matches!(k, "job" | "publication")) {
        return Err(Problem::field("kind", "invalid-value"));
    }
    let channel =
        channel.map(|c| Channel::parse(c).ok_or_else(|| Problem::field("channel", "invalid-value"))).transpose()?;
    Ok(Filter { kind: kind.map(str::to_owned), channel, before: None })
}

async fn replay(State(app): State<App>, Origin(origin): Origin, Id(id): Id<String>) -> ApiResult<StatusCode> {
    if !app.handles.replay(&id).await? {
        return Err(Problem::not_found());
    }
    app.audit_as("admin".into(), origin, "dead-letter-replayed", format!("letter:{id}"), json!({}));
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReplayAll {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    channel: Option<String>,
    /// At most so many a second; 5 when left out.
    #[serde(default)]
    per_second: Option<u32>,
    /// Only say how many.
    #[serde(default)]
    dry_run: bool,
}

async fn replay_all(State(app): State<App>, Origin(origin): Origin, Body(body): Body<ReplayAll>) -> ApiResult {
    let per_second = body.per_second.unwrap_or(5);
    within("out-of-range", per_second, 1..=1000).map_err(|e| Problem::field("perSecond", e))?;
    let filter = filter(body.kind.as_deref(), body.channel.as_deref())?;
    let letters = app.handles.replay_all(filter, per_second, body.dry_run).await?;
    let said = json!({"letters": letters, "perSecond": per_second, "dryRun": body.dry_run});
    app.audit_as("admin".into(), origin, "dead-letters-replayed", "letters".into(), said.clone());
    Ok((StatusCode::ACCEPTED, Json(said)).into_response())
}

async fn alarms(State(app): State<App>) -> Json<Value> {
    Json(json!({"items": app.handles.alarms.active().await, "nextCursor": null}))
}

async fn invalidate(
    State(app): State<App>,
    Origin(origin): Origin,
    Body(body): Body<Invalidate>,
) -> ApiResult<StatusCode> {
    let (event, what) = match (body.key, body.event_id) {
        (Some(key), None) => {
            app.handles.tools().cache.del(&key).await;
            (actors::events::dashboard_of(&key), format!("cache:{key}"))
        }
        (None, Some(id)) => (Some(id), format!("event:{id}")),
        _ => return Err(Problem::field("key", "required")),
    };
    if let Some(event) = event {
        app.handles.events.forget(event).await;
    }
    app.audit_as("admin".into(), origin, "cache-invalidated", what, json!({}));
    Ok(StatusCode::NO_CONTENT)
}

/// Shops that are not verified, newest first: `verification` (`PENDING`, `REJECTED`), `limit`, `cursor`.
async fn unverified(State(app): State<App>, query: Query) -> ApiResult<Json<Value>> {
    let (limit, before) = (query.limit()?, query.cursor::<StoreId>()?);
    let unknown = || Problem::field("verification", "invalid-value");
    let result = query.get("verification").map(|v| Verification::parse(v).ok_or_else(unknown)).transpose()?;
    let shops = app.store().run(async move |c| storage::stores::unverified(c, result, before, limit + 1).await).await?;
    let shown = |s: Shop| json!({"id": s.id, "userId": s.user, "name": s.name, "verification": s.verification, "createdAt": s.created_at});
    Ok(Json(crate::extract::page(shops, limit, |s| s.id.to_string(), shown)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Verify {
    verified: bool,
    /// What was looked at, for the audit: no personal data.
    reason: String,
}

/// Decides from documents what the tax service could not, or got wrong; to its end, whoever waits for it.
async fn verify(
    State(app): State<App>,
    Origin(origin): Origin,
    Id(store): Id<StoreId>,
    Body(body): Body<Verify>,
) -> ApiResult<StatusCode> {
    let reason = line(&body.reason, 200).map_err(|e| Problem::field("reason", e))?;
    let here = app.clone();
    let verifying = app.tracker.spawn(async move {
        let decided = match here.handles.verify_by_hand(store, body.verified).await {
            // Another account holds the number: it is rejected first.
            Err(e) if e.constraint() == Some("users_business_taken") => {
                return Err(Problem::conflict("business-taken"));
            }
            decided => decided?,
        };
        let Some((shop, changed)) = decided else { return Err(Problem::not_found()) };
        if changed {
            let detail =
                json!({"verified": body.verified, "was": shop.verification, "userId": shop.user, "reason": reason});
            here.audit_as("admin".into(), origin, "store-verified-by-hand", format!("store:{store}"), detail);
        }
        Ok(StatusCode::NO_CONTENT)
    });
    verifying.await.unwrap_or_else(|_| Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown")))
}

async fn audit(State(app): State<App>, query: Query) -> ApiResult<Json<Value>> {
    let (limit, before) = (query.limit()?, query.cursor::<i64>()?);
    let rows = app.store().run(async move |c| storage::audit::newest(c, before, limit + 1).await).await?;
    Ok(Json(crate::extract::page(rows, limit, |r| r.id.to_string(), |r| json!(r))))
}

fn simulator(app: &App) -> ApiResult<&simulator::Simulator> {
    app.simulator.as_ref().ok_or_else(Problem::not_found)
}

async fn simulator_state(State(app): State<App>) -> ApiResult<Json<Value>> {
    Ok(Json(simulator(&app)?.state()))
}

/// Adds a rule, or heals an upstream when no fault is named.
async fn fault(State(app): State<App>, Origin(origin): Origin, Body(mut body): Body<Value>) -> ApiResult<StatusCode> {
    let simulator = simulator(&app)?;
    let upstream = body["upstream"].as_str().and_then(Upstream::parse);
    let upstream = upstream.ok_or_else(|| Problem::field("upstream", "invalid-value"))?;
    if body["fault"].is_null() {
        simulator.set_fault(upstream.code(), None);
    } else {
        if body["fault"] == "status" && body["status"].is_null() {
            body["status"] = json!(503);
        }
        let rule = serde_json::from_value(body.clone()).map_err(|_| Problem::field("fault", "invalid-value"))?;
        simulator.add_rule(rule);
    }
    app.audit_as("admin".into(), origin, "simulator-fault", format!("upstream:{upstream}"), body);
    Ok(StatusCode::NO_CONTENT)
}

/// Starts a scenario (TOML).
async fn scenario(State(app): State<App>, Origin(origin): Origin, body: RawBody) -> ApiResult<StatusCode> {
    let simulator = simulator(&app)?;
    let text = String::from_utf8(body.0.into()).map_err(|_| Problem::field("scenario", "invalid-characters"))?;
    let scenario = simulator::Scenario::parse(&text)
        .map_err(|e| Problem::field("scenario", "invalid-value").with("reason", json!(e)))?;
    app.audit_as(
        "admin".into(),
        origin,
        "simulator-scenario",
        "simulator".into(),
        json!({"steps": scenario.steps.len()}),
    );
    simulator.play(scenario);
    Ok(StatusCode::NO_CONTENT)
}

/// Ends every fault and the scenario.
async fn heal(State(app): State<App>) -> ApiResult<StatusCode> {
    simulator(&app)?.heal();
    Ok(StatusCode::NO_CONTENT)
}
