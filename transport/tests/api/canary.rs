//! S24: no phone, business number, password, token or name in logs, metrics, error answers, any table (so in no backup), files of
//! the data folder (the embedded database, pictures, posts of the simulator), or Redis.

use crate::support::{Api, LOG, anonymous, at, business_number, email, run, server};
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use reqwest::Method;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Route template expected in the log.
const ROUTE: &[u8] = b"/api/participation/receipts/{receipt}";

/// Every table of ours: what a dump of the database holds.
async fn tables() -> Vec<String> {
    let store = server().running.handles().tools().store.clone();
    let find = "select format('%I.%I', schemaname, tablename) as line from pg_tables
                 where schemaname not in ('pg_catalog', 'information_schema')";
    let lines = store.run(async move |c| Ok(diesel::sql_query(find).load::<Line>(c).await?)).await;
    let tables: Vec<String> = lines.unwrap().into_iter().map(|l| l.line).collect();
    assert!(tables.len() > 20, "{tables:?}");
    tables
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
}

/// Every key and value of Redis, where there is one, as the protocol gives them.
async fn cached() -> Vec<(String, String)> {
    let Ok(url) = std::env::var("REDIS_URL") else { return Vec::new() };
    let address = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
    let mut redis = tokio::net::TcpStream::connect(address).await.unwrap();
    let keys = ask(&mut redis, "KEYS *").await;
    let keys: Vec<&str> =
        keys.split("\r\n").filter(|line| line.contains(':') && !line.starts_with(['*', '$'])).collect();
    let mut found = vec![("keys of Redis".to_owned(), keys.join("\n"))];
    for key in keys {
        found.push((format!("Redis {key}"), ask(&mut redis, &format!("GET \"{key}\"")).await));
    }
    found
}

/// Sends an inline command and a PING. Reads until the PONG.
async fn ask(redis: &mut tokio::net::TcpStream, command: &str) -> String {
    redis.write_all(format!("{command}\r\nPING\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"+PONG\r\n") {
        assert!(redis.read_buf(&mut answer).await.unwrap() > 0, "Redis hung up");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

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
        let seen = std::mem::take(&mut *api.seen.lock());
        documented.retain(|o| !seen.operations.contains(o));
        assert!(documented.is_empty(), "every endpoint is driven: {documented:?}");
        for (status, answer) in &seen.answers {
            for needle in [owner_phone, customer_phone, business.as_str()] {
                assert!(!answer.contains(needle), "a {status} shows what it should mask: {answer}");
            }
        }
        let errors: Vec<String> = seen.answers.into_iter().filter(|(s, _)| *s >= 400).map(|(_, text)| text).collect();
        let mut haystacks = vec![("error answers".to_owned(), errors.join("\n"))];
        haystacks.push(("log".into(), String::from_utf8_lossy(&LOG.lock()).into_owned()));
        haystacks.push(("metrics".into(), at(&server().admin).get("/metrics").await.is(200).to_string()));
        for table in tables().await {
            let rows = dump(&table).await;
            haystacks.push((table, rows));
        }
        haystacks.extend(cached().await);
        let mut haystacks: Vec<(String, Vec<u8>)> =
            haystacks.into_iter().map(|(place, text)| (place, text.into_bytes())).collect();
        files(server().database.folder(), &mut haystacks);
        for place in ["events.facts", "participation.entries", "objects/", "simulator/"] {
            assert!(haystacks.iter().any(|(p, bytes)| p.contains(place) && !bytes.is_empty()), "{place} was looked at");
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
            let finder = memchr::memmem::Finder::new(needle);
            for (place, bytes) in &haystacks {
                assert!(finder.find(bytes).is_none(), "the {what} is in {place}");
            }
        }
        assert!(
            haystacks.iter().any(|(place, bytes)| place == "log" && memchr::memmem::find(bytes, ROUTE).is_some()),
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
    for what in ["draw", "winners"] {
        api.get(&format!("/api/participation/events/{slug}/{what}")).await.is(200);
    }
    let paper = format!("/api/events/{id}/visit-paper");
    api.post(&paper, json!({})).await.fails(409, "wrong-state");
    api.delete(&paper).await.is(204);
    api.delete(&format!("/api/participation/receipts/{receipt}")).await.is(204);
    let notices = api.get("/api/notices").await.is(200);
    let notice = notices["items"][0]["id"].as_str().map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned);
    api.post(&format!("/api/notices/{notice}/read"), json!({})).await;
    let me = api.patch("/api/users/me", json!({"phone": phone})).await.is(200);
    let login = api.post("/api/users/login", json!({"email": me["email"], "password": password})).await.is(200);
    api.post("/api/users/token/refresh", json!({"refreshToken": login["refreshToken"]})).await.is(200);
    api.post("/api/users/logout?everywhere=true", json!({})).await.is(204);
}

async fn dump(table: &str) -> String {
    let store = server().running.handles().tools().store.clone();
    let rows = format!("select t::text as line from {table} t limit 20000");
    let lines = store.run(async move |c| Ok(diesel::sql_query(rows).load::<Line>(c).await?)).await.unwrap();
    lines.into_iter().map(|l| l.line).collect::<Vec<_>>().join("\n")
}
