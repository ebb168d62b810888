//! Sockets of strangers: a share of them, a limit for every frame, and few topics that do not exist.

use crate::support::{Api, Socket, anonymous, at, owner_at, run, start};
use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

/// Sockets of the server here: six are strangers', two are for tickets.
const MOST: usize = 8;

async fn stranger(api: &Api) -> Socket {
    let mut socket = api.raw_socket().await;
    socket.send(json!({"type": "hello"})).await;
    socket
}

/// The close code, after whatever else comes.
async fn code(socket: &mut Socket) -> u16 {
    loop {
        if let Err(code) = socket.next().await {
            return code;
        }
    }
}

/// Case M7: strangers take no place of an owner's ticket, whether they watch something or not; who watches nothing leaves first.
#[test]
fn a_ticket_gets_in_however_many_strangers_there_are() {
    run(async {
        let own = start(|s| s.sockets = MOST).await;
        let api = owner_at(&own.base).await;
        let public = at(&own.base);
        let mut flood = Vec::new();
        for _ in 0..3 * MOST {
            let mut socket = stranger(&public).await;
            socket.until("welcome").await;
            flood.push(socket);
        }
        assert_eq!(code(&mut flood[0]).await, 4429, "the oldest that watches nothing leaves");
        api.socket().await;
        let (_, slug) = api.live(json!({})).await;
        let mut watching = Vec::new();
        for _ in 0..MOST - MOST / 4 {
            let mut socket = stranger(&public).await;
            socket.until("welcome").await;
            assert_eq!(socket.subscribe(&format!("public:{slug}")).await["type"], "subscribed");
            watching.push(socket);
        }
        // Two places are for tickets: an owner's socket is open that said nothing yet, and a stranger comes.
        let ticket = api.post("/api/realtime/tickets", json!({})).await.is(201);
        let mut first = api.raw_socket().await;
        let mut another = stranger(&public).await;
        assert_eq!(code(&mut another).await, 4429, "all strangers that are here watch something");
        first.send(json!({"type": "hello", "ticket": ticket["ticket"]})).await;
        first.until("welcome").await;
        let mut second = api.socket().await;
        for socket in watching.iter_mut().chain([&mut first, &mut second]) {
            socket.send(json!({"type": "ping", "id": 7})).await;
            assert_eq!(socket.until("pong").await["id"], 7, "nobody else had to leave");
        }
        own.running.stop().await;
    });
}

/// A ticket that we did not make is refused as what it is.
#[test]
fn a_made_up_ticket_is_nobody_s() {
    run(async {
        for made_up in [String::new(), "AAAA".into(), "A".repeat(75)] {
            let mut socket = anonymous().raw_socket().await;
            socket.send(json!({"type": "hello", "ticket": made_up})).await;
            assert_eq!(code(&mut socket).await, 4401, "{made_up:?}");
        }
    });
}

/// A socket without a ticket keeps 4 KiB of a message that does not end, before its hello and after it.
#[test]
fn strangers_say_little() {
    run(async {
        for greeted in [true, false] {
            let mut socket = if greeted { stranger(&anonymous()).await } else { anonymous().raw_socket().await };
            let long = json!({"type": if greeted { "ping" } else { "hello" }, "id": "x".repeat(4_096)});
            socket.send(long).await;
            assert_eq!(code(&mut socket).await, 4400, "{greeted}");
        }
        let mut socket = stranger(&anonymous()).await;
        socket.until("welcome").await;
        let id = json!("x".repeat(4_000));
        socket.send(json!({"type": "ping", "id": id})).await;
        assert_eq!(socket.until("pong").await["id"], id);
    });
}

/// Low list: frames that are no messages have the limit of messages, before the hello too.
#[test]
fn every_frame_counts() {
    run(async {
        let frame = |n: u8| match n {
            0 => Message::Pong(vec![1].into()),
            _ => Message::Ping(vec![1].into()),
        };
        for kind in 0..2 {
            for greeted in [true, false] {
                let mut socket = if greeted { stranger(&anonymous()).await } else { anonymous().raw_socket().await };
                // It is closed meanwhile.
                for _ in 0..200 {
                    if socket.0.send(frame(kind)).await.is_err() {
                        break;
                    }
                }
                assert_eq!(code(&mut socket).await, 4429, "{kind} {greeted}");
            }
        }
    });
}

/// Low list: a stranger asks for few topics that do not exist; one that exists costs nothing of that.
#[test]
fn a_stranger_guesses_few_topics() {
    run(async {
        let own = start(|s| s.messages_per_second = 1_000).await;
        let mut socket = stranger(&at(&own.base)).await;
        socket.until("welcome").await;
        let mut refused = 0;
        let closed = loop {
            socket.send(json!({"type": "subscribe", "id": 1, "topic": format!("public:nothing{refused}")})).await;
            match socket.next().await {
                Ok(answer) => assert_eq!(answer["code"], "topic-forbidden"),
                Err(code) => break code,
            }
            refused += 1;
        };
        assert_eq!(closed, 4429);
        assert!((20..=22).contains(&refused), "{refused}");
        own.running.stop().await;
    });
}

/// A user asks for topics that do not exist, or are not theirs, as often as for anything else.
#[test]
fn a_user_guesses_as_many_topics_as_requests() {
    run(async {
        let own = start(|s| (s.requests_per_minute, s.messages_per_second) = (10, 1_000)).await;
        let mut socket = owner_at(&own.base).await.socket().await;
        let mut refused = 0;
        let closed = loop {
            let topic = format!("job:{}", domain::ids::JobId::new());
            socket.send(json!({"type": "subscribe", "id": 1, "topic": topic})).await;
            match socket.next().await {
                Ok(answer) => assert_eq!(answer["code"], "topic-forbidden"),
                Err(code) => break code,
            }
            refused += 1;
        };
        assert_eq!(closed, 4429);
        // The ticket was a request too.
        assert!((8..=10).contains(&refused), "{refused}");
        own.running.stop().await;
    });
}
