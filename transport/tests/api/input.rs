//! Wrong input: the documented 4xx with the field, never a 500, and never somebody else's.

use crate::support::{Api, anonymous, owner, run, server};
use reqwest::Method;
use serde_json::{Value, json};

#[test]
fn malformed_bodies_and_unknown_routes() {
    run(async {
        let api = owner().await;
        for body in ["{", "{\"objective\":}", "not json", "\u{0}"] {
            let request =
                api.request(Method::POST, "/api/events").header("content-type", "application/json").body(body);
            api.send(request).await.fails(400, "malformed-json");
        }
        let problem =
            api.post("/api/events", json!({"objective": "SALES", "extra": 1})).await.fails(422, "unknown-field");
        assert_eq!(problem["errors"][0]["field"], "extra");
        assert_eq!(api.post("/api/events", json!({})).await.fails(422, "required")["errors"][0]["field"], "objective");
        let lacking = anonymous().post("/api/users/signup", json!({"name": "김", "store": {"name": "가게"}})).await;
        let fields: Vec<_> =
            lacking.fails(422, "required")["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
        for field in ["store.industry", "store.region", "email", "password", "phone", "businessNumber", "openedOn"] {
            assert!(fields.contains(&json!(field)), "{field} is not in {fields:?}");
        }
        let shop = json!({"name": "가".repeat(61), "industry": "CAFE", "region": "서울 중구"});
        let long = api.post("/api/stores", shop).await.fails(422, "too-long")["errors"][0].clone();
        assert_eq!((&long["min"], &long["max"]), (&json!(1), &json!(60)));
        assert!(long["detail"].as_str().unwrap().ends_with("허용 범위: 1~60"), "{long}");
        api.post("/api/events", json!({"objective": "FAME"})).await.fails(422, "invalid-value");
        api.post("/api/events", json!({"objective": 3})).await.fails(422, "invalid-type");
        api.post("/api/events", json!([])).await.fails(422, "invalid-type");
        api.get("/api/nothing").await.fails(404, "not-found");
        anonymous().get("/nothing").await.fails(404, "not-found");
        anonymous().send(anonymous().request(Method::PUT, "/api/industries")).await.fails(405, "method-not-allowed");
        api.send(api.request(Method::PUT, "/api/events")).await.fails(405, "method-not-allowed");
        let large = "x".repeat(1 << 21);
        api.post("/api/events", json!({"objective": large})).await.fails(413, "too-large");
        let english = api
            .send(anonymous().request(Method::GET, "/api/nothing").header("accept-language", "en"))
            .await
            .fails(404, "not-found");
        assert_eq!(english["title"], "Not found");
        let korean = api.get("/api/nothing").await.fails(404, "not-found");
        assert_eq!(korean["title"], "찾을 수 없음");
    });
}

/// The database has no text with NUL in it, and a path may be no text at all.
#[test]
fn what_no_text_can_be() {
    run(async {
        let api = owner().await;
        let event = api.draft().await;
        for path in ["a%00b", "%ff"] {
            for place in [
                "/api/participation/events/X",
                "/api/participation/events/X/draw",
                "/api/events/X",
                "/e/X",
                "/images/X",
            ] {
                api.get(&place.replace('X', path)).await.fails(404, "not-found");
            }
            api.get(&format!("/api/participation/receipts/{path}")).await.fails(404, "not-found");
            api.enter(path, "010-1111-2222").await.fails(404, "not-found");
        }
        let problem = api.get("/api/events?q=a%00b").await.fails(422, "invalid-characters");
        assert_eq!(problem["errors"][0]["field"], "q");
        let body = json!({"optionId": "a\u{0}b", "prizes": []});
        let problem = api.put(&format!("/api/events/{event}/plan"), body).await.fails(422, "invalid-characters");
        assert_eq!(problem["errors"][0]["field"], "optionId");
        api.patch("/api/users/me", json!({"name": "a\\u0000b"})).await.is(200);
    });
}

/// A client that sends an unwanted body hears so, also when it comes after the header, and keeps the connection.
#[test]
fn a_connection_outlives_a_refused_body() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    run(async {
        let address = server().base.strip_prefix("http://").unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let body = b"{\"objective\":\"SALES\"}";
        for (request, status) in [
            ("PUT /api/events/nonsense/plan", "401"),
            ("POST /nothing", "404"),
            ("DELETE /api/users/signup", "405"),
            ("POST /api/participation/events/nothing/entries", "422"),
        ] {
            let head = format!(
                "{request} HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            // The pause usually makes it a packet of its own; what must hold holds for one packet too.
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            stream.write_all(body).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed after {request}");
            }
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
            assert!(!answer.to_lowercase().contains("connection: close"), "{answer}");
        }
        // The rest of a body that is too large is read too; after one that never comes the answer says that this was all.
        let head = "POST /api/users/login HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: 4000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 4_000_000]).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
        assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
        stream.write_all(b"POST /nothing HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
        // A client that asks first is not told to send what is not wanted.
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = "PUT /api/events/x/plan HTTP/1.1\r\nhost: here\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
    });
}

#[test]
fn lists_check_their_parameters() {
    run(async {
        let api = owner().await;
        for limit in ["0", "101", "-1", "many"] {
            assert_eq!(
                api.get(&format!("/api/events?limit={limit}")).await.fails(422, "limit-invalid")["errors"][0]["field"],
                "limit"
            );
        }
        api.get("/api/events?cursor=!!!").await.fails(422, "cursor-invalid");
        api.get("/api/events?status=nonsense").await.fails(422, "invalid-value");
        for _ in 0..5 {
            api.draft().await;
        }
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = api.get(&format!("/api/events?limit=2{cursor}")).await.is(200);
            seen.extend(page["items"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_owned()));
            // Rows that arrive meanwhile neither repeat nor hide anything.
            api.draft().await;
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 5);
        assert!(seen.windows(2).all(|w| w[0] > w[1]), "newest first");
        assert_eq!(api.get("/api/events?status=running").await.is(200)["items"], json!([]));
    });
}

/// S01: another owner's objects do not exist.
#[test]
fn foreign_objects_are_not_found() {
    run(async {
        let (api, stranger) = (owner().await, owner().await);
        let (id, slug) = api.live(json!({})).await;
        let event = api.get(&format!("/api/events/{id}")).await.is(200);
        let distribution = event["distributionId"].as_str().unwrap();
        let image = event["content"]["imageIds"][0].as_str().unwrap();
        for path in [
            format!("/api/events/{id}"),
            format!("/api/events/{id}/preflight"),
            format!("/api/events/{id}/facts"),
            format!("/api/events/{id}/participants"),
            format!("/api/events/{id}/draws"),
            format!("/api/events/{id}/analytics"),
            format!("/api/analytics/events/{id}"),
            format!("/api/events/{id}/visit-code"),
            format!("/api/events/{id}/qr.svg"),
            format!("/api/events/{id}/qr.png"),
            format!("/api/events/{id}/images"),
            format!("/api/distribution/{distribution}"),
            format!("/api/content/images/{image}"),
            "/api/events/not-an-id".into(),
            "/api/jobs/00000000-0000-7000-8000-000000000000".into(),
        ] {
            stranger.get(&path).await.fails(404, "not-found");
            anonymous().get(&path).await.fails(401, "unauthenticated");
        }
        for command in ["approve", "pause", "resume", "close", "cancel", "duplicate", "draws", "visit-paper"] {
            stranger.post(&format!("/api/events/{id}/{command}"), json!({})).await.fails(404, "not-found");
        }
        for (path, body) in [
            (format!("/api/events/{id}/plan"), json!({"optionId": "x"})),
            (format!("/api/events/{id}/content"), json!({"imageIds": [image]})),
            (format!("/api/events/{id}/channels"), json!({"channels": ["NAVER"]})),
        ] {
            stranger.put(&path, body).await.fails(404, "not-found");
        }
        stranger.patch(&format!("/api/events/{id}"), json!({"title": "x"})).await.fails(404, "not-found");
        stranger.patch(&format!("/api/content/images/{image}"), json!({"headline": "x"})).await.fails(404, "not-found");
        stranger.delete(&format!("/api/events/{id}")).await.fails(404, "not-found");
        stranger.delete(&format!("/api/events/{id}/visit-paper")).await.fails(404, "not-found");
        anonymous().post(&format!("/api/events/{id}/visit-paper"), json!({})).await.fails(401, "unauthenticated");
        stranger.post("/api/ai/recommendations", json!({"eventId": id})).await.fails(404, "not-found");
        stranger.post("/api/content/images", json!({"eventId": id})).await.fails(404, "not-found");
        for action in ["recall"] {
            stranger
                .post(&format!("/api/distribution/{distribution}/{action}"), json!({}))
                .await
                .fails(404, "not-found");
        }
        stranger.post("/api/events", json!({"objective": "SALES", "storeId": api.store})).await.fails(404, "not-found");
        let mut socket = stranger.socket().await;
        for topic in [
            format!("event:{id}"),
            format!("distribution:{distribution}"),
            format!("owner:{}", api.user),
            "public:nonsense".into(),
            "x".into(),
        ] {
            assert_eq!(socket.subscribe(&topic).await["code"], "topic-forbidden", "{topic}");
        }
        assert_eq!(socket.subscribe(&format!("public:{slug}")).await["type"], "subscribed");
    });
}

#[test]
fn wrong_states_say_the_present_one() {
    run(async {
        let api = owner().await;
        let draft = api.draft().await;
        for command in ["approve", "pause", "resume", "close", "draws"] {
            let problem =
                api.post(&format!("/api/events/{draft}/{command}"), json!({})).await.fails(409, "wrong-state");
            assert_eq!(problem["currentStatus"], "draft");
        }
        api.put(&format!("/api/events/{draft}/content"), json!({"imageIds": []})).await.fails(409, "wrong-state");
        api.put(&format!("/api/events/{draft}/plan"), json!({"optionId": "none"})).await.fails(422, "option-unknown");
        api.post("/api/content/images", json!({"eventId": draft})).await.fails(409, "wrong-state");
        let (id, _) = api.live(json!({})).await;
        for command in ["approve", "resume", "draws"] {
            assert_eq!(
                api.post(&format!("/api/events/{id}/{command}"), json!({})).await.fails(409, "wrong-state")["currentStatus"],
                "live"
            );
        }
        api.delete(&format!("/api/events/{id}")).await.fails(409, "wrong-state");
        api.put(&format!("/api/events/{id}/channels"), json!({"channels": ["NAVER"]})).await.fails(409, "wrong-state");
        api.patch(&format!("/api/events/{id}"), json!({"title": "다른"})).await.fails(409, "wrong-state");
        assert_eq!(api.delete(&format!("/api/events/{draft}")).await.status, 204);
        api.get(&format!("/api/events/{draft}")).await.fails(404, "not-found");
    });
}

#[test]
fn stale_edits_and_idempotency_keys() {
    run(async {
        let api = owner().await;
        let id = api.ready(json!({}), json!(["NAVER"])).await;
        let version = api.get(&format!("/api/events/{id}")).await.is(200)["version"].as_i64().unwrap();
        let with = |method: Method, path: String, tag: String, body| {
            api.send(api.request(method, &path).header("if-match", tag).json(&body))
        };
        with(Method::PATCH, format!("/api/events/{id}"), format!("\"{}\"", version - 1), json!({"title": "늦은"}))
            .await
            .fails(412, "stale");
        with(Method::POST, format!("/api/events/{id}/approve"), "\"1\"".into(), json!({})).await.fails(412, "stale");
        let changed = with(
            Method::PUT,
            format!("/api/events/{id}/channels"),
            format!("\"{version}\""),
            json!({"channels": ["KAKAO"]}),
        )
        .await;
        assert_eq!(changed.headers["etag"], format!("\"{}\"", version + 1));
        let keyed = |key: &'static str, body| {
            api.send(api.request(Method::POST, "/api/events").header("idempotency-key", key).json(&body))
        };
        let body = json!({"objective": "REVISIT"});
        let all = futures_util::future::join_all((0..20).map(|_| keyed("same", body.clone()))).await;
        let ids: std::collections::HashSet<String> =
            all.into_iter().map(|a| a.is(201)["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 1, "twenty at once make one event and get one answer");
        keyed("same", json!({"objective": "SALES"})).await.fails(422, "idempotency-key-reused");
        let refused = keyed("refused", json!({"objective": "FAME"})).await.fails(422, "invalid-value");
        assert_ne!(
            keyed("refused", json!({"objective": "FAME"})).await.fails(422, "invalid-value")["traceId"],
            refused["traceId"],
            "what had no effect is judged anew"
        );
        keyed("refused", json!({"objective": "SALES"})).await.is(201);
        let other = owner().await;
        let theirs = other
            .send(other.request(Method::POST, "/api/events").header("idempotency-key", "same").json(&body))
            .await
            .is(201);
        assert!(!ids.contains(theirs["id"].as_str().unwrap()), "keys belong to their user");
    });
}

/// A plan names a job of its own account, also where its option is known without that job.
#[test]
fn a_plan_takes_no_job_of_another_account() {
    run(async {
        let (api, stranger) = (owner().await, owner().await);
        let planned = async |api: &Api| {
            let id = api.draft().await;
            let plan = json!({"optionId": api.options(&id).await[0]["id"]});
            api.put(&format!("/api/events/{id}/plan"), plan.clone()).await.is(200);
            (id, plan)
        };
        let painting = async |api: &Api, event: &str| {
            let asked = json!({"eventId": event, "styles": ["SIMPLE"], "platforms": ["INSTAGRAM"]});
            api.post("/api/content/images", asked).await.is(202)["jobId"].clone()
        };
        let (theirs, _) = planned(&stranger).await;
        let foreign = painting(&stranger, &theirs).await;
        let (id, plan) = planned(&api).await;
        let own = painting(&api, &id).await;
        let put = async |job: &Value| {
            let mut body = plan.clone();
            body["jobId"] = job.clone();
            api.put(&format!("/api/events/{id}/plan"), body).await
        };
        let unknown = json!(uuid::Uuid::now_v7());
        let told = |mut problem: Value| {
            problem.as_object_mut().unwrap().remove("traceId");
            problem
        };
        let of_another = told(put(&foreign).await.fails(422, "option-unknown"));
        let of_nobody = told(put(&unknown).await.fails(422, "option-unknown"));
        assert_eq!(of_another, of_nobody, "nothing tells them apart");
        put(&own).await.is(200);
    });
}

/// RFC 9110, 13.1.1: every handler takes a list of versions, and compares strongly.
#[test]
fn a_change_is_made_on_one_of_several_versions() {
    run(async {
        let api = owner().await;
        let id = api.ready(json!({}), json!(["NAVER"])).await;
        let (event, me) = (format!("/api/events/{id}"), "/api/users/me".to_owned());
        let shop = format!("/api/stores/{}", api.store);
        for (path, method, target, body) in [
            (&event, Method::PATCH, event.clone(), json!({"title": "새 제목"})),
            (&event, Method::PUT, format!("{event}/channels"), json!({"channels": ["KAKAO"]})),
            (&me, Method::PATCH, me.clone(), json!({"name": "김철수"})),
            (&shop, Method::PATCH, shop.clone(), json!({"name": "새 이름"})),
        ] {
            let change =
                |tags: String| api.send(api.request(method.clone(), &target).header("if-match", tags).json(&body));
            let tag = api.get(path).await.headers["etag"].to_str().unwrap().to_owned();
            let now: i64 = tag.trim_matches('"').parse().unwrap();
            let others = format!("\"{}\", \"{}\"", now + 1, now + 2);
            for refused in [format!("W/{tag}"), format!("W/{tag}, {others}"), others.clone(), now.to_string()] {
                change(refused).await.fails(412, "stale");
            }
            assert_eq!(api.get(path).await.headers["etag"], tag, "{target}: nothing was changed");
            change(format!("{tag}, {others}")).await.is(200);
            change("*".into()).await.is(200);
        }
        let stranger = owner().await;
        let foreign = stranger.request(Method::POST, &format!("{event}/pause")).header("if-match", "\"1\", \"2\"");
        stranger.send(foreign.json(&json!({}))).await.fails(404, "not-found");
    });
}

#[test]
fn documents_health_and_headers() {
    run(async {
        let api = anonymous();
        assert_eq!(api.get("/openapi.json").await.is(200)["openapi"], "3.1.0");
        assert_eq!(api.get("/asyncapi.json").await.is(200)["asyncapi"], "3.0.0");
        assert_eq!(api.get("/livez").await.status, 200);
        let ready = api.get("/readyz").await;
        assert_eq!(ready.headers["x-content-type-options"], "nosniff");
        assert!(ready.headers["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
        assert_eq!(ready.is(200)["modes"]["WOORI_TV"], "SANDBOX");
        for path in ["/", "/docs"] {
            assert_eq!(api.get(path).await.status, 200, "{path}");
        }
        for path in ["/metrics", "/admin/breakers", "/admin/audit"] {
            api.get(path).await.fails(404, "not-found");
        }
        let admin = crate::support::at(&server().admin);
        assert!(admin.get("/metrics").await.is(200).as_str().unwrap().contains("http_requests_total"));
        admin.get("/admin/breakers").await.fails(401, "unauthenticated");
        let token = server().running.admin_token();
        let breakers = admin.send(admin.request(Method::GET, "/admin/breakers").bearer_auth(&token)).await.is(200);
        assert_eq!(breakers["items"].as_array().unwrap().len(), domain::channel::Upstream::ALL.len());
        let invalidated =
            admin.request(Method::POST, "/admin/cache/invalidate").bearer_auth(&token).json(&json!({"key": "x"}));
        assert_eq!(admin.send(invalidated).await.status, 204);
    });
}
