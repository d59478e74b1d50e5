//! Access to registries, according to Docker's configuration.

use std::fs;
use std::path::{Path, PathBuf};

use oci_image::{Credentials, ImageReference, RegistryAccess, RegistryProtocol, RetryPolicy};
use vault_api::Proxies;

use crate::error::CommandError;

/// Where Docker and containerd keep the CAs of registries.
const DOCKER_CERTS_DIR: &str = "/etc/docker/certs.d";

/// Returns the access to the registry of `target`. A registry on this machine is accessed without TLS, as other clients do.
pub(crate) fn registry_access(
    target: &ImageReference,
    transport: RegistryProtocol,
    docker_config: Option<&Path>,
    authority: Option<PathBuf>,
) -> Result<RegistryAccess, CommandError> {
    let credentials = match docker_config {
        // A credential helper is a program of the user, which may prompt.
        Some(directory) => tokio::task::block_in_place(|| Credentials::from_docker_config(directory, target)),
        None => Ok(Credentials::anonymous()),
    };
    let credentials = credentials.map_err(|error| {
        let cure = error.hint();
        let registry = target.registry();
        CommandError::failed(format!("could not read the credentials of {registry}"))
            .caused_by(error)
            .hint(cure)
    })?;
    let transport = if target.is_loopback() { RegistryProtocol::Http } else { transport };
    let authorities = authority.into_iter().chain(registry_ca_files(target.registry())).collect();
    Ok(RegistryAccess {
        credentials,
        protocol: transport,
        ca_files: authorities,
        retry: RetryPolicy::default(),
        proxies: Proxies::from_env(&|name| std::env::var(name).ok()),
    })
}

fn registry_ca_files(registry: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(Path::new(DOCKER_CERTS_DIR).join(registry)) else { return Vec::new() };
    let files = entries.flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "crt")).collect()
}
