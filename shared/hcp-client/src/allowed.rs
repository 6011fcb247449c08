//! Where other checkers may be: on public addresses, and where an operator says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Host;

/// Hosts and networks that may be reached although they are not public.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowed {
    /// Lower case, without a dot at the end.
    names: Vec<String>,
    /// `.suffix`, likewise.
    suffixes: Vec<String>,
    networks: Vec<IpNet>,
}

/// An entry that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry} is not a host name, *.suffix, address or network (10.1.0.0/16)")]
pub struct InvalidAllowed {
    /// Which, counting from 1.
    pub entry: usize,
}

/// Entries between commas: `opa.internal`, `*.checks.internal`, `10.1.0.0/16`, `fd12::/48`, `10.2.3.4`. An empty text
/// allows nothing.
impl FromStr for Allowed {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        let mut allowed = Self::default();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (at, entry) in entries.enumerate() {
            allowed.add(entry).ok_or(InvalidAllowed { entry: at + 1 })?;
        }
        Ok(allowed)
    }
}

impl Allowed {
    fn add(&mut self, entry: &str) -> Option<()> {
        if let Ok(network) = entry.parse::<IpNet>() {
            self.networks.push(network.trunc());
        } else if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
            self.networks.push(address.to_canonical().into());
        } else if let Some(suffix) = entry.strip_prefix("*.") {
            self.suffixes.push(format!(".{}", name(suffix)?));
        } else {
            self.names.push(name(entry)?);
        }
        Some(())
    }

    /// Whether the host of that name is allowed, wherever it is.
    pub(crate) fn has_name(&self, host: &str) -> bool {
        let host = bare(host);
        self.names.contains(&host) || self.suffixes.iter().any(|suffix| host.ends_with(suffix.as_str()))
    }

    /// Whether the address is listed.
    pub(crate) fn lists(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether the address may be connected to: it is public, or listed.
    pub(crate) fn reaches(&self, address: IpAddr) -> bool {
        let v4 = |address| self.lists(IpAddr::V4(address)) || is_public_v4(address);
        match address.to_canonical() {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => self.lists(address.into()) || embedded(address).map_or(is_public_v6(address), v4),
        }
    }
}

/// A host name as URLs have it after they were read.
fn name(text: &str) -> Option<String> {
    let plain = text.is_ascii() && !text.contains(['*', '/', ':', '%', '@']);
    match Host::parse(text) {
        Ok(Host::Domain(name)) if plain && !bare(&name).is_empty() => Some(bare(&name)),
        _ => None,
    }
}

/// Lower case, and without the dot that says that a name is complete.
fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// What IANA's registry of special-purpose addresses has as not globally reachable, and a little more.
const NOT_PUBLIC_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),        // this network
    v4(10, 0, 0, 0, 8),       // private
    v4(100, 64, 0, 0, 10),    // behind a carrier's NAT
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // Azure's own services
    v4(169, 254, 0, 0, 16),   // link-local, and clouds' metadata
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // protocol assignments
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 88, 99, 0, 24),   // relays to 6to4
    v4(192, 168, 0, 0, 16),   // private
    v4(198, 18, 0, 0, 15),    // benchmarking
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 4),      // multicast
    v4(240, 0, 0, 0, 4),      // reserved
];

/// All that was ever given out as global: not loopback, unspecified, link-local, site-local, ULA, multicast or `::/96`.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// What of that is not reachable.
const NOT_PUBLIC_V6: [Ipv6Net; 3] = [
    v6(0x2001, 0, 23),     // protocol assignments: Teredo, benchmarking, ORCHID
    v6(0x2001, 0xdb8, 32), // documentation
    v6(0x3fff, 0, 20),     // documentation
];

const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 16);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4.iter().any(|network| network.contains(&address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    GLOBAL_V6.contains(&address) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&address))
}

/// The IPv4 address that a packet to `address` ends at.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [_, b, c, .., g, h] = address.segments();
    let joined = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    if SIX_TO_FOUR.contains(&address) {
        Some(joined(b, c))
    } else if NAT64.contains(&address) {
        Some(joined(g, h))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
