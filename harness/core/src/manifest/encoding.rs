//! The bytes of a file as text, by its byte order mark: editors of Windows write one, and kubectl reads it.

/// Why the bytes of a file are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum EncodingError {
    /// There is no mark, and the bytes are no UTF-8.
    #[error("line {line}, column {column} is no UTF-8; save it as UTF-8")]
    Utf8 {
        /// The 1-based line of the first byte that is none.
        line: usize,
        /// The 1-based column, in characters.
        column: usize,
    },
    /// It holds what no text does.
    #[error(
        "line {line} holds a null byte, which no text does; if it is text, save it as UTF-8, else keep it elsewhere"
    )]
    Binary { line: usize },
    /// The mark says UTF-16, and the bytes are none.
    #[error("its byte order mark says UTF-16, which it is not; save it as UTF-8")]
    Utf16,
}

/// Reads bytes as UTF-8 with or without a byte order mark, or as UTF-16 with one.
///
/// # Errors
/// When the bytes are not what their mark says.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, EncodingError> {
    let text = match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest.to_vec()),
        _ => utf8(bytes),
    }?;
    match text.split_once('\0') {
        Some((before, _)) => Err(EncodingError::Binary { line: 1 + before.matches('\n').count() }),
        None => Ok(text),
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, EncodingError> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let last = valid.rsplit('\n').next().unwrap_or_default();
        EncodingError::Utf8 { line: 1 + valid.matches('\n').count(), column: 1 + last.chars().count() }
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, EncodingError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    let text = String::from_utf16(&units).map_err(|_| EncodingError::Utf16)?;
    if rest.is_empty() { Ok(text) } else { Err(EncodingError::Utf16) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn with_mark(mark: &[u8], bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
        mark.iter().copied().chain(bytes).collect()
    }

    #[rstest]
    #[case::plain("é: 1\n".as_bytes().to_vec())]
    #[case::utf8_with_mark(with_mark(&[0xEF, 0xBB, 0xBF], "é: 1\n".bytes()))]
    #[case::utf16_little(with_mark(&[0xFF, 0xFE], "é: 1\n".encode_utf16().flat_map(u16::to_le_bytes)))]
    #[case::utf16_big(with_mark(&[0xFE, 0xFF], "é: 1\n".encode_utf16().flat_map(u16::to_be_bytes)))]
    fn a_byte_order_mark_tells_the_encoding_and_is_no_part_of_the_text(#[case] bytes: Vec<u8>) {
        assert_eq!(decode(bytes).unwrap(), "é: 1\n");
    }

    #[rstest]
    #[case::latin_1(b"a: b\nc: \xE9".to_vec(), EncodingError::Utf8 { line: 2, column: 4 })]
    #[case::null_byte(b"a\n\0".to_vec(), EncodingError::Binary { line: 2 })]
    #[case::utf16_without_mark("ab".encode_utf16().flat_map(u16::to_le_bytes).collect(), EncodingError::Binary { line: 1 })]
    #[case::half_a_unit(vec![0xFF, 0xFE, b'a'], EncodingError::Utf16)]
    #[case::half_a_pair(vec![0xFF, 0xFE, 0x00, 0xD8], EncodingError::Utf16)]
    fn bytes_that_are_not_what_their_mark_says_are_refused(#[case] bytes: Vec<u8>, #[case] error: EncodingError) {
        assert_eq!(decode(bytes), Err(error));
    }
}
