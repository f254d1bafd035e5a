//! Settings: their sources, their order, and everything that stops a start.

use std::{ffi::OsString, net::SocketAddr, time::Duration};

use sideband_relay::{
    Limits,
    config::{Config, LogFormat, Source, environment, read_file},
};

fn file(text: &str) -> Result<Source, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relay.toml");
    std::fs::write(&path, text).unwrap();
    read_file(&path).map_err(|error| error.to_string())
}

fn env(variables: &[(&str, &str)]) -> Source {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    environment(variables).unwrap()
}

fn load(sources: &[Source]) -> Result<Config, String> {
    Config::from_sources(sources).map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    let error = file(text).and_then(|source| load(&[source])).expect_err(text);
    assert!(!error.contains('\n'), "one line: {error}");
    error
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file =
        file("data_dir = '/file'\nregion = 'file'\nlisten = '127.0.0.1:1'\n[limits]\ngrace_seconds = 1").unwrap();
    let env = env(&[
        ("SIDEBAND_RELAY_REGION", "env"),
        ("SIDEBAND_RELAY_LISTEN", "127.0.0.1:2"),
        ("SIDEBAND_RELAY_LIMITS__GRACE_SECONDS", "2"),
        ("SIDEBAND_RELAY_LOG__FORMAT", "json"),
        ("OTHER", "x"),
    ]);
    let mut flags = Source::flags([("listen", Some("127.0.0.1:3".to_owned())), ("region", None)]).unwrap();
    flags.set_pair("limits.keep_bytes=7").unwrap();
    let config = load(&[file, env, flags]).unwrap();
    assert_eq!(config.data_dir.unwrap().to_str(), Some("/file"));
    assert_eq!(config.region.as_deref(), Some("env"));
    assert_eq!(config.listen, SocketAddr::from(([127, 0, 0, 1], 3)));
    assert_eq!(config.limits.grace, Duration::from_secs(2));
    assert_eq!(config.limits.keep_bytes, 7);
    assert_eq!(config.log_format, LogFormat::Json);
}

#[test]
fn every_limit_can_be_set_in_a_file_in_the_environment_and_by_a_flag() {
    for row in Limits::TABLE {
        let (key, value) = (row.key, row.min + 1.0);
        let in_file = file(&format!("data_dir = 'x'\n[limits]\n{key} = {value}")).unwrap();
        let data_dir = Source::flags([("data_dir", Some("x".to_owned()))]).unwrap();
        let variable = format!("SIDEBAND_RELAY_LIMITS__{}", key.to_uppercase());
        let in_env = env(&[(&variable, &value.to_string())]);
        let mut flag = data_dir.clone();
        flag.set_pair(&format!("limits.{key}={value}")).unwrap();
        for sources in [vec![in_file], vec![data_dir, in_env], vec![flag]] {
            let limits = load(&sources).unwrap().limits;
            assert!(limits.values().contains(&(key, value)), "{key} from {}", sources[sources.len() - 1].name());
        }
    }
}

#[test]
fn a_trusted_proxy_is_an_address_or_a_network() {
    let proxies = |list: &str| file(&format!("data_dir = 'x'\ntrusted_proxies = {list}")).unwrap();
    let config = load(&[proxies("['192.0.2.7', '10.0.0.0/8', '2001:db8::7', '::ffff:192.0.2.8']")]).unwrap();
    let networks = ["192.0.2.7/32", "10.0.0.0/8", "2001:db8::7/128", "192.0.2.8/32"];
    assert_eq!(config.trusted_proxies, networks.map(|network| network.parse().unwrap()));
    let env = env(&[("SIDEBAND_RELAY_DATA_DIR", "x"), ("SIDEBAND_RELAY_TRUSTED_PROXIES", "['127.0.0.1']")]);
    assert_eq!(load(&[env]).unwrap().trusted_proxies, ["127.0.0.1/32".parse().unwrap()]);
    for bad in ["proxy.example", "10.0.0.0/33", "10.0.0", "*", ""] {
        let error = load(&[proxies(&format!("['{bad}']"))]).unwrap_err();
        assert!(error.contains(&format!("{bad:?}")) && error.contains("trusted_proxies"), "{error}");
    }
}

#[test]
fn the_origins_of_pages_are_written_as_browsers_write_them() {
    let origins = |list: &str| load(&[file(&format!("data_dir = 'x'\ncors_origins = {list}")).unwrap()]);
    assert_eq!(load(&[file("data_dir = 'x'").unwrap()]).unwrap().cors_origins, ["*"]);
    assert_eq!(origins("['*']").unwrap().cors_origins, ["*"]);
    assert!(origins("[]").unwrap().cors_origins.is_empty());
    for good in [
        "https://app.example.com",
        "http://localhost:5173",
        "http://[::1]:5173",
        "https://xn--bcher-kva.example",
        "chrome-extension://aeblfdkhhhdcdjpifhhbdiojplfjncoa",
    ] {
        assert_eq!(origins(&format!("['{good}']")).unwrap().cors_origins, [good]);
    }
    for bad in [
        "",
        "null",
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/page",
        "https://app.example.com:443",
        "https://App.example.com",
        "https://user@app.example.com",
        "https://app.example.com?",
        "https://*.example.com",
        "wss://app.example.com",
    ] {
        let error = origins(&format!("['https://good.example', '{bad}']")).expect_err(bad);
        assert!(error.contains("cors_origins") && error.contains(&format!("{bad:?}")), "{error}");
    }
    assert!(origins("['*', 'https://app.example.com']").unwrap_err().contains("cors_origins"));
    let env = env(&[("SIDEBAND_RELAY_DATA_DIR", "x"), ("SIDEBAND_RELAY_CORS_ORIGINS", "['https://env.example']")]);
    assert_eq!(load(std::slice::from_ref(&env)).unwrap().cors_origins, ["https://env.example"]);
    let mut flags = Source::flags([]).unwrap();
    flags.set_pair("cors_origins=['https://flag.example']").unwrap();
    assert_eq!(load(&[env, flags]).unwrap().cors_origins, ["https://flag.example"]);
}

#[test]
fn unknown_keys_are_refused_wherever_they_are() {
    assert!(refused("data_dir = 'x'\nlisten_on = '127.0.0.1:1'").contains("listen_on"));
    assert!(refused("data_dir = 'x'\n[limits]\ngrace = 1").contains("there is no limit grace"));
    assert!(refused("data_dir = 'x'\n[log]\ncolour = true").contains("colour"));
    assert!(refused("data_dir = 'x'\n[nothing]").contains("nothing"));
    let unknown = env(&[("SIDEBAND_RELAY_DATA_DIR", "x"), ("SIDEBAND_RELAY_LISTN", "x")]);
    let error = load(&[unknown]).unwrap_err();
    assert!(error.contains("environment") && error.contains("listn"), "{error}");
    let mut flags = Source::flags([("data_dir", Some("x".to_owned()))]).unwrap();
    flags.set_pair("gracE=1").unwrap();
    assert!(load(&[flags]).unwrap_err().contains("flags"));
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for text in [
        "",
        "data_dir = 7",
        "data_dir = 'x'\nlisten = 'localhost'",
        "data_dir = 'x'\nlisten = '127.0.0.1'",
        "data_dir = 'x'\nthreads = 0",
        "data_dir = 'x'\nthreads = -1",
        "data_dir = 'x'\nrelay_url = 'https://relay'",
        "data_dir = 'x'\nrelay_url = 'wss://'",
        "data_dir = 'x'\nrelay_url = 'wss://relay?x=1'",
        "data_dir = 'x'\napi_url = 'relay'",
        "data_dir = 'x'\nregion = ''",
        "data_dir = 'x'\nregion = ' '",
        "data_dir = 'x'\n[limits]\ngrace_seconds = -1",
        "data_dir = 'x'\n[limits]\nkeep_bytes = 1.5",
        "data_dir = 'x'\n[limits]\nkeep_bytes = 'many'",
        "data_dir = 'x'\n[log]\nlevel = 'loud'",
        "data_dir = 'x'\nlog = 'json'",
        "data_dir = 'x",
    ] {
        refused(text);
    }
}

#[test]
fn credentials_in_a_url_are_refused_and_not_repeated() {
    let control = "role = 'relay'\n[control]\nurl =";
    let oidc = "data_dir = 'x'\n[oidc]\nissuer = 'x'\naudience = 'x'\njwks_url =";
    for (settings, url, key) in [
        ("data_dir = 'x'\nrelay_url =", "wss://user:hunter2@relay.example", "relay_url"),
        ("data_dir = 'x'\nrelay_url =", "wss://hunter2@relay.example", "relay_url"),
        ("data_dir = 'x'\nrelay_url =", "https://user:hunter2@relay.example", "relay_url"),
        ("data_dir = 'x'\nrelay_url =", "user:hunter2@relay.example", "relay_url"),
        ("data_dir = 'x'\napi_url =", "https://:hunter2@relay.example", "api_url"),
        (control, "https://user:hunter2@relay.example", "control.url"),
        (control, "https://user:hunter2@", "control.url"),
        (control, "ftp://user:hunter2@relay.example", "control.url"),
        (oidc, "https://user:hunter2@relay.example:x", "oidc.jwks_url"),
        (oidc, "http://user:hunter2@relay.example", "oidc.jwks_url"),
    ] {
        let error = refused(&format!("{settings} '{url}'"));
        assert!(error.contains(key) && !error.contains("hunter2"), "{error}");
    }
    let at = file("data_dir = 'x'\nrelay_url = 'wss://relay.example/@home'").unwrap();
    load(&[at]).expect("an @ in a path is no password");
}

#[test]
fn two_listeners_have_two_addresses() {
    let both = |listen: &str, metrics: &str| {
        let more = "relay_url = 'wss://relay.example'\nallow_plain = true\ndata_dir = 'x'";
        load(&[file(&format!("listen = '{listen}'\nmetrics_listen = '{metrics}'\n{more}")).unwrap()])
    };
    for (listen, metrics) in [
        ("127.0.0.1:9090", "127.0.0.1:9090"),
        ("0.0.0.0:9090", "127.0.0.1:9090"),
        ("127.0.0.1:9090", "0.0.0.0:9090"),
        ("[::]:9090", "[::1]:9090"),
    ] {
        let error = both(listen, metrics).expect_err(listen);
        assert!(error.contains("metrics_listen") && error.contains(metrics), "{error}");
    }
    for (listen, metrics) in [
        ("127.0.0.1:9090", "127.0.0.1:9091"),
        ("127.0.0.1:9090", "127.0.0.2:9090"),
        ("127.0.0.1:9090", "[::1]:9090"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ] {
        both(listen, metrics).expect(listen);
    }
}

#[test]
fn a_syntax_error_says_which_line() {
    assert!(file("data_dir = 'x'\nlisten = [\n").unwrap_err().contains("line "));
}

#[test]
fn plain_on_an_address_that_others_reach_has_to_be_asked_for() {
    let open = "data_dir = 'x'\nlisten = '0.0.0.0:80'\nrelay_url = 'wss://relay.example'";
    assert!(refused(open).contains("allow_plain"));
    load(&[file(&format!("{open}\nallow_plain = true")).unwrap()]).unwrap();
    assert!(refused("data_dir = 'x'\nlisten = '0.0.0.0:80'\nallow_plain = true").contains("relay_url is missing"));
    assert!(refused("data_dir = 'x'\nlisten = '192.0.2.1:80'").contains("allow_plain"));
}

#[test]
fn a_role_needs_its_own_settings_and_no_others() {
    let relay = "role = 'relay'\n[control]\nurl = 'https://control.test'";
    load(&[file(relay).unwrap()]).unwrap();
    assert!(refused("role = 'relay'").contains("control.url"));
    assert!(refused("role = 'everything'").contains("everything"));
    assert!(refused(&format!("data_dir = 'x'\n{relay}")).contains("data_dir"));
    assert!(
        refused(&format!("{relay}\n[oidc]\nissuer = 'x'\njwks_url = 'https://x'\naudience = 'x'")).contains("oidc")
    );
    assert!(refused("role = 'relay'\n[control]\nurl = 'http://control.test'").contains("https"));
    assert!(refused("role = 'relay'\n[control]\nurl = 'control.test'").contains("url"));
    assert!(refused("role = 'relay'\n[control]\nissuer = 'x'").contains("url"));
    load(&[file("role = 'relay'\n[control]\nurl = 'http://127.0.0.1:1'").unwrap()]).unwrap();
    let secret = "s".repeat(32);
    let urls = "data_dir = 'x'\nrelay_url = 'wss://r.test'\napi_url = 'https://c.test'";
    load(&[file(&format!("role = 'control'\n{urls}\nshared_secret = '{secret}'")).unwrap()]).unwrap();
    assert!(refused(&format!("role = 'control'\n{urls}")).contains("shared_secret"));
    let short = refused(&format!("role = 'control'\n{urls}\nshared_secret = 'hunter2'"));
    assert!(short.contains("shared_secret") && !short.contains("hunter2"), "{short}");
    assert!(refused(&format!("{urls}\nshared_secret = '{secret}'")).contains("shared_secret"));
    assert!(refused("role = 'control'\ndata_dir = 'x'").contains("relay_url"));
}

#[test]
fn a_section_may_come_from_several_sources() {
    let file = file("data_dir = 'x'\n[tls]\ncertificate = 'cert.pem'").unwrap();
    let env = env(&[("SIDEBAND_RELAY_TLS__KEY", "key.pem")]);
    let config = load(&[file.clone(), env]).unwrap();
    assert_eq!(config.tls.unwrap().key.to_str(), Some("key.pem"));
    assert!(load(&[file]).unwrap_err().contains("key"));
}

#[test]
fn the_shared_secret_comes_from_a_file_and_is_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, format!("{}\n", "s3cret".repeat(6))).unwrap();
    let text =
        format!("role = 'relay'\nshared_secret_file = '{}'\n[control]\nurl = 'https://control.test'", path.display());
    let config = load(&[file(&text).unwrap()]).unwrap();
    assert!(config.shared_secret.is_some());
    assert!(!format!("{config:?}").contains("s3cret"));
    std::fs::remove_file(&path).unwrap();
    assert!(refused(&text).contains("secret"));
}
