//! Publishing to one channel as a state machine, and what a distribution's channels add up to.

use crate::channel::{Channel, Mode, codes};
use serde::{Deserialize, Serialize};
use std::time::Duration;

codes! {
    /// Where the publishing to one channel is.
    PublicationStatus {
        /// Waiting for its turn.
        Queued = "queued",
        /// The call is under way; this was recorded before it began.
        Publishing = "publishing",
        /// The last attempt failed; another will follow.
        Retrying = "retrying",
        /// The channel has it and reviews it.
        AwaitingReview = "awaiting-review",
        /// It is out.
        Published = "published",
        /// Prepared; the owner posts it.
        Assisted = "assisted",
        /// Left out, with a notice.
        Skipped = "skipped",
        /// Nobody knows whether it is out.
        Unknown = "unknown",
        /// Refused, or all attempts used.
        Failed = "failed",
        /// Taken back.
        Recalled = "recalled",
    }
}

impl PublicationStatus {
    /// Still being worked on.
    #[must_use]
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Queued | Self::Publishing | Self::Retrying)
    }

    /// Called off: is nothing left to take back? What cannot be says so, with an error of ours ([`ChannelError::left_up`]).
    #[must_use]
    pub fn is_back(self, error: Option<&ChannelError>) -> bool {
        match self {
            Self::Recalled | Self::Skipped | Self::Failed => true,
            Self::Published | Self::AwaitingReview | Self::Unknown => {
                error.is_some_and(|e| e.class == ErrorClass::Caller)
            }
            Self::Queued | Self::Publishing | Self::Retrying | Self::Assisted => false,
        }
    }

    /// May the owner ask for another try? `unknown` needs `confirm` where the channel cannot be asked.
    #[must_use]
    pub fn may_retry(self, channel: Channel) -> bool {
        matches!(self, Self::Failed | Self::Skipped) || (self == Self::Unknown && channel.can_be_asked())
    }
}

codes! {
    /// What a distribution's channels add up to.
    DistributionStatus {
        /// At least one channel is being worked on.
        Publishing = "publishing",
        /// Every channel is out, with its reviewer, or with the owner.
        Completed = "completed",
        /// Some are, some are not.
        Partial = "partial",
        /// None is.
        Failed = "failed",
        /// Taken back, as far as that can be done.
        Recalled = "recalled",
    }
}

/// What the channels add up to. `recalled`: the owner called the event off, and nothing is left to take back.
#[must_use]
pub fn overall(channels: &[PublicationStatus], recalled: bool) -> DistributionStatus {
    use PublicationStatus as P;
    if channels.iter().any(|s| s.is_pending()) {
        return DistributionStatus::Publishing;
    }
    if recalled {
        return DistributionStatus::Recalled;
    }
    let out = |s: &&P| matches!(s, P::Published | P::AwaitingReview | P::Assisted);
    match (channels.iter().filter(out).count(), channels.len()) {
        (n, all) if n == all => DistributionStatus::Completed,
        // What nobody knows about may be out.
        (0, _) if !channels.contains(&P::Unknown) => DistributionStatus::Failed,
        _ => DistributionStatus::Partial,
    }
}

codes! {
    /// What kind of failure an upstream's answer is (what a breaker and a retry make of it is in `ErrorClass`'s methods).
    ErrorClass {
        /// Timeout, connection, 5xx.
        Transient = "transient",
        /// 429 and its like.
        Throttled = "throttled",
        /// A key or token is not accepted.
        Auth = "auth",
        /// We asked for something it does not take.
        Caller = "caller",
        /// A quota or a bill.
        Quota = "quota",
        /// It will not publish or draw this.
        Refused = "refused",
        /// It may have happened.
        UnknownOutcome = "unknown-outcome",
        /// The breaker is open: nothing was sent.
        Unavailable = "unavailable",
    }
}

impl ErrorClass {
    /// Does it count against the upstream's breaker? `None`: it says nothing either way.
    #[must_use]
    pub fn counts_as_failure(self) -> Option<bool> {
        match self {
            Self::Transient | Self::UnknownOutcome => Some(true),
            Self::Caller => Some(false),
            Self::Throttled | Self::Auth | Self::Quota | Self::Refused | Self::Unavailable => None,
        }
    }

    /// May the same call be made again by itself?
    #[must_use]
    pub fn may_retry(self) -> bool {
        matches!(self, Self::Transient | Self::Throttled | Self::Unavailable)
    }
}

/// An upstream's failure, in words for the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelError {
    /// The class.
    pub class: ErrorClass,
    /// What happened and what the owner can do.
    pub message_ko: String,
    /// The same in English.
    pub message_en: String,
}

impl ChannelError {
    /// The sentence for a class on a channel.
    #[must_use]
    pub fn of(class: ErrorClass, channel: Channel) -> Self {
        let name = channel.ko();
        let (ko, en) = match class {
            ErrorClass::Transient => (
                format!("{name}이(가) 응답하지 않아요. 잠시 뒤 '다시 시도'를 눌러 주세요."),
                "The channel does not answer. Try again in a moment.",
            ),
            ErrorClass::Throttled => (
                format!("{name} 요청 한도에 걸렸어요. 몇 분 뒤 다시 시도해 주세요."),
                "The channel's request limit was reached. Try again in a few minutes.",
            ),
            ErrorClass::Auth => (
                format!("{name} 연결이 만료됐어요. 운영자에게 알리고, 다시 연결되면 '다시 시도'를 눌러 주세요."),
                "The connection to the channel expired. Tell the operator, and try again once it is back.",
            ),
            ErrorClass::Caller => (
                format!(
                    "{name}이(가) 내용을 받아 주지 않았어요. 링크를 직접 올리거나, 이벤트를 복제해 내용을 고쳐 주세요."
                ),
                "The channel did not accept the content. Post the link yourself, or change a copy of the event.",
            ),
            ErrorClass::Quota => (
                format!("{name} 이용 한도를 모두 썼어요. 내일 다시 시도하거나 한도를 늘려 주세요."),
                "The channel's quota is used up. Try tomorrow or raise it.",
            ),
            ErrorClass::Refused => (
                format!(
                    "{name}이(가) 게시를 거절했어요. 링크를 직접 올리거나, 이벤트를 복제해 문구와 이미지를 바꿔 주세요."
                ),
                "The channel refused the post. Post the link yourself, or change text and picture in a copy of the event.",
            ),
            ErrorClass::UnknownOutcome => (
                format!("{name}에 게시되었는지 알 수 없어요. 직접 확인한 뒤 알려 주세요."),
                "Nobody knows whether this was posted. Look, then tell us.",
            ),
            ErrorClass::Unavailable => (
                format!("{name}에 장애가 있어 이번에는 건너뛰었어요. 복구되면 '다시 시도'를 눌러 주세요."),
                "The channel is down and was skipped. Try again once it is back.",
            ),
        };
        Self { class, message_ko: ko, message_en: en.to_owned() }
    }
}

impl ChannelError {
    /// The channel was switched off when its event was approved.
    #[must_use]
    pub fn off(channel: Channel) -> Self {
        Self {
            class: ErrorClass::Unavailable,
            message_ko: format!("{}은(는) 꺼져 있어 건너뛰었어요. 링크와 QR 코드로 알려 주세요.", channel.ko()),
            message_en: "The channel is switched off and was skipped. Share the link and the QR code.".into(),
        }
    }

    /// It was called off and cannot be taken back.
    #[must_use]
    pub fn left_up(channel: Channel) -> Self {
        Self {
            class: ErrorClass::Caller,
            message_ko: format!("{} 게시물은 자동으로 내릴 수 없어 남아 있어요. 직접 삭제해 주세요.", channel.ko()),
            message_en: "This post cannot be taken back automatically and is still there. Please delete it.".into(),
        }
    }

    /// Its event was over before it could be published.
    #[must_use]
    pub fn too_late(channel: Channel) -> Self {
        Self {
            class: ErrorClass::Caller,
            message_ko: format!(
                "이벤트가 끝나 {}에 게시하지 않았어요. 올린 소식이 있는지 확인해 주세요.",
                channel.ko()
            ),
            message_en: "The event was over, so nothing was posted here.".into(),
        }
    }
}

/// Calls of one publication: the first and up to three more (RS-03).
pub const MAX_CALLS: i32 = 4;

/// The longest that a call waits to be made again because an upstream asked for it.
pub const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// What follows from an attempt's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// It ended in this status.
    Settle(PublicationStatus),
    /// Try again after this long.
    RetryAfter(Duration),
    /// Ask the channel whether it happened.
    Ask,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is out.
    Published,
    /// The channel reviews it.
    InReview,
    /// It was handed to the owner, who posts it.
    HandedOver,
    /// It failed so.
    Failed {
        /// The class.
        class: ErrorClass,
        /// What the channel said about when to come back.
        retry_after: Option<Duration>,
    },
    /// Asked, the channel says that it never arrived.
    NotThere,
    /// Asked again and again, the channel says nothing.
    NobodyKnows,
}

/// Decides what follows from an attempt. `calls` counts this one; `jitter` in 0..1.
#[must_use]
pub fn next(channel: Channel, outcome: Outcome, calls: i32, jitter: f64) -> NextStep {
    use PublicationStatus as P;
    let again = |at_least: Option<Duration>| {
        if calls >= MAX_CALLS {
            return None;
        }
        // After 1, 2, 4 s with full jitter, but never sooner than the channel asked for.
        let full = Duration::from_secs(1 << (calls.clamp(1, 3) - 1)).mul_f64(jitter.clamp(0.05, 1.0));
        // Whoever asks for more than a minute is not asked again by itself.
        at_least
            .is_none_or(|a| a <= MOST_PATIENCE)
            .then(|| NextStep::RetryAfter(at_least.map_or(full, |a| full.max(a))))
    };
    match outcome {
        Outcome::Published => NextStep::Settle(P::Published),
        Outcome::InReview => NextStep::Settle(P::AwaitingReview),
        Outcome::HandedOver => NextStep::Settle(P::Assisted),
        Outcome::NobodyKnows => NextStep::Settle(P::Unknown),
        Outcome::NotThere => again(None).unwrap_or(NextStep::Settle(P::Failed)),
        Outcome::Failed { class: ErrorClass::UnknownOutcome, .. } => {
            if channel.can_be_asked() {
                NextStep::Ask
            } else {
                NextStep::Settle(P::Unknown)
            }
        }
        Outcome::Failed { class: ErrorClass::Unavailable, .. } => NextStep::Settle(P::Skipped),
        Outcome::Failed { class, retry_after } if class.may_retry() => {
            again(retry_after).unwrap_or(NextStep::Settle(P::Failed))
        }
        Outcome::Failed { .. } => NextStep::Settle(P::Failed),
    }
}

/// What a publication found in the middle after a restart must do first: a call that was under way may have happened.
#[must_use]
pub fn on_recovery(channel: Channel, status: PublicationStatus, mode: Mode) -> Option<NextStep> {
    let asks = if channel.can_be_asked() { NextStep::Ask } else { NextStep::Settle(PublicationStatus::Unknown) };
    match (status, mode) {
        (_, Mode::Assisted | Mode::Off) => None,
        (PublicationStatus::Publishing | PublicationStatus::Unknown, _) => Some(asks),
        (PublicationStatus::Queued | PublicationStatus::Retrying, _) => Some(NextStep::RetryAfter(Duration::ZERO)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PublicationStatus as P;
    use proptest::prelude::*;

    #[test]
    fn what_channels_add_up_to() {
        for (channels, recalled, all) in [
            (vec![P::Published, P::Assisted, P::AwaitingReview], false, DistributionStatus::Completed),
            (vec![P::Published, P::Failed], false, DistributionStatus::Partial),
            (vec![P::Skipped, P::Failed], false, DistributionStatus::Failed),
            // What nobody knows about may be out.
            (vec![P::Skipped, P::Unknown], false, DistributionStatus::Partial),
            (vec![P::Published, P::Retrying], false, DistributionStatus::Publishing),
            (vec![P::Recalled, P::Published], true, DistributionStatus::Recalled),
        ] {
            assert_eq!(overall(&channels, recalled), all);
        }
    }

    #[test]
    fn called_off_is_what_is_gone_or_says_that_it_stays() {
        let stays = ChannelError::left_up(Channel::Kakao);
        let unknown = ChannelError::of(ErrorClass::UnknownOutcome, Channel::Naver);
        for (status, error, back) in [
            (P::Recalled, None, true),
            (P::Failed, Some(&unknown), true),
            (P::Published, None, false),
            (P::Published, Some(&stays), true),
            (P::Unknown, Some(&unknown), false),
            (P::Unknown, Some(&stays), true),
            (P::Assisted, None, false),
            (P::Retrying, Some(&stays), false),
        ] {
            assert_eq!(status.is_back(error), back, "{status} {error:?}");
        }
    }

    #[test]
    fn an_unknown_outcome_is_never_tried_again_blindly() {
        let unknown = Outcome::Failed { class: ErrorClass::UnknownOutcome, retry_after: None };
        for channel in Channel::ALL {
            match next(*channel, unknown, 1, 0.5) {
                NextStep::Ask => assert!(channel.can_be_asked()),
                NextStep::Settle(P::Unknown) => assert_eq!(*channel, Channel::Naver),
                other => panic!("{channel}: {other:?}"),
            }
            let recovered = on_recovery(*channel, P::Publishing, Mode::Live);
            assert_ne!(recovered, Some(NextStep::RetryAfter(Duration::ZERO)));
        }
    }

    proptest! {
        #[test]
        fn retries_end_and_honour_what_the_channel_asked(class in 0usize..8, after in prop::option::of(0u64..500), jitter in 0f64..1.0, calls in 1i32..8) {
            let class = ErrorClass::ALL[class];
            let retry_after = after.map(Duration::from_secs);
            match next(Channel::WooriTv, Outcome::Failed { class, retry_after }, calls, jitter) {
                NextStep::RetryAfter(wait) => {
                    prop_assert!(calls < MAX_CALLS && class.may_retry());
                    prop_assert!(wait <= MOST_PATIENCE);
                    prop_assert!(wait >= retry_after.unwrap_or_default(), "never sooner than asked for");
                }
                NextStep::Settle(status) => prop_assert!(!status.is_pending()),
                NextStep::Ask => prop_assert_eq!(class, ErrorClass::UnknownOutcome),
            }
        }
    }
}
