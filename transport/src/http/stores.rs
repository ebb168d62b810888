//! Shops and industries.

use super::bodies::{EditStore, NewStore};
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Check, Id, IfMatch, Origin, Owner, Query, page, versioned};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::catalog::{INDUSTRIES, Region, industry_of};
use domain::ids::{StoreId, UserId};
use domain::shop::Shop;
use domain::text::{TextError, line};
use serde_json::{Value, json};
use storage::stores::Removal;

/// Checked fields of a shop.
pub(crate) struct StoreFields {
    pub(crate) name: String,
    pub(crate) industry: String,
    pub(crate) region: Region,
    pub(crate) address: Option<String>,
}

/// Characters of a shop's name: it stands on the smallest picture.
pub(crate) const MAX_NAME: usize = 60;
/// Characters of an address: the longest of a road has about 100, with floor and building.
pub(crate) const MAX_ADDRESS: usize = 200;

fn industry(code: &str) -> Result<String, &'static str> {
    industry_of(code).map(|i| i.code.to_owned()).ok_or("industry-invalid")
}

/// Reads a region; what it may be is said in [`Region::parse`].
pub(crate) fn region(s: &str) -> Result<Region, &'static str> {
    Region::parse(s).map_err(|_| "region-invalid")
}

/// Reads an address; one that shows nothing is none.
fn address(s: Option<&str>) -> Result<Option<String>, TextError> {
    match s.map(|s| line(s, MAX_ADDRESS)) {
        None | Some(Err(TextError::Empty)) => Ok(None),
        Some(read) => read.map(Some),
    }
}

/// Checks the fields of a shop; `at` is put before their names.
pub(crate) fn check_store(check: &mut Check, at: &str, given: &NewStore) -> Option<StoreFields> {
    let name = check.take(&format!("{at}name"), line(&given.name, MAX_NAME));
    let industry = check.take(&format!("{at}industry"), industry(&given.industry));
    let region = check.take(&format!("{at}region"), region(&given.region));
    let address = check.take(&format!("{at}address"), address(given.address.as_deref()));
    Some(StoreFields { name: name?, industry: industry?, region: region?, address: address? })
}

/// Checks what is changed of a shop. What is left out stays as it is, also where today's rules would not take it.
fn check_edit(check: &mut Check, given: EditStore, shop: &Shop) -> Option<StoreFields> {
    let name = given.name.map_or(Some(shop.name.clone()), |n| check.take("name", line(&n, MAX_NAME)));
    let industry = given.industry.map_or(Some(shop.industry.clone()), |i| check.take("industry", industry(&i)));
    let region = given.region.map_or(Some(shop.region.clone()), |r| check.take("region", region(&r)));
    let address = given.address.map_or(Some(shop.address.clone()), |a| check.take("address", address(a.as_deref())));
    Some(StoreFields { name: name?, industry: industry?, region: region?, address: address? })
}

/// A shop.
pub(crate) fn store_body(s: &Shop) -> Value {
    json!({
        "id": s.id, "name": s.name, "industry": s.industry, "region": s.region, "address": s.address,
        "verification": s.verification, "verificationMode": s.mode, "version": s.version, "createdAt": s.created_at,
    })
}

/// A shop of this owner.
pub(crate) async fn owned(app: &App, user: UserId, id: StoreId) -> ApiResult<Shop> {
    let found = app.store().run(async move |c| storage::stores::get(c, id).await).await?;
    found.filter(|shop| shop.user == user && !shop.removed).ok_or_else(Problem::not_found)
}

pub(crate) async fn industries(query: Query) -> ApiResult<Json<Value>> {
    query.limit()?;
    let items: Vec<Value> =
        INDUSTRIES.iter().map(|i| json!({"code": i.code, "nameKo": i.name_ko, "nameEn": i.name_en})).collect();
    Ok(Json(json!({"items": items, "nextCursor": null})))
}

pub(crate) async fn list(State(app): State<App>, Owner(who): Owner, query: Query) -> ApiResult<Json<Value>> {
    let (limit, after) = (query.limit()?, query.cursor::<StoreId>()?);
    let rows = app.store().run(async move |c| storage::stores::list(c, who.user, after, limit + 1).await).await?;
    Ok(Json(page(rows, limit, |s| s.id.to_string(), |s| store_body(&s))))
}

/// Another shop of the same business: it shares what the tax service said.
pub(crate) async fn add(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Body(body): Body<NewStore>,
) -> ApiResult {
    let mut check = Check::default();
    let Some(f) = check_store(&mut check, "", &body) else { return Err(check.problem()) };
    let (kid, most) = (app.handles.tools().keys.active_index().to_owned(), app.settings.stores);
    let made = app
        .store()
        .tx(async move |c| {
            storage::stores::hold(c, who.user).await?;
            if storage::stores::count(c, who.user).await? >= most {
                return Ok(None);
            }
            let first = storage::stores::newest(c, who.user).await?;
            let first = first.ok_or_else(|| storage::StorageError::Corrupt("an account without a store".into()))?;
            let shop = Shop {
                id: StoreId::new(),
                name: f.name,
                industry: f.industry,
                region: f.region,
                address: f.address,
                index_kid: kid,
                version: 1,
                created_at: actors::clock::now(),
                removed: false,
                ..first
            };
            storage::stores::insert(c, &shop).await?;
            Ok(Some(shop))
        })
        .await?;
    let made = made.ok_or_else(|| Problem::conflict("too-many").said("stores-too-many"))?;
    app.audit(Some(who), origin, "store-added", format!("store:{}", made.id), json!({}));
    Ok(versioned(StatusCode::CREATED, made.version, &store_body(&made)))
}

pub(crate) async fn one(State(app): State<App>, Owner(who): Owner, Id(id): Id<StoreId>) -> ApiResult {
    let shop = owned(&app, who.user, id).await?;
    Ok(versioned(StatusCode::OK, shop.version, &store_body(&shop)))
}

pub(crate) async fn edit(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Id(id): Id<StoreId>,
    asked: IfMatch,
    Body(body): Body<EditStore>,
) -> ApiResult {
    let changed = json!({
        "name": body.name.is_some(), "industry": body.industry.is_some(), "region": body.region.is_some(),
        "address": body.address.is_some(),
    });
    let shop = owned(&app, who.user, id).await?;
    let mut check = Check::default();
    let Some(f) = check_edit(&mut check, body, &shop) else { return Err(check.problem()) };
    let version = asked.on(shop.version)?;
    let new = Shop { name: f.name, industry: f.industry, region: f.region, address: f.address, ..shop };
    if !app.store().run(async move |c| storage::stores::update(c, &new, version).await).await? {
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale"));
    }
    app.audit(Some(who), origin, "store-edited", format!("store:{id}"), changed);
    app.handles.events.store_changed(id);
    let shop = owned(&app, who.user, id).await?;
    Ok(versioned(StatusCode::OK, shop.version, &store_body(&shop)))
}

pub(crate) async fn remove(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Id(id): Id<StoreId>,
    asked: IfMatch,
) -> ApiResult<Response> {
    let version = match &asked {
        IfMatch::Any => None,
        IfMatch::OneOf(_) => asked.on(owned(&app, who.user, id).await?.version)?,
    };
    let done = app.store().run(async move |c| storage::stores::remove(c, who.user, id, version).await).await?;
    match done {
        Removal::Removed => {
            app.audit(Some(who), origin, "store-removed", format!("store:{id}"), json!({}));
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Removal::Stale => Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale")),
        Removal::OpenEvents => Err(Problem::conflict("store-has-open-events")),
        Removal::Unknown => Err(Problem::not_found()),
    }
}
