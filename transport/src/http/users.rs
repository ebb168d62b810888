//! Accounts and logins.

use super::bodies::{EditMe, Login, Refresh, Signup};
use super::stores::{StoreFields, check_store, store_body};
use crate::auth::{ACCESS_SECONDS, PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARS, Session};
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Check, IfMatch, Origin, Owner, Query, versioned};
use crate::state::App;
use crate::verify::{Asked, ask};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, NaiveDate, Utc};
use domain::business_number::BusinessNumber;
use domain::channel::Upstream;
use domain::ids::{SessionId, StoreId, UserId};
use domain::job::JobKind;
use domain::phone::Phone;
use domain::text::PersonName;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};
use storage::StorageError;
use storage::jobs::NewJob;
use storage::notices::NewNotice;
use storage::stores::{Shop, Verification};
use storage::users::{NewUser, User};

/// Reads an e-mail address in its one form.
pub(crate) fn email(s: &str) -> Result<String, &'static str> {
    domain::email::parse(s).map_err(|_| "email-invalid")
}

fn password(s: &str) -> Result<String, &'static str> {
    if s.chars().count() < PASSWORD_MIN_CHARS {
        Err("password-too-short")
    } else if s.len() > PASSWORD_MAX_BYTES {
        Err("password-too-long")
    } else if s.contains('\0') {
        Err("invalid-characters")
    } else {
        Ok(s.to_owned())
    }
}

fn opened(day: NaiveDate) -> Result<NaiveDate, &'static str> {
    let earliest = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or_default();
    if day >= earliest && day <= domain::time::kst_day(Utc::now()) { Ok(day) } else { Err("out-of-range") }
}

struct Account {
    email: String,
    password: String,
    name: PersonName,
    phone: Phone,
    business: BusinessNumber,
    opened_on: NaiveDate,
    store: StoreFields,
}

fn check_signup(body: Signup) -> ApiResult<Account> {
    let mut check = Check::default();
    let email = check.take("email", email(&body.email));
    let password = check.take("password", password(&body.password));
    let name = check.take("name", PersonName::parse(&body.name));
    let phone = check.take("phone", Phone::parse(&body.phone).map_err(|_| "phone-invalid"));
    let business = check
        .take("businessNumber", BusinessNumber::parse(&body.business_number).map_err(|_| "business-number-invalid"));
    let opened_on = check.take("openedOn", opened(body.opened_on));
    let store = check_store(&mut check, "store.", &body.store);
    match (email, password, name, phone, business, opened_on, store) {
        (Some(email), Some(password), Some(name), Some(phone), Some(business), Some(opened_on), Some(store)) => {
            Ok(Account { email, password, name, phone, business, opened_on, store })
        }
        _ => Err(check.problem()),
    }
}

pub(crate) async fn signup(State(app): State<App>, Origin(origin): Origin, Body(body): Body<Signup>) -> ApiResult {
    // First of all: whatever else is wrong, who has an account should log in.
    if let Ok(address) = email(&body.email) {
        let keys = app.handles.shared.keys.clone();
        let taken =
            app.store().run(move |c| Box::pin(async move { storage::users::email_taken(c, &keys, &address).await }));
        if taken.await? {
            return Err(Problem::conflict("email-taken"));
        }
    }
    let account = check_signup(body)?;
    let (keys, business) = (app.handles.shared.keys.clone(), account.business.clone());
    let taken =
        app.store().run(move |c| Box::pin(async move { storage::users::business_taken(c, &keys, &business).await }));
    if taken.await? {
        return Err(Problem::conflict("business-taken"));
    }
    let verification = match ask(&app, &account.business, account.opened_on, &account.name).await {
        Asked::Verified => Verification::Verified,
        Asked::Pending => Verification::Pending,
        Asked::Closed => return Err(Problem::field("businessNumber", "business-closed")),
        Asked::Mismatch => return Err(Problem::field("businessNumber", "business-mismatch")),
    };
    let hash = app
        .passwords
        .hash(account.password.clone())
        .await
        .ok_or_else(|| Problem::field("password", "password-too-long"))?;
    let (who, user, shop) = store_account(&app, account, hash, verification).await?;
    app.audit(Some(who), origin, "signup", format!("user:{}", who.user), json!({"verification": verification}));
    let mut answer = token_pair(&app, who, 1, Utc::now());
    answer["user"] = me_body(&user);
    answer["store"] = store_body(&shop);
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Account, shop, login and, while the tax service is silent, the job that asks again: in one transaction.
async fn store_account(
    app: &App,
    a: Account,
    hash: String,
    verification: Verification,
) -> ApiResult<(Session, User, Shop)> {
    let (id, session, now) = (UserId::new(), SessionId::new(), actors::system::now());
    let shop = Shop {
        id: StoreId::new(),
        user: id,
        name: a.store.name,
        industry: a.store.industry,
        region: a.store.region,
        address: a.store.address,
        verification,
        mode: app.handles.shared.upstreams.mode(Upstream::Nts),
        index_kid: app.handles.shared.keys.active_index().to_owned(),
        version: 1,
        created_at: now,
        removed: false,
    };
    let new = NewUser {
        id,
        email: a.email.clone(),
        name: a.name.clone(),
        phone: a.phone.clone(),
        business: a.business.clone(),
        opened_on: a.opened_on,
        password_hash: hash,
        created_at: now,
    };
    let (keys, stored) = (app.handles.shared.keys.clone(), shop.clone());
    let made = app
        .store()
        .tx(move |c| {
            Box::pin(async move {
                storage::users::insert(c, &keys, new).await?;
                storage::stores::insert(c, &stored).await?;
                storage::sessions::insert(c, session, id).await?;
                if verification == Verification::Pending {
                    storage::jobs::insert(c, verification_job(id)).await?;
                    storage::notices::insert(c, pending_notice(id)).await?;
                }
                Ok(())
            })
        })
        .await;
    match made {
        Ok(()) => {}
        // Two at once: the constraints decide.
        Err(StorageError::Conflict { constraint }) if constraint == "users_email_taken" => {
            return Err(Problem::conflict("email-taken"));
        }
        Err(StorageError::Conflict { constraint }) if constraint == "users_business_taken" => {
            return Err(Problem::conflict("business-taken"));
        }
        Err(e) => return Err(e.into()),
    }
    app.handles.jobs.wake();
    let user = User {
        id,
        email: a.email,
        name: a.name,
        phone: a.phone,
        business: a.business,
        opened_on: a.opened_on,
        version: 1,
        created_at: now,
    };
    Ok((Session { user: id, session }, user, shop))
}

fn pending_notice(owner: UserId) -> NewNotice {
    NewNotice {
        owner,
        kind: "store-pending",
        level: "info",
        message_ko:
            "국세청이 응답하지 않아 사업자 확인을 기다리고 있습니다. 모든 기능을 쓸 수 있고, 확인되면 알려 드립니다."
                .into(),
        message_en:
            "The tax service does not answer; your business will be verified by itself. Everything works meanwhile."
                .into(),
        data: json!({}),
    }
}

fn verification_job(user: UserId) -> NewJob {
    NewJob {
        kind: JobKind::Verification,
        key: format!("verification:{user}"),
        owner: Some(user),
        event: None,
        input: json!({}),
        after: Duration::from_secs(1),
    }
}

fn token_pair(app: &App, who: Session, generation: i32, at: DateTime<Utc>) -> Value {
    json!({
        "accessToken": app.tokens.access(who, at), "refreshToken": app.tokens.refresh(who.session, generation), "expiresIn": ACCESS_SECONDS,
    })
}

/// An owner, as only the owner sees it: phone and business number masked.
pub(crate) fn me_body(u: &User) -> Value {
    json!({
        "id": u.id, "email": u.email, "name": u.name.expose(), "phone": u.phone.masked(), "businessNumber": u.business.masked(),
        "openedOn": u.opened_on, "role": "OWNER", "version": u.version, "createdAt": u.created_at,
    })
}

pub(crate) async fn login(State(app): State<App>, Origin(origin): Origin, Body(body): Body<Login>) -> ApiResult {
    // An address that was taken by the rules of before is found as it was written.
    let address = email(&body.email).unwrap_or_else(|_| body.email.trim().to_lowercase());
    let key = app.handles.shared.keys.mac("login", &[address.as_bytes(), origin.to_string().as_bytes()]);
    let throttled = |wait| Problem::new(StatusCode::TOO_MANY_REQUESTS, "login-throttled").retry_after(wait);
    if let Some(wait) = app.throttle.blocked(key, Instant::now()) {
        return Err(throttled(wait));
    }
    let keys = app.handles.shared.keys.clone();
    let known = app
        .store()
        .run(move |c| Box::pin(async move { storage::users::credentials(c, &keys, &address).await }))
        .await?;
    let (id, hash) = known.map_or((None, None), |k| (Some(UserId(k.id)), Some(k.password_hash)));
    let turn = app.passwords.turn().await.ok_or_else(|| Problem::overloaded("overloaded"))?;
    app.throttle.begin(key).await.map_err(throttled)?;
    // In a task of its own: whoever hangs up now has tried all the same.
    let checked = {
        let app = app.clone();
        tokio::spawn(async move {
            let right = app.passwords.check(turn, body.password, hash).await;
            app.throttle.ended(key, right, Instant::now());
            right
        })
    };
    let right = checked.await.unwrap_or(false);
    let Some(user) = id.filter(|_| right) else {
        metrics::counter!("auth_failures_total", "kind" => "login").increment(1);
        app.audit(
            None,
            origin,
            "login-failed",
            id.map_or_else(|| "user:unknown".into(), |u| format!("user:{u}")),
            json!({}),
        );
        return Err(Problem::unauthenticated().said("login-failed"));
    };
    let session = SessionId::new();
    app.store().run(move |c| Box::pin(async move { storage::sessions::insert(c, session, user).await })).await?;
    let who = Session { user, session };
    app.audit(Some(who), origin, "login", format!("user:{user}"), json!({}));
    Ok(Json(token_pair(&app, who, 1, Utc::now())).into_response())
}

/// A refresh token works once; for 30 s its repetition gets the same answer (a lost reply); later it is reuse.
pub(crate) async fn refresh(State(app): State<App>, Origin(origin): Origin, Body(body): Body<Refresh>) -> ApiResult {
    let (session, generation) = app.tokens.check_refresh(&body.refresh_token).ok_or_else(Problem::unauthenticated)?;
    let rotated = app
        .store()
        .run(move |c| Box::pin(async move { storage::sessions::rotate(c, session, generation).await }))
        .await?;
    let current = match rotated {
        Some(current) => current,
        None => {
            let found =
                app.store().run(move |c| Box::pin(async move { storage::sessions::get(c, session).await })).await?;
            let found = found.ok_or_else(Problem::unauthenticated)?;
            if !found.alive {
                return Err(Problem::unauthenticated());
            }
            if found.generation != generation + 1 || !found.in_grace {
                return Err(reused(&app, session, UserId(found.user_id), origin).await);
            }
            found
        }
    };
    let who = Session { user: UserId(current.user_id), session };
    Ok(Json(token_pair(&app, who, current.generation, current.rotated_at)).into_response())
}

/// Somebody has an old token: the login ends for everybody.
async fn reused(app: &App, session: SessionId, user: UserId, origin: std::net::IpAddr) -> Problem {
    let ended =
        app.store().run(move |c| Box::pin(async move { storage::sessions::revoke(c, session, "reuse").await })).await;
    if let Err(e) = ended {
        return e.into();
    }
    app.revocations.add(session);
    tracing::warn!("a refresh token was used again: its login was ended");
    metrics::counter!("auth_failures_total", "kind" => "reuse").increment(1);
    app.audit(Some(Session { user, session }), origin, "refresh-reused", format!("session:{session}"), json!({}));
    Problem::unauthenticated()
}

pub(crate) async fn logout(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    query: Query,
) -> ApiResult<StatusCode> {
    let everywhere = query.get("everywhere") == Some("true");
    let ended = app
        .store()
        .run(move |c| {
            Box::pin(async move {
                if everywhere {
                    return storage::sessions::revoke_all(c, who.user).await;
                }
                storage::sessions::revoke(c, who.session, "logout").await?;
                Ok(vec![who.session])
            })
        })
        .await?;
    app.revocations.add(who.session);
    for session in ended {
        app.revocations.add(session);
    }
    app.audit(Some(who), origin, "logout", format!("user:{}", who.user), json!({"everywhere": everywhere}));
    Ok(StatusCode::NO_CONTENT)
}

async fn account(app: &App, user: UserId) -> ApiResult<User> {
    let keys = app.handles.shared.keys.clone();
    let found = app.store().run(move |c| Box::pin(async move { storage::users::get(c, &keys, user).await })).await?;
    found.ok_or_else(Problem::unauthenticated)
}

pub(crate) async fn me(State(app): State<App>, Owner(who): Owner) -> ApiResult {
    let user = account(&app, who.user).await?;
    Ok(versioned(StatusCode::OK, user.version, &me_body(&user)))
}

pub(crate) async fn edit(
    State(app): State<App>,
    Owner(who): Owner,
    IfMatch(version): IfMatch,
    Body(body): Body<EditMe>,
) -> ApiResult {
    let mut user = account(&app, who.user).await?;
    let mut check = Check::default();
    let name = body.name.map(|n| check.take("name", PersonName::parse(&n)));
    let phone = body.phone.map(|p| check.take("phone", Phone::parse(&p).map_err(|_| "phone-invalid")));
    if matches!(name, Some(None)) || matches!(phone, Some(None)) {
        return Err(check.problem());
    }
    user.name = name.flatten().unwrap_or(user.name);
    user.phone = phone.flatten().unwrap_or(user.phone);
    let (keys, new) = (app.handles.shared.keys.clone(), user.clone());
    let done = app
        .store()
        .run(move |c| {
            Box::pin(async move { storage::users::update(c, &keys, new.id, &new.name, &new.phone, version).await })
        })
        .await?;
    if !done {
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale"));
    }
    let user = account(&app, who.user).await?;
    Ok(versioned(StatusCode::OK, user.version, &me_body(&user)))
}

/// A ticket for a socket: 30 s, used once.
pub(crate) async fn ticket(State(app): State<App>, Owner(who): Owner) -> ApiResult<Response> {
    let ticket = URL_SAFE_NO_PAD.encode(storage::crypto::random16());
    let hash: [u8; 32] = Sha256::digest(ticket.as_bytes()).into();
    app.store()
        .run(move |c| Box::pin(async move { storage::sessions::insert_ticket(c, hash, who.user, who.session).await }))
        .await?;
    Ok((StatusCode::CREATED, Json(json!({"ticket": ticket, "expiresIn": 30}))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        assert_eq!(email(" Owner@Shop.KR "), Ok("owner@shop.kr".into()));
        for bad in ["", "a", "a@b", "@b.kr", "a@b.", "a@@b.kr", "a b@c.kr", "a@b.kr\n", "<a@b.kr>"] {
            assert!(email(bad).is_err() || bad.ends_with('\n'), "{bad:?}");
        }
    }
}
