//! Files and folders that no other user of the machine may read.

use crate::error::{Result, StorageError};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file is written under a name of its own first; the name ends so.
const UNFINISHED: &str = "unfinished";

/// A name that nobody else uses at this moment.
fn unused_name() -> String {
    format!(".{:032x}.{UNFINISHED}", u128::from_be_bytes(crate::crypto::random16()))
}

/// Makes a folder that only this user may enter, whatever the umask. Returns true when others could enter it before.
///
/// # Errors
/// The folder cannot be made or written, belongs to another user, or is shared by design, as `/tmp` is.
pub fn secure_folder(path: &Path) -> Result<bool> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    secure(path).map_err(|why| StorageError::Other(format!("folder {}: {why}", path.display())))
}

/// Judges a folder as [`secure_folder`] does, and changes nothing. One that is missing is made by a start.
///
/// # Errors
/// It belongs to another user, is shared by design, or is no folder.
pub fn check_folder(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    check(path).map_err(|why| StorageError::Other(format!("folder {}: {why}", path.display())))
}

/// Makes the folder and those above it. Returns false when it was there.
fn make(path: &Path) -> std::io::Result<bool> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
                std::fs::create_dir_all(above)?;
            }
            builder.create(path).map(|()| true)
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        outcome => outcome.map(|()| true),
    }
}

/// What a folder is, if it can be this installation's alone.
#[cfg(unix)]
fn judge(path: &Path) -> Result<std::fs::Metadata, String> {
    use std::os::unix::fs::MetadataExt;
    let failed = |e: std::io::Error| e.to_string();
    let found = std::fs::metadata(path).map_err(failed)?;
    let real = path.canonicalize().map_err(failed)?;
    if !found.is_dir() {
        return Err("is no folder".into());
    }
    if found.mode() & 0o1000 != 0 || real.parent().is_none() {
        return Err("is shared by all users of this machine; name a folder for Madang alone".into());
    }
    Ok(found)
}

#[cfg(unix)]
fn not_ours(path: &Path, found: &std::fs::Metadata) -> String {
    let (uid, new) = (std::os::unix::fs::MetadataExt::uid(found), path.join("madang"));
    format!(
        "belongs to another user (uid {uid}); start as that user, or name a new folder, such as {}, which is made",
        new.display()
    )
}

#[cfg(unix)]
fn check(path: &Path) -> Result<(), String> {
    if !path.try_exists().map_err(|e| e.to_string())? {
        return Ok(());
    }
    let found = judge(path)?;
    let ours = std::os::unix::fs::MetadataExt::uid(&found) == rustix::process::geteuid().as_raw();
    if ours { Ok(()) } else { Err(not_ours(path, &found)) }
}

#[cfg(not(unix))]
fn check(_: &Path) -> Result<(), String> {
    Ok(())
}

#[cfg(unix)]
fn secure(path: &Path) -> Result<bool, String> {
    use std::os::unix::fs::MetadataExt;
    let failed = |e: std::io::Error| e.to_string();
    if make(path).map_err(failed)? {
        set_mode(path, 0o700).map_err(failed)?;
        return Ok(false);
    }
    let found = judge(path)?;
    match own_uid(path) {
        Ok(uid) if uid != found.uid() => return Err(not_ours(path, &found)),
        Ok(_) => {}
        // Only its owner may change the mode of a folder that cannot be written.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            set_mode(path, 0o700).map_err(|_| not_ours(path, &found))?;
        }
        Err(e) => return Err(e.to_string()),
    }
    let open_to_others = found.mode() & 0o077 != 0;
    if open_to_others || found.mode() & 0o700 != 0o700 {
        set_mode(path, 0o700).map_err(failed)?;
    }
    Ok(open_to_others)
}

#[cfg(not(unix))]
fn secure(path: &Path) -> Result<bool, String> {
    make(path).map(|_| false).map_err(|e| e.to_string())
}

/// Sets the permission bits of a file or folder.
#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

/// The user whose files this process makes. A new file says it, for a shared file system may give them to another user.
#[cfg(unix)]
fn own_uid(folder: &Path) -> std::io::Result<u32> {
    use std::os::unix::fs::MetadataExt;
    let probe = folder.join(unused_name());
    let uid = new_file(&probe)?.metadata().map(|m| m.uid());
    std::fs::remove_file(&probe)?;
    uid
}

fn new_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file with all its bytes on disk, under a name of its own until it is published; dropped before that, it is removed.
pub(crate) struct Unfinished {
    at: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    /// Writes the bytes beside the file that they are for, readable by this user only.
    pub(crate) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<Self> {
        let folder = folder_of(path);
        std::fs::create_dir_all(folder)?;
        let unfinished = Self { at: folder.join(unused_name()), path: path.to_owned() };
        let mut file = new_file(&unfinished.at)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(unfinished)
    }

    /// Gives the file its name, whole. Returns false when the name is taken: the file there stays as it is.
    pub(crate) fn publish(self) -> std::io::Result<bool> {
        match std::fs::hard_link(&self.at, &self.path) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(false),
            // A file system without links: nobody else makes the file at this moment.
            Err(_) if !self.path.try_exists()? => std::fs::rename(&self.at, &self.path)?,
            Err(_) => return Ok(false),
        }
        #[cfg(unix)]
        unless_unsupported(File::open(folder_of(&self.path))?.sync_all())?;
        Ok(true)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.at);
    }
}

/// Some network file systems cannot sync a folder, and sync the name with the file.
#[cfg(unix)]
fn unless_unsupported(synced: std::io::Result<()>) -> std::io::Result<()> {
    match synced {
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        outcome => outcome,
    }
}

/// The folder of a file; that of a bare name is the working folder.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Checks that a file of secrets, and the folders of its name and of the file itself, belong to this process's user or to
/// root. The owner of any of them can read or replace the secrets, whatever the modes say. Changes nothing.
///
/// # Errors
/// One of them belongs to another user, or cannot be looked at. A file or folder that is missing belongs to nobody.
pub fn check_owners(path: &Path) -> Result<()> {
    owners(path, |_, _| false).map_err(StorageError::Other)
}

/// Checks owners as [`check_owners`] does. A shared file system may give new files to another user: that user passes too.
///
/// # Errors
/// As [`check_owners`].
pub fn secure_owners(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        owners(path, |folder, uid| own_uid(folder).is_ok_and(|new| new == uid)).map_err(StorageError::Other)
    }
    #[cfg(not(unix))]
    {
        check_owners(path)
    }
}

#[cfg(unix)]
fn owners(path: &Path, given_to: impl Fn(&Path, u32) -> bool) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let own = rustix::process::geteuid().as_raw();
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for holds in [folder_of(path), folder_of(&real), real.as_path()] {
        let found = match std::fs::metadata(holds) {
            Ok(found) => found,
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(format!("{}: {e}", holds.display())),
        };
        let folder = if found.is_dir() { holds } else { folder_of(holds) };
        if !is_trusted(found.uid(), own) && !given_to(folder, found.uid()) {
            return Err(foreign(holds, found.uid()));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn owners(_: &Path, _: impl Fn(&Path, u32) -> bool) -> Result<(), String> {
    Ok(())
}

/// Returns true if the owner of a secret is this process's user or root. Root reads every secret anyway.
#[cfg(unix)]
fn is_trusted(owner: u32, own: u32) -> bool {
    owner == own || owner == 0
}

#[cfg(unix)]
fn foreign(path: &Path, uid: u32) -> String {
    let name = path.display();
    format!(
        "{name} belongs to another user (uid {uid}), who can read or replace it; chown it to Madang's user or to root"
    )
}

/// Says what is wrong with the mode of a file of secrets, if group or others may do anything with it. A secret that a
/// container's system mounts for this process is none of those: root's, and readable by one of this process's groups.
#[must_use]
pub fn open_to_others(path: &Path) -> Option<OpenFile> {
    #[cfg(unix)]
    {
        use rustix::process::{getegid, geteuid, getgroups};
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(path).ok()?;
        let mut groups = vec![getegid().as_raw()];
        groups.extend(getgroups().unwrap_or_default().into_iter().map(rustix::process::Gid::as_raw));
        let mode = found.mode() & 0o777;
        let given = is_given(mode, (found.uid(), found.gid()), geteuid().as_raw(), &groups);
        (mode & 0o077 != 0 && !given).then_some(OpenFile { mode })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Did root give a file to one of our groups, to read? We cannot close it ourselves; a file of our own we can.
#[cfg(unix)]
fn is_given(mode: u32, (owner, group): (u32, u32), own: u32, groups: &[u32]) -> bool {
    mode & 0o037 == 0 && owner == 0 && own != 0 && groups.contains(&group)
}

/// The mode of a file of secrets that others may read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFile {
    mode: u32,
}

impl OpenFile {
    /// Takes the permissions of group and others away.
    ///
    /// # Errors
    /// The file belongs to another user, or lies on a file system without modes.
    pub fn close(self, path: &Path) -> std::io::Result<()> {
        #[cfg(unix)]
        set_mode(path, self.mode & 0o700)?;
        #[cfg(not(unix))]
        let _ = path;
        Ok(())
    }
}

impl fmt::Display for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mode {:04o} lets other users of this machine at it", self.mode)
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    /// Case H1: the folder is closed however it was found.
    #[test]
    fn a_folder_is_closed_to_others() {
        let all = tempfile::tempdir().unwrap();
        let deep = all.path().join("a/b/data");
        assert!(!secure_folder(&deep).unwrap(), "a new folder was open to nobody");
        assert_eq!(mode(&deep), 0o700);
        for (before, changed) in
            [(0o755, true), (0o777, true), (0o750, true), (0o710, true), (0o500, false), (0o700, false)]
        {
            set_mode(&deep, before).unwrap();
            assert_eq!(secure_folder(&deep).unwrap(), changed, "{before:o}");
            assert_eq!(mode(&deep), 0o700, "{before:o}");
        }
        assert_eq!(std::fs::read_dir(&deep).unwrap().count(), 0, "nothing is left in it");
    }

    /// Case H1: a folder that is everybody's stays as it is, and so does what is no folder.
    #[test]
    fn a_shared_folder_is_refused() {
        let all = tempfile::tempdir().unwrap();
        let (shared, file) = (all.path().join("shared"), all.path().join("file"));
        std::fs::create_dir(&shared).unwrap();
        set_mode(&shared, 0o1777).unwrap();
        std::fs::write(&file, "x").unwrap();
        for (path, says) in [(&shared, "shared by all users"), (&file, "no folder")] {
            let why = secure_folder(path).unwrap_err().to_string();
            assert!(why.contains(says) && why.contains(&path.display().to_string()) && !why.contains('\n'), "{why}");
            assert_eq!(check_folder(path).unwrap_err().to_string(), why, "a check says what a start says");
        }
        assert_eq!(mode(&shared), 0o1777);
        assert!(secure_folder(Path::new("/")).is_err());
    }

    /// Case H1: needs the rights of root to give a folder away.
    #[test]
    fn a_folder_of_another_user_is_refused() {
        let all = tempfile::tempdir().unwrap();
        let theirs = all.path().join("theirs");
        std::fs::create_dir(&theirs).unwrap();
        if let Err(e) = std::os::unix::fs::chown(&theirs, Some(65_534), None) {
            testkit::skipped("a_folder_of_another_user_is_refused", &format!("chown: {e}"));
            return;
        }
        set_mode(&theirs, 0o777).unwrap();
        let why = secure_folder(&theirs).unwrap_err().to_string();
        assert!(why.contains("another user (uid 65534)") && !why.contains('\n'), "{why}");
        assert_eq!(check_folder(&theirs).unwrap_err().to_string(), why, "a check says what a start says");
        assert_eq!(mode(&theirs), 0o777);
    }

    /// Case H1: a closed mode helps nothing where the owner is another user.
    #[test]
    fn secrets_belong_to_this_user_or_to_root() {
        for (owner, own, trusted) in [(1_000, 1_000, true), (0, 1_000, true), (1_001, 1_000, false), (1_000, 0, false)]
        {
            assert_eq!(is_trusted(owner, own), trusted, "{owner} {own}");
        }
        let all = tempfile::tempdir().unwrap();
        let path = all.path().join("keys.json");
        check_owners(&path).unwrap();
        std::fs::write(&path, "x").unwrap();
        check_owners(&path).unwrap();
        secure_owners(&path).unwrap();
        assert_eq!(std::fs::read_dir(all.path()).unwrap().count(), 1, "nothing is left in it");
    }

    /// Case H1: needs the rights of root to give a file away. A link hides neither the file nor its folder.
    #[test]
    fn secrets_of_another_user_are_refused() {
        let all = tempfile::tempdir().unwrap();
        let (theirs, links) = (all.path().join("theirs"), all.path().join("links"));
        std::fs::create_dir(&theirs).unwrap();
        std::fs::create_dir(&links).unwrap();
        let (file, link) = (theirs.join("keys.json"), links.join("keys.json"));
        std::fs::write(&file, "x").unwrap();
        set_mode(&file, 0o600).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let give = |path: &Path, uid| std::os::unix::fs::chown(path, Some(uid), None);
        let own = rustix::process::geteuid().as_raw();
        for (given, named) in [(&file, "keys.json"), (&theirs, "theirs")] {
            if let Err(e) = give(given, 65_534) {
                testkit::skipped("secrets_of_another_user_are_refused", &format!("chown: {e}"));
                return;
            }
            for path in [&file, &link] {
                let why = check_owners(path).unwrap_err().to_string();
                let told = format!("{named} belongs to another user (uid 65534)");
                assert!(why.contains(&told) && !why.contains('\n'), "{why}");
                assert_eq!(secure_owners(path).unwrap_err().to_string(), why, "a start says what a check says");
            }
            give(given, own).unwrap();
            check_owners(&link).unwrap();
        }
    }

    /// Case O12: a file has its name when it is whole, and the first one stands.
    #[test]
    fn a_file_is_whole_or_not_there() {
        let all = tempfile::tempdir().unwrap();
        let path = all.path().join("keys.json");
        drop(Unfinished::write(&path, b"given up").unwrap());
        assert_eq!(std::fs::read_dir(all.path()).unwrap().count(), 0, "what was not published is gone");
        let (first, second) = (Unfinished::write(&path, b"one").unwrap(), Unfinished::write(&path, b"two").unwrap());
        assert!(!path.exists());
        assert!(first.publish().unwrap());
        assert!(!second.publish().unwrap(), "the name is taken");
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_dir(all.path()).unwrap().count(), 1);
    }

    /// A check changes nothing.
    #[test]
    fn a_check_leaves_a_folder_as_it_is() {
        let all = tempfile::tempdir().unwrap();
        let (open, missing) = (all.path().join("open"), all.path().join("missing"));
        std::fs::create_dir(&open).unwrap();
        set_mode(&open, 0o755).unwrap();
        check_folder(&open).unwrap();
        check_folder(&missing).unwrap();
        assert_eq!((mode(&open), missing.exists()), (0o755, false));
    }

    /// Containers get their secrets as root's, readable by a group of the process.
    #[test]
    fn a_secret_that_is_given_to_our_group_is_no_open_file() {
        let (own, groups) = (1_000, [1_000, 2_000]);
        for (mode, owner, group, given) in [
            (0o440, 0, 2_000, true),
            (0o640, 0, 1_000, true),
            (0o440, 0, 3_000, false),
            (0o444, 0, 2_000, false),
            (0o660, 0, 2_000, false),
            (0o440, 1_001, 2_000, false),
            (0o640, 1_000, 1_000, false),
        ] {
            assert_eq!(is_given(mode, (owner, group), own, &groups), given, "{mode:o} {owner}:{group}");
        }
        assert!(!is_given(0o640, (0, 0), 0, &[0]), "root closes its own");
    }

    #[test]
    fn a_folder_that_cannot_be_synced_is_no_error() {
        let system = |code| unless_unsupported(Err(std::io::Error::from_raw_os_error(code)));
        // EINVAL and EIO.
        assert!(system(22).is_ok() && system(5).is_err() && unless_unsupported(Ok(())).is_ok());
        assert!(unless_unsupported(Err(ErrorKind::Unsupported.into())).is_ok());
    }

    #[test]
    fn a_file_that_others_may_read_is_told_and_closed() {
        let all = tempfile::tempdir().unwrap();
        let path = all.path().join("keys.json");
        std::fs::write(&path, "x").unwrap();
        for open in [0o644, 0o640, 0o604, 0o620, 0o666] {
            set_mode(&path, open).unwrap();
            let found = open_to_others(&path).unwrap();
            assert!(found.to_string().contains(&format!("0{open:o}")), "{found}");
            found.close(&path).unwrap();
            assert_eq!((mode(&path), open_to_others(&path)), (0o600, None));
        }
    }
}
