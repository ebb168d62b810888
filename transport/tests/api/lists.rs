//! Lists that a body brings: each has an end, and what is named twice is done once.

use crate::support::{UNAUTHORISED, owner_at, run, start};
use serde_json::json;
use std::time::{Duration, Instant};

/// Case M1: a list of a hundred thousand is refused before anything is done, and repetitions are one.
#[test]
fn a_list_without_an_end_is_refused_and_repetitions_are_one() {
    run(async {
        let own = start(|_| {}).await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        for channel in ["WOORI_TV", "RINGO_BIZ"] {
            simulator.set_fault(channel, Some(UNAUTHORISED));
        }
        let id = api.ready(json!({}), json!(["WOORI_TV", "RINGO_BIZ"])).await;
        let (_, path) = api.publish(&id).await;
        let before = api.get(&path).await.is(200);
        assert_eq!(before["status"], "failed");
        let begun = Instant::now();
        let endless = json!({"channels": vec!["WOORI_TV"; 90_000]});
        let refused = api.post(&format!("{path}/retry"), endless.clone()).await.fails(422, "too-many");
        assert_eq!(refused["errors"][0]["field"], "channels");
        let draft = api.draft().await;
        api.put(&format!("/api/events/{draft}/channels"), endless).await.fails(422, "too-many");
        let pictures = json!({"imageIds": vec![uuid::Uuid::now_v7(); 20_000]});
        api.put(&format!("/api/events/{draft}/content"), pictures).await.fails(422, "too-many");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let unknown = json!({"channels": ["WOORI_TV", "MARS"]});
        api.post(&format!("{path}/retry"), unknown).await.fails(422, "invalid-value");
        // The place is that of the list as it was sent.
        let foreign = json!({"channels": ["WOORI_TV", "WOORI_TV", "WOORI_TV", "NAVER"]});
        let refused = api.post(&format!("{path}/retry"), foreign).await.fails(422, "invalid-value");
        assert_eq!(refused["errors"][0]["field"], "channels[3]");
        assert_eq!(api.get(&path).await.is(200)["version"], before["version"], "nothing was done");
        // Ten times the same one is one, and the other goes with it.
        simulator.heal();
        let named = [vec!["WOORI_TV"; 10], vec!["RINGO_BIZ"; 10]].concat();
        api.post(&format!("{path}/retry"), json!({"channels": named})).await.is(202);
        crate::support::within(Duration::from_secs(30), "both are out", || async {
            api.get(&path).await.is(200)["status"] == "completed"
        })
        .await;
        for channel in ["WOORI_TV", "RINGO_BIZ"] {
            assert_eq!(simulator.posts().of(channel).len(), 1, "{channel}");
        }
        own.running.stop().await;
    });
}
