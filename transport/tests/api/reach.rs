//! Addresses that customers and providers can open, or cannot.

use crate::support::{Api, owner_at, run, start};
use domain::channel::{Mode, Upstream};
use serde_json::{Value, json};
use transport::config::UpstreamSettings;

async fn missing(api: &Api, event: &str) -> Vec<Value> {
    let preflight = api.get(&format!("/api/events/{event}/preflight")).await.is(200);
    let channels = preflight["channels"].as_array().unwrap();
    let instagram = channels.iter().find(|c| c["channel"] == "INSTAGRAM").unwrap();
    let missing = instagram["missing"].as_array().unwrap().clone();
    assert_eq!(instagram["ok"], missing.is_empty());
    missing
}

fn lacks_address(missing: &[Value]) -> bool {
    missing.iter().any(|m| m["code"] == "address-not-public" && m["messageKo"].as_str().unwrap().contains("https"))
}

/// Case 28: Instagram fetches pictures; where it cannot, the owner is told before and gets text and link to post.
#[test]
fn instagram_without_a_public_address_is_told_and_assisted() {
    run(async {
        for public in [None, Some("http://192.168.0.5:8080"), Some("https://localhost:8208"), Some("https://shop.kr")] {
            let own = start(|s| {
                let live = UpstreamSettings { url: None, key: Some("k".into()), mode: Some(Mode::Live) };
                s.upstreams.insert(Upstream::Instagram, live);
                s.public_url = public.map(str::to_owned);
            })
            .await;
            let api = owner_at(&own.base).await;
            let id = api.ready(json!({}), json!(["INSTAGRAM", "KAKAO"])).await;
            let told = lacks_address(&missing(&api, &id).await);
            assert_eq!(told, public != Some("https://shop.kr"), "{public:?}");
            if told {
                let (approved, path) = api.publish(&id).await;
                assert_eq!(approved["event"]["status"], "live", "what is missing never blocks");
                let d = api.get(&path).await.is(200);
                let instagram = d["channels"].as_array().unwrap().iter().find(|c| c["channel"] == "INSTAGRAM").unwrap();
                assert_eq!((&instagram["status"], &instagram["mode"]), (&json!("assisted"), &json!("ASSISTED")), "{d}");
                assert!(instagram["text"].as_str().unwrap().contains("/e/"), "{d}");
            }
            own.running.stop().await;
        }
    });
}

/// Case 3: a server that listens everywhere shows no customer an address of nowhere.
#[test]
fn a_server_that_listens_everywhere_names_an_address_that_opens() {
    run(async {
        let own = start(|s| s.listen = "0.0.0.0:0".parse().unwrap()).await;
        let public = own.running.public_url();
        assert!(!public.contains("0.0.0.0"), "{public}");
        let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(format!("{public}/livez")).send().await;
        assert_eq!(answer.unwrap().status(), 200, "{public}");
        own.running.stop().await;
    });
}
