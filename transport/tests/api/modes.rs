//! Every client in mode LIVE, end to end, against a simulator that checks token, model name and schema as the providers do.
//! Only the address differs from the providers'. Other checks of theirs are not played.

use crate::support::{owner_at, pending_at, run, signup_body, start, within};
use domain::channel::{Mode, Upstream};
use serde_json::json;
use simulator::Simulator;
use std::time::Duration;
use transport::config::UpstreamSettings;

/// Providers that know one token.
async fn providers(listen: std::net::SocketAddr) -> Simulator {
    let config = simulator::Config { listen, data: None, latency: 0.0, token: Some("token".into()) };
    Simulator::start(config).await.unwrap()
}

/// Every upstream LIVE at these providers, with a token.
fn live(s: &mut transport::Settings, providers: &Simulator, token: &str) {
    // A cache of its own: a recommendation of another test must not spare the model.
    s.redis_url = None;
    for u in Upstream::ALL {
        let key = if *u == Upstream::Naver { format!("{token}@club/menu") } else { token.to_owned() };
        let at = UpstreamSettings { url: Some(providers.base(u.code())), key: Some(key), mode: Some(Mode::Live) };
        s.upstreams.insert(*u, at);
    }
}

/// A wrong token is refused by every provider, and nothing passes for published.
#[test]
fn a_wrong_token_publishes_nothing() {
    run(async {
        let providers = providers(([127, 0, 0, 1], 0).into()).await;
        let own = start(|s| live(s, &providers, "another")).await;
        let api = pending_at(&own.base, signup_body()).await;
        let store = api.get(&format!("/api/stores/{}", api.store)).await.is(200);
        assert_eq!(store["verification"], "PENDING", "the tax service does not know the key: {store}");
        let all = json!(["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "NAVER", "KAKAO"]);
        let id = api.ready(json!({}), all).await;
        let (_, path) = api.publish(&id).await;
        let d = api.get(&path).await.is(200);
        for c in d["channels"].as_array().unwrap() {
            assert_eq!((&c["status"], &c["error"]["class"]), (&json!("failed"), &json!("auth")), "{c}");
        }
        for upstream in ["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "NAVER", "KAKAO"] {
            assert!(providers.calls(upstream) > 0 && providers.posts().count(upstream) == 0, "{upstream}");
        }
        own.running.stop().await;
        providers.stop();
    });
}

#[test]
fn the_whole_path_in_mode_live() {
    run(async {
        let listen = ([127, 0, 0, 1], 0).into();
        let providers = providers(listen).await;
        let own = start(|s| live(s, &providers, "token")).await;
        assert!(own.running.simulator().is_none(), "nothing needs the built-in simulator");
        let api = owner_at(&own.base).await;
        let id =
            api.ready(json!({}), json!(["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "INSTAGRAM", "NAVER", "KAKAO"])).await;
        let (_, path) = api.publish(&id).await;
        let d = api.get(&path).await.is(200);
        let hangul = testkit::has_font("the_whole_path_in_mode_live", own.running.fonts().hangul());
        for c in d["channels"].as_array().unwrap() {
            let assisted = c["channel"] == "INSTAGRAM" && !hangul;
            assert_eq!(c["mode"], if assisted { "ASSISTED" } else { "LIVE" }, "{c}");
        }
        // The second sources, while the first do not answer.
        for down in ["CLAUDE", "STABILITY"] {
            providers.set_fault(down, Some(simulator::Fault::Down));
        }
        let ask = json!({"industry": "BAR", "region": "강원 강릉시", "objective": "AWARENESS", "season": "AUTUMN"});
        let started = api.post("/api/ai/recommendations", ask).await.is(202);
        assert!(api.job(&started["jobId"]).await["fallback"].is_null(), "another model is no stand-in");
        api.ready(json!({}), json!(["NAVER"])).await;
        for upstream in Upstream::ALL {
            assert!(
                providers.calls(upstream.code()) > 0 || (*upstream == Upstream::Instagram && !hangul),
                "{upstream} was called"
            );
        }
        // Figures come by themselves once it is published.
        within(Duration::from_secs(15), "measured", || async {
            let a = api.get(&format!("/api/events/{id}/analytics")).await.is(200);
            a["channels"].as_array().unwrap().iter().any(|c| c["channel"] == "WOORI_TV" && c["impressions"].is_number())
        })
        .await;
        own.running.stop().await;
        providers.stop();
    });
}

#[test]
fn assisted_and_off_channels_never_block_approval() {
    run(async {
        let own = start(|s| {
            let mode = |m| UpstreamSettings { url: None, key: None, mode: Some(m) };
            s.upstreams.insert(Upstream::Naver, mode(Mode::Assisted));
            s.upstreams.insert(Upstream::GenieTv, mode(Mode::Off));
        })
        .await;
        let api = owner_at(&own.base).await;
        let id = api.ready(json!({}), json!(["GENIE_TV", "NAVER"])).await;
        let preflight = api.get(&format!("/api/events/{id}/preflight")).await.is(200);
        let codes: Vec<&str> = preflight["channels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["missing"][0]["code"].as_str().unwrap())
            .collect();
        assert_eq!(codes, ["channel-off", "assisted"]);
        let (_, path) = api.publish(&id).await;
        let d = api.get(&path).await.is(200);
        assert_eq!(
            (d["channels"][0]["status"].as_str(), d["channels"][1]["status"].as_str()),
            (Some("skipped"), Some("assisted"))
        );
        assert!(d["channels"][1]["text"].as_str().unwrap().contains("/e/"), "the prepared text has the link");
        assert!(d["channels"][0]["error"]["messageKo"].as_str().unwrap().contains("꺼져 있어"), "{d}");
        let analytics = api.get(&format!("/api/events/{id}/analytics")).await.is(200);
        assert_eq!(analytics["roi"]["platformCostWon"], domain::channel::Channel::Naver.price_won());
        let modes: Vec<_> = analytics["channels"].as_array().unwrap().iter().map(|c| c["mode"].clone()).collect();
        assert_eq!(modes, [json!("OFF"), json!("ASSISTED"), json!(null), json!(null)]);
        let notices = api.get("/api/notices").await.is(200);
        let told = notices["items"].as_array().unwrap().iter().find(|n| n["kind"] == "channel-trouble").unwrap();
        assert_eq!(told["data"]["channel"], "GENIE_TV", "what is left out is told: {told}");
        // Only the owner can take back what the owner posted.
        api.post(&format!("/api/events/{id}/cancel"), json!({})).await.is(200);
        within(Duration::from_secs(10), "told", || async {
            let notices = api.get("/api/notices").await.is(200);
            let told = notices["items"].as_array().unwrap().iter().find(|n| n["kind"] == "recall-by-hand").cloned();
            told.is_some_and(|n| n["data"]["channels"] == json!(["NAVER"]))
        })
        .await;
        own.running.stop().await;
    });
}

/// A tax service that is switched off is not asked, at signup or later: name and number stay here.
#[test]
fn a_tax_service_that_is_off_is_never_called() {
    run(async {
        let listen = ([127, 0, 0, 1], 0).into();
        let providers =
            Simulator::start(simulator::Config { listen, data: None, latency: 0.0, token: None }).await.unwrap();
        for mode in [Mode::Off, Mode::Assisted] {
            let at = UpstreamSettings { url: Some(providers.base("NTS")), key: None, mode: Some(mode) };
            let own = start(|s| {
                s.upstreams.insert(Upstream::Nts, at);
            })
            .await;
            let api = pending_at(&own.base, signup_body()).await;
            let store = api.get(&format!("/api/stores/{}", api.store)).await.is(200);
            assert_eq!(store["verification"], "PENDING", "{store}");
            let key = format!("verification:{}", api.user);
            let store = &own.running.handles().tools().store;
            within(Duration::from_secs(10), "looked at by its job", || async {
                let key = key.clone();
                let job = store.run(async move |c| storage::jobs::active(c, &key).await);
                job.await.unwrap().is_some_and(|j| j.epoch > 0 && j.attempts == 0)
            })
            .await;
            own.running.stop().await;
        }
        assert_eq!(providers.calls("NTS"), 0);
        providers.stop();
    });
}
