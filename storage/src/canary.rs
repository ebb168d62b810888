//! `participation.epoch.canary`: tells keys that belong to this database from any others.
//!
//! Other keys find nobody: the same customer enters twice, the same owner signs up twice, and what was sealed with the right
//! ones answers errors for ever. The start compares them before anything is read or written with them.

use crate::crypto::Keyring;
use crate::error::Result;
use crate::restore;
use crate::sql::{Id, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::event::state::hex;
use domain::ids::UserId;

/// What the canary is sealed as.
const FIELD: &str = "epoch.canary";
/// The row that it is sealed for, and the shop that its index is made for: there is one.
const ROW: &str = "canary";
/// Accounts that are opened where there is no canary yet. A single damaged row does not refuse the right keys.
const SAMPLE: i64 = 5;

#[derive(QueryableByName)]
struct Canary {
    #[diesel(sql_type = t::Nullable<t::Binary>)]
    canary: Option<Vec<u8>>,
}

async fn canary(c: &mut Conn) -> Result<Option<Vec<u8>>> {
    let row: Option<Canary> = sql("select canary from participation.epoch").first(c).await?;
    Ok(row.and_then(|r| r.canary))
}

/// Was nothing ever sealed in this database? New keys do no harm then.
///
/// # Errors
/// The database could not be asked.
pub async fn is_unsealed(c: &mut Conn) -> Result<bool> {
    let accounts: Vec<Id> = sql("select id from identity.users limit 1").all(c).await?;
    Ok(accounts.is_empty() && canary(c).await?.is_none())
}

/// Do these keys belong to this database? The first ones that open what is there are remembered, so that each later start
/// compares with them.
///
/// # Errors
/// The database could not be asked or written.
pub async fn belongs(c: &mut Conn, keys: &Keyring) -> Result<bool> {
    if let Some(sealed) = canary(c).await? {
        return Ok(opens(keys, &sealed));
    }
    if !opens_accounts(c, keys).await? {
        return Ok(false);
    }
    sql("update participation.epoch set canary = ? where canary is null")
        .bind::<t::Binary, _>(seal(keys))
        .run(c)
        .await?;
    // Another server may have begun with other keys at the same moment.
    Ok(canary(c).await?.is_some_and(|sealed| opens(keys, &sealed)))
}

/// Makes these keys the database's own, whatever they open: an operator decided so.
///
/// # Errors
/// The database could not be written.
pub async fn replace(c: &mut Conn, keys: &Keyring) -> Result<()> {
    sql("update participation.epoch set canary = ?").bind::<t::Binary, _>(seal(keys)).run(c).await?;
    Ok(())
}

/// A database of an earlier version: at least one of the newest accounts opens, or there is none.
async fn opens_accounts(c: &mut Conn, keys: &Keyring) -> Result<bool> {
    let newest: Vec<Id> = sql("select id from identity.users order by created_at desc limit ?")
        .bind::<t::BigInt, _>(SAMPLE)
        .all(c)
        .await?;
    for account in &newest {
        if restore::account_opens(c, keys, UserId(account.id)).await? {
            return Ok(true);
        }
    }
    Ok(newest.is_empty())
}

/// Covers the data keys by being sealed, index keys and signing key by what it holds: new ones beside the old change nothing.
fn seal(keys: &Keyring) -> Vec<u8> {
    let kid = keys.active_index();
    let text = format!("{kid}|{}|{}", index(keys, kid).unwrap_or_default(), signature(keys));
    keys.seal(FIELD, ROW, text.as_bytes())
}

fn opens(keys: &Keyring, sealed: &[u8]) -> bool {
    let Ok(text) = keys.open_text(FIELD, ROW, sealed) else { return false };
    let Some((kid, found)) = text.split_once('|') else { return false };
    // The first canaries had no signature.
    let (found, signed) = found.split_once('|').map_or((found, None), |(found, signed)| (found, Some(signed)));
    index(keys, kid).is_some_and(|index| index == found) && signed.is_none_or(|signed| signed == signature(keys))
}

/// What an index key makes of a fixed text, in hexadecimal.
fn index(keys: &Keyring, kid: &str) -> Option<String> {
    keys.phone_index(kid, ROW, ROW).ok().map(|index| hex(&index))
}

/// What the signing key makes of it.
fn signature(keys: &Keyring) -> String {
    hex(&keys.mac("canary", &[ROW.as_bytes()])[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case O2: keys are told apart by both of their kinds.
    #[test]
    fn a_canary_opens_with_its_own_keys_only() {
        let (keys, others) = (Keyring::ephemeral(), Keyring::ephemeral());
        let sealed = seal(&keys);
        assert!(opens(&keys, &sealed));
        assert!(!opens(&others, &sealed), "other data keys");
        assert!(!opens(&keys, &seal(&others)));
        let wrong_index = keys.seal(FIELD, ROW, format!("i1|{}", index(&others, "i1").unwrap()).as_bytes());
        assert!(!opens(&keys, &wrong_index), "the same data keys, other index keys");
        let gone = keys.seal(FIELD, ROW, format!("i9|{}", index(&keys, "i1").unwrap()).as_bytes());
        assert!(!opens(&keys, &gone), "an index key that is not there any more");
        let text = |signature: &str| format!("i1|{}{signature}", index(&keys, "i1").unwrap());
        let stored = |signature: &str| keys.seal(FIELD, ROW, text(signature).as_bytes());
        assert!(opens(&keys, &stored("")), "one of before it was signed");
        assert!(opens(&keys, &stored(&format!("|{}", signature(&keys)))));
        assert!(!opens(&keys, &stored(&format!("|{}", signature(&others)))), "another signing key");
        assert!(!opens(&keys, b""));
    }
}
