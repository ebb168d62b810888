//! Stability AI: `POST /v2beta/stable-image/generate/core`, multipart in, picture out.

use crate::error::UpstreamError;
use crate::http::{Endpoint, Http, IMAGE_CAP};
use bytes::Bytes;
use domain::distribution::ErrorClass;
use reqwest::multipart::Form;
use std::time::Duration;

/// The provider's own address.
pub const BASE: &str = "https://api.stability.ai";
/// One attempt (RS-04).
pub const LIMIT: Duration = Duration::from_secs(20);
/// What one picture costs, in hundredths of a won: 3 credits of 0.01 US dollars at 1,400 won.
pub const COST_CENTIWON: i64 = 4_200;

/// The client.
#[derive(Clone, Debug)]
pub struct Stability {
    http: Http,
    at: Endpoint,
}

impl Stability {
    /// A client of the service at an endpoint.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        Self { http, at }
    }

    /// Draws a square picture, as PNG.
    ///
    /// # Errors
    /// By class; moderation is `refused`; bytes that are no PNG are transient.
    pub async fn draw(&self, prompt: &str, negative: &str, seed: u32) -> Result<Bytes, UpstreamError> {
        let form = Form::new()
            .text("prompt", prompt.to_owned())
            .text("negative_prompt", negative.to_owned())
            .text("aspect_ratio", "1:1")
            .text("seed", seed.to_string())
            .text("output_format", "png");
        let request = self
            .http
            .client()
            .post(format!("{}/v2beta/stable-image/generate/core", self.at.base))
            .bearer_auth(&self.at.key)
            .header("accept", "image/*")
            .multipart(form);
        let answer = self.http.send(request, LIMIT, IMAGE_CAP).await?;
        if answer.status == 403 {
            return Err(UpstreamError::new(ErrorClass::Refused, "moderation"));
        }
        let answer = answer.ok()?;
        if !answer.body.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Err(UpstreamError::garbage("not a PNG"));
        }
        Ok(answer.body)
    }
}
