//! The servers that are measured, as processes, and how to get into them.

use std::{
    cell::Cell,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::socket::Socket;

/// A server that is killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) authority: String,
    /// What the relay printed; `None` for the forwarder.
    credentials: Option<Value>,
    /// Sessions handed out; the relay's have ids of their own.
    sessions: Cell<u64>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed processes cannot be killed again, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(command: &mut Command) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut line = String::new();
    let output = child.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("it says where it is");
    (child, line)
}

/// A client's token and session id.
pub(crate) struct Ticket {
    pub(crate) path: String,
    pub(crate) session: u64,
}

impl Server {
    /// The bare forwarder.
    pub(crate) fn forwarder() -> Self {
        Self::bare("forwarder")
    }

    /// The bare forwarder as a hub: one daemon, any number of clients.
    pub(crate) fn hub() -> Self {
        Self::bare("hub")
    }

    fn bare(kind: &str) -> Self {
        let (child, line) = start(Command::new(std::env::current_exe().expect("a path")).arg(kind));
        Self { child, authority: line.trim().to_owned(), credentials: None, sessions: Cell::default() }
    }

    /// The relay; the release binary next to this one.
    pub(crate) fn relay() -> Self {
        let mut path = std::env::current_exe().expect("a path");
        path.set_file_name("sideband-relay");
        let path = std::env::var_os("SIDEBAND_RELAY").map_or(path, PathBuf::from);
        let (child, line) = start(Command::new(path).args(["serve", "--dev", "--json"]).env_remove("RUST_LOG"));
        let credentials: Value = serde_json::from_str(&line).expect("the relay prints JSON");
        let url = credentials["apiUrl"].as_str().expect("a URL");
        let authority = url.strip_prefix("http://").expect("plain HTTP").to_owned();
        Self { child, authority, credentials: Some(credentials), sessions: Cell::default() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn credential(&self, name: &str) -> &str {
        let credentials = self.credentials.as_ref().expect("a relay");
        credentials[name].as_str().expect("a string")
    }

    /// The path that lets a daemon in.
    pub(crate) fn daemon(&self) -> String {
        if self.credentials.is_none() {
            return "/".to_owned();
        }
        let mut api = Api::new(&self.authority);
        let output = api.call("daemon.renewToken", self.credential("apiKey"), &Value::Null);
        format!("/?token={}", output["presenceToken"].as_str().expect("a token"))
    }

    /// Paths that let clients in.
    pub(crate) fn tickets(&self, count: usize) -> Vec<Ticket> {
        if self.credentials.is_none() {
            let next = || {
                self.sessions.set(self.sessions.get() + 1);
                Ticket { path: "/".to_owned(), session: self.sessions.get() }
            };
            return (0..count).map(|_| next()).collect();
        }
        let mut api = Api::new(&self.authority);
        let input = json!({ "daemonId": self.credential("daemonId") });
        let mut ticket = || {
            let output = api.call("relay.createSession", self.credential("accessToken"), &input);
            let token = output["token"].as_str().expect("a token");
            Ticket { path: format!("/?token={token}"), session: session_of(token) }
        };
        (0..count).map(|_| ticket()).collect()
    }

    /// Two connected ends, and the id under which they talk.
    pub(crate) fn pair(&self) -> (Socket, Socket, u64) {
        if self.credentials.is_none() {
            let open = || Socket::open(&self.authority, "/");
            return (open(), open(), 1);
        }
        let daemon = Socket::open(&self.authority, &self.daemon());
        let ticket = self.tickets(1).remove(0);
        (daemon, Socket::open(&self.authority, &ticket.path), ticket.session)
    }
}

fn session_of(token: &str) -> u64 {
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: Value = serde_json::from_slice(&payload).expect("JSON");
    let session = URL_SAFE_NO_PAD.decode(claims["sid"].as_str().expect("a session")).expect("base64url");
    u64::from_be_bytes(session.try_into().expect("8 bytes"))
}

/// The control plane over one connection.
struct Api {
    stream: BufReader<TcpStream>,
    authority: String,
}

impl Api {
    fn new(authority: &str) -> Self {
        let tcp = TcpStream::connect(authority).expect("the relay listens");
        tcp.set_nodelay(true).expect("no delay");
        Self { stream: BufReader::new(tcp), authority: authority.to_owned() }
    }

    fn call(&mut self, procedure: &str, bearer: &str, input: &Value) -> Value {
        let (body, authority) = (input.to_string(), &self.authority);
        let request = format!(
            "POST /api/trpc/{procedure} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {bearer}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).expect("the relay reads");
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("an answer");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        answer["result"]["data"].take()
    }
}
