//! US-01 to US-04: signup, login, profile and stores, logout.

use crate::support::{
    anonymous, business_number, email, owner, pending_at, run, server, signup_body, special, start, within,
};
use reqwest::Method;
use serde_json::json;
use simulator::Fault;
use std::time::Duration;

#[test]
fn signup_says_what_is_wrong() {
    run(async {
        let api = anonymous();
        for (field, value, code) in [
            ("email", json!("nonsense"), "email-invalid"),
            ("password", json!("short"), "password-too-short"),
            ("password", json!("가".repeat(24)), "password-too-long"),
            ("phone", json!("02-123-4567"), "phone-invalid"),
            ("businessNumber", json!("101-81-34618"), "business-number-invalid"),
            ("businessNumber", json!("000-00-00000"), "business-number-invalid"),
            ("name", json!(" "), "required"),
            ("openedOn", json!("2999-01-01"), "out-of-range"),
            ("openedOn", json!("yesterday"), "invalid-value"),
            ("extra", json!(1), "unknown-field"),
        ] {
            let mut body = signup_body();
            body[field] = value;
            let answer = api.post("/api/users/signup", body).await;
            if field == "openedOn" && code == "invalid-value" {
                assert_eq!(answer.status, 422);
                continue;
            }
            let problem = answer.fails(422, code);
            assert_eq!(problem["errors"][0]["field"], field);
        }
        for (field, value, code) in [
            ("region", "화성 1구역", "region-invalid"),
            ("industry", "SPACE", "industry-invalid"),
            ("name", "", "required"),
        ] {
            let mut body = signup_body();
            body["store"][field] = json!(value);
            assert_eq!(
                api.post("/api/users/signup", body).await.fails(422, code)["errors"][0]["field"],
                format!("store.{field}")
            );
        }
        let mut several = signup_body();
        several["email"] = json!("x");
        several["phone"] = json!("y");
        assert_eq!(
            api.post("/api/users/signup", several).await.fails(422, "email-invalid")["errors"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    });
}

#[test]
fn taken_email_comes_before_taken_business() {
    run(async {
        let api = anonymous();
        let body = signup_body();
        let made = api.post("/api/users/signup", body.clone()).await.is(201);
        assert_eq!(made["store"]["verification"], "VERIFIED");
        assert_eq!(made["user"]["phone"], "010-****-5678");
        assert!(made["user"]["businessNumber"].as_str().unwrap().ends_with("-**-*****"));
        api.post("/api/users/signup", body.clone()).await.fails(409, "email-taken");
        let mut other = body.clone();
        other["email"] = json!(email());
        api.post("/api/users/signup", other).await.fails(409, "business-taken");
        // Twenty at once: one account.
        let same = signup_body();
        let all = futures_util::future::join_all((0..20).map(|_| api.post("/api/users/signup", same.clone()))).await;
        assert_eq!(all.iter().filter(|a| a.status == 201).count(), 1);
        assert!(all.iter().all(|a| a.status == 201 || a.status == 409));
    });
}

/// The simulator's special numbers: a closed business, a mismatch, and a silent tax service.
#[test]
fn the_tax_service_decides() {
    run(async {
        let api = anonymous();
        api.post("/api/users/signup", special("99901")).await.fails(422, "business-closed");
        api.post("/api/users/signup", special("99902")).await.fails(422, "business-mismatch");
        let pending = api.post("/api/users/signup", special("99903")).await.is(201);
        assert_eq!(pending["store"]["verification"], "PENDING");
    });
}

/// RS-12: while the service is away the store is PENDING, and verified by itself once it is back.
#[test]
fn pending_stores_are_verified_by_themselves() {
    run(async {
        let own = start(|_| {}).await;
        let simulator = own.running.simulator().unwrap();
        simulator.set_fault("NTS", Some(Fault::Status { status: 500, retry_after: None, body: None }));
        let api = pending_at(&own.base, signup_body()).await;
        simulator.set_fault("NTS", None);
        let path = format!("/api/stores/{}", api.store);
        within(Duration::from_secs(30), "verified", || async {
            api.get(&path).await.is(200)["verification"] == "VERIFIED"
        })
        .await;
        within(Duration::from_secs(5), "told", || async {
            api.get("/api/notices").await.is(200)["items"][0]["kind"] == "store-verified"
        })
        .await;
        own.running.stop().await;
    });
}

#[test]
fn login_is_uniform_and_throttled_but_never_locked() {
    run(async {
        let api = anonymous();
        let body = signup_body();
        api.post("/api/users/signup", body.clone()).await.is(201);
        let wrong = json!({"email": body["email"], "password": "wrong password"});
        let unknown = api
            .post("/api/users/login", json!({"email": email(), "password": "wrong password"}))
            .await
            .fails(401, "unauthenticated");
        for _ in 0..5 {
            let known = api.post("/api/users/login", wrong.clone()).await.fails(401, "unauthenticated");
            assert_eq!(known["detail"], unknown["detail"]);
        }
        let throttled = api.post("/api/users/login", wrong).await;
        assert!(throttled.headers.contains_key("retry-after"));
        throttled.fails(429, "login-throttled");
        let other = signup_body();
        api.post("/api/users/signup", other.clone()).await.is(201);
        let tokens =
            api.post("/api/users/login", json!({"email": other["email"], "password": other["password"]})).await.is(200);
        assert_eq!(tokens["expiresIn"], 900);
    });
}

#[test]
fn refresh_tokens_rotate_forgive_a_lost_reply_and_end_on_reuse() {
    run(async {
        let mut api = owner().await;
        let first = api.refresh.clone();
        let refresh = |token: String| {
            let api = anonymous();
            async move { api.post("/api/users/token/refresh", json!({"refreshToken": token})).await }
        };
        let second = refresh(first.clone()).await.is(200);
        let again = refresh(first.clone()).await.is(200);
        assert_eq!(second, again, "a repetition within 30 s gets the same answer");
        let third = refresh(second["refreshToken"].as_str().unwrap().to_owned()).await.is(200);
        assert_ne!(third["refreshToken"], second["refreshToken"]);
        refresh(first).await.fails(401, "unauthenticated");
        api.login_with(&third);
        refresh(api.refresh.clone()).await.fails(401, "unauthenticated");
        api.get("/api/users/me").await.fails(401, "unauthenticated");
        refresh("nonsense".into()).await.fails(401, "unauthenticated");
    });
}

#[test]
fn bad_tokens_open_nothing_and_logout_is_immediate() {
    run(async {
        let api = owner().await;
        let good = api.token.clone().unwrap();
        let mut tampered = good.clone();
        tampered.replace_range(good.len() - 4.., "AAAA");
        for token in [tampered.as_str(), "", "x", &api.refresh] {
            let answer = api.send(api.http.get(format!("{}/api/users/me", api.base)).bearer_auth(token)).await;
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            answer.fails(401, "unauthenticated");
        }
        anonymous().get("/api/events").await.fails(401, "unauthenticated");
        let mut socket = api.socket().await;
        assert_eq!(api.post("/api/users/logout", json!({})).await.status, 204);
        api.get("/api/users/me").await.fails(401, "unauthenticated");
        assert_eq!(socket.next().await, Err(4401), "sockets of the login close");
    });
}

#[test]
fn logout_everywhere_ends_every_login() {
    run(async {
        let body = signup_body();
        let mut one = anonymous();
        one.login_with(&one.post("/api/users/signup", body.clone()).await.is(201));
        let mut two = anonymous();
        two.login_with(
            &two.post("/api/users/login", json!({"email": body["email"], "password": body["password"]})).await.is(200),
        );
        assert_eq!(one.post("/api/users/logout?everywhere=true", json!({})).await.status, 204);
        two.get("/api/users/me").await.fails(401, "unauthenticated");
        two.post("/api/users/token/refresh", json!({"refreshToken": two.refresh})).await.fails(401, "unauthenticated");
    });
}

#[test]
fn a_profile_and_stores_of_ones_own() {
    run(async {
        let (api, stranger) = (owner().await, owner().await);
        let me = api.get("/api/users/me").await;
        assert_eq!(me.headers["etag"], "\"1\"");
        let edit = |version: &str, name: &str| {
            api.send(
                api.request(Method::PATCH, "/api/users/me").header("if-match", version).json(&json!({"name": name})),
            )
        };
        assert_eq!(edit("\"1\"", "김철수").await.is(200)["name"], "김철수");
        edit("\"1\"", "또").await.fails(412, "stale");
        api.patch("/api/users/me", json!({"phone": "123"})).await.fails(422, "phone-invalid");
        let store = format!("/api/stores/{}", api.store);
        assert_eq!(api.get(&store).await.is(200)["region"], "서울특별시 강남구");
        stranger.get(&store).await.fails(404, "not-found");
        stranger.patch(&store, json!({"name": "x"})).await.fails(404, "not-found");
        stranger.delete(&store).await.fails(404, "not-found");
        assert_eq!(api.patch(&store, json!({"name": "새 이름", "address": "강남대로 1"})).await.is(200)["version"], 2);
        let second = api
            .post("/api/stores", json!({"name": "둘째", "industry": "BAKERY", "region": "부산 해운대구"}))
            .await
            .is(201);
        assert_eq!(second["verification"], "VERIFIED");
        assert_eq!(api.get("/api/stores?limit=1").await.is(200)["items"].as_array().unwrap().len(), 1);
        let page = api.get("/api/stores?limit=1").await.is(200);
        let next =
            api.get(&format!("/api/stores?limit=1&cursor={}", page["nextCursor"].as_str().unwrap())).await.is(200);
        assert_eq!(next["items"][0]["id"], second["id"]);
        assert!(next["nextCursor"].is_null());
        assert_eq!(api.delete(&format!("/api/stores/{}", second["id"].as_str().unwrap())).await.status, 204);
        api.live(json!({})).await;
        api.delete(&store).await.fails(409, "store-has-open-events");
        assert!(anonymous().get("/api/industries").await.is(200)["items"].as_array().unwrap().len() > 10);
        let _ = business_number();
    });
}

#[test]
fn a_hundred_requests_in_any_minute() {
    run(async {
        let api = owner().await;
        let mut passed = 0;
        for i in 0..105 {
            let answer = api.get("/api/users/me").await;
            assert!(answer.headers["ratelimit"].to_str().unwrap().starts_with("\"user\";r="));
            assert_eq!(answer.headers["ratelimit-policy"], "\"user\";q=100;w=60");
            if answer.status == 200 {
                passed += 1;
            } else {
                assert!(answer.headers.contains_key("retry-after"), "{i}");
                answer.fails(429, "rate-limited");
            }
        }
        assert_eq!(passed, 100);
        assert_eq!(owner().await.get("/api/users/me").await.status, 200, "users do not share");
        assert!(!server().base.is_empty());
    });
}
