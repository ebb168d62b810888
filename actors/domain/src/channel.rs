//! The channels: where an event is published, and where an entry came from.

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $code)] $variant),* }

        impl $name {
            /// Every value, in the order of the API.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The wire name.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// Reads a wire name.
            #[must_use]
            pub fn parse(s: &str) -> Option<Self> {
                match s { $($code => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.code()) }
        }
    };
}
pub(crate) use codes;

codes! {
    /// A channel an event can be published to.
    Channel {
        /// 우리동네TV.
        WooriTv = "WOORI_TV",
        /// 링고비즈, the ring-back tone.
        RingoBiz = "RINGO_BIZ",
        /// 지니TV advertising.
        GenieTv = "GENIE_TV",
        /// Instagram.
        Instagram = "INSTAGRAM",
        /// Naver (a café article).
        Naver = "NAVER",
        /// Kakao (a share kit).
        Kakao = "KAKAO",
    }
}

impl Channel {
    /// The Korean name.
    #[must_use]
    pub fn ko(self) -> &'static str {
        match self {
            Self::WooriTv => "우리동네TV",
            Self::RingoBiz => "링고비즈",
            Self::GenieTv => "지니TV",
            Self::Instagram => "인스타그램",
            Self::Naver => "네이버",
            Self::Kakao => "카카오",
        }
    }

    /// What one event on this channel is planned to cost, in won. Our own planning figure, shown in every estimate.
    #[must_use]
    pub fn price_won(self) -> i64 {
        match self {
            Self::WooriTv => 30_000,
            Self::RingoBiz => 5_000,
            Self::GenieTv => 50_000,
            Self::Instagram | Self::Naver | Self::Kakao => 0,
        }
    }

    /// May a publish of unknown outcome be settled by asking the channel (or repeated under its key)?
    #[must_use]
    pub fn can_be_asked(self) -> bool {
        !matches!(self, Self::Naver)
    }

    /// The SNS platform whose picture size the channel shows, where it shows a picture of ours.
    #[must_use]
    pub fn platform(self) -> Option<Platform> {
        match self {
            Self::Instagram => Some(Platform::Instagram),
            Self::Naver => Some(Platform::Naver),
            Self::Kakao => Some(Platform::Kakao),
            Self::WooriTv | Self::RingoBiz | Self::GenieTv => None,
        }
    }
}

codes! {
    /// How a channel is connected.
    Mode {
        /// The provider itself.
        Live = "LIVE",
        /// The simulator: a success here is never shown as a real one.
        Sandbox = "SANDBOX",
        /// We prepare, the owner posts.
        Assisted = "ASSISTED",
        /// Not offered.
        Off = "OFF",
    }
}

impl Mode {
    /// Is anybody called in it?
    #[must_use]
    pub fn calls(self) -> bool {
        matches!(self, Self::Live | Self::Sandbox)
    }
}

codes! {
    /// Where an entry came from: a channel, a printed code, or the bare link.
    Source {
        /// 우리동네TV.
        WooriTv = "WOORI_TV",
        /// 링고비즈.
        RingoBiz = "RINGO_BIZ",
        /// 지니TV.
        GenieTv = "GENIE_TV",
        /// Instagram.
        Instagram = "INSTAGRAM",
        /// Naver.
        Naver = "NAVER",
        /// Kakao.
        Kakao = "KAKAO",
        /// A printed QR code.
        Qr = "QR",
        /// The bare link.
        Direct = "DIRECT",
    }
}

impl Source {
    /// The number under which rows count this source, 0 to 7: its place in [`Source::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The channel it is, if it is one.
    #[must_use]
    pub fn channel(self) -> Option<Channel> {
        Channel::parse(self.code())
    }
}

codes! {
    /// A picture format.
    Platform {
        /// 1080 × 1080.
        Instagram = "INSTAGRAM",
        /// 800 × 600.
        Naver = "NAVER",
        /// 800 × 400.
        Kakao = "KAKAO",
    }
}

codes! {
    /// A picture style.
    Style {
        /// 심플.
        Simple = "SIMPLE",
        /// 화려한.
        Vivid = "VIVID",
        /// 트렌디.
        Trendy = "TRENDY",
    }
}

codes! {
    /// An external API. Each has a breaker, a mode and a simulator.
    Upstream {
        /// 국세청 사업자등록 진위확인.
        Nts = "NTS",
        /// Anthropic Messages.
        Claude = "CLAUDE",
        /// OpenAI chat completions, where Claude does not answer.
        OpenAi = "OPENAI",
        /// Stability AI.
        Stability = "STABILITY",
        /// OpenAI images, where Stability does not answer.
        OpenAiImages = "OPENAI_IMAGES",
        /// 우리동네TV.
        WooriTv = "WOORI_TV",
        /// 링고비즈.
        RingoBiz = "RINGO_BIZ",
        /// 지니TV.
        GenieTv = "GENIE_TV",
        /// Instagram (Meta).
        Instagram = "INSTAGRAM",
        /// Naver open API.
        Naver = "NAVER",
        /// Kakao.
        Kakao = "KAKAO",
    }
}

impl Upstream {
    /// The Korean name.
    #[must_use]
    pub fn ko(self) -> &'static str {
        match self {
            Self::Nts => "국세청 사업자 확인",
            Self::Claude => "AI 추천",
            Self::OpenAi => "예비 AI 추천",
            Self::Stability => "AI 이미지",
            Self::OpenAiImages => "예비 AI 이미지",
            Self::WooriTv => Channel::WooriTv.ko(),
            Self::RingoBiz => Channel::RingoBiz.ko(),
            Self::GenieTv => Channel::GenieTv.ko(),
            Self::Instagram => Channel::Instagram.ko(),
            Self::Naver => Channel::Naver.ko(),
            Self::Kakao => Channel::Kakao.ko(),
        }
    }

    /// The channel it is, if it is one.
    #[must_use]
    pub fn channel(self) -> Option<Channel> {
        Channel::ALL.iter().copied().find(|c| Self::from(*c) == self)
    }
}

impl From<Channel> for Upstream {
    fn from(c: Channel) -> Self {
        match c {
            Channel::WooriTv => Self::WooriTv,
            Channel::RingoBiz => Self::RingoBiz,
            Channel::GenieTv => Self::GenieTv,
            Channel::Instagram => Self::Instagram,
            Channel::Naver => Self::Naver,
            Channel::Kakao => Self::Kakao,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for c in Channel::ALL {
            assert_eq!(Channel::parse(c.code()), Some(*c));
            assert_eq!(Source::parse(c.code()).unwrap().index(), *c as usize, "a channel counts under its own place");
        }
        assert_eq!(Source::ALL.len(), 8);
        assert_eq!(serde_json::to_string(&Channel::WooriTv).unwrap(), "\"WOORI_TV\"");
    }
}
