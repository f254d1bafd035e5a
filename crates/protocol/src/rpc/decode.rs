//! Reading envelopes: one pass over the text, then a look at the members that count.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Envelope, code};
use crate::{
    event,
    sbp::{FrameId, Subject},
};

/// Why a message's data is no envelope. Always the sender's fault: it is reported, dropped, and not
/// answered.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// It is not JSON, or a member is missing or has the wrong type.
    #[error("invalid envelope: {0}")]
    Invalid(&'static str),
    /// It is an envelope, but not one that its subject may carry.
    #[error("the envelope does not belong under its subject")]
    SubjectMismatch,
}

impl EnvelopeError {
    /// The code that names the fault.
    pub fn code(self) -> u16 {
        match self {
            Self::Invalid(_) => code::INVALID_ENVELOPE,
            Self::SubjectMismatch => code::SUBJECT_MISMATCH,
        }
    }
}

impl<'a> Envelope<'a> {
    /// Reads the data of a message. As with `JSON.parse`, members that mean nothing here may hold
    /// anything, and of one that is repeated the last counts. Takes any depth of nesting; see
    /// [`exceeds_nesting`](super::exceeds_nesting).
    ///
    /// A request names its frame's id in `cid`, but is delivered whatever that says: its sender
    /// waits for the `cid` it wrote, so the frame's own id decides nothing.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError`].
    pub fn decode(subject: Subject<'_>, data: &'a [u8]) -> Result<Self, EnvelopeError> {
        let not_an_object = EnvelopeError::Invalid("not a JSON object");
        let text = std::str::from_utf8(data).map_err(|_| not_an_object)?;
        let members: Members<'a> = serde_json::from_str(text).map_err(|_| not_an_object)?;
        let of = |expected: Subject<'_>| {
            if subject == expected { Ok(()) } else { Err(EnvelopeError::SubjectMismatch) }
        };
        match &*string(members.t, "t is no string")? {
            "r" => {
                of(Subject::Rpc)?;
                let method = string(members.m, "m is no string")?;
                Ok(Self::Request { method, params: members.p, cid: cid(members.cid)? })
            }
            "R" => {
                of(Subject::Rpc)?;
                Ok(Self::Success { cid: cid(members.cid)?, result: members.result })
            }
            "E" => {
                of(Subject::Rpc)?;
                let cid = cid(members.cid)?;
                let code = number(members.code, "code is no number")?;
                let message = string(members.message, "message is no string")?;
                Ok(Self::Error { cid, code, message, data: members.data })
            }
            "N" => {
                of(Subject::Event)?;
                let name = string(members.e, "e is no string")?;
                if !event::is_valid_name(&name) {
                    return Err(EnvelopeError::Invalid("e is no event name"));
                }
                Ok(Self::Notification { name, data: members.d })
            }
            _ => Err(EnvelopeError::Invalid("unknown t")),
        }
    }
}

fn string<'a>(json: Option<&'a str>, wrong: &'static str) -> Result<Cow<'a, str>, EnvelopeError> {
    let wrong = EnvelopeError::Invalid(wrong);
    let json = json.filter(|json| json.starts_with('"')).ok_or(wrong)?;
    if json.contains('\\') {
        // Half a surrogate pair, which JSON allows and a Rust string does not, ends here.
        return serde_json::from_str(json).map(Cow::Owned).map_err(|_| wrong);
    }
    Ok(Cow::Borrowed(&json[1..json.len() - 1]))
}

/// Any JSON number; one that is too large for a double is infinite, as for `JSON.parse`.
fn number(json: Option<&str>, wrong: &'static str) -> Result<f64, EnvelopeError> {
    json.filter(|json| json.starts_with(|first: char| first == '-' || first.is_ascii_digit()))
        .and_then(|json| json.parse().ok())
        .ok_or(EnvelopeError::Invalid(wrong))
}

fn cid(json: Option<&str>) -> Result<FrameId, EnvelopeError> {
    const WRONG: &str = "cid is no frame id";
    FrameId::from_hex(&string(json, WRONG)?).ok_or(EnvelopeError::Invalid(WRONG))
}

/// The raw JSON text of every member that some envelope has. What must have which type depends on
/// `t`, which may come last.
#[derive(Default)]
struct Members<'a> {
    t: Option<&'a str>,
    m: Option<&'a str>,
    p: Option<&'a str>,
    cid: Option<&'a str>,
    result: Option<&'a str>,
    code: Option<&'a str>,
    message: Option<&'a str>,
    data: Option<&'a str>,
    e: Option<&'a str>,
    d: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    T,
    M,
    P,
    Cid,
    Result,
    Code,
    Message,
    Data,
    E,
    D,
    #[serde(other)]
    Unknown,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        while let Some(member) = map.next_key()? {
            let slot = match member {
                Member::T => &mut members.t,
                Member::M => &mut members.m,
                Member::P => &mut members.p,
                Member::Cid => &mut members.cid,
                Member::Result => &mut members.result,
                Member::Code => &mut members.code,
                Member::Message => &mut members.message,
                Member::Data => &mut members.data,
                Member::E => &mut members.e,
                Member::D => &mut members.d,
                Member::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *slot = Some(map.next_value::<&RawValue>()?.get());
        }
        Ok(members)
    }
}
