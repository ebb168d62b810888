//! Publishing to one channel as a state machine, and what a distribution's channels add up to.

use crate::channel::{Channel, Mode, codes};
use crate::ids::{DistributionId, EventId, UserId};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

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

/// One channel of a distribution.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Which channel.
    pub channel: Channel,
    /// Its mode then.
    pub mode: Mode,
    /// Where it is.
    pub status: PublicationStatus,
    /// The same for every attempt.
    pub request_key: Uuid,
    /// Calls since the owner last asked for it.
    pub calls: i32,
    /// Calls in all.
    pub attempts: i32,
    /// What the channel calls it.
    pub external_id: Option<String>,
    /// Where it can be seen, or the prepared link.
    pub url: Option<String>,
    /// The last failure.
    pub error: Option<ChannelError>,
    /// What the client remembers between calls.
    pub remote: Value,
}

/// A distribution with its channels, in the order of the API.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Its id.
    pub id: DistributionId,
    /// Which event.
    pub event: EventId,
    /// Whose.
    pub owner: UserId,
    /// Called off.
    pub recalling: bool,
    /// ETag and offset of the topic.
    pub version: i64,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// The channels.
    pub publications: Vec<Publication>,
}

impl Distribution {
    /// What the channels add up to.
    #[must_use]
    pub fn status(&self) -> DistributionStatus {
        let statuses: Vec<_> = self.publications.iter().map(|p| p.status).collect();
        overall(&statuses, self.recalling && self.publications.iter().all(|p| p.status.is_back(p.error.as_ref())))
    }

    /// One channel.
    #[must_use]
    pub fn publication(&self, channel: Channel) -> Option<&Publication> {
        self.publications.iter().find(|p| p.channel == channel)
    }
}

/// Calls of one publication: the first and up to three more (RS-03).
pub const MAX_CALLS: i32 = 4;

/// The longest that a call waits to be made again because an upstream asked for it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How long a post that a channel reviews is left alone before the next question.
pub const REVIEW_INTERVAL: Duration = Duration::from_secs(5);
/// How long a post of which nothing is known is left alone before the next round of questions.
pub const ASK_AGAIN_INTERVAL: Duration = Duration::from_secs(30);

/// What a runner does next with a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Record `retrying`, wait this long, then call.
    CallAfter(Duration),
    /// Ask the channel whether the post arrived. The row stays as it is: recovery asks too.
    Ask,
    /// Record this; the run ends with it.
    End(Ending),
}

/// What is recorded when a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The new status.
    pub status: PublicationStatus,
    /// What the owner is told; always there when the status is a failure.
    pub reason: Option<Reason>,
    /// When the channel is asked again by itself.
    pub look_again_in: Option<Duration>,
}

/// Why a publication ended as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The channel failed so.
    Class(ErrorClass),
    /// The event was over first.
    TooLate,
}

impl Reason {
    /// Returns the words for the owner.
    #[must_use]
    pub fn error(self, channel: Channel) -> ChannelError {
        match self {
            Self::Class(class) => ChannelError::of(class, channel),
            Self::TooLate => ChannelError::too_late(channel),
        }
    }
}

impl Ending {
    fn of(status: PublicationStatus) -> Self {
        Self { status, reason: None, look_again_in: None }
    }

    fn because(status: PublicationStatus, reason: Reason) -> Self {
        Self { reason: Some(reason), ..Self::of(status) }
    }

    /// Returns the end of a run that used up its calls, its time or its retries.
    #[must_use]
    pub fn failed(class: ErrorClass) -> Self {
        Self::because(PublicationStatus::Failed, Reason::Class(class))
    }

    /// Returns the end of a publication whose event was over before the call.
    #[must_use]
    pub fn too_late() -> Self {
        Self::because(PublicationStatus::Skipped, Reason::TooLate)
    }

    /// Returns the end of a run that does not know whether the post is out. A channel that can be asked is asked again later; on
    /// the others only the owner can tell.
    #[must_use]
    pub fn unknown(channel: Channel) -> Self {
        let look_again_in = channel.can_be_asked().then_some(ASK_AGAIN_INTERVAL);
        Self { look_again_in, ..Self::because(PublicationStatus::Unknown, Reason::Class(ErrorClass::UnknownOutcome)) }
    }
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

impl Outcome {
    /// Returns how it failed, if it did.
    #[must_use]
    pub fn class(self) -> Option<ErrorClass> {
        match self {
            Self::Failed { class, .. } => Some(class),
            _ => None,
        }
    }
}

/// What a runner knows when it decides what follows.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Where it publishes.
    pub channel: Channel,
    /// Calls so far since the owner last asked, this one included.
    pub calls: i32,
    /// The event is over: nothing is published for it any more.
    pub event_over: bool,
    /// The longest wait after which another call can still end in time.
    pub longest_wait: Duration,
    /// Random, 0 to 1: spreads retries.
    pub jitter: f64,
}

impl Situation {
    /// Returns how long to wait before the next call: after 1, 2, 4 s with full jitter, but never sooner than the channel asked
    /// for. `None` past the calls of one publication, or when the channel asked for more than a minute.
    fn wait(&self, at_least: Option<Duration>) -> Option<Duration> {
        if self.event_over || self.calls >= MAX_CALLS || at_least.is_some_and(|a| a > MAX_RETRY_AFTER) {
            return None;
        }
        let full = Duration::from_secs(1 << (self.calls.clamp(1, 3) - 1)).mul_f64(self.jitter.clamp(0.05, 1.0));
        Some(at_least.map_or(full, |a| full.max(a)))
    }
}

/// Decides what follows from the outcome of a call or a question.
#[must_use]
pub fn settle(outcome: Outcome, now: &Situation) -> Step {
    use PublicationStatus as P;
    match outcome {
        Outcome::Published => Step::End(Ending::of(P::Published)),
        Outcome::InReview => {
            Step::End(Ending { look_again_in: Some(REVIEW_INTERVAL), ..Ending::of(P::AwaitingReview) })
        }
        Outcome::HandedOver => Step::End(Ending::of(P::Assisted)),
        Outcome::NobodyKnows => Step::End(Ending::unknown(now.channel)),
        Outcome::NotThere if now.event_over => Step::End(Ending::too_late()),
        Outcome::NotThere => match now.wait(None) {
            Some(wait) if wait <= now.longest_wait => Step::CallAfter(wait),
            // A call that was cut may still arrive.
            Some(_) => Step::End(Ending::unknown(now.channel)),
            None => Step::End(Ending::failed(ErrorClass::Transient)),
        },
        Outcome::Failed { class: ErrorClass::UnknownOutcome, .. } if now.channel.can_be_asked() => Step::Ask,
        Outcome::Failed { class: ErrorClass::UnknownOutcome, .. } => Step::End(Ending::unknown(now.channel)),
        Outcome::Failed { class: ErrorClass::Unavailable, .. } => {
            Step::End(Ending::because(P::Skipped, Reason::Class(ErrorClass::Unavailable)))
        }
        Outcome::Failed { class, retry_after } => {
            let wait = now.wait(retry_after).filter(|wait| class.may_retry() && *wait <= now.longest_wait);
            wait.map_or(Step::End(Ending::failed(class)), Step::CallAfter)
        }
    }
}

/// Decides what a publication needs first that was found in the middle after a restart: a call that was under way may have
/// happened. `None`: nothing.
#[must_use]
pub fn on_recovery(channel: Channel, status: PublicationStatus, mode: Mode) -> Option<Step> {
    let asks = if channel.can_be_asked() { Step::Ask } else { Step::End(Ending::unknown(channel)) };
    match (status, mode) {
        (_, Mode::Assisted | Mode::Off) => None,
        (PublicationStatus::Publishing | PublicationStatus::Unknown, _) => Some(asks),
        (PublicationStatus::Queued | PublicationStatus::Retrying, _) => Some(Step::CallAfter(Duration::ZERO)),
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

    fn situation(channel: Channel, calls: i32, jitter: f64) -> Situation {
        Situation { channel, calls, event_over: false, longest_wait: Duration::from_secs(60), jitter }
    }

    #[test]
    fn an_unknown_outcome_is_never_tried_again_blindly() {
        let unknown = Outcome::Failed { class: ErrorClass::UnknownOutcome, retry_after: None };
        for channel in Channel::ALL {
            match settle(unknown, &situation(*channel, 1, 0.5)) {
                Step::Ask => assert!(channel.can_be_asked()),
                Step::End(Ending { status: P::Unknown, .. }) => assert_eq!(*channel, Channel::Naver),
                other => panic!("{channel}: {other:?}"),
            }
            let recovered = on_recovery(*channel, P::Publishing, Mode::Live);
            assert!(!matches!(recovered, Some(Step::CallAfter(_))));
        }
    }

    #[test]
    fn what_cannot_be_called_in_time_is_not_called() {
        let late = Situation { longest_wait: Duration::ZERO, ..situation(Channel::WooriTv, 1, 0.5) };
        assert_eq!(settle(Outcome::NotThere, &late), Step::End(Ending::unknown(Channel::WooriTv)));
        let failed = Outcome::Failed { class: ErrorClass::Throttled, retry_after: None };
        assert_eq!(settle(failed, &late), Step::End(Ending::failed(ErrorClass::Throttled)));
        let over = Situation { event_over: true, ..situation(Channel::WooriTv, 1, 0.5) };
        assert_eq!(settle(Outcome::NotThere, &over), Step::End(Ending::too_late()));
        assert_eq!(settle(failed, &over), Step::End(Ending::failed(ErrorClass::Throttled)));
        assert_eq!(settle(Outcome::Published, &over), Step::End(Ending::of(P::Published)), "it is out all the same");
    }

    proptest! {
        #[test]
        fn retries_end_and_honour_what_the_channel_asked(class in 0usize..8, after in prop::option::of(0u64..500), jitter in 0f64..1.0, calls in 1i32..8) {
            let class = ErrorClass::ALL[class];
            let retry_after = after.map(Duration::from_secs);
            match settle(Outcome::Failed { class, retry_after }, &situation(Channel::WooriTv, calls, jitter)) {
                Step::CallAfter(wait) => {
                    prop_assert!(calls < MAX_CALLS && class.may_retry());
                    prop_assert!(wait <= MAX_RETRY_AFTER);
                    prop_assert!(wait >= retry_after.unwrap_or_default(), "never sooner than asked for");
                }
                Step::End(end) => {
                    prop_assert!(!end.status.is_pending());
                    prop_assert!(end.reason.is_some(), "a failure says why");
                }
                Step::Ask => prop_assert_eq!(class, ErrorClass::UnknownOutcome),
            }
        }
    }
}
