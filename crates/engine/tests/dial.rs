//! The dialer against real sockets: plain, TLS, proxies, refusals, silence; and nothing secret in what it says.

mod net;

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use net::{Authority, Seen, TOKEN, closed_port, dialer, echo, impatient, proxy, read_head, serve, silent};
use sideband::dial::{DialError, Dialer, DialerOptions, MAX_MESSAGE, Phase, ProxySettings, Stream, WebSocket};
use sideband::secret::Secret;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

async fn dial(dialer: &Dialer, address: &str) -> Result<WebSocket, DialError> {
    dialer.websocket(&url(address), &Secret::from(TOKEN)).await
}

async fn refusal(dialer: &Dialer, address: &str) -> DialError {
    let error = dial(dialer, address).await.expect_err("this must not connect");
    for shown in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
        assert!(
            !shown.contains("tokentext") && !shown.contains("pass word") && !shown.contains("pass%20word"),
            "{shown}"
        );
    }
    error
}

async fn assert_echo(socket: &mut WebSocket) {
    socket.send(Message::binary(vec![7; 70_000])).await.expect("sent");
    let back = socket.next().await.expect("an answer").expect("a message");
    assert_eq!(back.into_data(), vec![7; 70_000]);
}

fn through(port: u16, scheme: &str) -> ProxySettings {
    let proxy = Secret::new(format!("{scheme}://user:pass%20word@localhost:{port}"));
    ProxySettings { https: Some(proxy.clone()), http: Some(proxy), bypass: None }
}

#[tokio::test]
async fn plain_with_the_query_kept_and_the_token_set() {
    let seen = Seen::default();
    let notes = seen.clone();
    let server = serve(move |tcp| echo(tcp, notes.clone())).await;
    let dialer = dialer(|_| {});
    let mut socket =
        dial(&dialer, &format!("ws://localhost:{}/v1?region=eu&token=old", server.port)).await.expect("connected");
    assert_echo(&mut socket).await;
    assert!(matches!(socket.get_ref(), Stream::Plain(_)));
    let tcp = socket.get_ref().tcp();
    assert!(tcp.nodelay().expect("a live socket"));
    assert!(socket2::SockRef::from(tcp).keepalive().expect("a live socket"));
    assert_eq!(seen.all(), [format!("/v1?region=eu&token={TOKEN} -")]);
}

#[tokio::test]
async fn the_token_can_travel_in_a_header() {
    let seen = Seen::default();
    let notes = seen.clone();
    let server = serve(move |tcp| echo(tcp, notes.clone())).await;
    let dialer = dialer(|options| options.token_in_header = true);
    let mut socket = dial(&dialer, &format!("ws://127.0.0.1:{}/?a=b", server.port)).await.expect("connected");
    assert_echo(&mut socket).await;
    assert_eq!(seen.all(), [format!("/?a=b Bearer {TOKEN}")]);
}

#[tokio::test]
async fn tls_by_each_source_of_roots() {
    let authority = Authority::new(&["localhost", "127.0.0.1"]);
    let file = std::env::temp_dir().join(format!("sideband-dial-{}.pem", std::process::id()));
    std::fs::write(&file, &authority.pem).expect("a file");
    let server = authority.echo(Seen::default()).await;
    let sources: [&dyn Fn(&mut DialerOptions); 3] = [
        &|options| options.ca_pem = vec![authority.pem.clone()],
        &|options| options.extra_ca_file = Some(file.clone()),
        &|options| options.system_ca_file = Some(file.clone()),
    ];
    for source in sources {
        let dialer = dialer(source);
        for host in ["localhost", "127.0.0.1"] {
            let mut socket = dial(&dialer, &format!("wss://{host}:{}", server.port)).await.expect("trusted");
            assert_echo(&mut socket).await;
            assert!(matches!(socket.get_ref(), Stream::Tls(_)));
        }
    }
    std::fs::remove_file(&file).expect("the file is ours");
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_or_of_another_name_is_refused() {
    let authority = Authority::new(&["localhost"]);
    let server = authority.echo(Seen::default()).await;
    let stranger = Authority::new(&["localhost"]);
    let address = format!("wss://localhost:{}", server.port);

    let error = refusal(&dialer(|options| options.ca_pem = vec![stranger.pem.clone()]), &address).await;
    assert_eq!((error.phase, error.status), (Phase::Tls, None));
    assert!(error.to_string().starts_with(&format!("localhost:{}: tls: ", server.port)), "{error}");

    let by_address = format!("wss://127.0.0.1:{}", server.port);
    let error = refusal(&dialer(|options| options.ca_pem = vec![authority.pem.clone()]), &by_address).await;
    assert_eq!(error.phase, Phase::Tls);
}

#[tokio::test]
async fn a_server_without_tls_is_called_that() {
    let server = serve(|tcp| async move {
        let (mut reader, mut writer) = tcp.into_split();
        writer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
        tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.ok();
    })
    .await;
    let error = refusal(&dialer(|_| {}), &format!("wss://127.0.0.1:{}", server.port)).await;
    assert_eq!(error.to_string(), format!("127.0.0.1:{}: tls: the other side does not speak TLS", server.port));
}

#[tokio::test]
async fn no_roots_at_all_matter_only_to_tls() {
    let notes = Seen::default();
    let plain = serve(move |tcp| echo(tcp, notes.clone())).await;
    let secure = Authority::new(&["localhost"]).echo(Seen::default()).await;
    let rootless = dialer(|options| options.system_ca_file = Some("/nonexistent/roots.pem".into()));
    dial(&rootless, &format!("ws://localhost:{}", plain.port)).await.expect("ws:// needs no roots");
    let error = refusal(&rootless, &format!("wss://localhost:{}", secure.port)).await;
    assert_eq!(error.phase, Phase::Tls);
    assert!(error.why.starts_with("no trusted root certificate found"), "{error}");
    assert!(error.why.contains("roots.pem"), "{error}");
}

#[tokio::test]
async fn an_unreadable_extra_file_is_passed_over() {
    let authority = Authority::new(&["localhost"]);
    let server = authority.echo(Seen::default()).await;
    let dialer = dialer(|options| {
        options.ca_pem = vec![authority.pem.clone()];
        options.extra_ca_file = Some("/nonexistent/extra.pem".into());
    });
    dial(&dialer, &format!("wss://localhost:{}", server.port)).await.expect("the other roots do");
}

#[tokio::test]
async fn refused_upgrades_keep_their_status() {
    for status in [401, 403, 409, 503] {
        let server = serve(move |mut tcp| async move {
            read_head(&mut tcp).await;
            let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno");
            tcp.write_all(answer.as_bytes()).await.ok();
        })
        .await;
        let error = refusal(&dialer(|_| {}), &format!("ws://localhost:{}/?a=b", server.port)).await;
        assert_eq!((error.phase, error.status), (Phase::Upgrade, Some(status)));
        assert!(
            error.to_string().starts_with(&format!("localhost:{}: upgrade: refused with HTTP {status} ", server.port))
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_no_upgrade_fails_in_that_phase() {
    for answer in ["HTTP/1.1 101 Sure\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "SSH-2.0-x\r\n\r\n", ""] {
        let server = serve(move |mut tcp| async move {
            read_head(&mut tcp).await;
            tcp.write_all(answer.as_bytes()).await.ok();
        })
        .await;
        let error = refusal(&dialer(|_| {}), &format!("ws://localhost:{}", server.port)).await;
        assert_eq!((error.phase, error.status), (Phase::Upgrade, None), "{answer:?}");
    }
}

#[tokio::test]
async fn silence_ends_each_phase_at_its_deadline() {
    let mute = silent().await;
    let hasty = dialer(|options| options.deadlines = impatient());
    let proxied = dialer(|options| {
        options.deadlines = impatient();
        options.proxies = through(mute.port, "http");
    });
    let behind_tls = dialer(|options| {
        options.deadlines = impatient();
        options.proxies = through(mute.port, "https");
    });
    for (dialer, address, phase) in [
        (&hasty, format!("ws://localhost:{}", mute.port), Phase::Upgrade),
        (&hasty, format!("wss://localhost:{}", mute.port), Phase::Tls),
        (&proxied, "wss://relay.test".to_owned(), Phase::Proxy),
        (&behind_tls, "wss://relay.test".to_owned(), Phase::Proxy),
    ] {
        let begun = Instant::now();
        let error = refusal(dialer, &address).await;
        assert_eq!(error.phase, phase);
        assert!(error.why.ends_with("no answer within 0.2 s"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn unreachable_and_unusable_targets_are_told_apart() {
    let closed = closed_port().await;
    let dialer = dialer(|_| {});
    for (address, phase) in [
        (format!("ws://127.0.0.1:{closed}"), Phase::Tcp),
        (format!("wss://[::1]:{closed}"), Phase::Tcp),
        ("ws://no-such-host.invalid".to_owned(), Phase::Dns),
        ("http://localhost:1".to_owned(), Phase::Url),
        ("ws://user:secret@localhost:1".to_owned(), Phase::Url),
    ] {
        let error = refusal(&dialer, &address).await;
        assert_eq!(error.phase, phase, "{error}");
        assert!(!error.to_string().contains("secret"));
    }
    let error = refusal(&dialer, &format!("ws://127.0.0.1:{closed}")).await;
    assert_eq!(error.to_string(), format!("127.0.0.1:{closed}: tcp: connection refused"));
}

#[tokio::test]
async fn a_proxy_carries_both_schemes_with_basic_auth() {
    let authority = Authority::new(&["relay.test", "localhost"]);
    let secure = authority.echo(Seen::default()).await;
    let notes = Seen::default();
    let plain = serve(move |tcp| echo(tcp, notes.clone())).await;
    for (address, target) in [("wss://relay.test", secure.port), ("ws://relay.test:8080/x", plain.port)] {
        for (scheme, acceptor) in [("http", None), ("https", Some(authority.acceptor()))] {
            let seen = Seen::default();
            let server = proxy(seen.clone(), target, acceptor).await;
            let dialer = dialer(|options| {
                options.ca_pem = vec![authority.pem.clone()];
                options.proxies = through(server.port, scheme);
            });
            let mut socket = dial(&dialer, address).await.expect("through the proxy");
            assert_echo(&mut socket).await;
            let port = if address.starts_with("wss") { 443 } else { 8080 };
            assert_eq!(seen.all(), [format!("CONNECT relay.test:{port} HTTP/1.1")]);
        }
    }
}

#[tokio::test]
async fn what_a_proxy_can_do_wrong() {
    let seen = Seen::default();
    let server = proxy(seen.clone(), closed_port().await, None).await;
    let wrong = ProxySettings {
        https: Some(Secret::new(format!("http://user:other@localhost:{}", server.port))),
        ..through(1, "http")
    };
    let error = refusal(&dialer(|options| options.proxies = wrong), "wss://relay.test").await;
    assert_eq!(error.to_string(), "relay.test:443: proxy: the proxy wants other credentials (407)");

    let error = refusal(&dialer(|options| options.proxies = through(server.port, "http")), "wss://relay.test").await;
    assert_eq!(error.to_string(), "relay.test:443: proxy: the proxy refused the tunnel (502)");
    assert_eq!(error.status, None, "the status of a refused upgrade is the relay's alone");

    for answer in ["HTTP/1.1 200 OK\r\n\r\nearly", "nonsense\r\n\r\n", ""] {
        let server = serve(move |mut tcp| async move {
            read_head(&mut tcp).await;
            tcp.write_all(answer.as_bytes()).await.ok();
        })
        .await;
        let error = refusal(&dialer(|options| options.proxies = through(server.port, "http")), "ws://relay.test").await;
        assert_eq!(error.phase, Phase::Proxy, "{answer:?}");
    }

    let nobody = closed_port().await;
    let error = refusal(&dialer(|options| options.proxies = through(nobody, "http")), "ws://relay.test").await;
    assert_eq!(error.to_string(), "relay.test:80: proxy: tcp: connection refused");
}

#[tokio::test]
async fn no_proxy_hosts_are_reached_directly() {
    let notes = Seen::default();
    let server = serve(move |tcp| echo(tcp, notes.clone())).await;
    let nobody = closed_port().await;
    let dialer = dialer(|options| {
        options.proxies =
            ProxySettings { bypass: Some("example.test, localhost,127.0.0.0/8".into()), ..through(nobody, "http") };
    });
    for host in ["localhost", "127.0.0.1"] {
        dial(&dialer, &format!("ws://{host}:{}", server.port)).await.expect("past the proxy");
    }
    assert_eq!(refusal(&dialer, "ws://other.test").await.phase, Phase::Proxy);
}

#[test]
fn options_that_cannot_work_are_refused_by_name() {
    let mut socks = DialerOptions::bare();
    socks.proxies.https = Some(Secret::from("socks5://user:hidden@localhost"));
    let mut garbage = DialerOptions::bare();
    garbage.ca_pem = vec![b"not a certificate, but hidden".to_vec()];
    for (options, name) in [(socks, "HTTPS_PROXY: proxy: "), (garbage, "ca: tls: ")] {
        assert!(!format!("{options:?}").contains("user:hidden"));
        let error = Dialer::new(options).expect_err("refused").to_string();
        assert!(error.starts_with(name) && !error.contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_unread() {
    let server = serve(|tcp| async move {
        let mut socket = tokio_tungstenite::accept_async(tcp).await.expect("an upgrade");
        socket.send(Message::binary(vec![0; MAX_MESSAGE])).await.expect("sent");
        socket.send(Message::binary(vec![0; MAX_MESSAGE + 1])).await.ok();
    })
    .await;
    let mut socket = dial(&dialer(|_| {}), &format!("ws://localhost:{}", server.port)).await.expect("connected");
    let first = socket.next().await.expect("a message").expect("within the limit");
    assert_eq!(first.len(), MAX_MESSAGE);
    assert!(matches!(socket.next().await, Some(Err(Error::Capacity(_)))));
}
