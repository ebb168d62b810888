//! R6 and R7: two thousand phones in and out of tunnels, and readers that stop reading.

use crate::support::{Api, Server, Socket, counted, owner_at, start};
use domain::ids::{EventId, UserId};
use domain::topic::Topic;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use storage::notices::NewNotice;
use testkit::form;
use testkit::wire::{client_frame, upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Notices to each owner: more than a ring keeps.
const NOTICES: i64 = 400;
/// Clients to an owner, and entries for each owner there is.
const PER_OWNER: usize = 100;
/// Updates between two of which a client stays away past the ring.
const LONG_TUNNEL: f64 = 0.01;

/// Four hundred unless `CUT_CLIENTS` says otherwise: 2,000 are cut while 10,000 updates pass. Each needs two descriptors,
/// for both ends are in this process; the rest is for the database and everybody else.
fn clients() -> usize {
    let wanted = std::env::var("CUT_CLIENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|l| l.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    (files.unwrap_or(1_024usize).saturating_sub(600) / 2).min(wanted)
}

/// A server of its own, for what the shared one limits.
async fn roomy() -> Server {
    start(|s| {
        s.sockets_per_user = 10_000;
        s.requests_per_minute = 1_000_000;
    })
    .await
}

/// Tells an owner something, as the actors do: a row, then the hub.
async fn tell(server: &Server, owner: &str, text: String) {
    let handles = server.running.handles();
    let owner = UserId(owner.parse().unwrap());
    let notice =
        NewNotice { owner, kind: "test", level: "info", message_ko: text.clone(), message_en: text, data: json!({}) };
    let n = handles.tools().store.tx(async move |c| storage::notices::insert(c, notice).await).await.unwrap();
    handles.hub.publish(&Topic::Owner(owner), n.seq, "notice", n.created_at, || json!(n));
}

/// What the clients of a run met.
#[derive(Default)]
struct Met {
    cuts: AtomicUsize,
    recovered: AtomicUsize,
    snapshots: AtomicUsize,
    updates: AtomicUsize,
}

/// One client: its place in both topics, and the promises it checks with every frame.
struct Phone {
    api: Arc<Api>,
    log: String,
    state: String,
    entries: usize,
    rng: StdRng,
    at: BTreeMap<String, Value>,
    count: i64,
    met: Arc<Met>,
}

impl Phone {
    fn offset(&self, topic: &str) -> i64 {
        self.at.get(topic).map_or(-1, |p| p["offset"].as_i64().unwrap())
    }

    fn done(&self) -> bool {
        self.offset(&self.log) == NOTICES && self.count == self.entries as i64
    }

    /// Comes back until it has seen everything.
    async fn live(mut self) {
        while !self.done() {
            let mut socket = self.api.socket().await;
            for topic in [self.log.clone(), self.state.clone()] {
                let mut ask = json!({"type": "subscribe", "id": 1, "topic": topic});
                if let Some(from) = self.at.get(&topic) {
                    ask["from"] = from.clone();
                }
                socket.send(ask).await;
            }
            let until = self.rng.random_range(1..=150);
            for _ in 0..until {
                if self.done() {
                    return;
                }
                let message = socket.next().await.unwrap();
                self.hear(&message);
            }
            drop(socket);
            self.met.cuts.fetch_add(1, Ordering::Relaxed);
            let away = if self.rng.random_bool(LONG_TUNNEL) { 8_000 } else { self.rng.random_range(0..300) };
            tokio::time::sleep(Duration::from_millis(away)).await;
        }
    }

    fn hear(&mut self, message: &Value) {
        let topic = message["topic"].as_str().unwrap_or_default().to_owned();
        let offset = message["position"]["offset"].as_i64().unwrap_or(-1);
        match message["type"].as_str().unwrap() {
            "welcome" => return,
            "subscribed" if message["recovered"] == true => {
                assert!(message.get("snapshot").is_none());
                assert_eq!(message["position"], self.at[&topic], "it goes on from where the client was");
                self.met.recovered.fetch_add(1, Ordering::Relaxed);
            }
            "subscribed" => {
                let snapshot = &message["snapshot"];
                assert!(offset >= self.offset(&topic), "a snapshot is never older than what was seen");
                if topic == self.log {
                    let newest = snapshot["notices"][0]["seq"].as_i64().unwrap_or(0);
                    assert_eq!(newest, offset, "the snapshot shows everything up to its position: {snapshot}");
                    assert_eq!(snapshot["notices"].as_array().unwrap().len() as i64, offset.min(50));
                } else {
                    self.seen(snapshot["count"].as_i64().unwrap());
                }
                self.met.snapshots.fetch_add(usize::from(self.at.contains_key(&topic)), Ordering::Relaxed);
            }
            "update" => {
                if topic == self.log {
                    assert_eq!(offset, self.offset(&topic) + 1, "no gap, no duplicate, no reordering");
                    assert_eq!(message["data"]["seq"].as_i64(), Some(offset));
                } else {
                    assert!(offset > self.offset(&topic), "offsets only rise");
                    self.seen(message["data"]["count"].as_i64().unwrap());
                }
                self.met.updates.fetch_add(1, Ordering::Relaxed);
            }
            "gap" => return,
            other => panic!("{other}: {message}"),
        }
        self.at.insert(topic, message["position"].clone());
    }

    fn seen(&mut self, count: i64) {
        assert!(count >= self.count, "the count went back from {} to {count}", self.count);
        self.count = count;
    }
}

/// A hundred and more updates a second: notices to every owner in turn, entries into one event.
async fn storm(server: &Server, owners: &[Arc<Api>], event: EventId) {
    let handles = server.running.handles();
    let entries = async {
        for n in 0..owners.len() * PER_OWNER {
            handles.events.get(event).enter(form(n)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    };
    let notices = async {
        for n in 0..NOTICES {
            for owner in owners {
                tell(server, &owner.user, format!("{n}번째 알림")).await;
            }
        }
    };
    tokio::join!(entries, notices);
}

#[test]
fn thousands_are_cut_at_random_and_miss_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = roomy().await;
        let mut owners = Vec::new();
        for _ in 0..clients().div_ceil(PER_OWNER) {
            owners.push(Arc::new(owner_at(&server.base).await));
        }
        let (event, slug) = owners[0].live(json!({})).await;
        let (met, seed) = (Arc::new(Met::default()), rand::random::<u64>());
        println!("seed {seed}, {} clients", clients());
        let phones: Vec<_> = (0..clients())
            .map(|n| {
                let api = owners[n % owners.len()].clone();
                let phone = Phone {
                    log: format!("owner:{}", api.user),
                    state: format!("public:{slug}"),
                    entries: owners.len() * PER_OWNER,
                    rng: StdRng::seed_from_u64(seed.wrapping_add(n as u64)),
                    at: BTreeMap::new(),
                    count: 0,
                    met: met.clone(),
                    api,
                };
                tokio::spawn(phone.live())
            })
            .collect();
        let begun = Instant::now();
        storm(&server, &owners, event.parse().unwrap()).await;
        let updates = owners.len() * (NOTICES as usize + PER_OWNER);
        println!("{updates} updates in {:?}", begun.elapsed());
        for phone in phones {
            tokio::time::timeout(Duration::from_secs(120), phone).await.expect("everybody catches up").unwrap();
        }
        let met = [&met.cuts, &met.recovered, &met.snapshots, &met.updates].map(|n| n.load(Ordering::Relaxed));
        println!("cuts, recoveries, snapshots, updates: {met:?}, {:?}", begun.elapsed());
        assert!(met[0] >= clients() && met[1] > 0 && met[2] > 0, "{met:?}");
        server.running.stop().await;
    });
}

/// A socket that subscribes and then reads nothing more.
async fn deaf(api: &Api, topic: &str) -> tokio::net::TcpStream {
    let address = api.base.trim_start_matches("http://");
    let ticket = api.post("/api/realtime/tickets", json!({})).await.is(201);
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(upgrade("/ws", address).as_bytes()).await.unwrap();
    let hello = json!({"type": "hello", "ticket": ticket["ticket"]}).to_string();
    stream.write_all(&client_frame(0x81, hello.as_bytes())).await.unwrap();
    let subscribe = json!({"type": "subscribe", "id": 1, "topic": topic}).to_string();
    stream.write_all(&client_frame(0x81, subscribe.as_bytes())).await.unwrap();
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&heard).contains(r#""type":"subscribed""#) {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "closed before it subscribed");
        heard.extend_from_slice(&buffer[..n]);
    }
    stream
}

/// Sockets closed because their client read too slowly.
const SLOW: &str = "ws_closed_total{code=\"4408\"}";

/// R7: who stops reading is closed, and little is kept for it; who reads misses nothing. How soon, and what the others
/// notice, is measured by `load-tests hub`.
#[test]
fn slow_readers_are_closed_and_the_others_miss_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = roomy().await;
        let api = owner_at(&server.base).await;
        let topic = format!("owner:{}", api.user);
        let mut slow = deaf(&api, &topic).await;
        let mut quick: Socket = api.socket().await;
        quick.subscribe(&topic).await;
        let said = 600;
        let telling = async {
            for n in 0..said {
                // Two kilobytes of Korean: more than the kernel keeps for one that does not read.
                tell(&server, &api.user, format!("{n} {}", "가".repeat(700))).await;
                if n % 50 == 49 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        };
        let reading = async {
            for n in 1..=said {
                assert_eq!(quick.until("update").await["position"]["offset"], n);
            }
        };
        let begun = Instant::now();
        // The counter is that of all servers of this process.
        let before = counted(SLOW);
        tokio::join!(telling, reading);
        // Its goodbye takes half a second at most: it is noticed at once.
        while counted(SLOW) == before {
            assert!(begun.elapsed() < Duration::from_secs(60), "the deaf socket is still open");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // What was on its way to it is little.
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await;
        assert!(rest.len() < 1024 * 1024, "{} bytes", rest.len());
        assert_eq!(rest[rest.len().saturating_sub(4)..], [0x88, 2, 0x11, 0x38], "the last it reads is the code 4408");
        server.running.stop().await;
    });
}
