//! Logging in: known and unknown accounts take the same way, the same time and get the same words.

use super::{email, token_pair};
use crate::auth::{Class, Session};
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Origin};
use crate::http::bodies::Login;
use crate::state::App;
use crate::throttle::{LoginKeys, Throttled};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use domain::ids::{SessionId, UserId};
use serde_json::json;
use std::net::IpAddr;
use storage::notices::NewNotice;
use storage::users::LoginCredentials;

pub(crate) async fn login(State(app): State<App>, Origin(origin): Origin, Body(body): Body<Login>) -> ApiResult {
    // An account of before is found as it was written then.
    let former = domain::email::former(&body.email);
    let address = email(&body.email).unwrap_or_else(|_| former.clone());
    let keys = LoginKeys::of(&app.handles.tools().keys, &address, origin);
    if let Some(refusal) = app.logins.blocked(&keys) {
        // The account is looked up for the record only, once an hour.
        let known = if app.logins.records(&keys) { Some(look_up(&app, [address, former], &keys).await?) } else { None };
        return Err(refused(&app, origin, refusal, known.map(|k| k.map(|k| UserId(k.id)))));
    }
    // Before the look-up: callers that are refused again and again must not keep the database from others.
    if app.logins.is_last(&keys) && app.passwords.is_full(Class::Failing) {
        app.logins.hold_refusal().await;
        return Err(Problem::overloaded("overloaded"));
    }
    let known = look_up(&app, [address, former], &keys).await?;
    let (id, at_home) = (known.as_ref().map(|k| UserId(k.id)), known.as_ref().is_some_and(|k| k.at_home));
    let attempt = match app.logins.begin(keys, at_home).await {
        Ok(attempt) => attempt,
        Err(refusal) => {
            if refusal.by_account {
                warn_owner(&app, &keys, id);
            }
            let record = app.logins.records(&keys).then_some(id);
            return Err(refused(&app, origin, refusal, record));
        }
    };
    let Some(turn) = app.passwords.login_turn(attempt.class).await else {
        let is_last = attempt.class == Class::Failing;
        drop(attempt);
        if is_last {
            app.logins.hold_refusal().await;
        }
        return Err(Problem::overloaded("overloaded"));
    };
    // In a task of its own: whoever hangs up now has tried all the same.
    let checked = {
        let app = app.clone();
        tokio::spawn(async move {
            let right = app.passwords.check(turn, body.password, known.map(|k| k.password_hash)).await;
            attempt.end(right);
            right
        })
    };
    let right = checked.await.unwrap_or(false);
    match id.filter(|_| right) {
        Some(user) => begin_session(&app, user, origin, &keys).await,
        None => {
            metrics::counter!("auth_failures_total", "kind" => "login").increment(1);
            if app.logins.records_failure(&keys) {
                app.audit(None, origin, "login-failed", object(id), json!({}));
            }
            warn_owner(&app, &keys, id);
            Err(Problem::unauthenticated().said("login-failed"))
        }
    }
}

/// Finds the account under the first of these forms that one has.
async fn look_up(app: &App, [email, former]: [String; 2], keys: &LoginKeys) -> ApiResult<Option<LoginCredentials>> {
    let (ring, address) = (app.handles.tools().keys.clone(), keys.address);
    let found = app.store().run(async move |c| {
        let found = storage::users::login_credentials(c, &ring, &email, address).await?;
        if found.is_some() || former == email {
            return Ok(found);
        }
        storage::users::login_credentials(c, &ring, &former, address).await
    });
    Ok(found.await?)
}

/// A refusal by a limit; with the account, as far as it is known, where it is to be recorded.
fn refused(app: &App, origin: IpAddr, refusal: Throttled, record: Option<Option<UserId>>) -> Problem {
    metrics::counter!("auth_failures_total", "kind" => "throttled").increment(1);
    if let Some(id) = record {
        app.audit(None, origin, "login-throttled", object(id), json!({"byAccount": refusal.by_account}));
    }
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "login-throttled").retry_after(refusal.wait)
}

/// Returns the object of an audit record.
fn object(id: Option<UserId>) -> String {
    id.map_or_else(|| "user:unknown".into(), |user| format!("user:{user}"))
}

async fn begin_session(app: &App, user: UserId, origin: IpAddr, keys: &LoginKeys) -> ApiResult {
    let (session, address) = (SessionId::new(), keys.address);
    app.store()
        .tx(async move |c| {
            storage::sessions::insert(c, session, user).await?;
            storage::sessions::know_address(c, user, address).await
        })
        .await?;
    let who = Session { user, session };
    app.audit(Some(who), origin, "login", format!("user:{user}"), json!({}));
    Ok(Json(token_pair(app, who, 1, storage::clock::now())).into_response())
}

/// Tells the owner, at most once a day, that somebody guesses at the password; beside the answer, which takes no longer for it.
fn warn_owner(app: &App, keys: &LoginKeys, id: Option<UserId>) {
    let Some(owner) = id.filter(|_| app.logins.notifies(keys)) else { return };
    let notice = NewNotice {
        owner,
        kind: "login-guessed",
        level: "warning",
        message_ko: "누군가 여러 곳에서 비밀번호를 맞혀 보려고 했어요. 처음 쓰는 곳에서는 한동안 로그인할 수 없고, 쓰시던 곳에서는 \
                     그대로 쓸 수 있어요. 다른 곳과 같은 비밀번호를 쓰고 있다면 바꿔 주세요."
            .into(),
        message_en: "Somebody tried to guess your password from several places. For a while nobody can log in from a new place; \
                     where you logged in before, you still can. If you use this password elsewhere, change it."
            .into(),
        data: json!({}),
    };
    let handles = app.handles.clone();
    app.tracker.spawn(async move { handles.tell_daily(notice).await });
}
