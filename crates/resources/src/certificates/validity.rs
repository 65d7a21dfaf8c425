//! When a certificate is valid: the one field that the verifier does not tell.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// The span in which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl Validity {
    /// `validity` of a DER certificate (RFC 5280, section 4.1); `None` when it is not one.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = expect(SEQUENCE, certificate)?;
        let (fields, _) = expect(SEQUENCE, certificate)?;
        // The version is absent in certificates of version 1.
        let fields = expect(EXPLICIT_VERSION, fields).map_or(fields, |(_, rest)| rest);
        let (_serial, fields) = expect(INTEGER, fields)?;
        let (_algorithm, fields) = expect(SEQUENCE, fields)?;
        let (_issuer, fields) = expect(SEQUENCE, fields)?;
        let (validity, _) = expect(SEQUENCE, fields)?;
        let (from, rest) = time(validity)?;
        let (until, _) = time(rest)?;
        Some(Self { from, until })
    }
}

/// The content of the first element and what follows it, if its tag is the expected one.
fn expect(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    match element(input)? {
        (found, content, rest) if found == tag => Some((content, rest)),
        _ => None,
    }
}

/// Tag, content and rest of the first element.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, input) = input.split_first()?;
    let (&first, input) = input.split_first()?;
    let (length, input) = if first < 0x80 {
        (usize::from(first), input)
    } else {
        // The long form: the low bits count the bytes of the length.
        let (bytes, input) = input.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.is_empty() || bytes.len() > size_of::<u32>() {
            return None;
        }
        (
            bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
            input,
        )
    };
    let (content, rest) = input.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(input: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (tag, content, rest) = element(input)?;
    let content = std::str::from_utf8(content).ok()?;
    let digits = match tag {
        GENERALIZED_TIME => content.to_owned(),
        // Two digits of the year: 50 to 99 belong to the last century.
        UTC_TIME if content >= "50" => format!("19{content}"),
        UTC_TIME => format!("20{content}"),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", digits).ok()?;
    Some((time.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}
