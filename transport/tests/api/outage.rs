//! Upstreams that fail: who is told, what is parked, how it comes back, and where alarms go.

use crate::support::{Api, Server, UNAUTHORISED, admin, at, owner_at, run, start, within};
use clients::UpstreamError;
use diesel_async::RunQueryDsl;
use domain::channel::Upstream;
use domain::distribution::ErrorClass;
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use simulator::Fault;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// Ten failures within a minute open a breaker.
async fn trip(own: &Server, upstream: Upstream) {
    for _ in 0..10 {
        let down = async { Err::<(), _>(UpstreamError::new(ErrorClass::Transient, "down")) };
        let _ = own.running.handles().breakers.once(upstream, down).await;
    }
}

async fn notices(api: &Api, kind: &str) -> Vec<Value> {
    let all = api.get("/api/notices").await.is(200);
    all["items"].as_array().unwrap().iter().filter(|n| n["kind"] == kind).cloned().collect()
}

fn channel<'a>(d: &'a Value, name: &str) -> &'a Value {
    d["channels"].as_array().unwrap().iter().find(|c| c["channel"] == name).unwrap()
}

/// RS-11, issue 3.2: an open breaker is told in plain words, nothing is sent into it, the event goes live without the
/// channel, and what was skipped is published once it is back.
#[test]
fn an_open_breaker_is_told_and_not_called_and_comes_back() {
    run(async {
        let own = start(|_| {}).await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        let id = api.ready(json!({}), json!(["WOORI_TV", "RINGO_BIZ"])).await;
        trip(&own, Upstream::WooriTv).await;
        within(Duration::from_secs(5), "told", || async { !notices(&api, "upstream-down").await.is_empty() }).await;
        let told = &notices(&api, "upstream-down").await[0];
        assert!(told["messageKo"].as_str().unwrap().starts_with("우리동네TV 연결에 장애가 있어요."), "{told}");
        let view = admin(&own, Method::GET, "/admin/breakers", None).await;
        let one = view["items"].as_array().unwrap().iter().find(|b| b["upstream"] == "WOORI_TV").unwrap().clone();
        assert_eq!((&one["state"], &one["trips"]), (&json!("OPEN"), &json!(1)));
        within(Duration::from_secs(10), "alarmed", || async {
            let alarms = admin(&own, Method::GET, "/admin/alarms", None).await;
            alarms["items"].as_array().unwrap().iter().any(|a| a["key"] == "open-circuits")
        })
        .await;
        let (approved, path) = api.publish(&id).await;
        assert_eq!(approved["event"]["status"], "live");
        let d = api.get(&path).await.is(200);
        assert_eq!(channel(&d, "WOORI_TV")["status"], "skipped", "{d}");
        assert_eq!(channel(&d, "WOORI_TV")["error"]["class"], "unavailable");
        assert_eq!(channel(&d, "RINGO_BIZ")["status"], "published");
        assert_eq!(simulator.calls("WOORI_TV"), 0, "nothing is sent into an open breaker");
        admin(&own, Method::POST, "/admin/breakers/WOORI_TV/force-closed", None).await;
        within(Duration::from_secs(5), "back", || async { !notices(&api, "upstream-up").await.is_empty() }).await;
        api.post(&format!("{path}/retry"), json!({"channels": ["WOORI_TV"]})).await.is(202);
        within(Duration::from_secs(20), "published", || async {
            api.get(&path).await.is(200)["status"] == "completed"
        })
        .await;
        within(Duration::from_secs(10), "resolved", || async {
            admin(&own, Method::GET, "/admin/alarms", None).await["items"].as_array().unwrap().is_empty()
        })
        .await;
        own.running.stop().await;
    });
}

/// Issue 3.6 and 3.7: a publication that failed is parked with cause and history, raises an alarm at every sink, and is
/// replayed one by one or in bulk.
#[test]
fn dead_letters_are_listed_told_and_replayed() {
    run(async {
        let (hook, posted) = webhook().await;
        let (mail, mailed) = mail_server().await;
        let own = start(move |s| {
            s.alarm_webhook = Some(hook);
            s.alarm_mail = Some((mail, "madang@shop.example".into(), vec!["ops@shop.example".into()]));
        })
        .await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        // Our key is not accepted: for an operator to mend, and nothing that waiting mends.
        for dead in ["WOORI_TV", "NAVER"] {
            simulator.set_fault(dead, Some(UNAUTHORISED));
        }
        let id = api.ready(json!({}), json!(["WOORI_TV", "NAVER", "RINGO_BIZ"])).await;
        let (approved, path) = api.publish(&id).await;
        let distribution = approved["distributionId"].as_str().unwrap();
        let letters = admin(&own, Method::GET, "/admin/dlq?limit=1", None).await;
        assert_eq!(letters["items"].as_array().unwrap().len(), 1);
        let next = format!("/admin/dlq?cursor={}", letters["nextCursor"].as_str().unwrap());
        let rest = admin(&own, Method::GET, &next, None).await;
        let ids: Vec<&str> = [&letters["items"][0], &rest["items"][0]].map(|l| l["id"].as_str().unwrap()).to_vec();
        assert!(ids.contains(&format!("{distribution}:WOORI_TV").as_str()), "{ids:?}");
        let letter =
            admin(&own, Method::GET, "/admin/dlq?channel=NAVER&kind=publication", None).await["items"][0].clone();
        assert_eq!((&letter["what"], &letter["cause"]["class"]), (&json!("NAVER"), &json!("auth")));
        assert_eq!(letter["history"][0]["attempt"], 1, "{letter}");
        for told in [&posted, &mailed] {
            within(Duration::from_secs(15), "told", || async { told.lock().contains("dead-letters") }).await;
        }
        assert!(posted.lock().contains("{\"text\":\"[warning] dead-letters: "));
        simulator.heal();
        let dry = admin(&own, Method::POST, "/admin/dlq/replay", Some(json!({"dryRun": true}))).await;
        assert_eq!(dry["letters"], 2);
        let one = format!("/admin/dlq/{distribution}:WOORI_TV/replay");
        admin(&own, Method::POST, &one, None).await;
        let all =
            admin(&own, Method::POST, "/admin/dlq/replay", Some(json!({"channel": "NAVER", "perSecond": 50}))).await;
        assert_eq!(all["letters"], 1);
        within(Duration::from_secs(20), "published", || async {
            api.get(&path).await.is(200)["status"] == "completed"
        })
        .await;
        assert!(admin(&own, Method::GET, "/admin/dlq", None).await["items"].as_array().unwrap().is_empty());
        for told in [&posted, &mailed] {
            within(Duration::from_secs(15), "resolved", || async { told.lock().contains("[resolved] dead-letters") })
                .await;
        }
        own.running.stop().await;
    });
}

/// A call to a channel that cannot be asked was under way when the process died: it may have happened, and the owner is
/// asked. One that can be asked settles itself.
#[test]
fn what_was_under_way_at_a_crash_is_settled_or_asked_about() {
    run(async {
        let own = start(|_| {}).await;
        let api = owner_at(&own.base).await;
        let id = api.ready(json!({}), json!(["NAVER", "RINGO_BIZ"])).await;
        let (_, path) = api.publish(&id).await;
        assert_eq!(api.get(&path).await.is(200)["status"], "completed");
        let crashed = "update events.publications set status = 'publishing', updated_at = now() - interval '1 minute'";
        let store = own.running.handles().tools().store.clone();
        store.run(async move |c| Ok(diesel::sql_query(crashed).execute(c).await?)).await.unwrap();
        within(Duration::from_secs(20), "settled", || async {
            let d = api.get(&path).await.is(200);
            channel(&d, "NAVER")["status"] == "unknown" && channel(&d, "RINGO_BIZ")["status"] == "published"
        })
        .await;
        let told = notices(&api, "channel-trouble").await;
        assert!(told[0]["messageKo"].as_str().unwrap().contains("직접 확인한 뒤 알려 주세요"), "{told:?}");
        let posts = own.running.simulator().unwrap().posts();
        assert_eq!((posts.of("NAVER").len(), posts.of("RINGO_BIZ").len()), (1, 1));
        let confirmed = json!({"channel": "NAVER", "posted": true});
        assert_eq!(api.post(&format!("{path}/confirm"), confirmed).await.is(202)["status"], "completed");
        own.running.stop().await;
    });
}

/// Faults by scenario, from the admin port.
#[test]
fn a_scenario_plays_and_is_healed() {
    run(async {
        let own = start(|_| {}).await;
        let http = at(&own.admin);
        let send = |text: &'static str| {
            let request = http.request(Method::POST, "/admin/simulator/scenario").body(text);
            http.send(request.bearer_auth(own.running.admin_token()))
        };
        send("[[step]]\nat = 0\nupstream = \"MOON\"\nfault = \"down\"").await.fails(422, "invalid-value");
        assert_eq!(send("[[step]]\nat = 0\nfor = 60\nupstream = \"NTS\"\nfault = \"down\"").await.status, 204);
        let pending = owner_at(&own.base).await;
        let stores = pending.get("/api/stores").await.is(200);
        assert_eq!(stores["items"][0]["verification"], "PENDING", "signup goes on without the tax service");
        let state = admin(&own, Method::GET, "/admin/simulator", None).await;
        assert_eq!(state["scenario"]["now"][0]["upstream"], "NTS");
        admin(&own, Method::DELETE, "/admin/simulator", None).await;
        within(Duration::from_secs(30), "verified by itself", || async {
            pending.get("/api/stores").await.is(200)["items"][0]["verification"] == "VERIFIED"
        })
        .await;
        own.running.stop().await;
    });
}

type Heard = Arc<Mutex<String>>;

/// A webhook that answers 200 and keeps what it was told.
async fn webhook() -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, heard) = (format!("http://{}/hook", listener.local_addr().unwrap()), Heard::default());
    let keep = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let keep = keep.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    keep.lock().push_str(&String::from_utf8_lossy(&buffer[..n]));
                    if buffer[..n].ends_with(b"}") {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    }
                }
            });
        }
    });
    (url, heard)
}

/// A mail server that takes everything and keeps it.
async fn mail_server() -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, heard) = (format!("smtp://{}", listener.local_addr().unwrap()), Heard::default());
    let keep = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let keep = keep.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                let _ = write.write_all(b"220 mail\r\n").await;
                let mut data = false;
                while let Ok(Some(line)) = lines.next_line().await {
                    keep.lock().push_str(&(line.clone() + "\n"));
                    let answer: &[u8] = match (data, line.as_str()) {
                        (true, ".") => b"250 taken\r\n",
                        (true, _) => continue,
                        (false, "DATA") => b"354 go on\r\n",
                        (false, "QUIT") => b"221 bye\r\n",
                        (false, _) => b"250 ok\r\n",
                    };
                    data = line == "DATA" || (data && line != ".");
                    let _ = write.write_all(answer).await;
                }
            });
        }
    });
    (url, heard)
}

/// US-09, PERF-05: a distribution ends within a minute, whatever a channel does. One that never answers is unknown then.
#[test]
fn a_channel_that_never_answers_holds_a_distribution_up_for_less_than_a_minute() {
    run(async {
        let own = start(|_| {}).await;
        let api = owner_at(&own.base).await;
        let id = api.ready(json!({}), json!(["WOORI_TV", "INSTAGRAM", "NAVER"])).await;
        for silent in ["WOORI_TV", "INSTAGRAM"] {
            own.running.simulator().unwrap().set_fault(silent, Some(Fault::Hang));
        }
        let begun = std::time::Instant::now();
        let approved = api.post(&format!("/api/events/{id}/approve?wait=60"), json!({})).await.is(200);
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        let path = format!("/api/distribution/{}", approved["distributionId"].as_str().unwrap());
        let d = api.get(&path).await.is(200);
        assert_eq!(d["status"], "partial", "{d}");
        assert_eq!(channel(&d, "WOORI_TV")["status"], "unknown", "{d}");
        let test = "a_channel_that_never_answers_holds_a_distribution_up_for_less_than_a_minute";
        let pictures = testkit::has_font(test, own.running.fonts().hangul());
        let ends = if pictures { ["failed", "unknown"].as_slice() } else { &["assisted"] };
        let status = channel(&d, "INSTAGRAM")["status"].as_str().unwrap().to_owned();
        assert!(ends.contains(&status.as_str()), "{d}");
        assert_eq!(channel(&d, "NAVER")["status"], "published", "{d}");
        own.running.stop().await;
    });
}

/// Keys that expired: no breaker opens, others stand in, so nobody would notice; operators are told until it is over.
#[test]
fn a_key_that_is_not_accepted_is_alarmed_until_it_is() {
    run(async {
        let own = start(|s| s.redis_url = None).await;
        let simulator = own.running.simulator().unwrap();
        let api = owner_at(&own.base).await;
        let alarmed = async || {
            let alarms = admin(&own, Method::GET, "/admin/alarms", None).await;
            alarms["items"].as_array().unwrap().iter().find(|a| a["key"] == "upstream-refuses").cloned()
        };
        simulator.set_fault("CLAUDE", Some(UNAUTHORISED));
        let ask = |region| json!({"industry": "BAR", "region": region, "objective": "AWARENESS", "season": "AUTUMN"});
        let started = api.post("/api/ai/recommendations", ask("강원 강릉시")).await.is(202);
        assert_eq!(api.job(&started["jobId"]).await["status"], "succeeded", "the second source stands in");
        within(Duration::from_secs(15), "alarmed", || async { alarmed().await.is_some() }).await;
        assert!(alarmed().await.unwrap()["text"].as_str().unwrap().contains("CLAUDE"));
        simulator.set_fault("CLAUDE", None);
        let started = api.post("/api/ai/recommendations", ask("강원 속초시")).await.is(202);
        api.job(&started["jobId"]).await;
        within(Duration::from_secs(15), "over", || async { alarmed().await.is_none() }).await;
        own.running.stop().await;
    });
}
