#![doc = include_str!("../README.md")]

#[cfg(all(feature = "embedded", not(unix)))]
compile_error!("the embedded database listens on a Unix socket: build without the feature `embedded`");

mod address;
pub mod audit;
pub mod cache;
pub mod canary;
pub mod clock;
pub mod crypto;
pub mod dead;
pub mod distributions;
pub mod draws;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod entries;
pub mod error;
pub mod events;
pub mod idempotency;
pub mod images;
pub mod jobs;
pub mod migrations;
pub mod notices;
pub mod objects;
pub mod offers;
pub mod private;
pub mod restore;
pub mod retention;
pub mod sessions;
pub mod sql;
pub mod stats;
pub mod store;
pub mod stores;
pub mod tally;
pub mod users;

pub use error::{Result, StorageError};
pub use store::{Conn, Store};
