//! What Kubernetes takes for a name, a label, a variable or an image: asked when a job is saved, not when it runs.

/// Longest label, and longest name part of a key, in bytes.
const LABEL_BYTES_MAX: usize = 63;
/// Longest name of most objects, in bytes.
const SUBDOMAIN_BYTES_MAX: usize = 253;
/// Longest reference to an image without tag and digest, in bytes.
const IMAGE_BYTES_MAX: usize = 255;

/// The variables that are set for every job: whatever else sets them would be overruled, or overrule.
const OURS: [&str; 17] = [
    "JSON_PAYLOAD",
    "NAMESPACE",
    "PODNAME",
    "EphemeralFlagBatch",
    "EphemeralJobData",
    "jobId",
    "organizationId",
    "workspaceId",
    "stepId",
    "workingDirectory",
    "terraformVersion",
    "terraformOutput",
    "accessToken",
    "bashToolsDirectory",
    "source",
    "branch",
    "vcsType",
];
/// What the names of such variables begin with.
const OURS_BEGIN: [&str; 4] = ["TASK_", "LAGOON_", "SLUICE_", "terrakube"];
/// The variables by which programs find each other: they belong to the image.
const SYSTEM: [&str; 10] = ["PATH", "HOME", "USER", "SHELL", "PWD", "IFS", "ENV", "BASH_ENV", "HOSTNAME", "SHELLOPTS"];
/// What the names of such variables begin with.
const SYSTEM_BEGIN: [&str; 2] = ["LD_", "KUBERNETES_"];

fn lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// A text that begins and ends as `edge` says and else is made of that and `inner`.
fn framed(text: &str, edge: fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    edge(*first) && edge(*last) && bytes.iter().all(|byte| edge(*byte) || inner.contains(byte))
}

/// A name of one part, as namespaces and containers have it (DNS-1123 label).
pub(super) fn label(text: &str) -> bool {
    text.len() <= LABEL_BYTES_MAX && framed(text, lower_or_digit, b"-")
}

/// A name as most objects have it (DNS-1123 subdomain).
pub(super) fn subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_BYTES_MAX && text.split('.').all(|part| framed(part, lower_or_digit, b"-"))
}

/// The value of a label.
pub(super) fn label_value(text: &str) -> bool {
    text.is_empty() || (text.len() <= LABEL_BYTES_MAX && framed(text, |byte| byte.is_ascii_alphanumeric(), b"-_."))
}

/// The key of a label, an annotation or a taint: a name, and the domain whose it is before that.
pub(super) fn key(text: &str) -> bool {
    let (domain, name) = text.split_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    !name.is_empty() && label_value(name) && domain.is_none_or(subdomain)
}

/// The key of an annotation, whose domain may have capital letters.
pub(super) fn annotation_key(text: &str) -> bool {
    key(&text.to_ascii_lowercase())
}

/// The name of a variable that a shell can read.
pub(super) fn shell_variable(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The name of a variable that a container can have.
pub(super) fn variable(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text != "."
        && !text.starts_with("..")
        && text.bytes().all(byte)
}

/// Whether every job has this variable from Sluice.
pub(super) fn ours(name: &str) -> bool {
    OURS.contains(&name) || OURS_BEGIN.iter().any(|begin| name.starts_with(begin))
}

/// Whether this variable decides which programs run.
pub(super) fn system(name: &str) -> bool {
    SYSTEM.contains(&name) || SYSTEM_BEGIN.iter().any(|begin| name.starts_with(begin))
}

/// A reference to an image: `[host[:port]/]path[:tag][@digest]`.
pub(super) fn image(text: &str) -> bool {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return false;
    }
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match name[last..].split_once(':') {
        Some((_, tag)) => (&name[..name.len() - tag.len() - 1], Some(tag)),
        None => (name, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) || name.len() > IMAGE_BYTES_MAX {
        return false;
    }
    // The first of several parts is a host if it looks like one, as Docker tells them apart.
    let (host, path) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, name),
    };
    host.is_none_or(is_host) && path.split('/').all(|part| framed(part, lower_or_digit, b"._-"))
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let named = || framed(host, |byte| byte.is_ascii_alphanumeric(), b".-");
    port.is_none_or(|port| port.parse::<u16>().is_ok())
        && address.map_or_else(named, |address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_tag(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=128).contains(&text.len()) && !text.starts_with(['.', '-']) && text.bytes().all(byte)
}

fn is_digest(text: &str) -> bool {
    let hex = |hex: &str| hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        framed(algorithm, |byte| byte.is_ascii_alphanumeric(), b"+._-") && hex(digits)
    })
}

#[cfg(test)]
mod tests {
    use super::{image, key, label, label_value, shell_variable, subdomain, variable};

    #[test]
    fn images_are_told_from_other_texts() {
        let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for good in [
            "alpine",
            "alpine:3.20",
            "library/alpine",
            "localhost/x",
            "localhost:5000/x/y:1",
            "ghcr.io/acme/check-it:v1.2_3",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a/b__c:latest",
            "Registry.Example.com/a",
            "[::1]:5000/a",
            &format!("alpine@{digest}"),
            &format!("example.com:443/alpine:3@{digest}"),
        ] {
            assert!(image(good), "{good}");
        }
        for bad in [
            "",
            " alpine",
            "alpine latest",
            "Alpine",
            "alpine:",
            "alpine:.x",
            "alpine@sha256:short",
            "alpine@",
            "a//b",
            "/a",
            "a/",
            "example.com:99999/a",
            "example.com/",
            "https://example.com/a",
            "alpine\n",
            "-a",
            "[::g]:1/a",
        ] {
            assert!(!image(bad), "{bad:?}");
        }
        assert!(!image(&"a".repeat(256)));
        assert!(!image(&format!("a:{}", "t".repeat(129))));
    }

    #[test]
    fn names_keys_and_variables_are_as_kubernetes_has_them() {
        let (short, long) = ("a".repeat(63), "a".repeat(64));
        for (check, name, good, bad) in [
            (
                label as fn(&str) -> bool,
                "label",
                vec!["a", "a-b", "0", &short],
                vec!["", "-a", "a-", "A", "a.b", &long],
            ),
            (subdomain, "subdomain", vec!["a", "a.b-c"], vec!["", ".a", "a.", "a..b", "a_b"]),
            (label_value, "value", vec!["", "a", "A_b.c-d"], vec!["-a", "a ", "a/b", &long]),
            (key, "key", vec!["a", "a.b/C_d", "example.com/x"], vec!["", "/a", "a/", "A.b/c", "a/b/c", "-a"]),
            (shell_variable, "shell", vec!["A", "_a1"], vec!["", "1A", "A-B", "A.B", "Ä"]),
            (variable, "variable", vec!["A", "a-b.c", "_"], vec!["", "1A", ".", "..a", "A B", "A=B"]),
        ] {
            for text in good {
                assert!(check(text), "{name}: {text}");
            }
            for text in bad {
                assert!(!check(text), "{name}: {text}");
            }
        }
    }
}
