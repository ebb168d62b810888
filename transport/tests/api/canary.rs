//! S24: no phone, business number, password, token or name in logs, metrics, error answers or plain columns.

use crate::support::{Api, LOG, anonymous, at, business_number, email, run, server};
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
            .fails(401, "unauthenticated");
        api.patch("/api/users/me", json!({"phone": owner_phone})).await.is(200);
        let (id, slug) = api.live(json!({})).await;
        let entered = api
            .enter_with(&slug, json!({"name": customer, "phone": customer_phone, "consents": {"privacy": true}}))
            .await
            .is(201);
        let receipt = entered["receipt"].as_str().unwrap().to_owned();
        for bad in [
            json!({"name": customer, "phone": customer_phone}),
            json!({"name": customer, "phone": format!("{customer_phone}9"), "consents": {"privacy": true}}),
            json!({"phone": {"number": customer_phone}}),
        ] {
            assert!(api.enter_with(&slug, bad).await.status >= 400);
        }
        api.enter_with(&slug, json!({"name": customer, "phone": customer_phone, "consents": {"privacy": true}}))
            .await
            .fails(409, "already-entered");
        api.get(&format!("/api/participation/receipts/{receipt}")).await.is(200);
        api.get(&format!("/api/events/{id}/participants")).await.is(200);
        let ticket = api.post("/api/realtime/tickets", json!({})).await.is(201)["ticket"].as_str().unwrap().to_owned();
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        api.post(&format!("/api/events/{id}/draws"), json!({})).await.is(201);
        the_rest(&mut api, &id, &slug, &receipt, password, owner_phone).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut documented: Vec<_> =
            transport::openapi::OPERATIONS.iter().map(|o| (o.method.to_owned(), o.path.to_owned())).collect();
        let seen = std::mem::take(&mut *api.seen.lock().unwrap());
        documented.retain(|o| !seen.operations.contains(o));
        assert!(documented.is_empty(), "every endpoint is driven: {documented:?}");
        for (status, answer) in &seen.answers {
            for needle in [owner_phone, customer_phone, business.as_str()] {
                assert!(!answer.contains(needle), "a {status} shows what it should mask: {answer}");
            }
        }
        let errors: Vec<String> = seen.answers.into_iter().filter(|(s, _)| *s >= 400).map(|(_, text)| text).collect();
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

/// Every endpoint that the way there has not met.
async fn the_rest(api: &mut Api, id: &str, slug: &str, receipt: &str, password: &str, phone: &str) {
    for path in ["/api/users/me", "/api/stores", "/api/industries", "/api/events"] {
        api.get(path).await.is(200);
    }
    for what in ["preflight", "qr.svg", "qr.png", "visit-code", "facts", "draws", "analytics"] {
        api.get(&format!("/api/events/{id}/{what}")).await.is(200);
    }
    api.get(&format!("/api/analytics/events/{id}")).await.is(200);
    let event = api.get(&format!("/api/events/{id}")).await.is(200);
    let images = api.get(&format!("/api/events/{id}/images")).await.is(200);
    let image = format!("/api/content/images/{}", images["items"][0]["id"].as_str().unwrap());
    api.get(&image).await.is(200);
    api.patch(&image, json!({"headline": "새 문구"})).await.is(200);
    let store = api.post("/api/stores", json!({"name": "둘째", "industry": "CAFE", "region": "부산 해운대구"})).await;
    let store = format!("/api/stores/{}", store.is(201)["id"].as_str().unwrap());
    api.get(&store).await.is(200);
    api.patch(&store, json!({"name": "둘째 가게"})).await.is(200);
    api.delete(&store).await.is(204);
    let copy = api.post(&format!("/api/events/{id}/duplicate"), json!({})).await.is(201);
    let copy = format!("/api/events/{}", copy["id"].as_str().unwrap());
    api.patch(&copy, json!({"title": "새 제목"})).await.is(200);
    for (what, refused) in [("pause", 409), ("resume", 409), ("cancel", 200)] {
        api.post(&format!("{copy}/{what}"), json!({})).await.is(refused);
    }
    let draft = api.draft().await;
    api.delete(&format!("/api/events/{draft}")).await.is(204);
    let asked = json!({"industry": "BEAUTY", "region": "제주 제주시", "objective": "SALES"});
    let job = api.post("/api/ai/recommendations", asked).await.is(202);
    api.delete(&format!("/api/jobs/{}", job["jobId"].as_str().unwrap())).await;
    let distribution = format!("/api/distribution/{}", event["distributionId"].as_str().unwrap());
    api.get(&distribution).await.is(200);
    api.post(&format!("{distribution}/retry"), json!({"channels": ["RINGO_BIZ"]})).await.is(409);
    api.post(&format!("{distribution}/confirm"), json!({"channel": "NAVER", "posted": true})).await;
    api.post(&format!("{distribution}/recall"), json!({})).await.is(202);
    api.get(&format!("/api/participation/events/{slug}")).await.is(200);
    api.get(&format!("/api/participation/events/{slug}/draw")).await.is(200);
    api.delete(&format!("/api/participation/receipts/{receipt}")).await.is(204);
    let notices = api.get("/api/notices").await.is(200);
    let notice = notices["items"][0]["id"].as_str().map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned);
    api.post(&format!("/api/notices/{notice}/read"), json!({})).await;
    let me = api.patch("/api/users/me", json!({"phone": phone})).await.is(200);
    let login = api.post("/api/users/login", json!({"email": me["email"], "password": password})).await.is(200);
    api.post("/api/users/token/refresh", json!({"refreshToken": login["refreshToken"]})).await.is(200);
    api.post("/api/users/logout?everywhere=true", json!({})).await.is(204);
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
