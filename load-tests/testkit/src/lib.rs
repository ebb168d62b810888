#![doc = include_str!("../README.md")]

mod database;
mod skip;
mod system;
pub mod texts;
pub mod wire;

pub use database::Database;
pub use skip::{has_font, skipped};
pub use system::{TestSystem, business_number, form, ready_event};
