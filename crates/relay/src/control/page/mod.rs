//! The page that a Quick Connect code's `url` leads to. The code is in the URL's fragment, which no
//! browser sends: the page is the same for every code, and the relay never sees one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::header::{self, HeaderValue};
use sha2::{Digest, Sha256};

use super::wire::Answer;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Answers `GET /quick-connect`.
pub(crate) fn quick_connect(api_url: &str) -> Answer {
    let page = PAGE.replace("{style}", STYLE).replace("{script}", SCRIPT).replace("{api_url}", &quoted(api_url));
    // Nothing may be loaded, nothing run but the script in it, and nobody may frame it.
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        source(STYLE),
        source(SCRIPT)
    );
    let mut answer = Answer::new(page.into());
    let headers = answer.headers_mut();
    let policy = HeaderValue::try_from(policy);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.expect("base64 is a header value"));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// What a policy calls a part of the page.
fn source(part: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(part)))
}

/// A JavaScript string in HTML.
fn quoted(text: &str) -> String {
    let quoted = serde_json::json!(text).to_string();
    let mut html = String::with_capacity(quoted.len());
    for letter in quoted.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_url_is_text_and_nothing_else() {
        assert_eq!(quoted("https://x/"), r#""https://x/""#);
        assert_eq!(quoted(r#"https://x/"</pre><script>&"#), r#""https://x/\"&lt;/pre&gt;&lt;script&gt;&amp;""#);
    }
}
