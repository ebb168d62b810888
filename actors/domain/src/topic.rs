//! Topics of the live connection, and positions in them.

use crate::ids::{DistributionId, EventId, JobId, UserId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a socket can subscribe to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// An event's dashboard, for its owner. State: the latest wins.
    Event(EventId),
    /// An event's public page. State.
    Public(String),
    /// A job's progress. Log: every update, offsets consecutive.
    Job(JobId),
    /// A publishing's progress. Log.
    Distribution(DistributionId),
    /// Notices to an owner. Log.
    Owner(UserId),
}

impl Topic {
    /// State topics are conflated, log topics never.
    #[must_use]
    pub fn is_state(&self) -> bool {
        matches!(self, Self::Event(_) | Self::Public(_))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(id) => write!(f, "event:{id}"),
            Self::Public(slug) => write!(f, "public:{slug}"),
            Self::Job(id) => write!(f, "job:{id}"),
            Self::Distribution(id) => write!(f, "distribution:{id}"),
            Self::Owner(id) => write!(f, "owner:{id}"),
        }
    }
}

/// Not the name of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a topic")]
pub struct TopicError;

impl FromStr for Topic {
    type Err = TopicError;
    fn from_str(s: &str) -> Result<Self, TopicError> {
        let (kind, id) = s.split_once(':').ok_or(TopicError)?;
        let slug = |s: &str| (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match kind {
            "event" => id.parse().map(Self::Event).map_err(|_| TopicError),
            "public" if slug(id) => Ok(Self::Public(id.to_owned())),
            "job" => id.parse().map(Self::Job).map_err(|_| TopicError),
            "distribution" => id.parse().map(Self::Distribution).map_err(|_| TopicError),
            "owner" => id.parse().map(Self::Owner).map_err(|_| TopicError),
            _ => Err(TopicError),
        }
    }
}

/// A place in a topic: positions only rise within one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Made by the first migration, and anew by a restore.
    pub epoch: String,
    /// The version of what the topic shows.
    pub offset: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_round_trip() {
        for topic in [
            Topic::Event(EventId::new()),
            Topic::Public("abc-1".into()),
            Topic::Job(JobId::new()),
            Topic::Distribution(DistributionId::new()),
            Topic::Owner(UserId::new()),
        ] {
            assert_eq!(topic.to_string().parse(), Ok(topic));
        }
        for bad in ["", "event", "event:", "event:1", "public:", "public:a b", "other:1", "public:../x"] {
            assert_eq!(bad.parse::<Topic>(), Err(TopicError), "{bad}");
        }
    }
}
