//! Where the embedded database keeps what it unpacks (some 100 MB). It asks for a cache folder below the user's home, and a
//! service user may have none: the data folder must be enough.

use crate::config::Settings;

/// The folder of the cache in the data folder.
#[cfg(all(feature = "embedded", unix))]
const CACHE: &str = "cache";

/// Starts this process anew, under the same id, with its cache in the data folder. Returns where nothing is to be done: the
/// environment names a cache, another database is used, or the system refuses.
#[cfg(all(feature = "embedded", unix))]
pub(crate) fn move_cache(settings: &Settings) {
    use std::os::unix::process::CommandExt;
    let Ok(data) = std::path::absolute(&settings.data_dir) else { return };
    if settings.database_url.is_some() || names_cache() {
        return;
    }
    let failed = match again(&data) {
        Ok(mut command) => command.exec(),
        Err(e) => e,
    };
    eprintln!("madang: the embedded database keeps its cache outside of the data folder: {failed}");
}

/// Plays the whole command in a child with a cache of its own, for a user without a home; its exit code. `None`: there is a
/// place for the cache already.
#[cfg(all(feature = "embedded", unix))]
pub(crate) fn play_elsewhere() -> Option<i32> {
    let usable = std::env::var_os("HOME").filter(|home| !home.is_empty()).is_some_and(|home| {
        let cache = std::path::Path::new(&home).join(".cache");
        std::fs::create_dir_all(&cache).is_ok() && tempfile::tempfile_in(&cache).is_ok()
    });
    if usable || names_cache() {
        return None;
    }
    let folder = tempfile::tempdir().ok()?;
    let status = again(folder.path()).ok()?.status().ok()?;
    Some(status.code().unwrap_or(1))
}

/// This very command, with its cache in a folder.
#[cfg(all(feature = "embedded", unix))]
fn again(folder: &std::path::Path) -> std::io::Result<std::process::Command> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).env("XDG_CACHE_HOME", folder.join(CACHE));
    if std::env::var_os("HOME").is_none_or(|home| home.is_empty()) {
        // Without any home, not even that of a user database, none of the folders below it is looked for.
        command.env("HOME", folder);
    }
    Ok(command)
}

/// Does the environment name a folder for caches? A relative one is ignored by all who read it.
#[cfg(all(feature = "embedded", unix))]
fn names_cache() -> bool {
    std::env::var_os("XDG_CACHE_HOME").is_some_and(|folder| std::path::Path::new(&folder).is_absolute())
}

/// There is no embedded database.
#[cfg(not(all(feature = "embedded", unix)))]
pub(crate) fn move_cache(_: &Settings) {}

/// There is no embedded database.
#[cfg(not(all(feature = "embedded", unix)))]
pub(crate) fn play_elsewhere() -> Option<i32> {
    None
}
