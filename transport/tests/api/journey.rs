//! US-05 to US-16, US-20: making, publishing and watching an event.

use crate::support::{anonymous, at, owner, owner_at, phone, run, server, start, within};
use chrono::{Duration as Days, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use simulator::Fault;
use std::time::Duration;

const BAD_REQUEST: Fault = Fault::Status { status: 400, retry_after: None, body: None };

#[test]
fn a_recommendation_is_one_job_for_one_request_and_then_cached() {
    run(async {
        // The model takes its time, and nothing is cached: both requests meet the running job.
        let own = start(|s| (s.redis_url, s.simulator_latency) = (None, 1.0)).await;
        let api = owner_at(&own.base).await;
        let ask = json!({"industry": "PET", "region": "제주 서귀포시", "objective": "AWARENESS", "season": "SPRING"});
        let (one, two) = tokio::join!(
            api.post("/api/ai/recommendations", ask.clone()),
            api.post("/api/ai/recommendations", ask.clone())
        );
        let (one, two) = (one.is(202), two.is(202));
        assert_eq!(one["jobId"], two["jobId"], "the same request while its job runs");
        let job = api.job(&one["jobId"]).await;
        assert_eq!(job["progress"], 100);
        assert!(job.get("fallback").is_none(), "{job}");
        let cached = api.post("/api/ai/recommendations", ask).await.is(200);
        assert_eq!((&cached["cached"], &cached["mode"]), (&json!(true), &json!("SANDBOX")), "whose proposal it is");
        let options = cached["options"].as_array().unwrap();
        assert_eq!(options.iter().map(|o| o["tier"].as_str().unwrap()).collect::<Vec<_>>(), ["LOW", "MEDIUM", "HIGH"]);
        for o in options {
            for key in
                ["id", "title", "summary", "mechanics", "prizes", "durationDays", "channels", "expected", "rationale"]
            {
                assert!(!o[key].is_null(), "{key}: {o}");
            }
            for key in ["participants", "costWon", "revenueWon", "roiPercent"] {
                assert!(!o["expected"][key].is_null(), "{key}");
            }
        }
        for key in ["industry", "region", "season"] {
            assert!(!cached["trends"][key].as_array().unwrap().is_empty());
        }
        api.post("/api/ai/recommendations", json!({"industry": "PET"})).await.fails(422, "required");
        own.running.stop().await;
    });
}

/// RS-09, US-12: without the model the last good answer, then a template, each marked.
#[test]
fn without_the_model_there_is_a_marked_stand_in() {
    run(async {
        let own = start(|s| s.redis_url = None).await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        simulator.set_fault("CLAUDE", Some(BAD_REQUEST));
        let asking = |region| json!({"industry": "FLOWER", "region": region, "objective": "SALES", "season": "WINTER"});
        let started = api.post("/api/ai/recommendations", asking("대구 동구")).await.is(202);
        let job = api.job(&started["jobId"]).await;
        assert!(job["fallback"].is_null() && simulator.calls("OPENAI") > 0, "the second model answers: {job}");
        simulator.set_fault("OPENAI", Some(BAD_REQUEST));
        let ask = asking("대구 중구");
        let started = api.post("/api/ai/recommendations", ask).await.is(202);
        let job = api.job(&started["jobId"]).await;
        assert_eq!(job["fallback"]["reason"], "template");
        assert_eq!(job["result"]["options"].as_array().unwrap().len(), 3);
        simulator.set_fault("STABILITY", Some(BAD_REQUEST));
        simulator.set_fault("OPENAI_IMAGES", Some(BAD_REQUEST));
        let id = api.ready(json!({}), json!(["NAVER"])).await;
        let images = api.get(&format!("/api/events/{id}/images")).await.is(200);
        assert_eq!(images["items"].as_array().unwrap().len(), 1, "a built-in background stands in");
        own.running.stop().await;
    });
}

#[test]
fn plan_pictures_and_channels_follow_the_rules() {
    run(async {
        let api = owner().await;
        let id = api.draft().await;
        let event = format!("/api/events/{id}");
        let options = api.options(&id).await;
        let plan = |extra: Value| {
            let mut body = json!({"optionId": options[1]["id"]});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let request = api.request(Method::PUT, &format!("{event}/plan")).json(&body);
            api.send(request)
        };
        let past = (Utc::now() - Days::hours(2)).to_rfc3339();
        plan(json!({"endsAt": past})).await.fails(422, "period-invalid");
        plan(json!({"startsAt": Utc::now() + Days::days(2), "endsAt": Utc::now() + Days::days(1)}))
            .await
            .fails(422, "period-invalid");
        let last = "+262142-12-31T23:00:00Z";
        for never in [json!({"startsAt": last}), json!({"endsAt": last}), json!({"startsAt": last, "endsAt": last})] {
            plan(never).await.fails(422, "period-invalid");
        }
        plan(json!({"startsAt": "-262143-01-02T00:00:00Z"})).await.fails(422, "period-invalid");
        plan(json!({"visitBonus": {"weight": 11}})).await.fails(422, "out-of-range");
        assert_eq!(
            plan(json!({"prizes": [{"name": "x", "quantity": 0, "unitValueWon": 1}]})).await.fails(422, "out-of-range")
                ["errors"][0]["field"],
            "prizes[0].quantity"
        );
        let kst = "2099-01-01T09:00:00+09:00";
        plan(json!({"endsAt": kst})).await.fails(422, "period-invalid");
        let planned = plan(json!({"title": "  우리 동네 잔치  "})).await.is(200);
        assert_eq!((planned["status"].as_str(), planned["title"].as_str()), (Some("planned"), Some("우리 동네 잔치")));
        assert!(planned["startsAt"].as_str().unwrap().ends_with('Z'));
        let job = api.post("/api/content/images", json!({"eventId": id})).await.is(202);
        let images = api.job(&job["jobId"]).await["result"]["images"].as_array().unwrap().clone();
        assert_eq!(images.len(), 9);
        let sizes: Vec<_> = images
            .iter()
            .map(|i| {
                (
                    i["platform"].as_str().unwrap().to_owned(),
                    i["width"].as_i64().unwrap(),
                    i["height"].as_i64().unwrap(),
                )
            })
            .collect();
        assert!(sizes.contains(&("INSTAGRAM".into(), 1080, 1080)) && sizes.contains(&("KAKAO".into(), 800, 400)));
        let again = api.post("/api/content/images", json!({"eventId": id})).await.is(200);
        assert_eq!(again["images"].as_array().unwrap().len(), 9, "what is there already is answered at once");
        let first = &images[0];
        let url = first["url"].as_str().unwrap().to_owned();
        let picture = api.http.get(&url).send().await.unwrap();
        assert!(picture.headers()["cache-control"].to_str().unwrap().contains("immutable"));
        let path = format!("/api/content/images/{}", first["id"].as_str().unwrap());
        let edited = api.patch(&path, json!({"headline": "새 문구", "palette": ["#112233", "#ffeedd"]})).await.is(200);
        assert_eq!((&edited["id"], &edited["version"]), (&first["id"], &json!(2)));
        assert_ne!(edited["url"].as_str().unwrap(), url);
        assert_eq!(
            api.http.get(&url).send().await.unwrap().status(),
            200,
            "the old address still shows the old version"
        );
        api.patch(&path, json!({"palette": "rainbow"})).await.fails(422, "palette-invalid");
        api.patch(&path, json!({"headline": ""})).await.fails(422, "required");
        let stranger = owner().await;
        let foreign = stranger.ready(json!({}), json!(["NAVER"])).await;
        let theirs = stranger.get(&format!("/api/events/{foreign}")).await.is(200)["content"]["imageIds"][0].clone();
        api.put(&format!("{event}/content"), json!({"imageIds": [theirs]})).await.fails(422, "image-unknown");
        api.put(&format!("{event}/content"), json!({"imageIds": [first["id"]]})).await.is(200);
        api.put(&format!("{event}/channels"), json!({"channels": ["MARS"]})).await.fails(422, "invalid-value");
        let ready = api.put(&format!("{event}/channels"), json!({"channels": ["NAVER", "KAKAO"]})).await.is(200);
        assert_eq!(ready["status"], "ready");
        assert!(api.get(&format!("{event}/preflight")).await.is(200)["ready"].as_bool().unwrap());
        let dated = plan(json!({"title": "우리 동네 잔치", "endsAt": Utc::now() + Days::days(20)})).await.is(200);
        assert_eq!(dated["status"], "ready", "changed dates change nothing else");
        let retitled = api.patch(&event, json!({"title": "다른 잔치"})).await.is(200);
        assert_eq!(
            (retitled["status"].as_str(), &retitled["content"]),
            (Some("planned"), &Value::Null),
            "a changed title unchooses the content"
        );
        let found = api.get("/api/events?q=%EB%8B%A4%EB%A5%B8%20%EC%9E%94").await.is(200);
        assert_eq!(found["items"][0]["id"], json!(id));
        let copy = api.post(&format!("{event}/duplicate"), json!({})).await.is(201);
        assert_eq!(
            (&copy["title"], &copy["startsAt"], &copy["status"]),
            (&json!("다른 잔치"), &Value::Null, &json!("planned"))
        );
        let facts = api.get(&format!("{event}/facts")).await.is(200);
        assert_eq!(facts["items"][0]["what"], "created");
        assert!(facts["items"].as_array().unwrap().iter().all(|f| f["who"].as_str().unwrap().starts_with("owner:")));
    });
}

/// What a picture says follows the plan, and in a copy its lack of dates; what the owner wrote stays.
#[test]
fn words_that_nobody_wrote_follow_the_plan() {
    run(async {
        let api = owner().await;
        let id = api.draft().await;
        let event = format!("/api/events/{id}");
        let option = api.options(&id).await[1]["id"].clone();
        api.put(&format!("{event}/plan"), json!({"optionId": option})).await.is(200);
        let job = api.post("/api/content/images", json!({"eventId": id})).await.is(202);
        let first = api.job(&job["jobId"]).await["result"]["images"][0]["id"].clone();
        let path = format!("/api/content/images/{}", first.as_str().unwrap());
        api.patch(&path, json!({"headline": "새 문구"})).await.is(200);
        let ends = Utc::now() + Days::days(20);
        api.put(&format!("{event}/plan"), json!({"optionId": option, "endsAt": ends})).await.is(200);
        let pictures =
            || async { api.get(&format!("{event}/images")).await.is(200)["items"].as_array().unwrap().clone() };
        let until = ends.with_timezone(&domain::time::kst()).format("%-m월 %-d일까지").to_string();
        let says = |i: &Value| i["altText"].as_str().unwrap().ends_with(&until);
        // On a busy machine one look may not see all of them painted.
        within(Duration::from_secs(30), "pictures say until when", || async { pictures().await.iter().all(says) })
            .await;
        let dated = pictures().await;
        assert_eq!(dated.len(), 9);
        assert!(dated.iter().any(|i| i["id"] == first && i["headline"] == "새 문구"), "own words stay");
        api.patch(&event, json!({"title": "다른 잔치"})).await.is(200);
        let titled = |i: &Value| i["headline"] == "다른 잔치" || i["headline"] == "새 문구";
        within(Duration::from_secs(30), "pictures say the title", || async { pictures().await.iter().all(titled) })
            .await;
        let retitled = pictures().await;
        let saying = |text: &str| retitled.iter().filter(|i| i["headline"] == text).count();
        assert_eq!((saying("다른 잔치"), saying("새 문구")), (8, 1));
        api.put(&format!("{event}/content"), json!({"imageIds": [first]})).await.is(200);
        let copy = api.post(&format!("{event}/duplicate"), json!({})).await.is(201);
        let copied = api.get(&format!("/api/events/{}/images", copy["id"].as_str().unwrap())).await.is(200);
        let copied = copied["items"][0]["altText"].as_str().unwrap();
        assert!(copied.starts_with("새 문구 - ") && !copied.contains("까지"), "a copy has no dates: {copied}");
    });
}

/// Only a square picture is chosen, and its words are the owner's: Kakao's and Naver's are made of it.
#[test]
fn channels_without_a_picture_of_their_own_get_the_first_in_their_size() {
    run(async {
        let api = owner().await;
        let id = api.ready(json!({}), json!(["NAVER", "KAKAO", "INSTAGRAM"])).await;
        let content = api.get(&format!("/api/events/{id}")).await.is(200)["content"]["imageIds"].clone();
        let chosen = format!("/api/content/images/{}", content[0].as_str().unwrap());
        api.patch(&chosen, json!({"headline": "손으로 쓴 제목", "palette": "FOREST"})).await.is(200);
        let (approved, _) = api.publish(&id).await;
        assert_eq!(approved["event"]["content"]["imageIds"], content, "what was chosen is what was chosen");
        let images = api.get(&format!("/api/events/{id}/images")).await.is(200);
        let size = |platform: &str| {
            let of = images["items"].as_array().unwrap().iter().filter(|i| i["platform"] == platform);
            let of: Vec<&Value> =
                of.filter(|i| i["headline"] == "손으로 쓴 제목" && i["palette"] == "FOREST").collect();
            assert_eq!(of.len(), 1, "{platform}: {images}");
            (of[0]["width"].as_i64().unwrap(), of[0]["height"].as_i64().unwrap(), of[0]["url"].clone())
        };
        assert_eq!((size("INSTAGRAM").0, size("NAVER").0, size("NAVER").1), (1080, 800, 600));
        let path = format!("/api/distribution/{}", approved["distributionId"].as_str().unwrap());
        let channels = api.get(&path).await.is(200)["channels"].clone();
        let kakao = channels.as_array().unwrap().iter().find(|c| c["channel"] == "KAKAO").unwrap();
        assert_eq!((400, &kakao["imageUrl"]), (size("KAKAO").1, &size("KAKAO").2));
        assert_eq!(kakao["status"], "assisted");
    });
}

#[test]
fn publishing_ends_with_a_status_and_a_mode_per_channel() {
    run(async {
        let api = owner().await;
        let all = json!(["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "INSTAGRAM", "NAVER", "KAKAO"]);
        let id = api.ready(json!({}), all).await;
        let approved = api.post(&format!("/api/events/{id}/approve"), json!({})).await.is(202);
        api.post(&format!("/api/events/{id}/approve"), json!({})).await.fails(409, "wrong-state");
        let path = format!("/api/distribution/{}", approved["distributionId"].as_str().unwrap());
        within(Duration::from_secs(30), "published", || async {
            api.get(&path).await.is(200)["status"] != "publishing"
        })
        .await;
        let d = api.get(&path).await.is(200);
        assert_eq!(d["channels"].as_array().unwrap().len(), 6);
        for c in d["channels"].as_array().unwrap() {
            let status = c["status"].as_str().unwrap();
            assert!(["published", "awaiting-review", "assisted"].contains(&status), "{c}");
            assert!(
                ["SANDBOX", "ASSISTED"].contains(&c["mode"].as_str().unwrap()),
                "a simulated success never looks real"
            );
        }
        within(Duration::from_secs(30), "the review ends", || async {
            let d = api.get(&path).await.is(200);
            d["channels"].as_array().unwrap().iter().find(|c| c["channel"] == "GENIE_TV").unwrap()["status"]
                == "published"
        })
        .await;
        api.post(&format!("{path}/retry"), json!({"channels": ["NAVER"]})).await.fails(409, "wrong-state");
        api.post(&format!("{path}/confirm"), json!({"channel": "NAVER", "posted": true}))
            .await
            .fails(409, "wrong-state");
        let cancelled = api.post(&format!("/api/events/{id}/cancel"), json!({})).await.is(200);
        assert_eq!(cancelled["status"], "cancelled");
        within(Duration::from_secs(20), "recalled", || async {
            let d = api.get(&path).await.is(200);
            let up = |c: &Value| c["status"] == "published" && c["error"].is_null();
            let recalled = d["status"] == "recalled";
            assert!(!recalled || !d["channels"].as_array().unwrap().iter().any(up), "said before it was done: {d}");
            recalled
        })
        .await;
    });
}

/// BR-06: one dead channel changes nothing for the others; only what failed is tried again.
#[test]
fn a_dead_channel_is_retried_alone() {
    run(async {
        let own = start(|_| {}).await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        let id = api.ready(json!({}), json!(["WOORI_TV", "RINGO_BIZ", "NAVER"])).await;
        simulator.set_fault("WOORI_TV", Some(BAD_REQUEST));
        let (approved, path) = api.publish(&id).await;
        assert_eq!(approved["event"]["status"], "live", "the event is live all the same");
        let d = api.get(&path).await.is(200);
        assert_eq!(d["status"], "partial");
        let tv = d["channels"].as_array().unwrap().iter().find(|c| c["channel"] == "WOORI_TV").unwrap().clone();
        assert_eq!((tv["status"].as_str(), tv["error"]["class"].as_str()), (Some("failed"), Some("caller")));
        assert!(!tv["error"]["messageKo"].as_str().unwrap().is_empty());
        within(Duration::from_secs(5), "a notice", || async {
            api.get("/api/notices").await.is(200)["items"][0]["kind"] == "channel-trouble"
        })
        .await;
        let notice = api.get("/api/notices").await.is(200)["items"][0].clone();
        let read = api.post(&format!("/api/notices/{}/read", notice["id"].as_str().unwrap()), json!({})).await.is(200);
        assert!(read["readAt"].is_string());
        let listed = |answer: Value| answer["items"].as_array().unwrap().iter().any(|n| n["id"] == notice["id"]);
        assert!(!listed(api.get("/api/notices").await.is(200)), "it was kept until it was read");
        assert!(listed(api.get("/api/notices?all=true").await.is(200)));
        api.get("/api/notices?all=perhaps").await.fails(422, "invalid-value");
        simulator.set_fault("WOORI_TV", None);
        api.post(&format!("{path}/retry"), json!({"channels": ["WOORI_TV"]})).await.is(202);
        within(Duration::from_secs(20), "published", || async {
            api.get(&path).await.is(200)["status"] == "completed"
        })
        .await;
        // Posts, not calls: the figures of a published channel are asked for whenever their time has come.
        for channel in ["WOORI_TV", "RINGO_BIZ", "NAVER"] {
            assert_eq!(simulator.posts().of(channel).len(), 1, "{channel} is published once");
        }
        own.running.stop().await;
    });
}

/// The answer is lost, the post exists: settled by asking where that can be done, left to the owner where it cannot.
#[test]
fn a_lost_answer_is_settled_by_asking_and_never_doubles() {
    run(async {
        let own = start(|_| {}).await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        let id = api.ready(json!({}), json!(["WOORI_TV", "NAVER"])).await;
        simulator.set_fault("WOORI_TV", Some(Fault::LoseAnswer));
        simulator.set_fault("NAVER", Some(Fault::LoseAnswer));
        let approved = api.post(&format!("/api/events/{id}/approve"), json!({})).await.is(202);
        within(Duration::from_secs(5), "both arrived", || async {
            simulator.posts().of("WOORI_TV").len() == 1 && simulator.posts().of("NAVER").len() == 1
        })
        .await;
        simulator.set_fault("WOORI_TV", None);
        let path = format!("/api/distribution/{}", approved["distributionId"].as_str().unwrap());
        within(Duration::from_secs(40), "settled", || async { api.get(&path).await.is(200)["status"] != "publishing" })
            .await;
        let d = api.get(&path).await.is(200);
        let of = |name: &str| {
            d["channels"].as_array().unwrap().iter().find(|c| c["channel"] == name).unwrap()["status"].clone()
        };
        assert_eq!((of("WOORI_TV"), of("NAVER")), (json!("published"), json!("unknown")), "{d}");
        assert_eq!(simulator.posts().of("WOORI_TV").len(), 1);
        let settled = api.post(&format!("{path}/confirm"), json!({"channel": "NAVER", "posted": true})).await.is(202);
        assert_eq!(settled["status"], "completed");
        own.running.stop().await;
    });
}

/// Opening and closing by themselves, within two seconds of their time; nothing commits after the close.
#[test]
fn events_open_and_close_by_themselves() {
    run(async {
        let api = owner().await;
        let (opens, closes) = (Utc::now() + Days::milliseconds(6_000), Utc::now() + Days::milliseconds(9_000));
        let id = api.ready(json!({"startsAt": opens, "endsAt": closes}), json!(["RINGO_BIZ"])).await;
        let approved = api.post(&format!("/api/events/{id}/approve"), json!({})).await;
        let event = approved.is(202)["event"].clone();
        let slug = event["slug"].as_str().unwrap();
        assert_eq!(event["status"], "scheduled");
        api.enter(slug, &phone(1)).await.fails(425, "event-not-started");
        let (waiting, id_ref, api_ref) = (Duration::from_secs(12), &id, &api);
        within(waiting, "live", || async move { api_ref.status(id_ref).await == "live" }).await;
        api.enter(slug, &phone(1)).await.is(201);
        within(waiting, "closed", || async move { api_ref.status(id_ref).await == "closed" }).await;
        api.enter(slug, &phone(2)).await.fails(410, "event-ended");
        let facts = api.get(&format!("/api/events/{id}/facts")).await.is(200);
        let at = |what: &str| -> chrono::DateTime<Utc> {
            let fact =
                facts["items"].as_array().unwrap().iter().find(|f| f["what"] == what && f["who"] == "system").unwrap();
            fact["at"].as_str().unwrap().parse().unwrap()
        };
        assert!(at("opened") >= opens && at("opened") - opens < Days::seconds(2), "{facts}");
        assert!(at("closed") >= closes && at("closed") - closes < Days::seconds(2), "{facts}");
        let later = Utc::now() + Days::hours(1);
        api.patch(&format!("/api/events/{id}"), json!({"endsAt": later})).await.fails(409, "wrong-state");
    });
}

#[test]
fn the_dashboard_adds_up() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({})).await;
        for (n, channel) in ["WOORI_TV", "INSTAGRAM", "QR", "DIRECT", "QR"].iter().enumerate() {
            api.enter_with(
                &slug,
                json!({"name": "손님", "phone": phone(n), "consents": {"privacy": true}, "channel": channel}),
            )
            .await
            .is(201);
        }
        let first = api.get(&format!("/api/events/{id}/analytics")).await;
        assert_eq!(first.headers["x-cache"], "miss");
        let second = api.get(&format!("/api/analytics/events/{id}")).await;
        assert_eq!(second.headers["x-cache"], "hit");
        let (a, b) = (first.is(200), second.is(200));
        assert_eq!(a, b);
        assert_eq!(a["cards"]["participants"], 5);
        let sum: i64 = a["channels"].as_array().unwrap().iter().map(|c| c["entries"].as_i64().unwrap()).sum();
        assert_eq!(sum, 5);
        assert_eq!(a["hourly"].as_array().unwrap().iter().map(|h| h["entries"].as_i64().unwrap()).sum::<i64>(), 5);
        assert_eq!(a["roi"]["source"], "ESTIMATED");
        assert!(a["position"]["offset"].as_i64().unwrap() > 5);
        for what in [json!({"eventId": id}), json!({"key": format!("analytics:dashboard:{id}")})] {
            let forget = api.http.post(format!("{}/admin/cache/invalidate", server().admin));
            let forget = forget.bearer_auth(server().running.admin_token());
            assert_eq!(forget.json(&what).send().await.unwrap().status(), 204);
            let again = api.get(&format!("/api/events/{id}/analytics")).await;
            assert_eq!(again.headers["x-cache"], "miss", "{what}");
            assert_eq!(again.is(200), a);
        }
        api.enter(&slug, &phone(9)).await.is(201);
        let fresh = api.get(&format!("/api/events/{id}/analytics")).await;
        assert_eq!(fresh.headers["x-cache"], "miss", "what was acknowledged is seen by the next read");
        assert_eq!(fresh.is(200)["cards"]["participants"], 6);
        // A visit of our link counts for its channel; a messenger that only looks whether it is there does not.
        for (method, source) in [(Method::HEAD, "QR"), (Method::GET, "DIRECT"), (Method::GET, "DIRECT")] {
            let page = anonymous().http.request(method, format!("{}/e/{slug}?c={source}", api.base)).send().await;
            assert_eq!(page.unwrap().status(), 200);
        }
        within(Duration::from_secs(5), "counted", || async {
            let rows = api.get(&format!("/api/events/{id}/analytics")).await.is(200)["channels"].clone();
            let clicks = |of| rows.as_array().unwrap().iter().find(|c| c["channel"] == of).unwrap()["clicks"].clone();
            assert!(clicks("QR").is_null(), "{rows}");
            clicks("DIRECT") == 2
        })
        .await;
        // A second event of the shop knows who returns.
        let (second, slug2) = api.live(json!({})).await;
        for n in [0, 1, 50] {
            api.enter(&slug2, &phone(n)).await.is(201);
        }
        let profile =
            api.get(&format!("/api/events/{second}/analytics")).await.is(200)["profile"]["newVsReturning"].clone();
        assert_eq!(profile, json!({"new": 1, "returning": 2}));
        let svg = api.get(&format!("/api/events/{id}/qr.svg?channel=NAVER")).await.is(200);
        assert!(svg.as_str().unwrap().starts_with("<svg"));
        let png = api.send(api.request(Method::GET, &format!("/api/events/{id}/qr.png"))).await;
        assert_eq!(png.headers["content-type"], "image/png");
        let _ = at(&api.base);
    });
}
