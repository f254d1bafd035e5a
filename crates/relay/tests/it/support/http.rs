//! HTTP by hand, as much as the tests need.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A status and a body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    /// A header's value; `name` in small letters, as it is sent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// `result.data` of a procedure that succeeded.
    pub(crate) fn output(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["result"]["data"].clone()
    }

    /// Status and code of one that did not.
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        assert!(json["error"]["message"].is_string(), "{json}");
        (self.status, json["error"]["data"]["code"].as_str().expect("a code").to_owned())
    }
}

/// Makes one request on a connection of its own.
pub(crate) async fn request(authority: &str, method: &str, path: &str, bearer: Option<&str>, body: &str) -> Reply {
    try_request(authority, method, path, bearer, body).await.expect("a whole answer")
}

/// The same, where there may be none.
pub(crate) async fn try_request(
    authority: &str,
    method: &str,
    path: &str,
    bearer: Option<&str>,
    body: &str,
) -> Option<Reply> {
    let bearer = bearer.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    send(authority, method, path, &format!("{bearer}Content-Type: application/json\r\n"), body).await
}

/// The same with other headers, each with its line's end.
pub(crate) async fn send(authority: &str, method: &str, path: &str, headers: &str, body: &str) -> Option<Reply> {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    );
    send_raw(authority, &request).await
}

/// The answer to what is sent as it is, when the relay has hung up.
pub(crate) async fn send_raw(authority: &str, request: &str) -> Option<Reply> {
    let mut tcp = TcpStream::connect(authority).await.ok()?;
    tcp.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, head: head.to_owned(), body: body.to_owned() })
}

/// Waits until a relay that is being ended says so. It is alive all the same.
pub(crate) async fn until_draining(authority: &str) {
    loop {
        let reply = request(authority, "GET", "/readyz", None, "").await;
        if reply.status == 503 {
            assert_eq!(reply.json(), json!({ "status": "draining" }));
            break;
        }
    }
    assert_eq!(request(authority, "GET", "/healthz", None, "").await.status, 200);
}
