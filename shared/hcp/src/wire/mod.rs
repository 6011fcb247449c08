//! What HCP Terraform sends, in its own words, and what it means in ours.

mod callback;
mod forwarded;
mod heard;
mod members;
mod notification;
mod origin;
mod run_task;
mod status;
mod timestamp;

pub use callback::{MalformedCallback, callback, parse_callback};
pub use forwarded::{Forwarding, forwarded, told_to_job};
pub use heard::{Heard, Malformed};
pub use notification::{News, Notification};
pub use origin::{InvalidOrigin, Origin};
pub use run_task::{Asked, Door, MalformedRequest};
pub use status::standing_of_status;
pub use timestamp::{InvalidTimestamp, parse_timestamp};

#[cfg(test)]
mod tests;
