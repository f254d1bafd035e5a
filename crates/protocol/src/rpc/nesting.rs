//! How deep a payload nests: what one side may build, the other must be able to parse.

/// The most levels of arrays and objects that a payload may have; deeper ones are refused with an
/// error before a parser that recurses sees them.
pub const MAX_NESTING: usize = 128;

/// Whether JSON text nests deeper than [`MAX_NESTING`]. Does not recurse and does not allocate.
pub fn exceeds_nesting(json: &str) -> bool {
    // Few texts hold as many brackets as it takes, and counting is far cheaper than following
    // strings and depth.
    opening_brackets(json.as_bytes()) > MAX_NESTING && depth_exceeds(json.as_bytes())
}

fn opening_brackets(json: &[u8]) -> usize {
    // `[` and `{` differ in one bit. A chunk's count fits into a byte, which lets the compiler
    // count in vectors of bytes.
    let count = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    json.chunks(u8::MAX.into()).map(|chunk| usize::from(count(chunk))).sum()
}

fn depth_exceeds(json: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_NESTING {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    false
}

/// From behind the opening quote to behind the closing one.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}
