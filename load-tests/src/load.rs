//! Load: what is done, by whom, at which pace, and what became of it. The same for actors in process and for a server.

mod arrival;
mod connection;
mod driver;
mod pace;
mod recorder;

pub use connection::Connection;
pub use driver::{Actors, Driver, Http, Target};
pub use pace::{Pace, drive};
pub use recorder::{Counts, Kind, Recorder, Second};

/// One thing that somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The n-th customer enters an event.
    Enter {
        /// Which of the world's events.
        event: usize,
        /// Whose number: the phone follows from it.
        customer: u64,
    },
    /// Somebody opens an event's public page.
    Public {
        /// Which event.
        event: usize,
    },
    /// The owner reads an event's figures.
    Analytics {
        /// Which event.
        event: usize,
    },
    /// The owner lists the events.
    List,
    /// The owner reads a page of the participants.
    Participants {
        /// Which event.
        event: usize,
    },
    /// An owner makes an event with all six channels, approves it, and waits until every channel has ended.
    Journey,
    /// The server is asked whether it is ready.
    Ready,
    /// A body is posted to a route of `load-tests serve`, as [`Op::Enter`] would.
    Reference {
        /// Which route.
        route: Route,
        /// Which event.
        event: usize,
        /// Whose number.
        customer: u64,
    },
}

/// What a server could do with an entry instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Answer at once.
    Constant,
    /// `nextval` and a single INSERT.
    Insert,
    /// A transaction with a locked counter.
    Transaction,
    /// Answer an analytics body at once.
    ConstantRead,
}

impl Op {
    /// What it is called in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enter { .. } => "enter",
            Self::Public { .. } => "public page",
            Self::Analytics { .. } => "analytics",
            Self::List => "event list",
            Self::Participants { .. } => "participants",
            Self::Journey => "whole journey",
            Self::Ready => "readyz",
            Self::Reference { route: Route::Constant, .. } => "constant answer",
            Self::Reference { route: Route::Insert, .. } => "INSERT per request",
            Self::Reference { route: Route::Transaction, .. } => "transaction per request",
            Self::Reference { route: Route::ConstantRead, .. } => "constant read",
        }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done; for an entry: it is durable.
    Done,
    /// Refused because there was too much to do: 503, or its like in process. Nothing was stored.
    Refused,
    /// 503 `outcome-unknown`: it may have been stored.
    Unknown,
    /// Answered that it cannot be: the phone is in already.
    Duplicate,
    /// Anything else: another status, no answer.
    Failed,
}
