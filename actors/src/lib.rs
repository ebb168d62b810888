#![doc = include_str!("../README.md")]

pub mod admission;
pub mod alarms;
pub mod ask;
pub mod breaker;
pub mod channels;
pub mod dead;
mod draw;
mod entry;
pub mod event;
pub mod events;
pub mod hub;
mod job;
pub mod jobs;
mod journal;
mod notices;
pub mod pictures;
pub mod publishing;
mod reconciler;
pub mod requests;
mod retention;
pub mod root;
mod supervise;
pub mod system;
pub mod tax_calls;
pub mod trees;
pub mod view;
pub mod vitals;
#[cfg(test)]
mod worlds;

pub use entry::{EnterError, EnterRequest, Entered};
pub use event::{Approval, DrawRequest, EventError};
pub use events::{EventHandle, Events};
pub use hub::Hub;
pub use jobs::Jobs;
pub use root::Root;
pub use system::{Config, Deps, Handles, System, Upstreams};
