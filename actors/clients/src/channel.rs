//! The channels an event is published to: one trait, real clients.

pub mod instagram;
pub mod kakao;
pub mod naver;
pub mod ringo_biz;
pub mod television;

use crate::error::UpstreamError;
use crate::http::{Endpoint, Http};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::channel::Channel;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// One attempt to publish (RS-04).
pub const PUBLISH_LIMIT: Duration = Duration::from_secs(10);
/// One question for statistics (RS-04).
pub const STATS_LIMIT: Duration = Duration::from_secs(10);

/// What is published.
#[derive(Clone, Debug)]
pub struct Post {
    /// The same for every attempt.
    pub request_key: Uuid,
    /// The event.
    pub event: Uuid,
    /// Its title.
    pub title: String,
    /// What it is about, with the tracking link in the text.
    pub text: String,
    /// The tracking link.
    pub link: String,
    /// Public address of a JPEG, where there is one.
    pub image_url: Option<String>,
    /// The JPEG itself, for channels that take no address.
    pub picture: Option<Bytes>,
    /// The shop.
    pub shop: String,
    /// 시도 and 시군구.
    pub region: String,
    /// When the event opens.
    pub starts_at: DateTime<Utc>,
    /// When it closes.
    pub ends_at: DateTime<Utc>,
    /// What earlier steps remembered.
    pub remote: Value,
}

/// What a channel said of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is out.
    Out {
        /// What the channel calls it.
        id: String,
        /// Where it can be seen.
        url: Option<String>,
        /// What must be remembered to take it back.
        remote: Value,
    },
    /// The channel reviews it.
    InReview {
        /// What the channel calls it.
        id: String,
    },
    /// The channel's reviewer said no.
    Refused,
    /// It was handed to the owner, who posts it.
    HandedOver {
        /// What the channel calls it.
        id: String,
        /// What the owner opens.
        url: String,
    },
}

/// Figures of a post so far; `None` where the channel does not measure them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Exposures or views.
    pub impressions: Option<i64>,
    /// Clicks.
    pub clicks: Option<i64>,
}

/// What became of taking a post back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// It is gone.
    Done,
    /// The channel has no way to do it: the owner must.
    Impossible,
}

/// The answer of a call.
pub type Answered<'a, T> = BoxFuture<'a, Result<T, UpstreamError>>;

/// A channel's API.
pub trait ChannelClient: Send + Sync {
    /// Can the provider fetch a picture from this address of ours? True where it fetches none.
    fn can_fetch(&self, _public_url: &str) -> bool {
        true
    }

    /// Is there anything to [`prepare`](Self::prepare)?
    fn prepares(&self) -> bool {
        false
    }

    /// What comes before the publish and publishes nothing. What it gives is remembered before the publish begins and
    /// handed to every later step, so that a repetition is the same post.
    fn prepare<'a>(&'a self, _post: &'a Post) -> Answered<'a, Option<Value>> {
        Box::pin(async { Ok(None) })
    }

    /// Publishes. After an `unknown-outcome` the caller asks `find`, never publishes again blindly.
    fn publish<'a>(&'a self, post: &'a Post) -> Answered<'a, Published>;

    /// Asks whether a post arrived; `None`: it did not.
    fn find<'a>(&'a self, post: &'a Post) -> Answered<'a, Option<Published>>;

    /// Takes a post back.
    fn recall<'a>(&'a self, external_id: &'a str, remote: &'a Value) -> Answered<'a, Recall>;

    /// Asks for figures.
    fn stats<'a>(&'a self, event: Uuid, external_id: &'a str) -> Answered<'a, Figures>;
}

/// The client of a channel at an endpoint.
#[must_use]
pub fn client(channel: Channel, http: Http, at: Endpoint) -> Arc<dyn ChannelClient> {
    match channel {
        Channel::WooriTv => Arc::new(television::Television::woori(http, at)),
        Channel::RingoBiz => Arc::new(ringo_biz::RingoBiz::new(http, at)),
        Channel::GenieTv => Arc::new(television::Television::genie(http, at)),
        Channel::Instagram => Arc::new(instagram::Instagram::new(http, at)),
        Channel::Naver => Arc::new(naver::Naver::new(http, at)),
        Channel::Kakao => Arc::new(kakao::Kakao::new(http, at)),
    }
}

/// The provider's own address of a channel. The KT channels publish none: theirs must be configured.
#[must_use]
pub fn default_base(channel: Channel) -> Option<&'static str> {
    match channel {
        Channel::WooriTv | Channel::RingoBiz | Channel::GenieTv => None,
        Channel::Instagram => Some("https://graph.instagram.com/v23.0"),
        Channel::Naver => Some("https://openapi.naver.com"),
        Channel::Kakao => Some("https://kapi.kakao.com"),
    }
}
