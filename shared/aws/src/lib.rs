#![doc = include_str!("../README.md")]

mod commit;
mod connect;
mod context;
mod dead;
mod definitions;
mod facts;
mod gate;
mod keys;
mod log;
mod pace;
mod release;
mod schema;
mod seal;
pub mod secrets;
mod table;
mod tallies;
mod work;

pub use connect::{ConnectError, client, http_client};
pub use context::{PATIENCE, Patience, change_context};
pub use dead::DeadLetter;
pub use definitions::{DefinitionError, read_task};
pub use keys::work_key;
pub use log::Decided;
pub use pace::TablePace;
pub use seal::{ContextClaims, GateKeys, OpenError};
pub use table::Table;
