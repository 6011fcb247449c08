//! HCP Terraform's wire types, signatures and the state scanner: bytes in, types out.

pub mod digest;
pub mod plan_json;
pub mod signature;
pub mod state;
pub mod wire;
