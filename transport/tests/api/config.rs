//! The binary says before a start, and at it, what is wrong with its settings.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A certificate of nobody, and the key of another.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUIKLGSU5rXCJwjTIF4ev5Jy/GF4cwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMzAyMDUwNTlaGA8yMTI2MTEwNjIwNTA1
OVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABL3h
CjekDp9PAVpt5FTj5fTGR9U3GTtdM7gicpqRTTut8I28bw4KtS+qw3NasTQxatvJ
1hmiElBCOsIIa9Idko+jUzBRMB0GA1UdDgQWBBTGPsNMr8XpvGtFFoQFYU1lK8Qg
qjAfBgNVHSMEGDAWgBTGPsNMr8XpvGtFFoQFYU1lK8QgqjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIFXW6sG4gYrxTdcRtFIqFF0PlRYcoa+CXYMU
QBFsIs0bAiEAymWngjLXCYY+pZmd9AzrPdz5hrQk3765K2hI+ieywfY=
-----END CERTIFICATE-----
";
const OTHER_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkueqHReMXKAPPa70
ZgkFpjOkzwaZ6UI6dzYIywx0jRyhRANCAATxCH4MyzCQDGvj0Y4DeQKrG2/OrrV1
bTK62QSqOyHuAw75XN9zPKuP9O1Yqi7725aBZM4gMXVI9UOCDNJ4WvTN
-----END PRIVATE KEY-----
";

/// Runs the binary in a folder, with nothing set but this; one that does not end within a minute has started.
fn run(folder: &Path, args: &[&str], set: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    command.env_remove("DATABASE_URL").env_remove("REDIS_URL");
    command.args(args).envs(set.iter().copied()).current_dir(folder);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it started with {set:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// Cases 23, 29, O11, O17, 20, 26, 28, 10c: setting, value, words.
const BROKEN: &[(&str, &str, &str)] = &[
    ("DATABASE_URL", "postgres://u:secret@127.0.0.1:notaport/x", "port"),
    ("DATABASE_URL", "postgres://u:secret@127.0.0.1:5999/x?schema=public", "schema"),
    ("DATABASE_URL", "mysql://u:secret@127.0.0.1/x", "postgres://"),
    ("REDIS_URL", "redis://u:secret@127.0.0.1:port", "REDIS_URL"),
    ("REDIS_URL", "127.0.0.1:6379", "must begin with redis://"),
    ("MADANG_PUBLIC_URL", "https://shop kr", "space"),
    ("MADANG_PUBLIC_URL", "https://[::1", "IPv6"),
    ("MADANG_PUBLIC_URL", "https://shop.kr?x=1", "?"),
    ("MADANG_PUBLIC_URL", "https://shop.kr#x", "#"),
    ("MADANG_PUBLIC_URL", "https://shop.kr/madang", "works only at the root of a host"),
    ("MADANG_PUBLIC_URL", "https://user:secret@shop.kr", "user or password"),
    ("MADANG_PUBLIC_URL", "https://shop.kr:99999", "port"),
    ("MADANG_PUBLIC_URL", "http://0.0.0.0:8080", "listener"),
    ("MADANG_ALLOWED_ORIGINS", "https://[::1", "no origin"),
    ("MADANG_ALLOWED_ORIGINS", "https://shop.kr/page", "no origin"),
    ("MADANG_TRUSTED_PROXIES", "172.16.0.0/33", "172.16.0.0/33"),
    ("MADANG_TRUSTED_PROXIES", "0.0.0.0/0", "every client"),
    ("MADANG_NTS_URL", "http://", "MADANG_NTS_URL"),
    ("MADANG_KAKAO_URL", "https://kapi.kakao.com:99999", "port"),
    ("MADANG_NTS_KEY", "abc%252Bdef", "percent-encoded"),
    ("MADANG_NAVER_KEY", "token", "token@club/menu"),
    ("MADANG_GENIE_TV_KEY", "token", "must be set"),
    ("MADANG_STABILITY_MODE", "live", "none of LIVE"),
    ("MADANG_DATA_DIR", "", "is empty"),
    ("MADANG_LISTEN", "localhost", "not an address and port"),
    ("MADANG_LISTEN", "0.0.0.0:9090", "share a port"),
    ("MADANG_ALARM_WEBHOOK", "hooks.slack.com", "must begin with http"),
    ("MADANG_ALARM_SMTP", "smtp://mail.shop.kr", "belong together"),
    ("MADANG_KEYS_FILE", "broken.json", "not a keys file"),
    ("MADANG_FONTS_DIR", "none", "no folder"),
    ("MADANG_LOG", "(((", "no filter"),
    ("MADANG_LIMIT_SOCKETS", "0", "refuse everything"),
    ("MADANG_DRAIN_SECONDS", "60", "0 to 5"),
];

/// One cause in one line, the same from both, and no secret in it.
fn refused(folder: &Path, set: &[(&str, &str)], words: &str) {
    let (fine, checked) = run(folder, &["config", "check"], set);
    assert!(!fine && checked.contains(words), "{set:?}: {checked}");
    assert_eq!(checked.trim_end().lines().count(), 1, "{checked}");
    assert!(!checked.contains("secret"), "{checked}");
    let (fine, started) = run(folder, &["serve"], set);
    assert!(!fine);
    assert_eq!(started, checked, "a start says what a check says");
}

#[test]
fn config_check_refuses_what_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("broken.json"), "{\"active\":1}").unwrap();
    for (name, value, words) in BROKEN {
        refused(folder, &[(*name, *value)], words);
    }
    let mail = [("MADANG_ALARM_MAIL_FROM", "madang@shop.kr"), ("MADANG_ALARM_MAIL_TO", "ops@shop.kr")];
    refused(folder, &[mail[0], mail[1], ("MADANG_ALARM_SMTP", "mail.shop.kr:587")], "MADANG_ALARM_SMTP");
    refused(folder, &[("MADANG_ALARM_SMTP", "smtp://m.kr"), mail[0], ("MADANG_ALARM_MAIL_TO", "ops")], "MAIL_TO");
    std::fs::write(folder.join("a.crt"), CERTIFICATE).unwrap();
    std::fs::write(folder.join("b.key"), OTHER_KEY).unwrap();
    for (cert, key, words) in [
        ("none.crt", "b.key", "MADANG_TLS_CERT: none.crt is no file"),
        ("b.key", "b.key", "holds no certificate"),
        ("a.crt", "a.crt", "holds no key"),
        ("broken.json", "b.key", "holds no certificate"),
        ("a.crt", "b.key", "MADANG_TLS_CERT and MADANG_TLS_KEY: "),
    ] {
        refused(folder, &[("MADANG_TLS_CERT", cert), ("MADANG_TLS_KEY", key)], words);
    }
    for (file, words) in [
        ("listen = \"127.0.0.1:8080\"\nadmin_listen = 127.0.0.1\n", "line 2"),
        ("lisen = \"x\"", "lisen"),
        ("listen = [\"127.0.0.1:1\"]", "not a list"),
    ] {
        std::fs::write(folder.join("madang.toml"), file).unwrap();
        refused(folder, &[], words);
    }
}

/// Cases H1 and O12: folder and keys file that a start refuses, a check refuses in the same words.
#[cfg(unix)]
#[test]
fn config_check_refuses_the_folder_and_the_keys_that_stop_the_start() {
    let chmod = |path: &Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let both = |set: &[(&str, &str)], words: &str| {
        let (fine, checked) = run(folder, &["config", "check"], set);
        assert!(!fine && checked.contains(words), "{set:?}: {checked}");
        assert_eq!(checked.trim_end().lines().count(), 1, "{checked}");
        let (fine, started) = run(folder, &["serve"], set);
        assert!(!fine && started.contains(checked.trim_end()), "a start says what a check says: {started}");
    };
    let (shared, keys, empty) = (folder.join("shared"), folder.join("k.json"), folder.join("empty.json"));
    std::fs::create_dir(&shared).unwrap();
    chmod(&shared, 0o1777);
    both(&[("MADANG_DATA_DIR", "shared")], "shared by all users");
    std::fs::write(&empty, "").unwrap();
    both(&[("MADANG_KEYS_FILE", "empty.json")], "it is empty");
    storage::crypto::Keyring::open(&keys, true).unwrap();
    let set = [("MADANG_ENV", "production"), ("MADANG_NTS_MODE", "OFF"), ("MADANG_KEYS_FILE", "k.json")];
    assert!(run(folder, &["config", "check"], &set).0);
    for open in [0o644, 0o640] {
        chmod(&keys, open);
        both(&set, "chmod 600 k.json");
    }
    let (fine, text) = run(folder, &["config", "check"], &[("MADANG_KEYS_FILE", "k.json")]);
    assert!(fine, "in development a start closes it: {text}");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&keys).unwrap()) & 0o777, 0o640);
}

/// The neighbours: what works stays accepted, and what is hardly meant is said.
#[test]
fn config_check_accepts_what_works() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = "trusted_proxies = [\"10.0.0.1\", \"172.16.0.0/12\"]\nallowed_origins = [\"https://shop.kr\"]\n";
    std::fs::write(folder.join("madang.toml"), file).unwrap();
    for set in [
        ("MADANG_PUBLIC_URL", "HTTPS://shop.kr"),
        ("MADANG_TRUSTED_PROXIES", "fd00::/8, ::ffff:10.0.0.1"),
        ("MADANG_NTS_KEY", "abc%2Bdef%3D%3D"),
        ("DATABASE_URL", "postgres://u:p@127.0.0.1:5999/x"),
    ] {
        let (fine, text) = run(folder, &["config", "check"], &[set]);
        assert!(fine && text == "settings are fine\n", "{set:?}: {text}");
    }
    let (fine, text) = run(folder, &["config", "check"], &[("MADANG_LISTEN", "0.0.0.0:8203")]);
    assert!(fine && text.contains("warning: MADANG_PUBLIC_URL is unset") && !text.contains("//0.0.0.0"), "{text}");
    assert!(!folder.join(".madang").exists(), "a check writes nothing");
}

/// Cases 3 and 28: a start says in one line what customers and providers cannot open.
#[test]
fn a_start_says_what_nobody_can_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    command.env_remove("DATABASE_URL").env_remove("REDIS_URL").current_dir(folder.path());
    command.args(["--listen", "0.0.0.0:0", "--admin-listen", "127.0.0.1:0"]).env("MADANG_INSTAGRAM_KEY", "k");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut banner = Vec::new();
    for line in lines {
        let last = line.contains("upstreams");
        banner.push(line);
        if last {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let warned = |words: &str| banner.iter().filter(|line| line.contains("warning") && line.contains(words)).count();
    assert_eq!(warned("MADANG_PUBLIC_URL is unset"), 1, "{banner:?}");
    assert_eq!(warned("INSTAGRAM is LIVE and fetches pictures"), 1, "{banner:?}");
    assert!(banner.iter().all(|line| !line.contains("0.0.0.0")), "{banner:?}");
}
