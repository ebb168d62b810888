//! How long personal data is kept: what the notice promises, what destroys it, and when.

/// Days after the draw, or after a cancellation, until names and numbers of those who did not win are destroyed: long enough
/// for an owner to look once more who took part. Korean law asks for five at most (표준 개인정보 보호지침, article 10).
pub const LOSERS_DAYS: i32 = 1;
/// Days after the draw, or after a cancellation, until everything personal is: names and numbers of winners and alternates, and
/// the keyed index by which a shop's returning customers are counted. Prizes are handed over by then.
pub const ALL_DAYS: i32 = 90;
/// Days after the close until an owner who has not drawn is reminded: customers wait for it, and so does the destruction of what
/// they gave.
pub const REMIND_DAYS: i32 = 3;
/// Days after the close in which it can be drawn, for owners who were told in time. What was given for a draw that nobody makes
/// is not kept for ever.
pub const DRAW_DAYS: i32 = 90;
/// Days that an owner has from the last call on, which comes so long before the end. Told late, because nothing ran meanwhile,
/// one has as many.
pub const LAST_CALL_DAYS: i32 = 14;
