//! `madang demo` and `madang admin` from the shell of an operator.

use crate::support::{run, start};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Runs the binary in a folder; whether it ended well, and what it said.
fn madang(folder: &Path, args: &[&str], set: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    command.env_remove("DATABASE_URL").env_remove("REDIS_URL");
    let output = command.args(args).envs(set.iter().copied()).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

const SHOP: &str = "objective = \"REVISIT\"\n[owner]\nname = \"김주인\"\nphone = \"010-2222-3333\"\nbusiness_number = \"124-81-00998\"\n\
                    opened_on = 2015-04-01\n[shop]\nname = \"골목빵집\"\nindustry = \"BAKERY\"\nregion = \"대전 유성구\"\n";

/// Cases O3 and O17: a demo of its own asks neither environment nor file, and its files may be CP949.
#[test]
fn a_demo_of_its_own_touches_nothing_of_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("shop.toml"), encoding_rs::EUC_KR.encode(SHOP).0).unwrap();
    std::fs::write(folder.join("entries.txt"), "김하나\t010-1111-0001\r이둘\t\r박셋\t010-1111-0003\r").unwrap();
    std::fs::write(folder.join("madang.toml"), "listen = broken\n").unwrap();
    // Everything real is here, and nothing may call.
    let real = TcpListener::bind("127.0.0.1:0").unwrap();
    real.set_nonblocking(true).unwrap();
    let at = real.local_addr().unwrap();
    let [database, redis, web] = [format!("postgres://u:p@{at}/prod"), format!("redis://{at}"), format!("http://{at}")];
    let set = [
        ("DATABASE_URL", database.as_str()),
        ("REDIS_URL", redis.as_str()),
        ("MADANG_ENV", "production"),
        ("MADANG_DATA_DIR", "data"),
        ("MADANG_KEYS_FILE", "keys.json"),
        ("MADANG_PUBLIC_URL", "https://shop.kr"),
        ("MADANG_INSTAGRAM_KEY", "k"),
        ("MADANG_INSTAGRAM_URL", web.as_str()),
        ("MADANG_NTS_MODE", "LIVE"),
        ("MADANG_ALARM_WEBHOOK", web.as_str()),
        ("MADANG_TYPO", "1"),
    ];
    let (fine, said) = madang(folder, &["demo", "--shop", "shop.toml", "--entries", "entries.txt"], &set);
    assert!(fine && said.contains("골목빵집") && said.contains("2 acknowledged"), "{said}");
    assert!(said.contains("entries.txt:2: left out") && !said.contains("(LIVE)"), "{said}");
    assert_eq!(real.accept().map(drop).unwrap_err().kind(), ErrorKind::WouldBlock, "something real was called");
    let mut left: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["entries.txt", "madang.toml", "shop.toml"]);
}

/// A person looks on: the demo begins with its own words, and what the log warns of is no JSON, even in a pipe. The server
/// warns where few files may be open.
#[test]
#[cfg(unix)]
fn a_demo_speaks_to_people_from_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let few = "ulimit -n 2048 && exec \"$0\" demo --customers 1 2>&1";
    let mut command = Command::new("sh");
    command.args(["-c", few, env!("CARGO_BIN_EXE_madang")]).env_remove("DATABASE_URL").env_remove("REDIS_URL");
    let output = command.current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("demo: starting a server"), "{said}");
    assert!(said.lines().any(|line| line.trim_start().starts_with("WARN ") && line.contains("ulimit -n")), "{said}");
    assert!(!said.lines().any(|line| line.starts_with('{')), "{said}");
}

/// Cases 23 and O17: the cause in one line, and a slash at the end is no other address.
#[test]
fn an_address_that_does_not_answer_is_named_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (url, keys) = (format!("http://{nobody}/"), folder.join("keys.json"));
    storage::crypto::Keyring::open(&keys, true).unwrap();
    let set = [("MADANG_KEYS_FILE", keys.to_str().unwrap())];
    for (url, words) in [(&nobody, "must begin with http://"), (&url, "Connection refused")] {
        for args in [["demo", "--url", url.as_str(), "--customers=1"], ["admin", "--url", url.as_str(), "alarms"]] {
            let (fine, said) = madang(folder, &args, &set);
            assert!(!fine && said.contains(words) && said.contains(nobody.as_str()), "{args:?}: {said}");
            assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        }
    }
    run(async {
        let mut keys = None;
        let own = start(|s| keys = Some(s.keys_file())).await;
        let (url, folder, keys) = (format!("{}/", own.admin), folder.to_owned(), keys.unwrap());
        let said = tokio::task::spawn_blocking(move || {
            madang(&folder, &["admin", "--url", &url, "alarms"], &[("MADANG_KEYS_FILE", keys.to_str().unwrap())])
        });
        let (fine, said) = said.await.unwrap();
        assert!(fine && said.contains("items"), "{said}");
        own.running.stop().await;
    });
}

/// Case O8: the demo reads its socket while customers enter, however long that takes.
#[test]
fn a_demo_of_a_slow_database_ends_well() {
    run(async {
        // 12,000 entries at 500 a second, 64 at once, are eight updates a second for 24 s: far more than a socket that nobody
        // reads holds before it is closed as slow.
        let own = start(|s| s.journal_rows_per_second = Some(500)).await;
        let (url, folder) = (own.base.clone(), tempfile::tempdir().unwrap());
        let played = tokio::task::spawn_blocking(move || {
            madang(folder.path(), &["demo", "--url", &url, "--customers", "12000"], &[])
        });
        let (fine, said) = played.await.unwrap();
        assert!(fine && said.contains("last count 12000 over the WebSocket"), "{said}");
        own.running.stop().await;
    });
}
