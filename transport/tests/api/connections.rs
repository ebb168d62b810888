//! Connections of the public port: a cap, the idle ones closed first, headers within five seconds, and an admin port of its own.

use crate::support::{Server, at, owner_at, run, start, within};
use serde_json::json;
use simulator::Fault;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The cap of the servers here.
const MOST: usize = 8;

/// A raw connection to the public port that has sent something.
async fn connect(own: &Server, bytes: &str) -> TcpStream {
    let address = own.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // One that is closed at once may refuse it.
    let _ = stream.write_all(bytes.as_bytes()).await;
    stream
}

/// What comes until the connection ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await;
    // A reset ends it too.
    let _ = read.expect("it ends");
    String::from_utf8(all).unwrap()
}

/// What a new connection is answered, if it is.
async fn asked(own: &Server) -> String {
    let mut stream = connect(own, "GET /livez HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await;
    rest(&mut stream).await
}

/// A request whose body has not come yet.
async fn hold(own: &Server) -> TcpStream {
    let head = "POST /api/users/login HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
                content-length: 10\r\n\r\n";
    let mut stream = connect(own, head).await;
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

async fn admin_answers(own: &Server) {
    assert_eq!(at(&own.admin).get("/metrics").await.status, 200);
}

/// Case H5: connections that hold half a header keep nobody out, of either port.
#[test]
fn half_headers_keep_nobody_out() {
    run(async {
        let own = start(|s| s.connections = Some(MOST)).await;
        let mut held = Vec::new();
        for _ in 0..3 * MOST {
            held.push(connect(&own, "GET /livez HTTP/1.1\r\nX: ").await);
            assert!(asked(&own).await.starts_with("HTTP/1.1 200"), "{} held", held.len());
        }
        admin_answers(&own).await;
        // The oldest were closed for the newer ones.
        assert_eq!(rest(&mut held[0]).await, "");
        own.running.stop().await;
    });
}

/// Case H5: bodies that do not come keep nobody out, of either port.
#[test]
fn held_bodies_keep_nobody_out() {
    run(async {
        let own = start(|s| s.connections = Some(MOST)).await;
        let mut held = Vec::new();
        for _ in 0..3 * MOST {
            held.push(hold(&own).await);
            assert!(asked(&own).await.starts_with("HTTP/1.1 200"), "{} held", held.len());
        }
        admin_answers(&own).await;
        assert_eq!(rest(&mut held[0]).await, "", "the oldest were closed for the newer ones");
        let mut last = held.pop().unwrap();
        last.write_all(b"0123456789").await.unwrap();
        let mut status = [0; 12];
        last.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 400", "the newest has its place");
        own.running.stop().await;
    });
}

/// Reads until so many answers have begun.
async fn answers(stream: &mut TcpStream, count: usize) {
    let mut all = Vec::new();
    while String::from_utf8_lossy(&all).matches("HTTP/1.1 200").count() < count {
        assert_ne!(stream.read_buf(&mut all).await.unwrap(), 0, "{}", String::from_utf8_lossy(&all));
    }
}

/// Case H5: requests that have come whole are closed for nobody; one connection too many is closed at once, and the admin port
/// is open.
#[test]
fn requests_under_way_are_not_closed_for_others() {
    run(async {
        let own = start(|s| (s.connections, s.redis_url) = (Some(MOST), None)).await;
        let api = owner_at(&own.base).await;
        // A job that takes half a minute, for whose end a request can wait.
        own.running.simulator().unwrap().set_fault("CLAUDE", Some(Fault::Hang));
        let ask = json!({"industry": "BAR", "region": "강원 강릉시", "objective": "SALES", "season": "SUMMER"});
        let job = api.post("/api/ai/recommendations", ask).await.is(202)["jobId"].as_str().unwrap().to_owned();
        let (idle, token, mut held) = (connect(&own, "").await, api.token.as_ref().unwrap(), Vec::new());
        for n in 0..MOST {
            // The first one ends soon. The answer before it tells that its connection was accepted.
            let wait = if n == 0 { 6 } else { 25 };
            let both = format!(
                "GET /livez HTTP/1.1\r\nhost: here\r\n\r\nGET /api/jobs/{job} HTTP/1.1\r\nhost: here\r\n\
                 authorization: Bearer {token}\r\nprefer: wait={wait}\r\n\r\n"
            );
            held.push(connect(&own, &both).await);
            answers(&mut held[n], 1).await;
        }
        admin_answers(&own).await;
        let begun = Instant::now();
        assert_eq!(asked(&own).await, "", "all places have requests under way");
        assert!(begun.elapsed() < Duration::from_secs(2), "it is told at once");
        answers(&mut held[0], 1).await;
        within(Duration::from_secs(5), "an answered one is idle and makes room", || async {
            asked(&own).await.starts_with("HTTP/1.1 200")
        })
        .await;
        drop((idle, held));
        own.running.stop().await;
    });
}

/// Case H5: headers are complete five seconds after their first byte; before it a connection may be idle for longer.
#[test]
fn headers_have_five_seconds() {
    run(async {
        let own = start(|_| {}).await;
        let mut idle = connect(&own, "").await;
        let begun = Instant::now();
        let mut slow = connect(&own, "GET /livez HTTP/1.1\r\nX: ").await;
        assert_eq!(rest(&mut slow).await, "");
        let took = begun.elapsed();
        assert!((Duration::from_secs(4)..Duration::from_secs(9)).contains(&took), "{took:?}");
        idle.write_all(b"GET /livez HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200"));
        own.running.stop().await;
    });
}
