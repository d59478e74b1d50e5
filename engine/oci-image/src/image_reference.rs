//! Where an image is in a registry.

use oci_client::Reference;

use crate::image::ImageName;

/// Registry, repository and tag, or digest where one is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference(Reference);

/// No name of an image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image such as registry.example.com/team/custom-plugin:1.2.3 ({reason})")]
pub struct ImageReferenceError {
    text: String,
    reason: String,
}

impl ImageReference {
    /// Reads a name as Docker does: without a registry it is Docker Hub's. `tag` is taken where it has none.
    ///
    /// # Errors
    /// When it is no name of an image, and for a digest, which is the result of a push and not its target.
    pub fn parse(text: &str, tag: &str) -> Result<Self, ImageReferenceError> {
        let wrong = |why: String| ImageReferenceError { text: text.to_owned(), reason: why };
        if text.contains('@') {
            return Err(wrong("a digest cannot be pushed to".to_owned()));
        }
        let last = text.rsplit('/').next().unwrap_or(text);
        let whole = if last.contains(':') { text.to_owned() } else { format!("{text}:{tag}") };
        whole.parse().map(Self).map_err(|error| wrong(format!("{error}")))
    }

    /// Reads the name of an image that exists, by tag or by digest, if it names the registry; `None` when it is none, as a path is.
    pub fn parse_qualified(text: &str) -> Option<Self> {
        let (host, _) = text.split_once('/')?;
        let names_a_host = !host.starts_with('.') && (host.contains(['.', ':']) || host == "localhost");
        names_a_host.then(|| text.parse().ok().map(Self)).flatten()
    }

    /// The host, and its port unless it is the usual one.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// The path there, without a tag.
    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// As a name for layouts and archives.
    pub fn image_name(&self) -> ImageName {
        ImageName {
            repository: format!("{}/{}", self.0.registry(), self.0.repository()),
            tag: self.0.tag().unwrap_or("latest").to_owned(),
        }
    }

    /// Whether the registry is on this machine, to which Docker and everybody else speak without TLS.
    pub fn is_loopback(&self) -> bool {
        let host = self.registry();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.0
    }
}

impl std::fmt::Display for ImageReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (text, whole, loopback) in [
            ("registry.example.com/team/plugin:1.0", "registry.example.com/team/plugin:1.0", false),
            ("registry.example.com:5000/plugin", "registry.example.com:5000/plugin:9.9.9", false),
            ("team/plugin", "docker.io/team/plugin:9.9.9", false),
            ("plugin", "docker.io/library/plugin:9.9.9", false),
            ("127.0.0.1:5000/plugin", "127.0.0.1:5000/plugin:9.9.9", true),
            ("localhost:5000/plugin", "localhost:5000/plugin:9.9.9", true),
        ] {
            let target = ImageReference::parse(text, "9.9.9").expect(text);
            assert_eq!((target.to_string().as_str(), target.is_loopback()), (whole, loopback), "{text}");
        }
    }

    #[test]
    fn an_image_is_told_from_a_path_by_its_registry() {
        let digest = format!("registry.example.com/plugin@sha256:{}", "0".repeat(64));
        for text in
            ["registry.example.com/team/plugin:1.0", "localhost/plugin", "127.0.0.1:5000/p:1", &digest]
        {
            assert!(ImageReference::parse_qualified(text).is_some(), "{text}");
        }
        for text in ["target/release/plugin", "./plugin", "../a.b/plugin", "/plugin", "plugin", "plugin:1.0"]
        {
            assert!(ImageReference::parse_qualified(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "Team/Plugin", "registry.example.com/", "a b", "https://registry.example.com/plugin"]
        {
            assert!(ImageReference::parse(text, "1.0").is_err(), "{text}");
        }
        let digest = format!("plugin@sha256:{}", "0".repeat(64));
        let error = ImageReference::parse(&digest, "1.0").expect_err("a digest");
        assert!(error.to_string().contains("cannot be pushed to"), "{error}");
    }
}
