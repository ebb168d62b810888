//! The embedded database and the machine it runs on: who can reach it, and where its files are.
#![cfg(all(unix, feature = "embedded"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use storage::embedded::Embedded;
use tempfile::TempDir;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o777
}

/// TCP ports that this process listens on, as the kernel lists them.
fn listening() -> Vec<String> {
    let sockets: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|fd| Some(std::fs::read_link(fd.ok()?.path()).ok()?.display().to_string()))
        .filter_map(|target| Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let tables =
        ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row.get(3) == Some(&"0A") && row.get(9).is_some_and(|inode| sockets.iter().any(|s| s == inode)))
        .map(|row| row[1].to_owned())
        .collect()
}

async fn says_something(database: &Embedded) {
    let mut client = AsyncPgConnection::establish(&database.url()).await.unwrap();
    client.batch_execute("select 1").await.unwrap();
}

/// Case H1: no port of TCP, a closed folder although it was open, and a socket that is this user's alone.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_user_reaches_it() {
    let all = TempDir::new().unwrap();
    let folder = all.path().join("db");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    let database = Embedded::open(folder.clone()).await.unwrap();
    says_something(&database).await;
    if Path::new("/proc/self/net/tcp").exists() {
        assert_eq!(listening(), Vec::<String>::new());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(listening().len(), 1, "a port would be seen");
        drop(port);
    } else {
        eprintln!("skipped: no_other_user_reaches_it: ports cannot be listed here");
    }
    let socket = database.socket();
    assert_eq!((mode(&folder), mode(&socket), mode(socket.parent().unwrap())), (0o700, 0o600, 0o700));
    assert!(database.stop().await);
    assert!(!socket.exists(), "nothing is left of the socket");
}

/// Case H1: a folder whose path no socket can have.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_a_long_path_works_as_well() {
    let all = TempDir::new().unwrap();
    let folder = all.path().join("x".repeat(100)).join("마당").join("db");
    let database = Embedded::open(folder.clone()).await.unwrap();
    says_something(&database).await;
    let home = database.socket().parent().unwrap().to_owned();
    assert!(!home.starts_with(all.path()) && mode(&home) == 0o700, "{}", home.display());
    assert!(database.stop().await);
    assert!(!home.exists(), "the folder of the socket is removed at the end");
    let again = Embedded::open(folder).await.unwrap();
    says_something(&again).await;
    assert!(again.stop().await);
}

/// Two servers on one folder: the second says so and does no harm to the first. What a killed one left is no hindrance.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_is_refused_and_a_stale_socket_is_not() {
    let all = TempDir::new().unwrap();
    let folder = all.path().join("db");
    std::fs::create_dir(&folder).unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap());
    let database = Embedded::open(folder.clone()).await.unwrap();
    let refused = Embedded::open(folder.clone()).await.err().unwrap().to_string();
    assert!(refused.contains("held by another process") && !refused.contains('\n'), "{refused}");
    says_something(&database).await;
    assert!(database.stop().await);
}
