//! OpenAI images: `POST /v1/images/generations`; GPT image models always answer base64.

use super::{Drawn, LIMIT, Painter, is_png};
use crate::error::{UpstreamError, openai_failure};
use crate::http::{Answer, Endpoint, Http, IMAGE_CAP};
use base64::Engine;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

/// The provider's own address.
pub const BASE: &str = "https://api.openai.com";
/// The model asked.
pub const MODEL: &str = "gpt-image-1";
/// What one picture costs, in hundredths of a won: medium quality at 0.042 US dollars and 1,400 won.
pub const COST_CENTIWON: i64 = 5_880;

#[derive(Deserialize)]
struct Generated {
    data: Vec<Datum>,
}

#[derive(Deserialize)]
struct Datum {
    b64_json: String,
}

/// The client.
#[derive(Clone, Debug)]
pub struct OpenAiImages {
    http: Http,
    at: Endpoint,
}

impl OpenAiImages {
    /// A client of the service at an endpoint.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        Self { http, at }
    }
}

impl Painter for OpenAiImages {
    fn draw<'a>(&'a self, prompt: &'a str, negative: &'a str, _: u32) -> BoxFuture<'a, Result<Drawn, UpstreamError>> {
        Box::pin(async move {
            let prompt = format!("{prompt}. Avoid: {negative}");
            let body = json!({"model": MODEL, "prompt": prompt, "n": 1, "size": "1024x1024", "quality": "medium", "output_format": "png"});
            let url = format!("{}/v1/images/generations", self.at.base);
            let request = self.http.client().post(url).bearer_auth(&self.at.key).json(&body);
            decode(&self.http.send(request, LIMIT, IMAGE_CAP).await?)
        })
    }
}

/// Reads an answer of `/v1/images/generations`.
///
/// # Errors
/// By class.
pub fn decode(answer: &Answer) -> Result<Drawn, UpstreamError> {
    if !(200..300).contains(&answer.status) {
        return Err(openai_failure(answer));
    }
    let generated: Generated = answer.json()?;
    let Some(datum) = generated.data.first() else { return Err(UpstreamError::garbage("no picture")) };
    let png = base64::engine::general_purpose::STANDARD.decode(&datum.b64_json);
    match png {
        Ok(png) if is_png(&png) => Ok(Drawn { png: Bytes::from(png), cost_centiwon: COST_CENTIWON }),
        _ => Err(UpstreamError::garbage("not a PNG")),
    }
}
