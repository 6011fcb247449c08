//! Names become addresses here, and only those that may be connected to: whatever a name meant a moment ago.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::allowed::Allowed;

/// A name that leads to no address that may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its name leads to no public address")]
pub(crate) struct NotPublic;

/// The system's resolver, less what is not allowed. The HTTP client connects to nothing but what this hands out, so
/// there is no second look-up that could find something else.
pub(crate) struct Guarded {
    allowed: Arc<Allowed>,
    look_up: fn(&str) -> io::Result<Vec<SocketAddr>>,
}

impl Guarded {
    pub(crate) fn new(allowed: Arc<Allowed>) -> Self {
        Self { allowed, look_up: |name| Ok((name, 0).to_socket_addrs()?.collect()) }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (allowed, look_up) = (self.allowed.clone(), self.look_up);
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let asked = name.clone();
            let mut found = tokio::task::spawn_blocking(move || look_up(&asked)).await??;
            let named = allowed.has_name(&name);
            found.retain(|address| allowed.reaches(address.ip()) || named && !is_link_local(address.ip()));
            if found.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether the address is the neighbours' alone: clouds keep their metadata there, which no checker is.
fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests;
