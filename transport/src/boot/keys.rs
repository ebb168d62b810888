//! The keys of a start: read before anything else, and held against the database before anything is sealed with them.

use super::{BootError, secure_data_folder};
use crate::config::Settings;
use std::path::{Path, PathBuf};
use storage::crypto::{Keyring, NewKeys};
use storage::private::OpenFile;
use storage::{Store, canary, private};

/// The keys file as a start found it.
pub(crate) struct FoundKeys {
    path: PathBuf,
    keys: Keys,
}

enum Keys {
    Existing(Keyring),
    /// The file is missing. These become the keys where the database holds nothing that others have sealed.
    New(NewKeys),
}

/// Closes the data folder and reads the keys file. In development a missing one is made, under a name of its own until the
/// database agrees.
///
/// # Errors
/// Folder or file belongs to another user, the file cannot be read or made, or in production others may read it.
pub(crate) fn find(settings: &Settings) -> Result<FoundKeys, BootError> {
    secure_data_folder(settings)?;
    let path = settings.keys_file();
    guard(&path, settings.production)?;
    let keys = match Keyring::read(&path)? {
        Some(keys) => Keys::Existing(keys),
        None if settings.production => {
            return Err(format!("MADANG_KEYS_FILE: {} must exist in production", path.display()).into());
        }
        None => Keys::New(NewKeys::prepare(&path)?),
    };
    Ok(FoundKeys { path, keys })
}

/// The same of an installation that has a keys file.
///
/// # Errors
/// As [`find`], or the file is missing.
pub(crate) fn existing(settings: &Settings) -> Result<Keyring, BootError> {
    secure_data_folder(settings)?;
    let path = settings.keys_file();
    guard(&path, settings.production)?;
    Ok(Keyring::open(&path, false)?)
}

/// The same, and nothing is changed.
///
/// # Errors
/// As [`existing`].
pub(crate) fn existing_as_they_are(settings: &Settings) -> Result<Keyring, BootError> {
    check(settings)?;
    Ok(Keyring::open(&settings.keys_file(), false)?)
}

/// Judges data folder and keys file as [`find`] does, and changes nothing.
///
/// # Errors
/// What [`find`] would refuse.
pub(crate) fn check(settings: &Settings) -> Result<(), BootError> {
    private::check_folder(&settings.data_dir).map_err(|e| format!("MADANG_DATA_DIR: {e}"))?;
    let path = settings.keys_file();
    private::check_owners(&path).map_err(|e| format!("keys file {}: {e}", path.display()))?;
    judge(&path, settings.production).map(drop)
}

/// Refuses a keys file that group or others can read, in production; in development it says what is to be closed.
fn judge(path: &Path, production: bool) -> Result<Option<OpenFile>, BootError> {
    let open = private::open_to_others(path);
    match open.filter(|_| production) {
        Some(open) => {
            let file = path.display();
            let why = format!(
                "keys file {file}: {open}; chmod 600 {file} (a mounted secret: mode 0440, with a group of Madang's)"
            );
            Err(why.into())
        }
        None => Ok(open),
    }
}

/// The same, and refuses a file of another user; in development the file is closed to others.
fn guard(path: &Path, production: bool) -> Result<(), BootError> {
    private::secure_owners(path).map_err(|e| format!("keys file {}: {e}", path.display()))?;
    let Some(open) = judge(path, production)? else { return Ok(()) };
    let file = path.display();
    match open.close(path) {
        Ok(()) => tracing::warn!("keys file {file}: {open}; it is 0600 now"),
        Err(e) => tracing::warn!("keys file {file}: {open}, and that cannot be changed: {e}"),
    }
    Ok(())
}

impl FoundKeys {
    /// The keys, once the database has shown that they are its own.
    ///
    /// # Errors
    /// The database was sealed with other keys, or could not be asked.
    pub(crate) async fn of(self, store: &Store) -> Result<Keyring, BootError> {
        let file = self.path.display();
        let keys = match self.keys {
            Keys::Existing(keys) => keys,
            Keys::New(new) => {
                if !store.run(async move |c| canary::is_unsealed(c).await).await? {
                    return Err(format!(
                        "keys file {file} is missing, and this database holds data that only its keys open: put the file back (new \
                         keys would open nothing)"
                    )
                    .into());
                }
                new.publish()?
            }
        };
        let tried = keys.clone();
        if store.run(async move |c| canary::belongs(c, &tried).await).await? {
            return Ok(keys);
        }
        Err(format!(
            "keys file {file} does not belong to this database: its data was sealed with other keys; put the right file there, or \
             set DATABASE_URL to the database of these keys (`madang restored --check` says what does not open)"
        )
        .into())
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// Case H1: needs the rights of root to give a file away.
    #[test]
    fn a_keys_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { data_dir: folder.path().join("data"), ..Settings::defaults().unwrap() };
        find(&settings).unwrap();
        let path = settings.keys_file();
        Keyring::open(&path, true).unwrap();
        check(&settings).unwrap();
        existing(&settings).unwrap();
        if let Err(e) = std::os::unix::fs::chown(&path, Some(65_534), None) {
            testkit::skipped("a_keys_file_of_another_user_is_refused", &format!("chown: {e}"));
            return;
        }
        for production in [false, true] {
            let settings = Settings { production, ..settings.clone() };
            let outcomes = [check(&settings), find(&settings).map(drop), existing(&settings).map(drop)];
            for refused in outcomes.map(Result::unwrap_err) {
                let why = refused.to_string();
                assert!(why.starts_with("keys file ") && why.contains("another user (uid 65534)"), "{why}");
            }
        }
    }
}
