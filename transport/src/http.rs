//! Routes: what there is, who may, and which handler answers. One table; the OpenAPI document is made from it too.

pub(crate) mod analytics;
pub(crate) mod answers;
pub(crate) mod bodies;
pub(crate) mod content;
pub(crate) mod distribution;
pub(crate) mod documents;
pub(crate) mod draws;
pub(crate) mod events;
mod finished;
pub(crate) mod jobs;
pub(crate) mod ops;
pub(crate) mod participation;
pub(crate) mod published;
pub(crate) mod recommendations;
pub(crate) mod stores;
pub(crate) mod users;

use crate::gateway;
use crate::state::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post, put};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};

/// Owner routes: a good token, within the rate limit; POSTs may carry an `Idempotency-Key`.
fn owners(app: &App) -> Router<App> {
    Router::new()
        .route("/api/users/me", get(users::me).patch(users::edit))
        .route("/api/stores", get(stores::list).post(stores::add))
        .route("/api/stores/{id}", get(stores::one).patch(stores::edit).delete(stores::remove))
        .route("/api/events", get(events::list).post(events::create))
        .route("/api/events/{id}", get(events::one).patch(events::edit).delete(events::remove))
        .route("/api/events/{id}/duplicate", post(events::duplicate))
        .route("/api/events/{id}/plan", put(events::plan))
        .route("/api/events/{id}/content", put(events::content))
        .route("/api/events/{id}/channels", put(events::channels))
        .route("/api/events/{id}/preflight", get(events::preflight))
        .route("/api/events/{id}/approve", post(events::approve))
        .route("/api/events/{id}/pause", post(events::pause))
        .route("/api/events/{id}/resume", post(events::resume))
        .route("/api/events/{id}/close", post(events::close))
        .route("/api/events/{id}/cancel", post(events::cancel))
        .route("/api/events/{id}/qr.svg", get(events::qr_svg))
        .route("/api/events/{id}/qr.png", get(events::qr_png))
        .route("/api/events/{id}/visit-code", get(events::visit_code))
        .route("/api/events/{id}/visit-paper", post(events::visit_paper).delete(events::void_visit_papers))
        .route("/api/events/{id}/facts", get(events::facts))
        .route("/api/events/{id}/images", get(content::of_event))
        .route("/api/events/{id}/participants", get(participation::participants))
        .route("/api/events/{id}/draws", get(draws::list).post(draws::draw))
        .route("/api/events/{id}/analytics", get(analytics::of_event))
        .route("/api/analytics/events/{id}", get(analytics::of_event))
        .route("/api/ai/recommendations", post(recommendations::recommend))
        .route("/api/content/images", post(content::make))
        .route("/api/content/images/{id}", get(content::one).patch(content::edit))
        .route("/api/jobs/{id}", get(jobs::one).delete(jobs::cancel))
        .route("/api/notices", get(jobs::notices))
        .route("/api/notices/{id}/read", post(jobs::read_notice))
        .route("/api/distribution/{id}", get(distribution::one))
        .route("/api/distribution/{id}/retry", post(distribution::retry))
        .route("/api/distribution/{id}/recall", post(distribution::recall))
        .route("/api/distribution/{id}/confirm", post(distribution::confirm))
        .route_layer(from_fn_with_state(app.clone(), gateway::idempotent_owner))
        .merge(Router::new().route("/api/realtime/tickets", post(users::ticket)))
        .route_layer(from_fn(gateway::typed_bodies))
        .route_layer(from_fn_with_state(app.clone(), gateway::owners_only))
        .merge(
            Router::new()
                .route("/api/users/logout", post(users::logout))
                .route_layer(from_fn(gateway::typed_bodies))
                .route_layer(from_fn_with_state(app.clone(), gateway::owners_uncounted)),
        )
}

/// Routes for everybody.
fn everybody(app: &App) -> Router<App> {
    let signup = Router::new()
        .route("/api/users/signup", post(users::signup))
        .route_layer(from_fn_with_state(app.clone(), gateway::idempotent_anonymous));
    Router::new()
        .merge(signup)
        .route("/api/users/login", post(users::login))
        .route("/api/users/token/refresh", post(users::refresh))
        .route("/api/industries", get(stores::industries))
        .route("/api/participation/events/{slug}", get(participation::public))
        .route("/api/participation/events/{slug}/draw", get(draws::public))
        .route("/api/participation/events/{slug}/winners", get(draws::winners))
        .route("/api/participation/receipts/{receipt}", get(participation::receipt).delete(participation::erase))
        .route("/images/{name}", get(content::file))
        .route("/livez", get(ops::livez))
        .route("/readyz", get(ops::readyz))
        .route("/ws", get(crate::ws::connect))
        .route_layer(from_fn(gateway::typed_bodies))
        .merge(crate::web::routes())
}

/// The storm's way in: its answers are too short to be compressed, and pass no layer that would try.
fn entries() -> Router<App> {
    Router::new().route("/api/participation/events/{slug}/entries", post(participation::enter))
}

/// The public port, with what else shall be behind the same gateway.
pub(crate) fn router(app: App, more: Router) -> Router {
    Router::new()
        .merge(owners(&app))
        .merge(everybody(&app))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(finished::may_compress)))
        .merge(entries())
        .merge(documents::routes())
        .merge(more.with_state(()))
        .method_not_allowed_fallback(gateway::not_allowed)
        .fallback(gateway::not_found)
        .layer(DefaultBodyLimit::max(app.settings.body_bytes))
        .layer(from_fn_with_state(app.clone(), gateway::everything))
        .with_state(app)
}
