//! What drives the load: the handles of actors in this process, or a connection to a server.

use super::{Connection, Op, Outcome, Route};
use actors::{EnterError, Handles};
use domain::ids::EventId;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// What is driven, shared by all drivers.
#[derive(Clone)]
pub enum Target {
    /// Actors in this process.
    Actors(Arc<Actors>),
    /// A server.
    Http(Arc<Http>),
}

/// Actors and the events they are asked about.
pub struct Actors {
    /// Their handles.
    pub handles: Handles,
    /// Live events.
    pub events: Vec<EventId>,
}

/// A server, its live events and their owner's token.
pub struct Http {
    /// `host:port`.
    pub address: String,
    /// Id and slug of each event.
    pub events: Vec<(String, String)>,
    /// The owner's access token.
    pub token: String,
    /// The owner, for whole journeys.
    pub owner: Option<crate::api::Owner>,
}

/// One of those who act, one thing at a time.
pub enum Driver {
    /// In process.
    Actors(Arc<Actors>),
    /// Over a connection of its own, with a buffer for requests.
    Http(Arc<Http>, Box<Connection>, Vec<u8>),
}

impl Target {
    /// One more who acts on it.
    #[must_use]
    pub fn driver(&self) -> Driver {
        match self {
            Self::Actors(actors) => Driver::Actors(actors.clone()),
            Self::Http(http) => {
                Driver::Http(http.clone(), Box::new(Connection::to(&http.address)), Vec::with_capacity(512))
            }
        }
    }
}

impl Driver {
    /// Connects ahead of what it does, and has it known when answers arrive. What fails is tried again then.
    pub async fn open(&mut self) {
        if let Self::Http(_, connection, _) = self {
            connection.note_arrivals();
            let _ = connection.open().await;
        }
    }

    /// For how long the last answer had been there when it was read, as far as it is known.
    #[must_use]
    pub fn lay(&self) -> Duration {
        match self {
            Self::Actors(_) => Duration::ZERO,
            Self::Http(_, connection, _) => connection.lay(),
        }
    }

    /// Does it.
    pub async fn perform(&mut self, op: Op) -> Outcome {
        match self {
            Self::Actors(actors) => ask(actors, op).await,
            // In a box: it is far larger than anything else here.
            Self::Http(http, _, _) if op == Op::Journey => Box::pin(journey(http)).await,
            Self::Http(http, connection, request) => {
                write(http, op, request);
                let Ok(answer) = connection.send(request).await else { return Outcome::Failed };
                match answer.status {
                    200..=299 => Outcome::Done,
                    503 if says(connection.body(&answer), b"outcome-unknown") => Outcome::Unknown,
                    503 => Outcome::Refused,
                    409 => Outcome::Duplicate,
                    _ => Outcome::Failed,
                }
            }
        }
    }
}

fn says(body: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(body, word).is_some()
}

/// As an owner does it, each step when the one before it is done.
async fn journey(http: &Http) -> Outcome {
    let Some(owner) = &http.owner else { return Outcome::Failed };
    let made = async {
        let channels = ["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "INSTAGRAM", "NAVER", "KAKAO"];
        let (event, _) = owner.ready(&channels).await?;
        let distribution = owner.approve(event["id"].as_str().ok_or("no id")?).await?;
        owner.ended(&distribution).await
    };
    match made.await {
        Ok(d) if d["status"] == "completed" => Outcome::Done,
        Ok(_) | Err(_) => Outcome::Failed,
    }
}

async fn ask(actors: &Actors, op: Op) -> Outcome {
    let of = |event: usize| actors.handles.events.get(actors.events[event]);
    let done = |ok: bool| if ok { Outcome::Done } else { Outcome::Failed };
    match op {
        Op::Enter { event, customer } => match of(event).enter(testkit::form(customer as usize)).await {
            Ok(_) => Outcome::Done,
            Err(EnterError::AlreadyEntered) => Outcome::Duplicate,
            Err(EnterError::Overloaded) => Outcome::Refused,
            Err(EnterError::OutcomeUnknown) => Outcome::Unknown,
            Err(_) => Outcome::Failed,
        },
        Op::Public { event } => done(of(event).public().await.is_ok()),
        Op::Analytics { event } => done(of(event).analytics().await.is_ok()),
        Op::Participants { event } => {
            let id = actors.events[event];
            let store = &actors.handles.tools().store;
            let page = store.run(async move |c| storage::entries::page(c, id, None, None, 0, 21).await).await;
            done(page.is_ok())
        }
        // Only a server has these.
        Op::List | Op::Journey | Op::Ready | Op::Reference { .. } => Outcome::Failed,
    }
}

/// Puts the request of an operation into a buffer.
fn write(http: &Http, op: Op, out: &mut Vec<u8>) {
    out.clear();
    let (id, slug) = match op {
        Op::Enter { event, .. }
        | Op::Public { event }
        | Op::Analytics { event }
        | Op::Participants { event }
        | Op::Reference { event, .. } => (http.events[event].0.as_str(), http.events[event].1.as_str()),
        Op::List | Op::Journey | Op::Ready => ("", ""),
    };
    let get = |out: &mut Vec<u8>, path: std::fmt::Arguments<'_>, token: &str| {
        let _ = write!(out, "GET {path} HTTP/1.1\r\nhost: {}\r\n", http.address);
        if !token.is_empty() {
            let _ = write!(out, "authorization: Bearer {token}\r\n");
        }
        out.extend_from_slice(b"\r\n");
    };
    match op {
        Op::Enter { customer, .. } => {
            post(http, out, format_args!("/api/participation/events/{slug}/entries"), customer);
        }
        Op::Reference { route: Route::Constant, customer, .. } => {
            post(http, out, format_args!("/reference/constant"), customer);
        }
        Op::Reference { route: Route::Insert, customer, .. } => {
            post(http, out, format_args!("/reference/insert/{id}"), customer);
        }
        Op::Reference { route: Route::Transaction, customer, .. } => {
            post(http, out, format_args!("/reference/transaction/{id}"), customer);
        }
        Op::Reference { route: Route::ConstantRead, .. } => get(out, format_args!("/reference/constant"), &http.token),
        Op::Public { .. } => get(out, format_args!("/api/participation/events/{slug}"), ""),
        Op::Analytics { .. } => get(out, format_args!("/api/events/{id}/analytics"), &http.token),
        Op::Participants { .. } => get(out, format_args!("/api/events/{id}/participants"), &http.token),
        Op::List => get(out, format_args!("/api/events"), &http.token),
        Op::Journey | Op::Ready => get(out, format_args!("/readyz"), ""),
    }
}

/// The entry of a customer: eight digits after 010.
fn post(http: &Http, out: &mut Vec<u8>, path: std::fmt::Arguments<'_>, customer: u64) {
    const BODY: usize = r#"{"name":"김손님","phone":"01000000000","consents":{"privacy":true},"channel":"QR"}"#.len();
    let _ = write!(
        out,
        "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {BODY}\r\n\r\n\
         {{\"name\":\"김손님\",\"phone\":\"010{customer:08}\",\"consents\":{{\"privacy\":true}},\"channel\":\"QR\"}}",
        http.address
    );
}
