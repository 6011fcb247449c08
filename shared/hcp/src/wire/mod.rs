//! What HCP Terraform sends, in its own words, and what it means in ours.

mod heard;
mod notification;
mod status;
mod timestamp;

pub use heard::{Heard, Malformed};
pub use notification::{News, Notification};
pub use status::standing_of_status;
pub use timestamp::{InvalidTimestamp, parse_timestamp};

#[cfg(test)]
mod tests;
