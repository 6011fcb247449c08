//! Images: what a name stands for on this node, and how its containers end.

use std::collections::BTreeMap;

/// What a kubelet runs for an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The program that a pod's `command` replaces.
    pub entrypoint: Vec<String>,
    /// Its arguments, which a pod's `command` or `args` replace.
    pub cmd: Vec<String>,
    /// Variables that the image brings.
    pub env: BTreeMap<String, String>,
    /// How its containers end; nothing is as the process does.
    pub ending: Option<Ending>,
}

/// An end that a process cannot come to by itself. It takes the place of the process's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The kernel killed it: `OOMKilled`, 137.
    OomKilled,
    /// The node was short of something: the pod is `Failed`, `Evicted`, with this message.
    Evicted(String),
    /// The node does not know any more what became of it: `ContainerStatusUnknown`, 137.
    Lost,
    /// It is never started: its node is for ever `ContainerCreating`.
    NeverStarted,
}

impl Image {
    /// An image that runs this.
    #[must_use]
    pub fn new<'a>(entrypoint: impl IntoIterator<Item = &'a str>) -> Self {
        Self { entrypoint: entrypoint.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    /// With these arguments, where a pod gives none.
    #[must_use]
    pub fn cmd<'a>(mut self, cmd: impl IntoIterator<Item = &'a str>) -> Self {
        self.cmd = cmd.into_iter().map(str::to_owned).collect();
        self
    }

    /// With a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With containers that end like this.
    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = Some(ending);
        self
    }

    /// What is run: a pod's `command` leaves nothing of the image, its `args` leave the entrypoint.
    pub(super) fn command(&self, command: Vec<String>, args: Vec<String>) -> Vec<String> {
        match (command.is_empty(), args.is_empty()) {
            (false, _) => [command, args].concat(),
            (true, false) => [self.entrypoint.clone(), args].concat(),
            (true, true) => [self.entrypoint.clone(), self.cmd.clone()].concat(),
        }
    }
}

/// Whether a text can name an image: `registry:port/path/name:tag@digest`.
pub(super) fn is_image_name(text: &str) -> bool {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let slash = rest.rfind('/').map_or(0, |place| place + 1);
    let (path, tag) = match rest[slash..].find(':') {
        Some(colon) => (&rest[..slash + colon], Some(&rest[slash + colon + 1..])),
        None => (rest, None),
    };
    let is_host = |part: &str| part.contains('.') || part.contains(':') || part == "localhost";
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.len() > 1 && is_host(parts[0]) {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".:-[]".contains(letter);
        if !parts.remove(0).chars().all(plain) {
            return false;
        }
    }
    let edge = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_part = |part: &&str| {
        part.starts_with(edge)
            && part.ends_with(edge)
            && part.chars().all(|letter| edge(letter) || "._-".contains(letter))
    };
    let is_tag = |tag: &str| {
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|letter| word(letter) || ".-".contains(letter))
    };
    let is_digest = |digest: &str| {
        digest
            .strip_prefix("sha256:")
            .is_some_and(|hex| hex.len() == 64 && hex.chars().all(|it| it.is_ascii_hexdigit()))
    };
    parts.iter().all(is_part) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_told_from_other_texts() {
        let digest = format!("busybox@sha256:{}", "0".repeat(64));
        for good in ["busybox", "registry.example/scan:1", "localhost:5000/a/b_c:v1.2", "a/b", digest.as_str()] {
            assert!(is_image_name(good), "{good}");
        }
        for bad in ["", "Busybox", "a//b", "a:b:c", "scan:", "-a", "a b", "busybox@sha256:12"] {
            assert!(!is_image_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_command_replaces_the_image_and_arguments_its_own() {
        let image = Image::new(["run"]).cmd(["-v"]);
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(image.command(vec![], vec![]), words(&["run", "-v"]));
        assert_eq!(image.command(vec![], words(&["-q"])), words(&["run", "-q"]));
        assert_eq!(image.command(words(&["sh"]), vec![]), words(&["sh"]));
        assert_eq!(image.command(words(&["sh"]), words(&["-c"])), words(&["sh", "-c"]));
    }
}
