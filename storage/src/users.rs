//! `identity.users`: accounts.

use crate::crypto::Keyring;
use crate::error::Result;
use crate::sessions::KNOWN_ADDRESS_DAYS;
use crate::sql::{Id, sql, types as t};
use crate::store::Conn;
use chrono::NaiveDate;
use diesel::QueryableByName;
use domain::business_number::BusinessNumber;
use domain::ids::UserId;
use domain::phone::Phone;
use domain::text::PersonName;
use domain::time::Instant;
use uuid::Uuid;

/// An account to be made.
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// Lower-cased e-mail.
    pub email: String,
    /// The owner's name.
    pub name: PersonName,
    /// The owner's phone.
    pub phone: Phone,
    /// The business.
    pub business: BusinessNumber,
    /// When it opened.
    pub opened_on: NaiveDate,
    /// bcrypt.
    pub password_hash: String,
    /// When it was made.
    pub created_at: Instant,
}

/// An account, opened.
#[derive(Clone, Debug)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// E-mail.
    pub email: String,
    /// The owner's name.
    pub name: PersonName,
    /// The owner's phone.
    pub phone: Phone,
    /// The business.
    pub business: BusinessNumber,
    /// When it opened.
    pub opened_on: NaiveDate,
    /// ETag.
    pub version: i64,
    /// Signup.
    pub created_at: domain::time::Instant,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = t::Uuid)]
    id: Uuid,
    #[diesel(sql_type = t::Binary)]
    email_sealed: Vec<u8>,
    #[diesel(sql_type = t::Binary)]
    name_sealed: Vec<u8>,
    #[diesel(sql_type = t::Binary)]
    phone_sealed: Vec<u8>,
    #[diesel(sql_type = t::Binary)]
    business_sealed: Vec<u8>,
    #[diesel(sql_type = t::Date)]
    opened_on: NaiveDate,
    #[diesel(sql_type = t::BigInt)]
    version: i64,
    #[diesel(sql_type = t::Timestamptz)]
    created_at: domain::time::Instant,
}

/// What a login compares against.
#[derive(QueryableByName)]
pub struct Credentials {
    /// The account.
    #[diesel(sql_type = t::Uuid)]
    pub id: Uuid,
    /// bcrypt.
    #[diesel(sql_type = t::Text)]
    pub password_hash: String,
}

/// Is this e-mail taken?
pub async fn email_taken(c: &mut Conn, keys: &Keyring, email: &str) -> Result<bool> {
    Ok(credentials(c, keys, email).await?.is_some())
}

/// Days after its signup from which an account that was never verified gives its business number way.
pub const UNVERIFIED_DAYS: i32 = 14;

/// The accounts `u` that give their business number way: the rejected ones, and to a claim that is confirmed those that were
/// never verified. Binds: is the claim confirmed, [`UNVERIFIED_DAYS`].
macro_rules! gives_way {
    () => {
        "(exists(select 1 from identity.stores s where s.user_id = u.id and s.verification = 'REJECTED')
          or (? and u.created_at < now() - make_interval(days => ?)
              and not exists(select 1 from identity.stores s where s.user_id = u.id and s.verification = 'VERIFIED')))"
    };
}

/// Returns true if an account holds this business number even against a claim that the tax service confirms.
pub async fn business_taken(c: &mut Conn, keys: &Keyring, business: &BusinessNumber) -> Result<bool> {
    let found = sql(concat!(
        "select u.id from identity.users u where u.business_index = ? and u.business_released_at is null and not ",
        gives_way!()
    ))
    .bind::<t::Binary, _>(keys.index("business", business.expose()).to_vec())
    .bind::<t::Bool, _>(true)
    .bind::<t::Integer, _>(UNVERIFIED_DAYS);
    Ok(found.first::<Id>(c).await?.is_some())
}

/// Takes a business number from an account that gives it way: to a sign-up that the tax service has `confirmed`, or that
/// still waits for it. Returns the account.
pub async fn release_business(
    c: &mut Conn,
    keys: &Keyring,
    business: &BusinessNumber,
    confirmed: bool,
) -> Result<Option<UserId>> {
    let released: Option<Id> = sql(concat!(
        "update identity.users u set business_released_at = now()
          where u.business_index = ? and u.business_released_at is null and ",
        gives_way!(),
        " returning u.id"
    ))
    .bind::<t::Binary, _>(keys.index("business", business.expose()).to_vec())
    .bind::<t::Bool, _>(confirmed)
    .bind::<t::Integer, _>(UNVERIFIED_DAYS)
    .first(c)
    .await?;
    Ok(released.map(|r| UserId(r.id)))
}

/// Gives a verified account its business number back, from an account that gives it way.
///
/// # Errors
/// Constraint `users_business_taken` where another account keeps the number, or whatever else the database said.
pub async fn claim_business(c: &mut Conn, user: UserId) -> Result<()> {
    sql(concat!(
        "update identity.users u set business_released_at = now() from identity.users own
          where own.id = ? and own.business_released_at is not null and u.id <> own.id
            and u.business_index = own.business_index and u.business_released_at is null and ",
        gives_way!()
    ))
    .bind::<t::Uuid, _>(user.0)
    .bind::<t::Bool, _>(true)
    .bind::<t::Integer, _>(UNVERIFIED_DAYS)
    .run(c)
    .await?;
    sql("update identity.users set business_released_at = null where id = ? and business_released_at is not null")
        .bind::<t::Uuid, _>(user.0)
        .run(c)
        .await?;
    Ok(())
}

/// Returns true if another account took the business number of this one over, and keeps it.
pub async fn business_lost(c: &mut Conn, user: UserId) -> Result<bool> {
    let keeper = sql(concat!(
        "select u.id from identity.users own join identity.users u on u.business_index = own.business_index
          where own.id = ? and own.business_released_at is not null and u.business_released_at is null and not ",
        gives_way!()
    ))
    .bind::<t::Uuid, _>(user.0)
    .bind::<t::Bool, _>(true)
    .bind::<t::Integer, _>(UNVERIFIED_DAYS);
    Ok(keeper.first::<Id>(c).await?.is_some())
}

/// Returns true if the account's row has the index that these keys make of its business number.
pub async fn has_business(c: &mut Conn, keys: &Keyring, id: UserId, business: &BusinessNumber) -> Result<bool> {
    let found = sql("select id from identity.users where id = ? and business_index = ?")
        .bind::<t::Uuid, _>(id.0)
        .bind::<t::Binary, _>(keys.index("business", business.expose()).to_vec());
    Ok(found.first::<Id>(c).await?.is_some())
}

/// Stores an account.
///
/// # Errors
/// Constraints `users_email_taken` and `users_business_taken`, or whatever else the database said.
pub async fn insert(c: &mut Conn, keys: &Keyring, user: NewUser) -> Result<()> {
    let id = user.id;
    sql("insert into identity.users (id, email_index, email_sealed, name_sealed, phone_sealed, business_index, business_sealed,
                                     opened_on, password_hash, created_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Binary, _>(keys.index("email", &user.email).to_vec())
    .bind::<t::Binary, _>(keys.seal("users.email", id, user.email.as_bytes()))
    .bind::<t::Binary, _>(keys.seal("users.name", id, user.name.expose().as_bytes()))
    .bind::<t::Binary, _>(keys.seal("users.phone", id, user.phone.expose().as_bytes()))
    .bind::<t::Binary, _>(keys.index("business", user.business.expose()).to_vec())
    .bind::<t::Binary, _>(keys.seal("users.business", id, user.business.expose().as_bytes()))
    .bind::<t::Date, _>(user.opened_on)
    .bind::<t::Text, _>(user.password_hash)
    .bind::<t::Timestamptz, _>(user.created_at)
    .run(c)
    .await?;
    Ok(())
}

/// What a login compares against; `None` for an unknown e-mail.
pub async fn credentials(c: &mut Conn, keys: &Keyring, email: &str) -> Result<Option<Credentials>> {
    let index = keys.index("email", email).to_vec();
    sql("select id, password_hash from identity.users where email_index = ?").bind::<t::Binary, _>(index).first(c).await
}

/// The row that a login from an address is compared with.
#[derive(QueryableByName)]
pub struct LoginCredentials {
    /// The account.
    #[diesel(sql_type = t::Uuid)]
    pub id: Uuid,
    /// bcrypt.
    #[diesel(sql_type = t::Text)]
    pub password_hash: String,
    /// The account logged in from this address within [`KNOWN_ADDRESS_DAYS`].
    #[diesel(sql_type = t::Bool)]
    pub at_home: bool,
}

/// Looks up the account of a login from an address, given by its keyed hash; `None` for an unknown e-mail.
pub async fn login_credentials(
    c: &mut Conn,
    keys: &Keyring,
    email: &str,
    address: [u8; 32],
) -> Result<Option<LoginCredentials>> {
    sql("select u.id, u.password_hash,
                exists(select 1 from identity.known_addresses k
                        where k.user_id = u.id and k.address_index = ?
                          and k.seen_at > now() - make_interval(days => ?)) as at_home
           from identity.users u where u.email_index = ?")
    .bind::<t::Binary, _>(address.to_vec())
    .bind::<t::Integer, _>(KNOWN_ADDRESS_DAYS)
    .bind::<t::Binary, _>(keys.index("email", email).to_vec())
    .first(c)
    .await
}

/// An account.
///
/// # Errors
/// What the database answered, or ciphertext that does not open.
pub async fn get(c: &mut Conn, keys: &Keyring, id: UserId) -> Result<Option<User>> {
    let row: Option<Row> =
        sql("select id, email_sealed, name_sealed, phone_sealed, business_sealed, opened_on, version, created_at
                                  from identity.users where id = ?")
        .bind::<t::Uuid, _>(id.0)
        .first(c)
        .await?;
    row.map(|r| open(keys, r)).transpose()
}

fn open(keys: &Keyring, r: Row) -> Result<User> {
    let id = UserId(r.id);
    let text = |field, sealed: &[u8]| keys.open_text(field, id, sealed);
    Ok(User {
        id,
        email: text("users.email", &r.email_sealed)?,
        name: PersonName::stored(&text("users.name", &r.name_sealed)?),
        phone: Phone::parse(&text("users.phone", &r.phone_sealed)?).map_err(crate::error::corrupt)?,
        business: BusinessNumber::parse(&text("users.business", &r.business_sealed)?).map_err(crate::error::corrupt)?,
        opened_on: r.opened_on,
        version: r.version,
        created_at: r.created_at,
    })
}

/// Changes name or phone, if the version is still `expected` (or whatever it is, without one). False: it was not.
pub async fn update(
    c: &mut Conn,
    keys: &Keyring,
    id: UserId,
    name: &PersonName,
    phone: &Phone,
    expected: Option<i64>,
) -> Result<bool> {
    let changed = sql("update identity.users set name_sealed = ?, phone_sealed = ?, version = version + 1
                        where id = ? and version = coalesce(?, version)")
    .bind::<t::Binary, _>(keys.seal("users.name", id, name.expose().as_bytes()))
    .bind::<t::Binary, _>(keys.seal("users.phone", id, phone.expose().as_bytes()))
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Nullable<t::BigInt>, _>(expected)
    .run(c)
    .await?;
    Ok(changed == 1)
}
