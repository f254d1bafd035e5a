//! The records that cross to JavaScript, byte for byte. `lib/dispatch.js` reads them.
//!
//! ```text
//! offset 0  kind u8, 1 a u8, 2 zero u16, 4 handle u32, 8 id u32, 12 c1 u32, 16 c2 u32, 20 c3 u32, 24 len1 u32, 28 len2 u32
//!       32  text1 (len1 bytes UTF-8), text2 (len2 bytes UTF-8; 0xFFFFFFFF: there is none)
//! ```
//! All numbers are little-endian. Records stand back to back.

/// Bytes before the texts.
pub(crate) const HEADER_LEN: usize = 32;

/// The length of a second text that is not there.
const ABSENT: u32 = u32::MAX;

/// What a record tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Kind {
    State = 1,
    Result = 2,
    Failure = 3,
    Request = 4,
    Event = 5,
    Gone = 6,
    Ask = 7,
    Unhandled = 8,
    Listening = 9,
    ListenFailed = 10,
    Connection = 11,
    QuickConnect = 12,
    ServerState = 13,
}

/// One record on its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) kind: Kind,
    /// A small number whose meaning depends on the kind.
    pub(crate) a: u8,
    /// The peer or server; 0 for none.
    pub(crate) handle: u32,
    /// A call, ask, request or peer number, and for requests the rest of the correlation id.
    pub(crate) ids: [u32; 4],
    pub(crate) text1: &'a str,
    pub(crate) text2: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// A record without numbers and texts.
    pub(crate) fn new(kind: Kind, handle: u32) -> Self {
        Self { kind, a: 0, handle, ids: [0; 4], text1: "", text2: None }
    }

    pub(crate) fn a(self, a: u8) -> Self {
        Self { a, ..self }
    }

    pub(crate) fn id(self, id: u32) -> Self {
        Self { ids: [id, 0, 0, 0], ..self }
    }

    pub(crate) fn text1(self, text1: &'a str) -> Self {
        Self { text1, ..self }
    }

    pub(crate) fn text2(self, text2: Option<&'a str>) -> Self {
        Self { text2, ..self }
    }

    /// Appends the record.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let text2 = self.text2.unwrap_or_default();
        out.reserve(HEADER_LEN + self.text1.len() + text2.len());
        let mut header = [0; HEADER_LEN];
        header[0] = self.kind as u8;
        header[1] = self.a;
        let words = [
            self.handle,
            self.ids[0],
            self.ids[1],
            self.ids[2],
            self.ids[3],
            length(self.text1),
            self.text2.map_or(ABSENT, length),
        ];
        for (place, word) in header[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&header);
        out.extend_from_slice(self.text1.as_bytes());
        out.extend_from_slice(text2.as_bytes());
    }
}

fn length(text: &str) -> u32 {
    // Texts come from frames of 64 KiB, answers of the control plane of as much, or are ours.
    u32::try_from(text.len()).expect("no text comes near 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_what_javascript_reads() {
        let mut out = vec![0xaa];
        let record = Record { ids: [1, 2, 3, 0xdead_beef], ..Record::new(Kind::Request, 0x0102_0304) };
        record.a(9).text1("né").text2(Some("[1]")).write(&mut out);
        let expected = [
            4, 9, 0, 0, 4, 3, 2, 1, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde, 3, 0, 0, 0, 3, 0, 0, 0,
        ];
        assert_eq!(out[0], 0xaa);
        assert_eq!(out[1..33], expected);
        assert_eq!(&out[33..], "né[1]".as_bytes());
    }

    #[test]
    fn an_absent_text_is_not_an_empty_one() {
        for (text2, bytes) in [(None, [0xff; 4]), (Some(""), [0; 4])] {
            let mut out = Vec::new();
            Record::new(Kind::Result, 7).text2(text2).write(&mut out);
            assert_eq!((out.len(), &out[28..]), (HEADER_LEN, &bytes[..]));
        }
    }
}
