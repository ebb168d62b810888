//! Accounts and logins.

mod login;

use super::bodies::{EditMe, Refresh, Signup};
use super::stores::{StoreFields, check_store, store_body};
use crate::address::limit_key;
use crate::auth::{ACCESS_SECONDS, Session, TICKET_SECONDS};
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Check, IfMatch, Origin, Owner, Query, versioned};
use crate::password_rule;
use crate::state::App;
use crate::throttle::LoginKeys;
use crate::verify::{TaxAnswer, ask};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, Utc};
use domain::business_number::BusinessNumber;
use domain::channel::Upstream;
use domain::ids::{SessionId, StoreId, UserId};
use domain::job::JobKind;
use domain::job::NewJob;
use domain::phone::Phone;
use domain::shop::{Shop, Verification};
use domain::text::PersonName;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use storage::StorageError;
use storage::notices::NewNotice;
use storage::users::{NewUser, User};

pub(crate) use login::login;

/// When a signup past the budget of tax-service calls is verified. Sooner, its answer would be one more guess.
const DEFERRED: Duration = Duration::from_secs(600);

/// Reads an e-mail address in its one form.
pub(crate) fn email(s: &str) -> Result<String, &'static str> {
    domain::email::parse(s).map_err(|_| "email-invalid")
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
    let own = password_rule::Own {
        email: &body.email,
        name: &body.name,
        phone: &body.phone,
        business_number: &body.business_number,
        shop: &body.store.name,
    };
    let password = check.take("password", password_rule::check(&body.password, own));
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

/// Signs up. Refused signups count per address, made ones do not: a shop's Wi-Fi is one address for many.
pub(crate) async fn signup(State(app): State<App>, Origin(origin): Origin, Body(body): Body<Signup>) -> ApiResult {
    let (address, now) = (limit_key(origin), Instant::now());
    if !app.signups.add(address, now) {
        let wait = app.signups.full(&address, now).unwrap_or_default();
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited").retry_after(wait));
    }
    // It counts from the start, so that many at once pass no further than one after the other.
    let answer = sign_up(&app, origin, body).await;
    if !answer.as_ref().is_err_and(|problem| problem.status.is_client_error()) {
        app.signups.take_back(&address);
    }
    answer
}

async fn sign_up(app: &App, origin: IpAddr, body: Signup) -> ApiResult {
    // First of all: whatever else is wrong, who has an account should log in.
    if let Ok(address) = email(&body.email) {
        let (keys, former) = (app.handles.tools().keys.clone(), domain::email::former(&body.email));
        let taken = app.store().run(async move |c| {
            let taken = storage::users::email_taken(c, &keys, &address).await?;
            Ok(taken || (former != address && storage::users::email_taken(c, &keys, &former).await?))
        });
        if taken.await? {
            return Err(Problem::conflict("email-taken"));
        }
    }
    let account = check_signup(body)?;
    let (keys, business) = (app.handles.tools().keys.clone(), account.business.clone());
    let taken = app.store().run(async move |c| storage::users::business_taken(c, &keys, &business).await);
    if taken.await? {
        return Err(Problem::conflict("business-taken"));
    }
    let (verification, after) = match ask(app, origin, &account.business, account.opened_on, &account.name).await {
        TaxAnswer::Verified => (Verification::Verified, Duration::ZERO),
        TaxAnswer::Pending => (Verification::Pending, Duration::from_secs(1)),
        TaxAnswer::Deferred => (Verification::Pending, DEFERRED),
        TaxAnswer::Closed => return Err(Problem::field("businessNumber", "business-closed")),
        TaxAnswer::Mismatch => return Err(Problem::field("businessNumber", "business-mismatch")),
    };
    let turn = app.passwords.signup_turn().await.ok_or_else(|| Problem::overloaded("overloaded"))?;
    let hash = app
        .passwords
        .hash(turn, account.password.clone())
        .await
        .ok_or_else(|| Problem::field("password", "password-too-long"))?;
    let (who, user, shop) = store_account(app, account, origin, hash, (verification, after)).await?;
    app.audit(Some(who), origin, "signup", format!("user:{}", who.user), json!({"verification": verification}));
    let mut answer = token_pair(app, who, 1, storage::clock::now());
    answer["user"] = me_body(&user);
    answer["store"] = store_body(&shop);
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Account, shop, login and, while the tax service is silent, the job that asks again: in one transaction.
async fn store_account(
    app: &App,
    a: Account,
    origin: IpAddr,
    hash: String,
    (verification, after): (Verification, Duration),
) -> ApiResult<(Session, User, Shop)> {
    let (id, session, now) = (UserId::new(), SessionId::new(), actors::clock::now());
    let shop = Shop {
        id: StoreId::new(),
        user: id,
        name: a.store.name,
        industry: a.store.industry,
        region: a.store.region,
        address: a.store.address,
        verification,
        mode: app.handles.tools().upstreams.mode(Upstream::Nts),
        index_kid: app.handles.tools().keys.active_index().to_owned(),
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
    let (keys, stored) = (app.handles.tools().keys.clone(), shop.clone());
    let login_keys = LoginKeys::of(&keys, &a.email, origin);
    let address = login_keys.address;
    let made = app
        .store()
        .tx(async move |c| {
            let confirmed = verification == Verification::Verified;
            let former = storage::users::release_business(c, &keys, &new.business, confirmed).await?;
            storage::users::insert(c, &keys, new).await?;
            storage::stores::insert(c, &stored).await?;
            storage::sessions::insert(c, session, id).await?;
            storage::sessions::know_address(c, id, address).await?;
            if verification == Verification::Pending {
                storage::jobs::insert(c, verification_job(id, after)).await?;
                storage::notices::insert(c, pending_notice(id)).await?;
            }
            Ok(former)
        })
        .await;
    let who = Session { user: id, session };
    if let Some(former) = made.map_err(taken)? {
        app.audit(Some(who), origin, "business-taken-over", format!("user:{former}"), json!({}));
    }
    app.logins.remember_home(&login_keys);
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
    Ok((who, user, shop))
}

/// What the constraints refuse: of two signups at once, one.
fn taken(e: StorageError) -> Problem {
    match e.constraint() {
        Some("users_email_taken") => Problem::conflict("email-taken"),
        Some("users_business_taken") => Problem::conflict("business-taken"),
        _ => e.into(),
    }
}

fn pending_notice(owner: UserId) -> NewNotice {
    NewNotice {
        owner,
        kind: "store-pending",
        level: "info",
        message_ko:
            "사업자 확인이 아직 끝나지 않았어요. 그동안 모든 기능을 쓸 수 있고, 확인은 저절로 이어져요. 끝나면 알려 드려요.".into(),
        message_en:
            "Your business is not verified yet. Everything works meanwhile; we go on by ourselves and tell you when it is done."
                .into(),
        data: json!({}),
    }
}

fn verification_job(user: UserId, after: Duration) -> NewJob {
    NewJob {
        kind: JobKind::Verification,
        key: format!("verification:{user}"),
        owner: Some(user),
        event: None,
        input: json!({}),
        after,
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

/// A refresh token works once; for 30 s its repetition gets the same answer (a lost reply); later it is reuse.
pub(crate) async fn refresh(State(app): State<App>, Origin(origin): Origin, Body(body): Body<Refresh>) -> ApiResult {
    let (session, generation) = app.tokens.check_refresh(&body.refresh_token).ok_or_else(Problem::unauthenticated)?;
    let rotated = app.store().run(async move |c| storage::sessions::rotate(c, session, generation).await).await?;
    let current = match rotated {
        Some(current) => current,
        None => {
            let found = app.store().run(async move |c| storage::sessions::get(c, session).await).await?;
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
    let ended = app.store().run(async move |c| storage::sessions::revoke(c, session, "reuse").await).await;
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
    let everywhere = query.flag("everywhere")?;
    let ended = app
        .store()
        .run(async move |c| {
            if everywhere {
                return storage::sessions::revoke_all(c, who.user).await;
            }
            storage::sessions::revoke(c, who.session, "logout").await?;
            Ok(vec![who.session])
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
    let keys = app.handles.tools().keys.clone();
    let found = app.store().run(async move |c| storage::users::get(c, &keys, user).await).await?;
    found.ok_or_else(Problem::unauthenticated)
}

pub(crate) async fn me(State(app): State<App>, Owner(who): Owner) -> ApiResult {
    let user = account(&app, who.user).await?;
    Ok(versioned(StatusCode::OK, user.version, &me_body(&user)))
}

pub(crate) async fn edit(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    asked: IfMatch,
    Body(body): Body<EditMe>,
) -> ApiResult {
    let fields = json!({"name": body.name.is_some(), "phone": body.phone.is_some()});
    let mut user = account(&app, who.user).await?;
    let mut check = Check::default();
    let name = body.name.map(|n| check.take("name", PersonName::parse(&n)));
    let phone = body.phone.map(|p| check.take("phone", Phone::parse(&p).map_err(|_| "phone-invalid")));
    if matches!(name, Some(None)) || matches!(phone, Some(None)) {
        return Err(check.problem());
    }
    let version = asked.on(user.version)?;
    user.name = name.flatten().unwrap_or(user.name);
    user.phone = phone.flatten().unwrap_or(user.phone);
    let (keys, new) = (app.handles.tools().keys.clone(), user.clone());
    let done = app
        .store()
        .run(async move |c| storage::users::update(c, &keys, new.id, &new.name, &new.phone, version).await)
        .await?;
    if !done {
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale"));
    }
    app.audit(Some(who), origin, "profile-edited", format!("user:{}", who.user), fields);
    let user = account(&app, who.user).await?;
    Ok(versioned(StatusCode::OK, user.version, &me_body(&user)))
}

/// A ticket for a socket, used once.
pub(crate) async fn ticket(State(app): State<App>, Owner(who): Owner) -> ApiResult<Response> {
    let ticket = app.tokens.ticket(storage::clock::now());
    let hash: [u8; 32] = Sha256::digest(ticket.as_bytes()).into();
    app.store().run(async move |c| storage::sessions::insert_ticket(c, hash, who.user, who.session).await).await?;
    Ok((StatusCode::CREATED, Json(json!({"ticket": ticket, "expiresIn": TICKET_SECONDS}))).into_response())
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
