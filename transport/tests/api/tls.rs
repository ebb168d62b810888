//! SEC-08: the public port speaks TLS 1.3 and nothing older.

use crate::support::{run, start};
use reqwest::Client;
use reqwest::tls::Version;

fn client(newest: Version) -> Client {
    // The certificate is our own; what is tested is the protocol.
    Client::builder().no_proxy().danger_accept_invalid_certs(true).max_tls_version(newest).build().unwrap()
}

#[test]
fn the_public_port_speaks_tls_1_3_only() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let own = start(|s| s.tls = Some((cert, key))).await;
        let url = format!("https://{}/readyz", own.running.address);
        let answer = client(Version::TLS_1_3).get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("strict-transport-security"));
        let older = client(Version::TLS_1_2).get(&url).send().await.unwrap_err();
        assert!(older.is_connect(), "{older:?}");
        let plain = client(Version::TLS_1_3).get(url.replace("https", "http")).send().await;
        assert!(plain.is_err(), "what is not encrypted is not answered");
        own.running.stop().await;
    });
}
