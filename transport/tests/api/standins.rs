//! What stands in while an upstream is away: cached verdicts (CK-02), the last good proposal (RS-09), old figures (RS-13).

use crate::support::{Server, admin, at, owner_at, run, signup_body, start, within};
use actors::tax_calls::TaxCaller;
use clients::UpstreamError;
use diesel_async::SimpleAsyncConnection;
use domain::channel::Upstream;
use domain::distribution::ErrorClass;
use reqwest::Method;
use serde_json::{Value, json};
use simulator::Fault;
use std::time::Duration;

const BAD_REQUEST: Fault = Fault::Status { status: 400, retry_after: None, body: None };

async fn execute(own: &Server, statement: &str) {
    let (store, statement) = (own.running.handles().tools().store.clone(), statement.to_owned());
    store.run(async move |c| Ok(c.batch_execute(&statement).await?)).await.unwrap();
}

/// Signs up, notes the verdict, and makes room for the next signup with the same number.
async fn verdict(own: &Server, body: &Value) -> Value {
    let made = at(&own.base).post("/api/users/signup", body.clone()).await.is(201);
    // The jobs first: a verification that runs meanwhile would ask the tax service as well.
    execute(own, "delete from events.jobs; truncate identity.users cascade").await;
    made["store"]["verification"].clone()
}

/// CK-02: a cached "yes" holds for number, opening day and name together, and nothing but a "yes" is kept.
#[test]
fn a_cached_verdict_is_of_number_day_and_name() {
    run(async {
        let own = start(|s| s.redis_url = None).await;
        let simulator = own.running.simulator().unwrap();
        let body = signup_body();
        assert_eq!(verdict(&own, &body).await, "VERIFIED");
        let asked = simulator.calls("NTS");
        assert_eq!((verdict(&own, &body).await, simulator.calls("NTS")), (json!("VERIFIED"), asked), "kept");
        let with = |field: &str, value: &str| {
            let mut other = body.clone();
            other[field] = json!(value);
            other
        };
        simulator.set_fault("NTS", Some(Fault::Down));
        assert_eq!(verdict(&own, &body).await, "VERIFIED", "kept while the tax service is away");
        for other in [with("name", "김다른"), with("openedOn", "2020-01-03")] {
            assert_eq!(verdict(&own, &other).await, "PENDING", "another name or day is another question");
        }
        simulator.set_fault("NTS", None);
        let asked = simulator.calls("NTS");
        assert_eq!(verdict(&own, &with("name", "김다른")).await, "VERIFIED");
        assert!(simulator.calls("NTS") > asked, "a PENDING was not kept");
        own.running.stop().await;
    });
}

/// RS-09: without models the last good proposal comes back, marked, with the time it is from.
#[test]
fn the_last_good_proposal_stands_in() {
    run(async {
        let own = start(|s| s.redis_url = None).await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        let ask = json!({"industry": "LAUNDRY", "region": "대구 수성구", "objective": "SALES", "season": "WINTER"});
        let before = chrono::Utc::now();
        let started = api.post("/api/ai/recommendations", ask.clone()).await.is(202);
        let good = api.job(&started["jobId"]).await["result"].clone();
        let after = chrono::Utc::now();
        let cached = api.post("/api/ai/recommendations", ask.clone()).await.is(200);
        assert_eq!(cached["options"], good["options"], "it is kept while the cache has it");
        for model in ["CLAUDE", "OPENAI"] {
            simulator.set_fault(model, Some(BAD_REQUEST));
        }
        // The cache is emptied: only the database knows the proposal now.
        let region: domain::catalog::Region = serde_json::from_value(json!("대구 수성구")).unwrap();
        let key = format!("ai:recommendation:LAUNDRY:{region}:SALES:WINTER:{}", clients::prompt::RECOMMENDATION);
        admin(&own, Method::POST, "/admin/cache/invalidate", Some(json!({"key": key}))).await;
        let started = api.post("/api/ai/recommendations", ask).await.is(202);
        let job = api.job(&started["jobId"]).await;
        assert_eq!(job["fallback"]["reason"], "last-good", "{job}");
        assert_eq!(job["result"]["options"], good["options"]);
        let as_of: chrono::DateTime<chrono::Utc> = job["fallback"]["asOf"].as_str().unwrap().parse().unwrap();
        let slack = chrono::Duration::seconds(1);
        assert!(as_of >= before - slack && as_of <= after + slack, "{as_of} is not when it was proposed");
        own.running.stop().await;
    });
}

/// RS-13: a channel that does not answer keeps its last figures, marked stale, and is fresh again when it answers.
#[test]
fn figures_of_a_silent_channel_stay_and_are_marked_stale() {
    run(async {
        let own = start(|_| {}).await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        let id = api.ready(json!({}), json!(["WOORI_TV"])).await;
        api.publish(&id).await;
        let path = format!("/api/events/{id}/analytics");
        let figures = async || {
            let analytics = api.get(&path).await.is(200);
            analytics["channels"].as_array().unwrap().iter().find(|c| c["channel"] == "WOORI_TV").unwrap().clone()
        };
        within(Duration::from_secs(20), "measured", || async { figures().await["asOf"].is_string() }).await;
        let first = figures().await;
        assert_eq!(first["stale"], false, "{first}");
        // The next measurement is due at once.
        let due = "update analytics.channel_stats set tried_at = tried_at - interval '1 hour'";
        simulator.set_fault("WOORI_TV", Some(Fault::Down));
        execute(&own, due).await;
        within(Duration::from_secs(30), "stale", || async { figures().await["stale"] == true }).await;
        let stale = figures().await;
        assert_eq!(
            (&stale["impressions"], &stale["asOf"]),
            (&first["impressions"], &first["asOf"]),
            "kept as they were"
        );
        simulator.set_fault("WOORI_TV", None);
        execute(&own, due).await;
        within(Duration::from_secs(60), "fresh again", || async { figures().await["stale"] == false }).await;
        assert_ne!(figures().await["asOf"], first["asOf"]);
        own.running.stop().await;
    });
}

/// Case M3: what goes into an open breaker is not sent, and costs no call of the day.
#[test]
fn calls_that_are_not_sent_cost_no_budget() {
    run(async {
        let own = start(|s| (s.tax_calls_per_day, s.redis_url) = (3, None)).await;
        for _ in 0..10 {
            let down = async { Err::<(), _>(UpstreamError::new(ErrorClass::Transient, "down")) };
            let _ = own.running.handles().breakers.once(Upstream::Nts, down).await;
        }
        for _ in 0..4 {
            let made = at(&own.base).post("/api/users/signup", signup_body()).await.is(201);
            assert_eq!(made["store"]["verification"], "PENDING");
        }
        let (calls, today) = (&own.running.handles().tools().tax_calls, domain::time::kst_day(chrono::Utc::now()));
        // Jobs take a call and give it back meanwhile.
        within(Duration::from_secs(10), "all calls of the day are left", || async {
            let left = (0..3).filter(|_| calls.take(TaxCaller::Retry, today)).count();
            (0..left).for_each(|_| calls.give_back(today));
            left == 3
        })
        .await;
        own.running.stop().await;
    });
}
