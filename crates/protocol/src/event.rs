//! Event names and the patterns that subscribe to them (section 4).
//!
//! A name is segments of `A–Z a–z 0–9 - _` joined by `.`, with or without the platform's prefix
//! `$sideband/` in front. In a pattern a segment may also be `*`, which is exactly one segment, and
//! the last one `>`, which is one or more.

/// Most bytes of a name or pattern, its prefix included.
pub const MAX_NAME_LEN: usize = 255;

/// The prefix of the platform's own events.
pub const PLATFORM_PREFIX: &str = "$sideband/";

/// Whether `name` may name an event.
pub fn is_valid_name(name: &str) -> bool {
    name.len() <= MAX_NAME_LEN && split(name).1.split('.').all(is_valid_segment)
}

fn is_valid_segment(segment: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !segment.is_empty() && segment.bytes().all(is_valid)
}

/// Whether it is the platform's, and what is behind the prefix.
fn split(name: &str) -> (bool, &str) {
    match name.strip_prefix(PLATFORM_PREFIX) {
        Some(rest) => (true, rest),
        None => (false, name),
    }
}

/// A valid pattern.
#[derive(Clone, Eq, PartialEq, Hash, Debug)]
pub struct Pattern(Box<str>);

/// The text is no pattern; the caller's fault.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
#[error("not a valid event pattern")]
pub struct InvalidPattern;

impl Pattern {
    /// Reads a pattern. Every name is one, and matches itself only.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`].
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let mut segments = split(text).1.split('.').peekable();
        let mut is_valid = text.len() <= MAX_NAME_LEN;
        while let Some(segment) = segments.next() {
            is_valid &= match segment {
                "*" => true,
                ">" => segments.peek().is_none(),
                _ => is_valid_segment(segment),
            };
        }
        if is_valid { Ok(Self(text.into())) } else { Err(InvalidPattern) }
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a valid `name` is one of those meant. The platform's names are meant only by
    /// patterns that begin with its prefix themselves.
    pub fn matches(&self, name: &str) -> bool {
        let (is_platform, name) = split(name);
        let (wants_platform, pattern) = split(&self.0);
        if is_platform != wants_platform {
            return false;
        }
        let mut names = name.split('.');
        for wanted in pattern.split('.') {
            let Some(segment) = names.next() else {
                return false;
            };
            match wanted {
                "*" => {}
                ">" => return true,
                _ if wanted == segment => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }
}
