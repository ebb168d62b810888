//! What ends before its time: shops that are rejected, events that are over, drafts that are deleted, winners who erase.

use crate::support::{
    Answer, Api, Server, UNAUTHORISED, admin, at, owner, owner_at, pending_at, phone, run, signup_body, special, start,
    within,
};
use chrono::Utc;
use diesel_async::SimpleAsyncConnection;
use domain::channel::Channel;
use domain::ids::UserId;
use domain::job::JobKind;
use domain::job::NewJob;
use reqwest::Method;
use serde_json::{Value, json};
use simulator::Fault;
use std::time::Duration;

async fn facts(api: &Api, id: &str) -> Vec<Value> {
    api.get(&format!("/api/events/{id}/facts?limit=100")).await.is(200)["items"].as_array().unwrap().clone()
}

/// US-01, RS-12: what the tax service did not know at signup it rejects later; nothing of that shop runs from then on.
#[test]
fn a_rejected_shop_runs_nothing() {
    run(async {
        let own = start(|_| {}).await;
        let simulator = own.running.simulator().unwrap();
        simulator.set_fault("NTS", Some(Fault::Status { status: 500, retry_after: None, body: None }));
        let api = pending_at(&own.base, special("99902")).await;
        let (live, _) = api.live(json!({})).await;
        let soon = Utc::now() + chrono::Duration::seconds(20);
        let scheduled = api.ready(json!({"startsAt": soon}), json!(["RINGO_BIZ"])).await;
        let approved = api.post(&format!("/api/events/{scheduled}/approve"), json!({})).await.is(202);
        assert_eq!(approved["event"]["status"], "scheduled");
        simulator.set_fault("NTS", None);
        within(Duration::from_secs(40), "paused", || async { api.status(&live).await == "paused" }).await;
        api.post(&format!("/api/events/{live}/resume"), json!({})).await.fails(409, "store-rejected");
        assert_eq!(api.status(&live).await, "paused");
        within(Duration::from_secs(60), "its time came", || async { api.status(&scheduled).await == "paused" }).await;
        let kinds: Vec<Value> = facts(&api, &scheduled).await.into_iter().map(|f| f["kind"].clone()).collect();
        assert!(kinds.contains(&json!("opened")) && kinds.contains(&json!("paused")), "{kinds:?}");
        api.post(&format!("/api/events/{scheduled}/resume"), json!({})).await.fails(409, "store-rejected");
        // An operator saw the documents.
        let found = admin(&own, Method::GET, "/admin/stores?verification=REJECTED", None).await["items"][0].clone();
        assert_eq!((&found["verification"], &found["userId"]), (&json!("REJECTED"), &json!(api.user)), "{found}");
        let path = format!("/admin/stores/{}/verification", found["id"].as_str().unwrap());
        let seen = json!({"verified": true, "reason": "registration and identity card seen"});
        for _ in 0..2 {
            admin(&own, Method::POST, &path, Some(seen.clone())).await;
        }
        assert_eq!(api.get("/api/stores").await.is(200)["items"][0]["verification"], "VERIFIED");
        assert_eq!(admin(&own, Method::GET, "/admin/stores", None).await["items"], json!([]));
        let notices = api.get("/api/notices").await.is(200)["items"].clone();
        let told = notices.as_array().unwrap().iter().filter(|n| n["kind"] == "store-verified").count();
        assert_eq!(told, 1, "{notices}");
        for id in [&live, &scheduled] {
            assert_eq!(api.post(&format!("/api/events/{id}/resume"), json!({})).await.is(200)["status"], "live");
        }
        // Cut off before everything had stopped, a rejection goes on when it is repeated.
        let reject = json!({"verified": false, "reason": "the registration was another's"});
        let half = "update identity.stores set verification = 'REJECTED'";
        let store = own.running.handles().tools().store.clone();
        store.run(async move |c| Ok(c.batch_execute(half).await?)).await.unwrap();
        admin(&own, Method::POST, &path, Some(reject)).await;
        assert_eq!((api.status(&live).await, api.status(&scheduled).await), ("paused".into(), "paused".into()));
        within(Duration::from_secs(5), "what changed is in the audit, once", || async {
            let audit = admin(&own, Method::GET, "/admin/audit?limit=100", None).await;
            let by_hand = audit["items"].as_array().unwrap().iter().filter(|a| a["action"] == "store-verified-by-hand");
            let details: Vec<&Value> = by_hand.map(|a| &a["detail"]).collect();
            details.len() == 1 && details[0]["reason"] == seen["reason"] && details[0]["was"] == "REJECTED"
        })
        .await;
        own.running.stop().await;
    });
}

/// Signs up with a business number, under an e-mail of its own.
async fn sign_up(own: &Server, number: &Value, name: &str) -> Answer {
    let mut body = signup_body();
    (body["businessNumber"], body["name"]) = (number.clone(), json!(name));
    at(&own.base).post("/api/users/signup", body).await
}

/// Decides on the shop of a signup as an operator does.
async fn decide(own: &Server, signup: &Value, verified: bool) -> Answer {
    let port = at(&own.admin);
    let path = format!("/admin/stores/{}/verification", signup["store"]["id"].as_str().unwrap());
    let body = json!({"verified": verified, "reason": "registration and identity card seen"});
    port.send(port.request(Method::POST, &path).bearer_auth(own.running.admin_token()).json(&body)).await
}

async fn execute(own: &Server, statement: String) {
    let store = own.running.handles().tools().store.clone();
    store.run(async move |c| Ok(c.batch_execute(&statement).await?)).await.unwrap();
}

/// The kind "a number that its owner cannot use": a rejected account gives its business number way, and gets it back only
/// where nobody else holds it.
#[test]
fn a_rejected_account_gives_its_business_number_way() {
    run(async {
        let own = start(|_| {}).await;
        let number = signup_body()["businessNumber"].clone();
        let other = sign_up(&own, &number, "홍길동").await.is(201);
        sign_up(&own, &number, "홍길동").await.fails(409, "business-taken");
        assert_eq!(decide(&own, &other, false).await.status, 204);
        let owner = sign_up(&own, &number, "홍길동").await.is(201);
        sign_up(&own, &number, "홍길동").await.fails(409, "business-taken");
        within(Duration::from_secs(5), "who lost the number is in the audit", || async {
            let audit = admin(&own, Method::GET, "/admin/audit?limit=100", None).await;
            let lost = format!("user:{}", other["user"]["id"].as_str().unwrap());
            let mut all = audit["items"].as_array().unwrap().iter();
            all.any(|a| a["action"] == "business-taken-over" && a["object"] == lost.as_str())
        })
        .await;
        decide(&own, &other, true).await.fails(409, "business-taken");
        let mut former = at(&own.base);
        former.login_with(&other);
        assert_eq!(
            former.get("/api/stores").await.is(200)["items"][0]["verification"],
            "REJECTED",
            "nothing is half done"
        );
        // An operator who was wrong puts it right: first one account, then the other.
        assert_eq!(decide(&own, &owner, false).await.status, 204);
        assert_eq!(decide(&own, &other, true).await.status, 204);
        assert_eq!(former.get("/api/stores").await.is(200)["items"][0]["verification"], "VERIFIED");
        sign_up(&own, &number, "홍길동").await.fails(409, "business-taken");
        decide(&own, &owner, true).await.fails(409, "business-taken");
        own.running.stop().await;
    });
}

/// The same of an account that nobody verified for a fortnight: it gives way to a sign-up that the tax service confirms, and
/// its own verification ends.
#[test]
fn an_account_that_was_never_verified_gives_its_business_number_way() {
    run(async {
        let own = start(|_| {}).await;
        let number = signup_body()["businessNumber"].clone();
        let pending = sign_up(&own, &number, "홍길동").await.is(201);
        let id: UserId = pending["user"]["id"].as_str().unwrap().parse().unwrap();
        execute(&own, format!("update identity.stores set verification = 'PENDING' where user_id = '{id}'")).await;
        sign_up(&own, &number, "홍길동").await.fails(409, "business-taken");
        let days = storage::users::UNVERIFIED_DAYS + 1;
        execute(
            &own,
            format!("update identity.users set created_at = now() - make_interval(days => {days}) where id = '{id}'"),
        )
        .await;
        // The tax service is silent about this name: nothing shows that the sign-up is right.
        let simulator = own.running.simulator().unwrap();
        simulator.set_fault("NTS", Some(Fault::Status { status: 500, retry_after: None, body: None }));
        sign_up(&own, &number, "김다른").await.fails(409, "business-taken");
        simulator.set_fault("NTS", None);
        // Number, day and name that were confirmed are known for a while: no call is needed.
        let made = sign_up(&own, &number, "홍길동").await.is(201);
        assert_eq!(made["store"]["verification"], "VERIFIED");
        let job = NewJob {
            kind: JobKind::Verification,
            key: format!("verification:{id}"),
            owner: Some(id),
            event: None,
            input: json!({}),
            after: Duration::ZERO,
        };
        let handles = own.running.handles();
        handles.tools().store.run(async move |c| storage::jobs::insert(c, job).await).await.unwrap();
        handles.jobs.wake();
        let mut former = at(&own.base);
        former.login_with(&pending);
        within(Duration::from_secs(20), "rejected", || async {
            former.get("/api/stores").await.is(200)["items"][0]["verification"] == "REJECTED"
        })
        .await;
        sign_up(&own, &number, "홍길동").await.fails(409, "business-taken");
        own.running.stop().await;
    });
}

/// Nothing is advertised for an event that is over, whoever asks; and what did not go out costs nothing.
#[test]
fn what_is_over_is_not_advertised() {
    run(async {
        let own = start(|_| {}).await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        simulator.set_fault("WOORI_TV", Some(UNAUTHORISED));
        let id = api.ready(json!({}), json!(["WOORI_TV", "RINGO_BIZ"])).await;
        let (approved, path) = api.publish(&id).await;
        let tv = || async { api.get(&path).await.is(200)["channels"][0].clone() };
        assert_eq!(tv().await["status"], "failed");
        within(Duration::from_secs(5), "what did not go out is not paid for", || async {
            let analytics = api.get(&format!("/api/events/{id}/analytics")).await.is(200);
            assert_eq!(analytics["channels"][0]["mode"], "SANDBOX");
            analytics["roi"]["platformCostWon"] == Channel::RingoBiz.price_won()
        })
        .await;
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        simulator.heal();
        let refused = api.post(&format!("{path}/retry"), json!({"channels": ["WOORI_TV"]})).await;
        assert_eq!(refused.fails(409, "wrong-state")["currentStatus"], "closed");
        // An operator's replay finds it over too.
        let letter = format!("/admin/dlq/{}:WOORI_TV/replay", approved["distributionId"].as_str().unwrap());
        admin(&own, Method::POST, &letter, None).await;
        within(Duration::from_secs(20), "skipped", || async { tv().await["status"] == "skipped" }).await;
        assert!(tv().await["error"]["messageKo"].as_str().unwrap().contains("이벤트가 끝나"));
        assert!(simulator.posts().of("WOORI_TV").is_empty());
        own.running.stop().await;
    });
}

/// A proposal or picture that was paid for counts, whatever became of the draft it was for.
#[test]
fn a_deleted_draft_gives_no_quota_back() {
    run(async {
        let own = start(|s| {
            s.image_jobs_per_day = 1;
            s.redis_url = None;
        })
        .await;
        let api = owner_at(&own.base).await;
        let planned = || async {
            let id = api.draft().await;
            let option = api.options(&id).await[0]["id"].clone();
            api.put(&format!("/api/events/{id}/plan"), json!({"optionId": option})).await.is(200);
            id
        };
        let ask = |id: &str| json!({"eventId": id, "styles": ["SIMPLE"], "platforms": ["KAKAO"]});
        let first = planned().await;
        let job = api.post("/api/content/images", ask(&first)).await.is(202)["jobId"].clone();
        api.job(&job).await;
        assert_eq!(api.delete(&format!("/api/events/{first}")).await.status, 204);
        assert_eq!(api.job(&job).await["status"], "succeeded", "it is still known");
        let second = planned().await;
        api.post("/api/content/images", ask(&second)).await.fails(429, "quota-exceeded");
        // One that was under way is called off with its draft.
        own.running.simulator().unwrap().set_fault("CLAUDE", Some(Fault::Hang));
        let third = api.post("/api/events", json!({"objective": "AWARENESS"})).await.is(201)["id"].clone();
        let asked = api.post("/api/ai/recommendations", json!({"eventId": third})).await.is(202);
        assert_eq!(api.delete(&format!("/api/events/{}", third.as_str().unwrap())).await.status, 204);
        let job = api.get(&format!("/api/jobs/{}", asked["jobId"].as_str().unwrap())).await.is(200);
        assert_eq!(job["status"], "cancelled", "{job}");
        own.running.stop().await;
    });
}

/// One who erases between close and draw stays a leaf of the tree, and a prize drawn goes on in the same transaction.
#[test]
fn who_erased_before_the_draw_holds_no_prize() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({"prizes": [{"name": "대상", "quantity": 1, "unitValueWon": 1000}]})).await;
        let mut receipts = Vec::new();
        for n in 0..2 {
            receipts.push(api.enter(&slug, &phone(n)).await.is(201)["receipt"].as_str().unwrap().to_owned());
        }
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        let gone = format!("/api/participation/receipts/{}", receipts[0]);
        assert_eq!(api.delete(&gone).await.status, 204);
        let draw = api.post(&format!("/api/events/{id}/draws"), json!({"alternates": 1})).await.is(201);
        assert_eq!(draw["winners"][0]["entryNo"], 2, "whoever was drawn first: {draw}");
        assert_eq!(draw["alternates"], json!([]));
        let first = draw["proof"]["winners"][0]["entryNo"] == 1;
        let forfeited = facts(&api, &id).await.iter().any(|f| f["kind"] == "forfeited");
        assert_eq!(forfeited, first, "a prize that went on is in the history");
        let public = api.get(&format!("/api/participation/events/{slug}/draw")).await.is(200);
        assert!(public["says"]["ko"].as_str().unwrap().contains("난수가 쓰이지 않아"), "nobody sent `external`");
    });
}

/// What the customer read is what is kept: with the shop's name the notice has another version.
#[test]
fn a_renamed_shop_has_another_notice() {
    run(async {
        let api = owner().await;
        let (_, slug) = api.live(json!({})).await;
        let page = format!("/api/participation/events/{slug}");
        let notice = || async { api.get(&page).await.is(200)["notice"]["version"].clone() };
        let body = |n, version: &Value| json!({"name": "손님", "phone": phone(n), "consents": {"privacy": true}, "noticeVersion": version});
        let before = notice().await;
        api.enter_with(&slug, body(1, &before)).await.is(201);
        api.patch(&format!("/api/stores/{}", api.store), json!({"name": "새 이름"})).await.is(200);
        within(Duration::from_secs(5), "renamed", || async { notice().await != before }).await;
        api.enter_with(&slug, body(2, &before)).await.fails(409, "notice-changed");
        api.enter_with(&slug, body(2, &notice().await)).await.is(201);
    });
}
