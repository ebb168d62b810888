//! Access tokens (JWT, HS256, 15 min), refresh tokens (an HMAC over session and generation), passwords.

mod hs256;
mod turns;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use domain::ids::{SessionId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::crypto::Keyring;
use subtle::ConstantTimeEq;
use turns::LaneQueue;
pub(crate) use turns::{Class, LaneTurn};
use unicode_normalization::UnicodeNormalization;

/// Seconds an access token lives.
pub const ACCESS_SECONDS: i64 = 900;
/// Seconds a ticket for a socket lives, as the database has it too.
pub(crate) const TICKET_SECONDS: i64 = 30;
/// Seconds before its date from which a token is good: what is left between two measurements of the database's clock.
const EARLY_SECONDS: i64 = 5;
const ISSUER: &str = "madang";
const AUDIENCE: &str = "madang-api";
const KID: &str = "a1";
const TYP: &str = "at+jwt";
/// Characters of a refresh token: 16 bytes of the login, 4 of the generation and 32 that sign them, in base64.
pub const REFRESH_TOKEN_CHARS: usize = 70;
/// The longest password bcrypt takes whole, in bytes.
pub const PASSWORD_MAX_BYTES: usize = 71;
/// The shortest password, in characters.
pub const PASSWORD_MIN_CHARS: usize = 8;

/// A password that nobody has: it is hashed where there is nothing to compare with.
const NOBODYS_PASSWORD: &str = "not a password anybody has";

/// The account and login that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The account.
    pub user: UserId,
    /// The login.
    pub session: SessionId,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Role {
    Owner,
}

#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    aud: &'static str,
    #[serde(flatten)]
    who: Claimed,
    iat: i64,
}

/// What a token says beside what [`rules`] ask of it.
#[derive(Serialize, Deserialize)]
struct Claimed {
    sub: UserId,
    sid: SessionId,
    role: Role,
    nbf: i64,
    exp: i64,
}

/// Makes and checks tokens. They are of one epoch of the database: after a restore nobody's login is believed. They are dated
/// and judged by the database's clock, whatever this machine's says.
#[derive(Clone)]
pub struct Tokens {
    keys: Keyring,
    epoch: Arc<str>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    rules: Arc<Validation>,
}

impl Tokens {
    /// Tokens under the installation's keys, good in an epoch.
    #[must_use]
    pub fn new(keys: Keyring, epoch: &str) -> Self {
        hs256::install();
        let secret = keys.mac("jwt", &[KID.as_bytes(), epoch.as_bytes()]);
        Self {
            keys,
            epoch: epoch.into(),
            encoding: EncodingKey::from_secret(&secret),
            decoding: DecodingKey::from_secret(&secret),
            rules: Arc::new(rules()),
        }
    }

    /// An access token. The same instant makes the same token.
    ///
    /// # Panics
    /// When signing fails, which HMAC cannot.
    #[must_use]
    pub fn access(&self, who: Session, at: DateTime<Utc>) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(KID.into());
        header.typ = Some(TYP.into());
        let now = at.timestamp();
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            who: Claimed { sub: who.user, sid: who.session, role: Role::Owner, nbf: now, exp: now + ACCESS_SECONDS },
            iat: now,
        };
        encode(&header, &claims, &self.encoding).expect("HMAC signs anything")
    }

    /// Returns the account and login of an access token; `None` for anything but a good one.
    #[must_use]
    pub fn check(&self, token: &str) -> Option<Session> {
        self.check_at(token, storage::clock::now())
    }

    fn check_at(&self, token: &str, at: DateTime<Utc>) -> Option<Session> {
        let token = decode::<Claimed>(token, &self.decoding, &self.rules).ok()?;
        let (kid, typ) = (token.header.kid.as_deref(), token.header.typ.as_deref());
        let Claimed { sub: user, sid: session, role: Role::Owner, nbf, exp } = token.claims;
        let is_of_now = (nbf.saturating_sub(EARLY_SECONDS)..exp).contains(&at.timestamp());
        (is_of_now && kid == Some(KID) && typ == Some(TYP)).then_some(Session { user, session })
    }

    /// A new ticket for a socket, made at this instant. Whose it is, the database knows.
    #[must_use]
    pub(crate) fn ticket(&self, at: DateTime<Utc>) -> String {
        let end = (at.timestamp() + TICKET_SECONDS).to_be_bytes();
        let mut bytes = storage::crypto::random16().to_vec();
        let mac = self.ticket_mac(&bytes, &end);
        bytes.extend(end);
        bytes.extend(mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Did we make this ticket, and lately? The database is asked about no other.
    #[must_use]
    pub(crate) fn is_ticket(&self, ticket: &str, at: DateTime<Utc>) -> bool {
        let end = || {
            let bytes = URL_SAFE_NO_PAD.decode(ticket).ok()?;
            let (random, rest) = bytes.split_at_checked(16)?;
            let (end, mac) = rest.split_at_checked(8)?;
            bool::from(mac.ct_eq(&self.ticket_mac(random, end))).then_some(())?;
            Some(i64::from_be_bytes(end.try_into().ok()?))
        };
        end().is_some_and(|end| at.timestamp() <= end)
    }

    fn ticket_mac(&self, random: &[u8], end: &[u8]) -> [u8; 32] {
        self.keys.mac("ticket", &[random, end, self.epoch.as_bytes()])
    }

    /// The refresh token of a generation of a login.
    #[must_use]
    pub fn refresh(&self, session: SessionId, generation: i32) -> String {
        let mut bytes = session.0.as_bytes().to_vec();
        bytes.extend(generation.to_be_bytes());
        bytes.extend(self.refresh_mac(session.0.as_bytes(), &generation.to_be_bytes()));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Which generation of which login a refresh token is; `None` for one we did not make.
    #[must_use]
    pub fn check_refresh(&self, token: &str) -> Option<(SessionId, i32)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (session, rest) = bytes.split_at_checked(16)?;
        let (generation, mac) = rest.split_at_checked(4)?;
        let right = self.refresh_mac(session, generation);
        bool::from(mac.ct_eq(&right)).then_some(())?;
        let id = uuid::Uuid::from_slice(session).ok()?;
        Some((SessionId(id), i32::from_be_bytes(generation.try_into().ok()?)))
    }

    fn refresh_mac(&self, session: &[u8], generation: &[u8]) -> [u8; 32] {
        self.keys.mac("refresh", &[session, generation, self.epoch.as_bytes()])
    }
}

/// What every access token must be: signed by HMAC, for us, by us. Its dates are judged apart, by another clock than the
/// library's.
fn rules() -> Validation {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[AUDIENCE]);
    rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    rules
}

/// Longest wait of a login for its turn, in time. An owner at the counter does not wait longer.
const MAX_LOGIN_WAIT: Duration = Duration::from_secs(2);
/// Longest wait of a signup for its turn, in time. Five seconds of the tax service and this fit into a request's ten.
const MAX_SIGNUP_WAIT: Duration = Duration::from_secs(4);

/// Hashes and checks passwords: logins and signups in queues of their own, each as many at a time as there are cores.
#[derive(Clone)]
pub struct Passwords {
    cost: u32,
    logins: LaneQueue,
    signups: LaneQueue,
    dummy: Arc<str>,
}

impl Passwords {
    /// bcrypt at a cost.
    ///
    /// # Panics
    /// When the cost is not one bcrypt has (the settings check that).
    #[must_use]
    pub fn new(cost: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let begun = Instant::now();
        let dummy = bcrypt::non_truncating_hash(NOBODYS_PASSWORD, cost).expect("the cost was checked");
        let pace = begun.elapsed();
        Self {
            cost,
            logins: LaneQueue::new(cores, MAX_LOGIN_WAIT, pace),
            signups: LaneQueue::new(cores, MAX_SIGNUP_WAIT, pace),
            dummy: dummy.into(),
        }
    }

    /// A turn to [`Passwords::hash`]; `None` when too many signups wait. A caller that hangs up leaves the queue.
    pub(crate) async fn signup_turn(&self) -> Option<LaneTurn> {
        self.signups.turn(Class::New).await
    }

    /// Returns the hash of a password whose length was checked. The turn lasts as long as the work, which goes on when
    /// nobody waits for it any more.
    pub(crate) async fn hash(&self, mut turn: LaneTurn, password: String) -> Option<String> {
        let cost = self.cost;
        let hashing = tokio::task::spawn_blocking(move || {
            turn.begin();
            bcrypt::non_truncating_hash(password, cost).ok()
        });
        hashing.await.ok()?
    }

    /// Would a login of this class be refused at once?
    pub(crate) fn is_full(&self, class: Class) -> bool {
        self.logins.is_full(class)
    }

    /// A turn to [`Passwords::check`]; `None` when too many wait. A caller that hangs up leaves the queue.
    pub(crate) async fn login_turn(&self, class: Class) -> Option<LaneTurn> {
        self.logins.turn(class).await
    }

    /// Is this the password of a hash? Without one, the same time is spent to say no. The turn lasts as long as the work.
    pub(crate) async fn check(&self, mut turn: LaneTurn, password: String, hash: Option<String>) -> bool {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.to_string());
        let checking = tokio::task::spawn_blocking(move || {
            turn.begin();
            spellings(password).iter().any(|spelling| is_of(spelling, &hash))
        });
        // Waited for in any case: nobody learns from the time it takes who has an account.
        let same = checking.await.unwrap_or(false);
        known && same
    }
}

/// Compares a password with a hash. One that bcrypt does not take whole is wrong, and costs the same time as others.
fn is_of(password: &str, hash: &str) -> bool {
    let fits = password.len() <= PASSWORD_MAX_BYTES;
    let judged = if fits { password } else { NOBODYS_PASSWORD };
    bcrypt::non_truncating_verify(judged, hash).unwrap_or(false) && fits
}

/// Returns a password in the form that signups store and, where that differs, as it was typed: accounts of before have a hash
/// of that. At most one hash more than others have.
fn spellings(password: String) -> Vec<String> {
    let composed: String = password.as_str().nfc().collect();
    if composed == password || password.len() > PASSWORD_MAX_BYTES { vec![composed] } else { vec![composed, password] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha512;

    const EPOCH: &str = "0f";

    fn session() -> Session {
        Session { user: UserId::new(), session: SessionId::new() }
    }

    /// S10: whoever hangs up leaves work behind, which takes a place until it is done.
    #[tokio::test]
    async fn a_hash_nobody_waits_for_still_takes_its_turn() {
        let passwords = Passwords::new(12);
        let cores = passwords.logins.free();
        let turn = passwords.login_turn(Class::New).await.unwrap();
        let checking = passwords.check(turn, "wrong".into(), None);
        assert!(futures_util::FutureExt::now_or_never(checking).is_none(), "polled once and dropped");
        assert_eq!(passwords.logins.free(), cores - 1);
        assert_eq!(passwords.signups.free(), cores, "signups have lanes of their own");
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while passwords.logins.free() < cores {
            assert!(std::time::Instant::now() < limit, "its turn never ended");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn access_tokens_are_checked_for_everything() {
        let tokens = Tokens::new(Keyring::ephemeral(), EPOCH);
        let who = session();
        let now = storage::clock::now();
        let good = tokens.access(who, now);
        assert_eq!(tokens.check(&good), Some(who));
        assert_eq!(good, tokens.access(who, now), "the same instant makes the same token");
        assert_eq!(
            tokens.check(&tokens.access(who, now - chrono::Duration::seconds(ACCESS_SECONDS + 1))),
            None,
            "expired"
        );
        assert_eq!(tokens.check(&tokens.access(who, now + chrono::Duration::seconds(60))), None, "from the future");
        assert_eq!(Tokens::new(Keyring::ephemeral(), EPOCH).check(&good), None, "another key");
        let parts: Vec<&str> = good.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt","kid":"a1"}"#);
        let other_kid = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"at+jwt","kid":"a2"}"#);
        for bad in [
            String::new(),
            "a.b.c".into(),
            format!("{none}.{}.", parts[1]),
            format!("{other_kid}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.{}", parts[0], parts[1], "AAAA"),
            tokens.refresh(who.session, 1),
        ] {
            assert_eq!(tokens.check(&bad), None, "{bad}");
        }
    }

    #[test]
    fn tokens_without_their_claims_are_refused() {
        let tokens = Tokens::new(Keyring::ephemeral(), EPOCH);
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(KID.into());
        header.typ = Some(TYP.into());
        let now = Utc::now().timestamp();
        let full = serde_json::json!({"iss": ISSUER, "aud": AUDIENCE, "sub": UserId::new(), "sid": SessionId::new(), "role": "OWNER", "iat": now, "nbf": now, "exp": now + 60});
        assert!(tokens.check(&encode(&header, &full, &tokens.encoding).unwrap()).is_some());
        for missing in ["iss", "aud", "sub", "sid", "role", "nbf", "exp"] {
            let mut claims = full.clone();
            claims.as_object_mut().unwrap().remove(missing);
            assert_eq!(tokens.check(&encode(&header, &claims, &tokens.encoding).unwrap()), None, "without {missing}");
        }
        let mut customer = full.clone();
        customer["role"] = "CUSTOMER".into();
        assert_eq!(tokens.check(&encode(&header, &customer, &tokens.encoding).unwrap()), None);
        for (kid, typ) in [("a2", TYP), (KID, "JWT")] {
            let mut other = Header::new(Algorithm::HS256);
            (other.kid, other.typ) = (Some(kid.into()), Some(typ.into()));
            assert_eq!(tokens.check(&encode(&other, &full, &tokens.encoding).unwrap()), None, "{kid} {typ}");
        }
    }

    #[test]
    fn a_token_of_another_algorithm_is_refused() {
        let tokens = Tokens::new(Keyring::ephemeral(), EPOCH);
        let good = tokens.access(session(), Utc::now());
        assert!(tokens.check(&good).is_some());
        let claims = good.split('.').nth(1).unwrap();
        let header = serde_json::json!({"alg": "HS512", "kid": KID, "typ": TYP}).to_string();
        let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header));
        let mut mac = Hmac::<Sha512>::new_from_slice(tokens.encoding.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        let other = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        assert_eq!(tokens.check(&other), None);
    }

    #[test]
    fn tokens_have_their_time() {
        let (tokens, who, made) = (Tokens::new(Keyring::ephemeral(), EPOCH), session(), Utc::now());
        let (token, ticket) = (tokens.access(who, made), tokens.ticket(made));
        let after = |seconds| made + chrono::Duration::seconds(seconds);
        for (seconds, good) in [(-6, false), (-5, true), (0, true), (ACCESS_SECONDS - 1, true), (ACCESS_SECONDS, false)]
        {
            assert_eq!(tokens.check_at(&token, after(seconds)).is_some(), good, "{seconds} s");
        }
        for (seconds, good) in [(0, true), (TICKET_SECONDS, true), (TICKET_SECONDS + 1, false)] {
            assert_eq!(tokens.is_ticket(&ticket, after(seconds)), good, "{seconds} s");
        }
    }

    #[test]
    fn tickets_are_ours_or_nothing() {
        let (keys, now) = (Keyring::ephemeral(), Utc::now());
        let tokens = Tokens::new(keys.clone(), EPOCH);
        let ticket = tokens.ticket(now);
        assert!(tokens.is_ticket(&ticket, now) && ticket != tokens.ticket(now));
        let bytes = URL_SAFE_NO_PAD.decode(&ticket).unwrap();
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!tokens.is_ticket(&URL_SAFE_NO_PAD.encode(&other), now), "byte {at}");
        }
        for bad in ["", "x", "AAAA", &ticket[..ticket.len() - 4], tokens.refresh(SessionId::new(), 1).as_str()] {
            assert!(!tokens.is_ticket(bad, now), "{bad:?}");
        }
        assert!(!Tokens::new(keys, "after").is_ticket(&ticket, now), "of before a restore");
    }

    #[test]
    fn tokens_of_before_a_restore_are_nobodys() {
        let keys = Keyring::ephemeral();
        let (before, after) = (Tokens::new(keys.clone(), "before"), Tokens::new(keys, "after"));
        let who = session();
        let (access, refresh) = (before.access(who, Utc::now()), before.refresh(who.session, 1));
        assert_eq!((before.check(&access), before.check_refresh(&refresh)), (Some(who), Some((who.session, 1))));
        assert_eq!((after.check(&access), after.check_refresh(&refresh)), (None, None));
    }

    #[test]
    fn refresh_tokens_are_ours_or_nothing() {
        let tokens = Tokens::new(Keyring::ephemeral(), EPOCH);
        let id = SessionId::new();
        let token = tokens.refresh(id, 3);
        assert_eq!(token.len(), REFRESH_TOKEN_CHARS);
        assert_eq!(tokens.check_refresh(&token), Some((id, 3)));
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        bytes[19] ^= 1;
        assert_eq!(tokens.check_refresh(&URL_SAFE_NO_PAD.encode(&bytes)), None);
        assert_eq!(tokens.check_refresh("x"), None);
    }

    #[tokio::test]
    async fn bcrypt_never_truncates() {
        let passwords = Passwords::new(4);
        let long = "가".repeat(24);
        assert_eq!(long.len(), 72);
        let hash = async |password| passwords.hash(passwords.signup_turn().await.unwrap(), password).await;
        assert!(hash(long).await.is_none(), "72 bytes are refused, not cut");
        let hash = hash("a".repeat(71)).await.unwrap();
        let check = async |password, hash| {
            passwords.check(passwords.login_turn(Class::New).await.unwrap(), password, hash).await
        };
        assert!(check("a".repeat(71), Some(hash.clone())).await);
        assert!(!check("a".repeat(70), Some(hash)).await);
        assert!(!check(NOBODYS_PASSWORD.into(), None).await);
        let of_nobody = bcrypt::non_truncating_hash(NOBODYS_PASSWORD, 4).unwrap();
        assert!(!check("a".repeat(72), Some(of_nobody)).await, "what is hashed in its place opens nothing");
    }

    /// A login with a password of any length costs a hash, so that guesses of long ones are no cheaper.
    #[tokio::test]
    async fn a_password_that_is_too_long_costs_a_hash() {
        let passwords = Passwords::new(10);
        let time = async |password: String| {
            let turn = passwords.login_turn(Class::New).await.unwrap();
            let begun = Instant::now();
            assert!(!passwords.check(turn, password, None).await);
            begun.elapsed()
        };
        let mut usual = Duration::MAX;
        for _ in 0..3 {
            usual = usual.min(time("wrong".into()).await);
        }
        for bytes in [72, 73, 10_000] {
            let took = time("a".repeat(bytes)).await;
            assert!(took >= usual / 2, "{bytes} bytes took {took:?}, others {usual:?}");
        }
    }

    /// A keyboard may compose letters or not: a password is the same one, and those stored as they were typed stay good.
    #[tokio::test]
    async fn a_password_is_the_same_in_every_form() {
        let passwords = Passwords::new(4);
        let composed = "한국가게사장";
        let decomposed: String = composed.nfd().collect();
        let hash = |password: &str| bcrypt::non_truncating_hash(password, 4).unwrap();
        let check = async |password: &str, hash: String| {
            passwords.check(passwords.login_turn(Class::New).await.unwrap(), password.to_owned(), Some(hash)).await
        };
        assert!(decomposed.len() <= PASSWORD_MAX_BYTES && decomposed != composed);
        for typed in [composed, decomposed.as_str()] {
            assert!(check(typed, hash(composed)).await, "{typed:?}");
        }
        assert!(check(&decomposed, hash(&decomposed)).await, "an account of before");
        assert!(!check("한국가게손님", hash(composed)).await);
        assert_eq!(spellings("가".repeat(30).nfd().collect()).len(), 1, "one hash for what cannot be right");
    }
}
