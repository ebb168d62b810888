//! S24: no phone, business number, password, token or name in logs, metrics, error answers or plain columns.

use crate::support::{LOG, anonymous, at, business_number, email, run, server};
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

const TABLES: &[&str] = &[
    "identity.users",
    "identity.stores",
    "identity.sessions",
    "identity.tickets",
    "identity.idempotency_keys",
    "identity.audit",
    "events.events",
    "events.facts",
    "events.prizes",
    "events.offers",
    "events.images",
    "events.jobs",
    "events.distributions",
    "events.publications",
    "events.notices",
    "events.upstream_calls",
    "participation.heads",
    "participation.log",
    "participation.entries",
    "participation.draws",
    "participation.winners",
    "analytics.channel_stats",
    "analytics.link_hits",
];

#[test]
fn nothing_personal_leaks() {
    run(async {
        let business = business_number();
        let (secret_name, owner_phone, customer, customer_phone, password) =
            ("카나리아", "01091827364", "두루미씨", "01073645182", "canary-password-77");
        let address = email();
        let mut api = anonymous();
        let signup = json!({
            "email": address, "password": password, "name": secret_name, "phone": owner_phone, "businessNumber": business,
            "openedOn": "2019-05-05", "store": {"name": "가게", "industry": "CAFE", "region": "서울 강남구"},
        });
        let made = api
            .send(api.request(Method::POST, "/api/users/signup").header("idempotency-key", "canary").json(&signup))
            .await
            .is(201);
        api.login_with(&made);
        api.post("/api/users/signup", signup.clone()).await.fails(409, "email-taken");
        api.post("/api/users/login", json!({"email": address, "password": "canary-password-78"}))
            .await
            .fails(401, "login-failed");
        api.patch("/api/users/me", json!({"phone": owner_phone})).await.is(200);
        let (id, slug) = api.live(json!({})).await;
        let entered = api
            .enter_with(&slug, json!({"name": customer, "phone": customer_phone, "consents": {"privacy": true}}))
            .await
            .is(201);
        let receipt = entered["receipt"].as_str().unwrap().to_owned();
        let mut errors = Vec::new();
        for bad in [
            json!({"name": customer, "phone": customer_phone}),
            json!({"name": customer, "phone": format!("{customer_phone}9"), "consents": {"privacy": true}}),
            json!({"phone": {"number": customer_phone}}),
        ] {
            errors.push(api.enter_with(&slug, bad).await.body.to_string());
        }
        api.enter_with(&slug, json!({"name": customer, "phone": customer_phone, "consents": {"privacy": true}}))
            .await
            .fails(409, "already-entered");
        api.get(&format!("/api/participation/receipts/{receipt}")).await.is(200);
        api.get(&format!("/api/events/{id}/participants")).await.is(200);
        let ticket = api.post("/api/realtime/tickets", json!({})).await.is(201)["ticket"].as_str().unwrap().to_owned();
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        api.post(&format!("/api/events/{id}/draws"), json!({})).await.is(201);
        for path in ["/api/users/me", "/api/stores", "/api/events", "/api/notices"] {
            api.get(path).await.is(200);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut haystacks = vec![("error answers".to_owned(), errors.join("\n"))];
        haystacks.push(("log".into(), String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()));
        haystacks.push(("metrics".into(), at(&server().admin).get("/metrics").await.is(200).to_string()));
        for table in TABLES {
            haystacks.push(((*table).to_owned(), dump(table).await));
        }
        let token = api.token.clone().unwrap();
        let spelled = format!("{}-{}-{}", &business[..3], &business[3..5], &business[5..]);
        for (what, needle) in [
            ("owner's name", secret_name),
            ("owner's phone", owner_phone),
            ("customer's name", customer),
            ("customer's phone", customer_phone),
            ("business number", business.as_str()),
            ("business number", spelled.as_str()),
            ("password", password),
            ("e-mail", address.as_str()),
            ("access token", token.as_str()),
            ("refresh token", api.refresh.as_str()),
            ("receipt", receipt.as_str()),
            ("ticket", ticket.as_str()),
        ] {
            for (place, text) in &haystacks {
                assert!(!text.contains(needle), "the {what} is in {place}");
            }
        }
        assert!(
            haystacks
                .iter()
                .any(|(place, text)| place == "log" && text.contains("/api/participation/receipts/{receipt}")),
            "the log names routes, not paths"
        );
    });
}

async fn dump(table: &'static str) -> String {
    let store = server().running.handles().shared.store.clone();
    let lines = store
        .run(move |c| {
            Box::pin(async move {
                Ok(diesel::sql_query(format!("select t::text as line from {table} t limit 20000"))
                    .load::<Line>(c)
                    .await?)
            })
        })
        .await
        .unwrap();
    lines.into_iter().map(|l| l.line).collect::<Vec<_>>().join("\n")
}
