#![doc = include_str!("../README.md")]

pub mod channel;
pub mod claude;
pub mod error;
pub mod http;
pub mod nts;
pub mod prompt;
pub mod stability;

pub use error::UpstreamError;
pub use http::{Endpoint, Http};
