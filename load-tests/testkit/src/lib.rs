#![doc = include_str!("../README.md")]

mod database;
mod system;
pub mod wire;

pub use database::Database;
pub use system::{TestSystem, business_number, form, ready_event};
