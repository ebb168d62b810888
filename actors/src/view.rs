//! Bodies of the API that both REST and the live connection show. Written once, here.

use chrono::{DateTime, Utc};
use domain::dashboard::Dashboard;
use domain::distribution::{Distribution, Publication};
use domain::event::Event;
use domain::event::state::hex;
use domain::job::Job;
use domain::topic::Position;
use serde_json::{Map, Value, json};
use storage::images::Image;

/// An event.
#[must_use]
pub fn event(e: &Event) -> Value {
    let images: Vec<Value> = e.content.iter().map(|c| json!({"id": c.image, "version": c.version})).collect();
    let ids: Vec<_> = e.content.iter().map(|c| c.image).collect();
    json!({
        "id": e.id, "slug": e.slug, "storeId": e.store, "objective": e.objective, "title": e.title, "status": e.status,
        "version": e.revision, "startsAt": e.starts_at, "endsAt": e.ends_at, "prizes": e.prizes,
        "visitBonus": e.visit_weight.map(|w| json!({"weight": w})),
        "content": if ids.is_empty() { Value::Null } else { json!({"imageIds": ids, "images": images}) },
        "channels": e.channels, "distributionId": e.distribution, "optionId": e.option.as_ref().map(|o| &o.id),
        "commitment": e.commitment.map(|c| hex(&c)),
        "closedAt": e.closed_at, "drawn": e.drawn, "createdAt": e.created_at,
    })
}

/// The analytics of an event.
#[must_use]
pub fn analytics(e: &Event, d: &Dashboard, position: &Position, as_of: DateTime<Utc>) -> Value {
    let mut body = Map::new();
    body.insert("eventId".into(), json!(e.id));
    body.insert("status".into(), json!(e.status));
    body.insert("version".into(), json!(e.revision));
    body.insert("endsAt".into(), json!(e.ends_at));
    body.insert("asOf".into(), json!(as_of));
    body.insert("position".into(), json!(position));
    if let Value::Object(figures) = json!(d) {
        body.extend(figures);
    }
    Value::Object(body)
}

/// What everybody may see of an event, with the notice in Korean.
#[must_use]
pub fn public(e: &Event, shop: &str, count: i64) -> Value {
    let prizes: i64 = e.prizes.iter().map(|p| i64::from(p.quantity)).sum();
    let odds = json!({
        "prizes": prizes, "entries": count, "visitWeight": e.visit_weight,
        "perEntry": if count > 0 { (prizes as f64 / count as f64).min(1.0) } else { 1.0 },
    });
    json!({
        "slug": e.slug, "title": e.title, "storeName": shop, "status": e.status, "startsAt": e.starts_at, "endsAt": e.ends_at,
        "prizes": e.prizes.iter().map(|p| json!({"name": p.name, "quantity": p.quantity, "unitValueWon": p.unit_value_won})).collect::<Vec<_>>(),
        "notice": {"version": domain::notice::version(shop), "text": domain::notice::text(shop)},
        "count": count, "odds": odds, "visitBonus": e.visit_weight.map(|w| json!({"weight": w})),
        "closedAt": e.closed_at,
        "draw": {"commitment": e.commitment.map(|c| hex(&c)), "root": e.root.map(|(r, _)| hex(&r)), "drawn": e.drawn},
    })
}

/// The data of an update of `event:<id>`: absolute values, whatever changed.
#[must_use]
pub fn event_update(e: &Event, d: &Dashboard) -> Value {
    let mut body = Map::new();
    body.insert("status".into(), json!(e.status));
    body.insert("version".into(), json!(e.revision));
    body.insert("endsAt".into(), json!(e.ends_at));
    if let Value::Object(figures) = json!(d) {
        body.extend(figures);
    }
    Value::Object(body)
}

/// A job.
#[must_use]
pub fn job(j: &Job) -> Value {
    let mut body = json!({
        "id": j.id, "kind": j.kind, "status": j.status, "progress": j.progress, "stage": j.stage, "attempts": j.attempts,
        "createdAt": j.created_at, "endedAt": j.ended_at,
    });
    for (key, value) in [("result", &j.result), ("error", &j.error), ("fallback", &j.fallback)] {
        if let Some(value) = value {
            body[key] = value.clone();
        }
    }
    body
}

/// One channel of a distribution.
#[must_use]
pub fn publication(p: &Publication) -> Value {
    let mut body = json!({"channel": p.channel, "mode": p.mode, "status": p.status, "attempts": p.attempts});
    if let Some(id) = &p.external_id {
        body["externalId"] = json!(id);
    }
    if let Some(url) = &p.url {
        body["url"] = json!(url);
    }
    if let Some(error) = &p.error {
        body["error"] = json!(error);
    }
    for prepared in ["text", "imageUrl"] {
        if let Some(given) = p.remote.get(prepared).filter(|v| v.is_string()) {
            body[prepared] = given.clone();
        }
    }
    body
}

/// A distribution.
#[must_use]
pub fn distribution(d: &Distribution) -> Value {
    json!({
        "id": d.id, "eventId": d.event, "status": d.status(), "version": d.version, "endedAt": d.ended_at,
        "channels": d.publications.iter().map(publication).collect::<Vec<_>>(),
    })
}

/// A picture. `public` is the address of this installation.
#[must_use]
pub fn image(i: &Image, public: &str) -> Value {
    json!({
        "id": i.id, "version": i.version, "eventId": i.event, "style": i.style, "platform": i.platform,
        "url": format!("{public}/images/{}", i.name), "width": i.width, "height": i.height,
        "headline": i.headline, "body": i.body, "palette": i.palette, "altText": i.alt_text,
    })
}
