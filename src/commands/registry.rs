//! How registries are spoken to: as Docker's configuration says.

use std::fs;
use std::path::{Path, PathBuf};

use oci_image::{Access, Credentials, Patience, Target, Transport};

use crate::error::CommandError;

/// Where Docker and containerd are told the authorities of registries.
const CERTIFICATES: &str = "/etc/docker/certs.d";

/// The way to the registry of `target`. One on this machine is spoken to without TLS, as by everybody.
pub(crate) fn access(
    target: &Target,
    transport: Transport,
    docker_config: Option<&Path>,
    authority: Option<PathBuf>,
) -> Result<Access, CommandError> {
    let credentials = match docker_config {
        // A helper is a program of the user's, which may ask him something.
        Some(directory) => tokio::task::block_in_place(|| Credentials::of_docker(directory, target)),
        None => Ok(Credentials::anonymous()),
    };
    let credentials = credentials.map_err(|error| {
        let cure = error.cure();
        let registry = target.registry();
        CommandError::failed(format!("could not find out as whom {registry} is used"))
            .because(error)
            .hint(cure)
    })?;
    let transport = if target.is_loopback() { Transport::Http } else { transport };
    let authorities = authority.into_iter().chain(certificates(target.registry())).collect();
    Ok(Access { credentials, transport, authorities, patience: Patience::default() })
}

fn certificates(registry: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(Path::new(CERTIFICATES).join(registry)) else { return Vec::new() };
    let files = entries.flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "crt")).collect()
}
