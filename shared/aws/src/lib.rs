#![doc = include_str!("../README.md")]

mod commit;
mod connect;
mod dead;
mod facts;
mod keys;
mod log;
mod pace;
mod release;
mod schema;
pub mod secrets;
mod table;
mod tallies;
mod work;

pub use connect::{ConnectError, client, http_client};
pub use dead::DeadLetter;
pub use keys::work_key;
pub use log::Decided;
pub use pace::TablePace;
pub use table::Table;
