//! The Unix socket of the embedded database: in a folder that only this user may enter, under a path that is short enough.

use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Bytes of a socket's path at most: the address holds 108 with the zero at its end.
const MAX_PATH_BYTES: usize = 107;
/// The name that clients of PostgreSQL look for in a folder.
const NAME: &str = ".s.PGSQL.5432";

/// Where the socket is; dropped, its file is removed, and its folder where that was made for it.
pub(super) struct Socket {
    folder: PathBuf,
    temporary: bool,
}

impl Socket {
    /// Listens in the database's own folder, which no other user may enter. Where that path is too long, or its file system
    /// takes no sockets (shared folders of Docker Desktop, CIFS), a folder for this database alone is made among the
    /// temporary ones. The caller holds the database's lock: what an earlier process left is removed.
    pub(super) fn listen(database: &Path) -> Result<(Self, UnixListener)> {
        let folder = std::path::absolute(database)?;
        if fits(&folder) {
            match (Self { folder: folder.clone(), temporary: false }).bind() {
                Ok(listening) => return Ok(listening),
                Err(e) => {
                    tracing::info!(error = %e, "the data folder takes no socket: it is among the temporary files")
                }
            }
        }
        Self { folder: temporary_folder(&folder)?, temporary: true }.bind()
    }

    /// Replaces what an earlier process left. Only this user may connect; on an error nothing is left.
    fn bind(self) -> Result<(Self, UnixListener)> {
        let file = self.file();
        match std::fs::remove_file(&file) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(&file)?;
        crate::private::set_mode(&file, 0o600)?;
        Ok((self, listener))
    }

    /// The socket's file.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// The address for a client of PostgreSQL: a host that begins with a slash is a folder.
    pub(super) fn url(&self) -> String {
        let mut host = String::new();
        for byte in self.folder.as_os_str().as_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => host.push(char::from(*byte)),
                other => {
                    let _ = write!(host, "%{other:02X}");
                }
            }
        }
        format!("postgresql://postgres@{host}/template1?sslmode=disable")
    }

    /// Connects and closes at once, which wakes whoever accepts.
    pub(super) fn wake(&self) {
        let _ = UnixStream::connect(self.file());
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.file());
        if self.temporary {
            let _ = std::fs::remove_dir(&self.folder);
        }
    }
}

fn fits(folder: &Path) -> bool {
    folder.join(NAME).as_os_str().len() <= MAX_PATH_BYTES
}

/// Makes a private folder with a short path. The name follows from the database: a start after a kill takes the same one.
fn temporary_folder(database: &Path) -> Result<PathBuf> {
    let owner = std::fs::metadata(database)?.uid();
    let hash = Sha256::digest(database.as_os_str().as_bytes());
    let number = hash.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    let any = u128::from_be_bytes(crate::crypto::random16());
    let name = format!("madang-{number:016x}");
    let bases = [std::env::temp_dir(), PathBuf::from("/tmp")];
    let base = bases.iter().find(|base| base.is_absolute() && fits(&base.join(format!("{name}-{:08x}", any as u32))));
    let base =
        base.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "no temporary folder has a path that is short enough"))?;
    let usual = base.join(&name);
    match private_folder(&usual, owner) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let other = base.join(format!("{name}-{:08x}", any as u32));
            private_folder(&other, owner)?;
            Ok(other)
        }
        made => made.map(|()| usual),
    }
}

/// Makes a folder that only its owner may enter, or takes the one that an earlier process of this user left.
fn private_folder(path: &Path, owner: u32) -> Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => crate::private::set_mode(path, 0o700),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            // Never through a link: in a folder that all users share anybody may have made it.
            let found = std::fs::symlink_metadata(path)?;
            let ours = found.is_dir() && found.uid() == owner && found.mode() & 0o7777 == 0o700;
            if ours { Ok(()) } else { Err(e) }
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    /// Case H1: the socket is this user's alone, and what a killed process left is no hindrance.
    #[test]
    fn a_socket_is_private_and_replaces_a_stale_one() {
        let folder = tempfile::tempdir().unwrap();
        let (first, listener) = Socket::listen(folder.path()).unwrap();
        assert_eq!((mode(&first.file()), first.file().parent()), (0o600, Some(folder.path())));
        // A killed process drops nothing.
        drop(listener);
        std::mem::forget(first);
        let (second, listener) = Socket::listen(folder.path()).unwrap();
        second.wake();
        listener.accept().unwrap();
        let file = second.file();
        drop(second);
        assert!(!file.exists(), "the file is removed at the end");
    }

    /// Case H1: a path that is too long for a socket.
    #[test]
    fn a_long_path_gets_a_private_folder_elsewhere() {
        let all = tempfile::tempdir().unwrap();
        let long = all.path().join("가게".repeat(20)).join("d".repeat(120));
        std::fs::create_dir_all(&long).unwrap();
        let (socket, listener) = Socket::listen(&long).unwrap();
        let (file, folder) = (socket.file(), socket.folder.clone());
        assert!(file.as_os_str().len() <= MAX_PATH_BYTES && !file.starts_with(all.path()), "{}", file.display());
        assert_eq!(mode(&folder), 0o700);
        drop(listener);
        std::mem::forget(socket);
        let (again, _listener) = Socket::listen(&long).unwrap();
        assert_eq!(again.folder, folder, "the folder that a killed process left is used again");
        // Somebody else's folder of that name is left alone.
        drop(again);
        std::fs::create_dir(&folder).unwrap();
        crate::private::set_mode(&folder, 0o755).unwrap();
        let (other, _listener) = Socket::listen(&long).unwrap();
        assert!(other.folder != folder && mode(&other.folder) == 0o700);
        drop(other);
        std::fs::remove_dir(&folder).unwrap();
    }

    /// A folder that takes no socket gets one elsewhere, as a shared folder of a virtual machine does.
    #[test]
    fn a_folder_without_sockets_gets_a_private_folder_elsewhere() {
        let all = tempfile::tempdir().unwrap();
        std::fs::create_dir(all.path().join(NAME)).unwrap();
        let (socket, listener) = Socket::listen(all.path()).unwrap();
        let (file, folder) = (socket.file(), socket.folder.clone());
        assert!(!file.starts_with(all.path()) && mode(&folder) == 0o700 && mode(&file) == 0o600);
        socket.wake();
        listener.accept().unwrap();
        drop(socket);
        assert!(!folder.exists() && all.path().join(NAME).is_dir(), "nothing is left, nothing else is removed");
    }

    /// The shortest and the longest folder that still holds its socket.
    #[test]
    fn the_limit_is_that_of_the_system() {
        let folder = |bytes: usize| PathBuf::from(format!("/{}", "x".repeat(bytes - 1)));
        let longest = MAX_PATH_BYTES - NAME.len() - 1;
        assert!(fits(&folder(longest)) && !fits(&folder(longest + 1)));
        let too_long = folder(longest + 1).join(NAME);
        assert_eq!(UnixListener::bind(&too_long).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_ne!(UnixListener::bind(folder(longest).join(NAME)).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn any_folder_can_be_written_as_an_address() {
        let socket = Socket { folder: "/srv/내 가게/a@b:c,d?e%f".into(), temporary: false };
        let url = socket.url();
        assert_eq!(
            url,
            "postgresql://postgres@%2Fsrv%2F%EB%82%B4%20%EA%B0%80%EA%B2%8C%2Fa%40b%3Ac%2Cd%3Fe%25f/template1?sslmode=disable"
        );
    }
}
