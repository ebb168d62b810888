#![doc = include_str!("../README.md")]

pub mod admission;
pub mod alarms;
pub mod ask;
pub mod breaker;
pub mod channels;
pub mod clock;
mod draw;
mod entry;
pub mod event;
pub mod events;
pub mod handles;
pub mod hub;
mod job;
mod job_updates;
pub mod jobs;
mod journal;
mod notices;
pub mod pictures;
pub mod publishing;
mod reconciler;
mod retention;
pub mod root;
mod supervise;
pub mod system;
pub mod tax_calls;
pub mod tools;
pub mod trees;
pub mod view;
pub mod vitals;
#[cfg(test)]
mod worlds;

pub use entry::{EnterError, EnterRequest, Entered};
pub use event::{Approval, DrawRequest, EventError};
pub use events::{EventHandle, Events};
pub use handles::Handles;
pub use handles::{dead, requests};
pub use hub::Hub;
pub use jobs::Jobs;
pub use root::Root;
pub use system::{Deps, System};
pub use tools::{Config, Tools, Upstreams};
