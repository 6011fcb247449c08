#![doc = include_str!("../README.md")]

mod commit;
mod connect;
mod dead;
mod facts;
mod keys;
mod release;
mod schema;
pub mod secrets;
mod table;
mod work;

pub use connect::{ConnectError, client, http_client};
pub use dead::DeadLetter;
pub use keys::work_key;
pub use table::Table;
