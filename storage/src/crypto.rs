//! Keys, sealed fields, blind indexes.
//!
//! A sealed field is `1 | kid length | kid | nonce(12) | ciphertext and tag`, AES-256-GCM with the associated data
//! `table.column|row|kid`: ciphertext moved to another row or column does not open. A blind index is an
//! HMAC-SHA-256 under a key that is not in the database: a dump alone cannot be matched against 10^8 phone numbers.

use crate::error::{Result, StorageError};
use crate::private::Unfinished;
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{self, Aead, Key, Payload};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::RwLock;
use rand::rngs::OsRng;
use rand::{Rng, TryRngCore};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

type Secret = Zeroizing<[u8; 32]>;

/// What to do with a keys file without keys: older versions left one when the disk was full at their first start.
const EMPTY: &str = "it is empty, as an older version left it on a full disk: put the file back from where its copy is kept, or delete it \
                     if this installation never served anybody";

/// The keys file, as stored (mode 0600).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeysFile {
    /// The data key new fields are sealed with.
    active: String,
    /// Data keys by id.
    data: BTreeMap<String, String>,
    /// The index key new shops are pinned to.
    active_index: String,
    /// Index keys by id; never rotated for a shop.
    index: BTreeMap<String, String>,
    /// What tokens, receipts and visit codes are derived from.
    signing: String,
    /// Opens the admin port.
    admin_token: String,
}

/// The keys of this installation.
#[derive(Clone)]
pub struct Keyring {
    inner: Arc<Keys>,
}

struct Keys {
    active: String,
    /// Ciphers of the data keys, their schedules made once.
    ciphers: BTreeMap<String, Aes256Gcm>,
    active_index: String,
    index: BTreeMap<String, Secret>,
    signing: Secret,
    /// What [`Keyring::mac`] derived for each purpose.
    purposes: RwLock<BTreeMap<&'static str, Hmac<Sha256>>>,
    admin_token: Zeroizing<String>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} data keys, active {})", self.inner.ciphers.len(), self.inner.active)
    }
}

/// 32 bytes of the system's randomness.
///
/// # Panics
/// When the system has none, which no caller could mend.
#[must_use]
pub fn random32() -> [u8; 32] {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).expect("the system's randomness");
    bytes
}

/// 16 bytes of the system's randomness.
#[must_use]
pub fn random16() -> [u8; 16] {
    let all = random32();
    let mut half = [0; 16];
    half.copy_from_slice(&all[..16]);
    half
}

fn failed(path: &Path, e: impl fmt::Display) -> StorageError {
    StorageError::Other(format!("keys file {}: {e}", path.display()))
}

/// Keys that were just made. They are on disk, whole, and become those of the installation when they are published.
pub struct NewKeys {
    ring: Keyring,
    file: Unfinished,
    path: PathBuf,
}

impl NewKeys {
    /// Makes keys for a keys file that is missing.
    ///
    /// # Errors
    /// The folder cannot be written, or the disk is full: nothing is left behind.
    pub fn prepare(path: &Path) -> Result<Self> {
        let text = Zeroizing::new(Keyring::generate());
        let file = Unfinished::write(path, text.as_bytes()).map_err(|e| failed(path, e))?;
        let ring = Keyring::parse(&text).map_err(|e| failed(path, e))?;
        Ok(Self { ring, file, path: path.to_owned() })
    }

    /// Gives the keys file its name. Where another process was first, its keys are the ones.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn publish(self) -> Result<Keyring> {
        if self.file.publish().map_err(|e| failed(&self.path, e))? {
            return Ok(self.ring);
        }
        Keyring::open(&self.path, false)
    }
}

impl Keyring {
    /// Reads the keys file; creates it with mode 0600 when `create` allows and it is missing. The file is there whole or not
    /// at all.
    ///
    /// # Errors
    /// It is missing and may not be made, or cannot be read.
    pub fn open(path: &Path, create: bool) -> Result<Self> {
        match Self::read(path)? {
            Some(keys) => Ok(keys),
            None if create => NewKeys::prepare(path)?.publish(),
            None => Err(failed(path, "it is missing")),
        }
    }

    /// Reads the keys file. Returns `None` when it is missing.
    ///
    /// # Errors
    /// It cannot be read, or holds no keys.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map(Some).map_err(|e| failed(path, e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(path, e)),
        }
    }

    /// Keys that live only as long as this value: for tests.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self::parse(&Self::generate()).expect("what was just made parses")
    }

    fn generate() -> String {
        let key = || URL_SAFE_NO_PAD.encode(random32());
        let file = KeysFile {
            active: "d1".into(),
            data: BTreeMap::from([("d1".into(), key())]),
            active_index: "i1".into(),
            index: BTreeMap::from([("i1".into(), key())]),
            signing: key(),
            admin_token: key(),
        };
        serde_json::to_string_pretty(&file).expect("strings serialise") + "\n"
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err(EMPTY.into());
        }
        let file: KeysFile = serde_json::from_str(text).map_err(|e| format!("not a keys file: {e}"))?;
        let secret = |name: &str, s: &str| -> Result<Secret, String> {
            let bytes = URL_SAFE_NO_PAD.decode(s).map_err(|_| format!("{name} is not base64url"))?;
            Ok(Zeroizing::new(bytes.try_into().map_err(|_| format!("{name} is not 32 bytes"))?))
        };
        let all = |keys: &BTreeMap<String, String>| -> Result<BTreeMap<String, Secret>, String> {
            keys.iter().map(|(kid, s)| Ok((kid.clone(), secret(kid, s)?))).collect()
        };
        let data = all(&file.data)?;
        let cipher = |key: &Secret| Aes256Gcm::new(&Key::<Aes256Gcm>::from(**key));
        let keys = Keys {
            ciphers: data.iter().map(|(kid, key)| (kid.clone(), cipher(key))).collect(),
            purposes: RwLock::default(),
            index: all(&file.index)?,
            signing: secret("signing", &file.signing)?,
            active: file.active,
            active_index: file.active_index,
            admin_token: Zeroizing::new(file.admin_token),
        };
        if !keys.ciphers.contains_key(&keys.active)
            || !keys.index.contains_key(&keys.active_index)
            || keys.admin_token.len() < 32
        {
            return Err("an active key is missing, or the admin token is shorter than 32 characters".into());
        }
        Ok(Self { inner: Arc::new(keys) })
    }

    /// Seals a field of a row. `field` is `table.column`.
    #[must_use]
    pub fn seal(&self, field: &str, row: impl fmt::Display, plain: &[u8]) -> Vec<u8> {
        let kid = &self.inner.active;
        // A cryptographic generator of this thread: no call into the kernel for each field.
        let nonce: [u8; 12] = rand::rng().random();
        let aad = format!("{field}|{row}|{kid}");
        let sealed = self.inner.ciphers[kid]
            .encrypt(&aead::Nonce::<Aes256Gcm>::from(nonce), Payload { msg: plain, aad: aad.as_bytes() })
            .expect("a field is far below the cipher's limit");
        let mut out = Vec::with_capacity(2 + kid.len() + 12 + sealed.len());
        out.extend([1, u8::try_from(kid.len()).expect("a short key id")]);
        out.extend(kid.as_bytes());
        out.extend(nonce);
        out.extend(sealed);
        out
    }

    /// Opens a field of a row.
    ///
    /// # Errors
    /// [`StorageError::Sealed`]: another row or column, a missing key, or a changed byte.
    pub fn open_field(&self, field: &str, row: impl fmt::Display, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let parts = || -> Option<(&str, &[u8], &[u8])> {
            let (head, rest) = sealed.split_at_checked(2)?;
            let (kid, rest) = rest.split_at_checked(usize::from(head[1]))?;
            let (nonce, body) = rest.split_at_checked(12)?;
            (head[0] == 1).then_some((std::str::from_utf8(kid).ok()?, nonce, body))
        };
        let (kid, nonce, body) = parts().ok_or(StorageError::Sealed)?;
        let cipher = self.inner.ciphers.get(kid).ok_or(StorageError::Sealed)?;
        let aad = format!("{field}|{row}|{kid}");
        let nonce: &aead::Nonce<Aes256Gcm> = nonce.try_into().map_err(|_| StorageError::Sealed)?;
        cipher
            .decrypt(nonce, Payload { msg: body, aad: aad.as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| StorageError::Sealed)
    }

    /// Opens a field of a row that holds text.
    ///
    /// # Errors
    /// As [`Keyring::open_field`].
    pub fn open_text(&self, field: &str, row: impl fmt::Display, sealed: &[u8]) -> Result<String> {
        let plain = self.open_field(field, row, sealed)?;
        std::str::from_utf8(&plain).map(str::to_owned).map_err(|_| StorageError::Sealed)
    }

    /// The blind index of a value of an account, under the installation's index key. `kind` separates domains.
    #[must_use]
    pub fn index(&self, kind: &str, value: &str) -> [u8; 32] {
        hmac(&self.inner.index[&self.inner.active_index], &[kind.as_bytes(), b"|", value.as_bytes()])
    }

    /// The id of the index key new shops are pinned to.
    #[must_use]
    pub fn active_index(&self) -> &str {
        &self.inner.active_index
    }

    /// The blind index of a phone within a shop, 16 bytes, under the key the shop is pinned to.
    ///
    /// # Errors
    /// [`StorageError::Sealed`] when that key is gone.
    pub fn phone_index(&self, kid: &str, store: impl fmt::Display, phone: &str) -> Result<[u8; 16]> {
        let key = self.inner.index.get(kid).ok_or(StorageError::Sealed)?;
        let full = hmac(key, &[b"entry-phone|", store.to_string().as_bytes(), b"|", phone.as_bytes()]);
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        Ok(half)
    }

    /// A keyed hash for a purpose: tokens, receipts, fingerprints, visit codes.
    #[must_use]
    pub fn mac(&self, purpose: &'static str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.keyed(purpose);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The state of a purpose's key, derived once.
    fn keyed(&self, purpose: &'static str) -> Hmac<Sha256> {
        if let Some(mac) = self.inner.purposes.read().get(purpose) {
            return mac.clone();
        }
        let key = Zeroizing::new(hmac(&self.inner.signing, &[purpose.as_bytes()]));
        let mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
        self.inner.purposes.write().insert(purpose, mac.clone());
        mac
    }

    /// Is this the admin token? Compared in constant time.
    #[must_use]
    pub fn is_admin_token(&self, token: &str) -> bool {
        token.as_bytes().ct_eq(self.inner.admin_token.as_bytes()).into()
    }

    /// The admin token, for this machine's own command line.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.inner.admin_token
    }
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_opens_only_where_it_was_sealed() {
        let keys = Keyring::ephemeral();
        let sealed = keys.seal("users.name", 7, "홍길동".as_bytes());
        assert_eq!(keys.open_text("users.name", 7, &sealed).unwrap(), "홍길동");
        assert!(keys.open_text("users.name", 8, &sealed).is_err(), "another row");
        assert!(keys.open_text("users.phone", 7, &sealed).is_err(), "another column");
        assert!(Keyring::ephemeral().open_text("users.name", 7, &sealed).is_err(), "another key");
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 1;
            assert!(keys.open_field("users.name", 7, &bad).is_err(), "byte {i}");
        }
        for cut in 0..sealed.len() {
            assert!(keys.open_field("users.name", 7, &sealed[..cut]).is_err());
        }
        assert_ne!(sealed, keys.seal("users.name", 7, "홍길동".as_bytes()), "nonces differ");
    }

    #[test]
    fn indexes_are_keyed_and_separate() {
        let keys = Keyring::ephemeral();
        assert_eq!(keys.index("email", "a"), keys.index("email", "a"));
        assert_ne!(keys.index("email", "a"), keys.index("business", "a"));
        assert_ne!(keys.phone_index("i1", "s1", "p").unwrap(), keys.phone_index("i1", "s2", "p").unwrap());
        assert!(keys.phone_index("i9", "s1", "p").is_err());
        assert_ne!(keys.mac("a", &[b"x", b"y"]), keys.mac("a", &[b"xy", b""]));
    }

    /// Case O12: what was prepared is no keys file yet; whoever is first has made it.
    #[test]
    fn new_keys_are_those_of_the_first_who_publishes() {
        let folder = std::env::temp_dir().join(format!("madang-keys-{}", uuid::Uuid::now_v7()));
        let path = folder.join("keys.json");
        let (first, second) = (NewKeys::prepare(&path).unwrap(), NewKeys::prepare(&path).unwrap());
        assert!(Keyring::read(&path).unwrap().is_none());
        let sealed = first.publish().unwrap().seal("t.c", 1, b"x");
        second.publish().unwrap().open_field("t.c", 1, &sealed).unwrap();
        drop(NewKeys::prepare(&path).unwrap());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// Case O12.
    #[test]
    fn the_file_is_private_and_read_again() {
        let folder = std::env::temp_dir().join(format!("madang-keys-{}", uuid::Uuid::now_v7()));
        let path = folder.join("keys.json");
        assert!(Keyring::open(&path, false).is_err(), "must exist when it may not be made");
        let sealed = Keyring::open(&path, true).unwrap().seal("t.c", 1, b"x");
        assert_eq!(&**Keyring::open(&path, false).unwrap().open_field("t.c", 1, &sealed).unwrap(), b"x");
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );
        std::fs::write(&path, "{}").unwrap();
        assert!(Keyring::open(&path, true).is_err(), "a broken file is never replaced");
        std::fs::write(&path, "\n").unwrap();
        let empty = Keyring::open(&path, true).unwrap_err().to_string();
        assert!(empty.contains("it is empty") && empty.contains("delete it") && !empty.contains('\n'), "{empty}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
