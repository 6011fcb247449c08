#![doc = include_str!("../README.md")]

mod commit;
mod connect;
mod context;
mod dead;
mod definitions;
mod describe;
mod facts;
mod gate;
mod keys;
mod log;
mod pace;
mod pulse;
mod release;
mod schema;
mod seal;
pub mod secrets;
mod table;
mod tallies;
mod work;

pub use connect::{ConnectError, client, http_client};
pub use context::{PATIENCE, Patience, change_context};
pub use dead::{DeadLetter, TakenUp, WorkState};
pub use definitions::{DefinitionError, read_task};
pub use describe::{Description, DueIndex};
pub use keys::{item_key, work_key};
pub use log::Decided;
pub use pace::TablePace;
pub use pulse::Due;
pub use schema::{DUE_KEYS, DUE_PROJECTION, TABLE_KEYS, TTL_ATTRIBUTE};
pub use seal::{ContextClaims, GateKeys, OpenError};
pub use table::Table;
