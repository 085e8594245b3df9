//! Base64 with padding (RFC 4648, section 4).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..group.len()].copy_from_slice(group);
        let [first, second, third] = three;
        let digits = [first >> 2, first << 4 | second >> 4, second << 2 | third >> 6, third];
        let digits = digits.map(|digit| char::from(ALPHABET[usize::from(digit & 63)]));
        // One byte needs two digits, and two bytes need three.
        text.extend(digits.into_iter().take(group.len() + 1));
        text.extend(['=', '='].into_iter().take(3 - group.len()));
    }
    text
}

/// Decodes base64. Returns `None` for any other text, including base64 without padding or with nonzero unused bits.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (groups, []) = text.as_bytes().as_chunks::<4>() else {
        return None;
    };
    for (number, group) in groups.iter().enumerate() {
        let padding = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if padding > 0 && number + 1 < groups.len() {
            return None;
        }
        let mut bits = 0;
        for character in &group[..4 - padding] {
            bits = bits << 6 | u32::from(digit(*character)?);
        }
        bits <<= 6 * padding;
        let [_, three @ ..] = bits.to_be_bytes();
        let (whole, rest) = three.split_at(3 - padding);
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend(whole);
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn the_test_vectors_of_rfc_4648_section_10_encode_and_decode() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), plain.as_bytes());
        }
        assert_eq!(encode(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn text_that_is_not_base64_decodes_to_none() {
        for text in
            ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "=", "====", "Zg==Zg==", "Z=g=", "Zm9v\n", "Zm9-", "Zm9\u{fc}"]
        {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
