//! Stability AI: `POST /v2beta/stable-image/generate/core`, multipart in, picture out.

use super::{Drawn, LIMIT, Painter, is_png};
use crate::error::UpstreamError;
use crate::http::{Answer, Endpoint, Http, IMAGE_CAP};
use domain::distribution::ErrorClass;
use futures_util::future::BoxFuture;
use reqwest::multipart::Form;

/// The provider's own address.
pub const BASE: &str = "https://api.stability.ai";
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
}

impl Painter for Stability {
    fn draw<'a>(
        &'a self,
        prompt: &'a str,
        negative: &'a str,
        seed: u32,
    ) -> BoxFuture<'a, Result<Drawn, UpstreamError>> {
        Box::pin(async move {
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
            decode(&self.http.send(request, LIMIT, IMAGE_CAP).await?)
        })
    }
}

/// Reads an answer of `/v2beta/stable-image/generate/core`.
///
/// # Errors
/// By class; moderation is `refused`.
pub fn decode(answer: &Answer) -> Result<Drawn, UpstreamError> {
    if answer.status == 403 {
        return Err(UpstreamError::new(ErrorClass::Refused, "moderation"));
    }
    let answer = answer.clone().ok()?;
    if !is_png(&answer.body) {
        return Err(UpstreamError::garbage("not a PNG"));
    }
    Ok(Drawn { png: answer.body, cost_centiwon: COST_CENTIWON })
}
