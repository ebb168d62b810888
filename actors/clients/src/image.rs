//! Picture models: one trait, real clients.

pub mod openai;
pub mod stability;

use crate::error::UpstreamError;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::time::Duration;

/// One attempt (RS-04).
pub const LIMIT: Duration = Duration::from_secs(20);

/// A drawn picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// A square PNG.
    pub png: Bytes,
    /// What it cost, in hundredths of a won.
    pub cost_centiwon: i64,
}

/// A picture model's API.
pub trait Painter: Send + Sync {
    /// Draws a square picture without text. By class: moderation is `refused`, bytes that are no PNG are `transient`.
    fn draw<'a>(&'a self, prompt: &'a str, negative: &'a str, seed: u32)
    -> BoxFuture<'a, Result<Drawn, UpstreamError>>;
}

/// Signature and last chunk: a picture that was cut off is none.
pub(crate) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82")
}
