//! `identity.users`: accounts.

use crate::crypto::Keyring;
use crate::error::Result;
use crate::sessions::KNOWN_ADDRESS_DAYS;
use crate::sql::{sql, types as t};
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

/// Is this business number taken?
pub async fn business_taken(c: &mut Conn, keys: &Keyring, business: &BusinessNumber) -> Result<bool> {
    let index = keys.index("business", business.expose()).to_vec();
    let found = sql("select id from identity.users where business_index = ?").bind::<t::Binary, _>(index);
    Ok(found.first::<crate::sql::Id>(c).await?.is_some())
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
/// Whatever the database said, or ciphertext that does not open.
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
