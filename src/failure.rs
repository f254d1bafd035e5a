//! Errors as JavaScript gets them: JSON from which `lib/errors.js` makes the right class. Nothing secret is in an engine
//! error, so nothing has to be taken out here.

use std::io::ErrorKind;

use serde::Serialize;
use serde_json::value::RawValue;
use sideband::error::Error;

/// The fields of section C, "error JSON".
#[derive(Serialize)]
struct Described<'a> {
    class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Box<Described<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ask: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    wire_code: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// The error as JSON.
pub(crate) fn to_json(error: &Error) -> String {
    // Numbers, texts and raw JSON only: there is nothing that could not be printed.
    serde_json::to_string(&describe(error)).expect("an error has a JSON form")
}

fn describe(error: &Error) -> Described<'_> {
    let plain = Described {
        class: "Error",
        code: None,
        status: None,
        message: error.to_string(),
        details: None,
        cause: error.cause().map(|cause| Box::new(describe(cause))),
        ask: None,
    };
    match error {
        Error::Peer { code, .. } => {
            let code = code.as_str();
            let class = if code.starts_with("rpc_") { "RpcPeerError" } else { "PeerError" };
            Described { class, code: Some(code), ..plain }
        }
        Error::Rpc { wire_code, data, .. } => {
            let data = data.as_deref().and_then(|data| serde_json::from_str(data).ok());
            let details = Some(Details { wire_code: *wire_code, data });
            Described { class: "RpcPeerError", code: Some("rpc_error"), details, ..plain }
        }
        Error::Sbrp { code, .. } => Described { class: "SbrpError", code: Some(code.as_str()), ..plain },
        Error::Api { status, .. } => Described { class: "CloudApiError", status: Some(*status), ..plain },
        Error::Callback(callback) => Described { ask: callback.ask, ..plain },
        Error::Network { kind: Some(kind), .. } => Described { code: system_code(*kind), ..plain },
        Error::Value(_) => Described { class: "TypeError", ..plain },
        _ => plain,
    }
}

/// The `code` that Node's own errors have for what went wrong with an address.
fn system_code(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::AddrInUse => Some("EADDRINUSE"),
        ErrorKind::AddrNotAvailable => Some("EADDRNOTAVAIL"),
        ErrorKind::PermissionDenied => Some("EACCES"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use sideband::error::{CallbackError, PeerErrorCode, SbrpErrorCode};

    fn parsed(error: &Error) -> Value {
        serde_json::from_str(&to_json(error)).expect("JSON")
    }

    #[test]
    fn causes_nest_and_callbacks_keep_their_number() {
        let thrown = Error::Callback(CallbackError { ask: Some(7), message: "no".into(), fatal: true });
        let refused = Error::Sbrp {
            code: SbrpErrorCode::IdentityKeyChanged,
            message: "changed".into(),
            cause: Some(std::sync::Arc::new(thrown)),
        };
        let error = Error::peer_because(PeerErrorCode::PeerClosed, "ended", refused);
        assert_eq!(
            parsed(&error),
            json!({"class": "PeerError", "code": "peer_closed", "message": "ended", "cause":
                {"class": "SbrpError", "code": "identity_key_changed", "message": "changed", "cause":
                    {"class": "Error", "message": "no", "ask": 7}}})
        );
    }

    #[test]
    fn a_handlers_error_keeps_its_data_as_it_came() {
        let data = r#"{"__proto__":1,"n":12345678901234567890123}"#;
        let error = Error::Rpc { wire_code: 2000.0, message: "m".into(), data: Some(data.into()) };
        let text = to_json(&error);
        assert!(text.contains(data), "{text}");
        assert_eq!(parsed(&error)["class"], "RpcPeerError");
        assert_eq!(parsed(&error)["details"]["wireCode"], 2000.0);
    }

    #[test]
    fn classes_and_codes() {
        let api = Error::Api { status: 404, message: "m".into(), fatal: true };
        assert_eq!(parsed(&api), json!({"class": "CloudApiError", "status": 404, "message": "m"}));
        let late = Error::peer(PeerErrorCode::RpcTimeout, "late");
        assert_eq!(parsed(&late), json!({"class": "RpcPeerError", "code": "rpc_timeout", "message": "late"}));
        let network = Error::Network { message: "host: tcp: refused".into(), kind: None };
        assert_eq!(parsed(&network), json!({"class": "Error", "message": "host: tcp: refused"}));
    }
}
