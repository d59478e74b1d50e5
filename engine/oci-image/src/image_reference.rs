//! References to images in a registry.

use oci_client::Reference;

use crate::image::ImageName;

/// Registry, repository and tag, or digest, of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference(Reference);

/// An invalid image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid image {text:?}: {reason}; expected a name such as registry.example.com/team/custom-plugin:1.2.3"
)]
pub struct ImageReferenceError {
    text: String,
    reason: String,
}

impl ImageReference {
    /// Parses a name as Docker does: without a registry it refers to Docker Hub. `tag` is the default tag.
    ///
    /// # Errors
    /// If it is not the name of an image, or has a digest, because a digest is the result of a push and not its target.
    pub fn parse(text: &str, tag: &str) -> Result<Self, ImageReferenceError> {
        let invalid = |reason: String| ImageReferenceError { text: text.to_owned(), reason };
        if text.contains('@') {
            return Err(invalid("cannot push to a digest".to_owned()));
        }
        let last = text.rsplit('/').next().unwrap_or(text);
        let full = if last.contains(':') { text.to_owned() } else { format!("{text}:{tag}") };
        full.parse().map(Self).map_err(|error| invalid(format!("{error}")))
    }

    /// Parses the name of an image, by tag or by digest, if it starts with a registry. Returns `None` otherwise, for example for a path.
    pub fn parse_qualified(text: &str) -> Option<Self> {
        let (host, _) = text.split_once('/')?;
        let is_registry = !host.starts_with('.') && (host.contains(['.', ':']) || host == "localhost");
        is_registry.then(|| text.parse().ok().map(Self)).flatten()
    }

    /// Host of the registry, with its port if the name has one.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// Path in the registry, without the tag.
    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// Returns the name for a layout or archive.
    pub fn image_name(&self) -> ImageName {
        ImageName {
            repository: format!("{}/{}", self.0.registry(), self.0.repository()),
            tag: self.0.tag().unwrap_or("latest").to_owned(),
        }
    }

    /// Returns the host of the registry, and its port if the reference contains one.
    pub(crate) fn host_and_port(&self) -> (&str, Option<u16>) {
        let registry = self.0.resolve_registry();
        match registry.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
            _ => (registry, None),
        }
    }

    /// Whether the registry is on the local machine. As in Docker, it is then reached without TLS.
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
    fn names_are_parsed_as_docker_parses_them() {
        for (text, full, loopback) in [
            ("registry.example.com/team/plugin:1.0", "registry.example.com/team/plugin:1.0", false),
            ("registry.example.com:5000/plugin", "registry.example.com:5000/plugin:9.9.9", false),
            ("team/plugin", "docker.io/team/plugin:9.9.9", false),
            ("plugin", "docker.io/library/plugin:9.9.9", false),
            ("127.0.0.1:5000/plugin", "127.0.0.1:5000/plugin:9.9.9", true),
            ("localhost:5000/plugin", "localhost:5000/plugin:9.9.9", true),
        ] {
            let target = ImageReference::parse(text, "9.9.9").expect(text);
            assert_eq!((target.to_string().as_str(), target.is_loopback()), (full, loopback), "{text}");
        }
    }

    #[test]
    fn an_image_is_distinguished_from_a_path_by_its_registry() {
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
    fn an_invalid_name_is_refused() {
        for text in ["", "Team/Plugin", "registry.example.com/", "a b", "https://registry.example.com/plugin"]
        {
            assert!(ImageReference::parse(text, "1.0").is_err(), "{text}");
        }
        let digest = format!("plugin@sha256:{}", "0".repeat(64));
        let error = ImageReference::parse(&digest, "1.0").expect_err("a digest");
        assert!(error.to_string().contains("cannot push to a digest"), "{error}");
    }
}
