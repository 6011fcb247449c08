//! HCP Terraform's timestamps.

use sluice_domain::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A text that is not a timestamp since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 timestamp since 1970")]
pub struct InvalidTimestamp;

/// Reads `2026-11-20T10:00:00.000Z`, or any other timestamp of RFC 3339.
pub fn parse_timestamp(text: &str) -> Result<Timestamp, InvalidTimestamp> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
    let ms = instant.unix_timestamp_nanos().div_euclid(1_000_000);
    u64::try_from(ms).map(Timestamp).map_err(|_| InvalidTimestamp)
}
