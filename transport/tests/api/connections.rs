//! Connections of the public port: a cap, the idle ones closed first, headers within five seconds, and an admin port of its own.

use crate::support::{Server, at, run, start};
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

/// A request whose body never comes; it is under way when this returns.
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

/// Case H5: requests under way are closed for nobody; one connection too many is closed at once, and the admin port is open.
#[test]
fn requests_under_way_are_not_closed_for_others() {
    run(async {
        let own = start(|s| s.connections = Some(MOST)).await;
        let idle = connect(&own, "").await;
        let mut held = Vec::new();
        for _ in 0..MOST {
            held.push(hold(&own).await);
        }
        let begun = Instant::now();
        assert_eq!(asked(&own).await, "", "all places have requests under way");
        assert!(begun.elapsed() < Duration::from_secs(5), "it is told at once");
        admin_answers(&own).await;
        let mut first = held.remove(0);
        first.write_all(b"0123456789").await.unwrap();
        let mut status = [0; 12];
        first.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 400", "its place was kept");
        assert!(asked(&own).await.starts_with("HTTP/1.1 200"), "an answered one is idle and makes room");
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
