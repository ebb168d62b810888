//! What settings are read as, and what is refused.

use super::*;

fn env(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn flags_override_the_environment_overrides_the_file() {
    let file = Some("listen = \"127.0.0.1:1\"\nlimit_body_bytes = 5\n");
    let s = Settings::read(file, env(&[("MADANG_LISTEN", "127.0.0.1:2"), ("PATH", "x")]), &[]).unwrap();
    assert_eq!((s.listen.port(), s.body_bytes), (2, 5));
    let flags = [("MADANG_LISTEN".to_owned(), "127.0.0.1:3".to_owned())];
    assert_eq!(Settings::read(file, env(&[("MADANG_LISTEN", "127.0.0.1:2")]), &flags).unwrap().listen.port(), 3);
}

#[test]
fn anything_unknown_or_contradictory_stops_the_start() {
    for (file, pairs, part) in [
        (Some("lisen = 1"), vec![], "lisen"),
        (Some("listen ="), vec![], "not TOML"),
        (None, vec![("MADANG_LISEN", "x")], "MADANG_LISEN"),
        (None, vec![("MADANG_LISTEN", "8080")], "not an address"),
        (None, vec![("MADANG_LIMIT_BODY_BYTES", "many")], "not a number"),
        (None, vec![("MADANG_BCRYPT_COST", "4")], "10 to 14"),
        (None, vec![("MADANG_TLS_CERT", "a")], "belong together"),
        (None, vec![("MADANG_NTS_MODE", "LIVE")], "KEY is unset"),
        (None, vec![("MADANG_NTS_MODE", "live")], "none of"),
        (None, vec![("MADANG_NTS_URL", "ftp://x")], "http"),
        (None, vec![("MADANG_ENV", "prod")], "neither"),
        (None, vec![("MADANG_LOG", "(((")], "MADANG_LOG"),
        (None, vec![("MADANG_ENV", "production")], "must exist in production"),
        (None, vec![("MADANG_TLS_CERT", "/none"), ("MADANG_TLS_KEY", "/none")], "is no file"),
        (None, vec![("MADANG_LISTEN", "127.0.0.1:9090")], "are both"),
        (None, vec![("MADANG_PUBLIC_URL", "notaurl")], "MADANG_PUBLIC_URL"),
        (None, vec![("MADANG_ALLOWED_ORIGINS", "foo")], "MADANG_ALLOWED_ORIGINS"),
        (None, vec![("DATABASE_URL", "nonsense")], "DATABASE_URL"),
        (None, vec![("REDIS_URL", "nonsense")], "REDIS_URL"),
        (None, vec![("MADANG_ALARM_WEBHOOK", "slack")], "MADANG_ALARM_WEBHOOK"),
        (None, vec![("MADANG_ALARM_SMTP", "smtp://localhost")], "belong together"),
        (None, vec![("MADANG_LIMIT_SOCKETS_PER_USER", "0")], "0 would refuse"),
        (None, vec![("MADANG_LIMIT_MESSAGES_PER_SECOND", "4294967296")], "too large"),
        (
            None,
            vec![("MADANG_NAVER_MODE", "SANDBOX"), ("MADANG_NAVER_URL", "https://openapi.naver.com")],
            "provider itself",
        ),
        (None, vec![("MADANG_ENV", "production"), ("MADANG_LISTEN", "0.0.0.0:80")], "needs MADANG_TLS_CERT"),
    ] {
        let error = Settings::read(file, env(&pairs), &[]).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn the_template_is_a_valid_file() {
    assert!(Settings::read(Some(&template()), HashMap::new(), &[]).is_ok());
    let uncommented: String = template()
        .lines()
        .filter(|l| l.contains(" = "))
        .map(|l| l.trim_start_matches("# ").to_owned() + "\n")
        .collect();
    assert!(Settings::read(Some(&uncommented), HashMap::new(), &[]).is_ok(), "{uncommented}");
}

/// The words that refuse these settings; nothing that was accepted.
fn refused(pairs: &[(&str, &str)]) -> String {
    match Settings::read(None, env(pairs), &[]) {
        Ok(_) => panic!("accepted: {pairs:?}"),
        Err(e) => e.to_string(),
    }
}

/// Cases 10c, 20, 23, 26, 29 and their kind; the binary says the same (`tests/api/config.rs`).
#[test]
fn what_cannot_work_is_refused_with_its_setting() {
    for (name, value, words) in [
        ("DATABASE_URL", "postgres://u:secret@db:notaport/x", "port"),
        ("DATABASE_URL", "postgres://u:secret@db/x?schema=public", "schema"),
        ("REDIS_URL", "redis://u:secret@h:port", "port"),
        ("REDIS_URL", "redis://h:6379/none", "REDIS_URL"),
        ("REDIS_URL", "http://h:6379", "must begin with redis://"),
        ("MADANG_PUBLIC_URL", "https://shop.kr/madang", "root of a host"),
        ("MADANG_PUBLIC_URL", "https://u:secret@shop.kr", "user or password"),
        ("MADANG_ALLOWED_ORIGINS", "https://shop.kr,https://[::1", "IPv6"),
        ("MADANG_ALLOWED_ORIGINS", "*", "no origin"),
        ("MADANG_TRUSTED_PROXIES", "10.0.0.1,172.16.0.0/40", "172.16.0.0/40"),
        ("MADANG_NTS_URL", "https://", "address"),
        ("MADANG_CLAUDE_URL", "https://u:secret@api.kr", "user or password"),
        ("MADANG_INSTAGRAM_URL", "https://graph.kr?x=1", "?"),
        ("MADANG_NTS_KEY", "abc%252B", "percent-encoded"),
        ("MADANG_NTS_KEY", "\"secret\"", "quote"),
        ("MADANG_OPENAI_KEY", "sk secret", "space"),
        ("MADANG_NAVER_KEY", "token", "token@club/menu"),
        ("MADANG_NAVER_KEY", "token@12", "token@club/menu"),
        ("MADANG_NAVER_KEY", "token@/3", "token@club/menu"),
        ("MADANG_WOORI_TV_KEY", "k", "MADANG_WOORI_TV_URL"),
        ("MADANG_DATA_DIR", "", "is empty"),
        ("MADANG_DATA_DIR", " ", "is empty"),
        ("MADANG_DATA_DIR", "/dev/null/x", "no folder"),
        ("MADANG_ADMIN_LISTEN", "0.0.0.0:8080", "share a port"),
        ("MADANG_ALARM_WEBHOOK", "https://", "address"),
    ] {
        let error = refused(&[(name, value)]);
        assert!(error.contains(name) && error.contains(words), "{name}={value}: {error}");
        assert!(!error.contains('\n') && (!error.contains("secret") || name == "MADANG_ALLOWED_ORIGINS"), "{error}");
    }
    let mail = |server, from, to| {
        refused(&[("MADANG_ALARM_SMTP", server), ("MADANG_ALARM_MAIL_FROM", from), ("MADANG_ALARM_MAIL_TO", to)])
    };
    assert!(mail("mail.shop.kr", "a@shop.kr", "b@shop.kr").starts_with("MADANG_ALARM_SMTP"));
    assert!(mail("smtp://u@mail.shop.kr", "a@shop.kr", "b@shop.kr").contains("without a password"));
    assert!(mail("smtp://mail.shop.kr", "shop", "b@shop.kr").starts_with("MADANG_ALARM_MAIL_FROM"));
    assert!(mail("smtp://mail.shop.kr", "a@shop.kr", "b@shop.kr,ops").contains("\"ops\""));
    let sockets = refused(&[("MADANG_LIMIT_SOCKETS", "3"), ("MADANG_LIMIT_SOCKETS_PER_USER", "4")]);
    assert!(sockets.contains("more than MADANG_LIMIT_SOCKETS"), "{sockets}");
    Settings::read(None, env(&[("MADANG_LIMIT_SOCKETS", "3")]), &[]).unwrap();
}

/// Case O16.
#[test]
fn a_proxy_is_judged_where_it_is_needed() {
    let live = ("MADANG_CLAUDE_KEY", "k");
    for (proxy, words) in
        [("socks5://p.corp:1080", "must begin with http"), ("http://p.corp:99999", "port"), ("p corp", "space")]
    {
        let error = refused(&[live, ("HTTPS_PROXY", proxy)]);
        assert!(error.starts_with("HTTPS_PROXY: ") && error.contains(words), "{error}");
        Settings::read(None, env(&[("HTTPS_PROXY", proxy)]), &[]).unwrap();
    }
    let set = [live, ("HTTPS_PROXY", "http://u:p@p.corp:3128"), ("NO_PROXY", "10.0.0.0/8, .corp")];
    let s = Settings::read(None, env(&set), &[]).unwrap();
    assert_eq!(s.no_proxy, ["10.0.0.0/8", ".corp"]);
    Settings::read(None, env(&[live, ("HTTPS_PROXY", "p.corp:3128")]), &[]).unwrap();
}

/// The neighbours of what is refused.
#[test]
fn what_works_is_accepted() {
    let read = |pairs: &[(&str, &str)]| Settings::read(None, env(pairs), &[]).unwrap();
    let public = read(&[("MADANG_PUBLIC_URL", "HTTPS://Shop.KR/")]).public_url;
    assert_eq!(public.as_deref(), Some("https://shop.kr"));
    let s = read(&[("MADANG_NAVER_KEY", "token@12/3"), ("MADANG_NTS_KEY", "abc%2Bdef%3D%3D")]);
    assert_eq!(s.upstreams[&Upstream::Naver].effective_mode(), Mode::Live);
    // Only a LIVE café is posted to.
    read(&[("MADANG_NAVER_KEY", "token"), ("MADANG_NAVER_MODE", "ASSISTED")]);
    read(&[("MADANG_ALARM_WEBHOOK", "https://hooks.example.kr/services/T0/B0?x=1")]);
    read(&[("DATABASE_URL", "postgres://u:p@127.0.0.1:5999/x"), ("REDIS_URL", "rediss://u:p@cache.invalid:6380/1")]);
    let origins = read(&[("MADANG_ALLOWED_ORIGINS", "https://A.kr/, http://localhost:3000")]).allowed_origins;
    assert_eq!(origins, ["https://a.kr", "http://localhost:3000"]);
}

/// Case sqlfluff: a list of TOML is a list.
#[test]
fn a_list_may_be_written_as_one() {
    let file = "trusted_proxies = [\"10.0.0.1\", \"172.16.0.0/12\"]\nallowed_origins = [\"https://a.kr\", \"https://b.kr\"]\n\
                alarm_smtp = \"smtp://mail.shop.kr\"\nalarm_mail_from = \"a@shop.kr\"\nalarm_mail_to = [\"b@shop.kr\", \"c@shop.kr\"]\n";
    let s = Settings::read(Some(file), HashMap::new(), &[]).unwrap();
    assert!(s.trusted_proxies.contains("172.20.0.1".parse().unwrap()));
    assert_eq!(s.allowed_origins, ["https://a.kr", "https://b.kr"]);
    assert_eq!(s.alarm_mail.unwrap().2, ["b@shop.kr", "c@shop.kr"]);
    let s = Settings::read(Some("\u{feff}trusted_proxies = []\n"), HashMap::new(), &[]).unwrap();
    assert!(s.trusted_proxies.is_empty());
    let error = Settings::read(Some("listen = [\"127.0.0.1:1\"]"), HashMap::new(), &[]).unwrap_err().to_string();
    assert!(error.contains("listen is one value"), "{error}");
}

/// Case O17.
#[test]
fn a_broken_file_is_named_with_its_line() {
    for (file, line) in
        [("\n\nlisten = 127.0.0.1:80\n", "line 3"), ("# 마당\r\nlisten =\r\n", "line 2"), ("a", "line 1")]
    {
        let error = Settings::read(Some(file), HashMap::new(), &[]).unwrap_err().to_string();
        assert!(error.contains(line) && !error.contains('\n'), "{file}: {error}");
    }
}

/// The low list of attacks: in production a simulated tax service would call everybody VERIFIED.
#[test]
fn production_says_what_it_means_by_the_tax_service() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    storage::crypto::Keyring::open(&keys, true).unwrap();
    let keys = keys.to_str().unwrap();
    let production = [("MADANG_ENV", "production"), ("MADANG_KEYS_FILE", keys)];
    let error = refused(&production);
    assert!(error.contains("MADANG_NTS_KEY is unset") && error.contains("MADANG_NTS_MODE"), "{error}");
    for (name, value, warned) in
        [("MADANG_NTS_KEY", "k", false), ("MADANG_NTS_MODE", "OFF", false), ("MADANG_NTS_MODE", "SANDBOX", true)]
    {
        let s = Settings::read(None, env(&[production[0], production[1], (name, value)]), &[]).unwrap();
        let told = s.warnings("http://127.0.0.1:8080").iter().any(|line| line.contains("MADANG_NTS_MODE is SANDBOX"));
        assert_eq!(told, warned, "{name}={value}");
    }
}

/// A broken keys file is never used, nor made anew: what it should hold may be needed.
#[test]
fn a_broken_keys_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let pairs = [("MADANG_KEYS_FILE", keys.to_str().unwrap())];
    std::fs::write(&keys, "{}").unwrap();
    assert!(refused(&pairs).contains("not a keys file"));
    std::fs::write(&keys, "").unwrap();
    assert!(refused(&pairs).contains("it is empty"));
}

/// Cases 3 and 28.
#[test]
fn an_address_that_nobody_can_open_is_warned_of() {
    let warned = |pairs: &[(&str, &str)]| {
        let s = Settings::read(None, env(pairs), &[]).unwrap();
        let public = s.public_url(s.listen);
        (s.warnings(&public).join("\n"), public)
    };
    assert_eq!(warned(&[]).0, "", "nothing is published");
    for everywhere in ["0.0.0.0:8203", "[::]:8203"] {
        let (lines, public) = warned(&[("MADANG_LISTEN", everywhere)]);
        assert!(lines.contains("MADANG_PUBLIC_URL is unset") && lines.contains(&public), "{lines}");
        assert!(public.ends_with(":8203") && !public.contains("0.0.0.0") && !public.contains("[::]"), "{public}");
    }
    let live = ("MADANG_INSTAGRAM_KEY", "k");
    for public in ["http://192.168.0.5:8080", "https://localhost:8208", "http://shop.kr"] {
        let (lines, _) = warned(&[live, ("MADANG_PUBLIC_URL", public)]);
        assert!(lines.contains("INSTAGRAM is LIVE and fetches"), "{public}: {lines}");
    }
    let proxy = ("MADANG_TRUSTED_PROXIES", "127.0.0.1");
    assert_eq!(warned(&[live, proxy, ("MADANG_PUBLIC_URL", "https://shop.kr")]).0, "");
    assert!(warned(&[("MADANG_NAVER_KEY", "t@1/2")]).0.contains("NAVER is LIVE, but links"));
}

/// A proxy on this machine that is not trusted is everybody: limits by address would meet all customers together.
#[test]
fn a_proxy_that_is_not_trusted_is_warned_of() {
    let shop = ("MADANG_PUBLIC_URL", "https://shop.kr");
    for (pairs, warned) in [
        (&[shop][..], true),
        (&[shop, ("MADANG_LISTEN", "[::1]:8080")], true),
        (&[shop, ("MADANG_TRUSTED_PROXIES", "127.0.0.1")], false),
        (&[shop, ("MADANG_LISTEN", "0.0.0.0:8080")], false),
        (&[], false),
        (&[("MADANG_PUBLIC_URL", "http://localhost:8080")], false),
        (&[("MADANG_PUBLIC_URL", "http://[::1]:8080")], false),
        (&[("MADANG_PUBLIC_URL", "http://127.0.0.2:8080")], false),
    ] {
        let s = Settings::read(None, env(pairs), &[]).unwrap();
        let lines = s.warnings(&s.public_url(s.listen));
        assert_eq!(lines.iter().any(|line| line.contains("MADANG_TRUSTED_PROXIES")), warned, "{pairs:?}: {lines:?}");
    }
}

#[test]
fn the_admin_port_is_asked_at_an_address_that_can_be_opened() {
    let s = Settings::defaults().unwrap();
    for (listening, url) in [
        ("0.0.0.0:9090", "http://127.0.0.1:9090"),
        ("[::]:9090", "http://[::1]:9090"),
        ("10.0.0.5:9090", "http://10.0.0.5:9090"),
    ] {
        assert_eq!(s.admin_url(listening.parse().unwrap()), url);
    }
}
