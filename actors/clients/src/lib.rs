#![doc = include_str!("../README.md")]

pub mod alarm;
pub mod channel;
pub mod error;
pub mod http;
pub mod image;
pub mod llm;
pub mod nts;
mod percent;
pub mod prompt;
pub mod reach;

pub use error::UpstreamError;
pub use http::{Endpoint, Http};

use domain::channel::Upstream;
use image::Painter;
use llm::LanguageModel;
use std::sync::Arc;

/// The language models in the order they are asked, each at its endpoint.
#[must_use]
pub fn models(http: &Http, at: impl Fn(Upstream) -> Endpoint) -> Vec<(Upstream, Arc<dyn LanguageModel>)> {
    vec![
        (Upstream::Claude, Arc::new(llm::claude::Claude::new(http.clone(), at(Upstream::Claude)))),
        (Upstream::OpenAi, Arc::new(llm::openai::OpenAi::new(http.clone(), at(Upstream::OpenAi)))),
    ]
}

/// The picture models in the order they are asked, each at its endpoint.
#[must_use]
pub fn painters(http: &Http, at: impl Fn(Upstream) -> Endpoint) -> Vec<(Upstream, Arc<dyn Painter>)> {
    let images = image::openai::OpenAiImages::new(http.clone(), at(Upstream::OpenAiImages));
    vec![
        (Upstream::Stability, Arc::new(image::stability::Stability::new(http.clone(), at(Upstream::Stability)))),
        (Upstream::OpenAiImages, Arc::new(images)),
    ]
}
