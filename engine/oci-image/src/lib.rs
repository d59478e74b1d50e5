//! Builds container images without a container engine, pushes them to a registry, and extracts plugins from them.
//!
//! Images are reproducible: an image depends only on its content, not on the time, the user or a path of the machine that
//! builds it.
//!
//! # Example
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::ops::ControlFlow;
//!
//! use oci_image::{EntryContent, Image, ImageName, Layer, LayerEntry, Layout, Platform};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let readme = LayerEntry { path: "README".to_owned(), content: EntryContent::Text("hello".to_owned()) };
//! let image = Image {
//!     platform: Platform::linux("amd64"),
//!     user: "1000".to_owned(),
//!     entrypoint: vec!["/bin/hello".to_owned()],
//!     labels: BTreeMap::new(),
//!     layers: vec![Layer { title: "readme".to_owned(), entries: vec![readme] }],
//! };
//! let name = ImageName { repository: "registry.example.com/team/hello".to_owned(), tag: "1.0.0".to_owned() };
//! let directory = tempfile::tempdir()?;
//! let layout = Layout::pack(&[image], &name, directory.path(), &mut |_, _| ControlFlow::Continue(()))?;
//! layout.write_archive(&directory.path().join("hello.tar"))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! - [`Image`] describes an image by its [`Layer`]s. [`Layout::pack`] writes one or more images to a temporary directory.
//! - [`Layout::persist`] keeps that directory, [`Layout::write_archive`] writes one file, and [`push()`] sends it to a registry.
//! - [`fetch()`] extracts the plugins of an image from a layout or a registry.
//! - [`RegistryAccess`] holds the [`Credentials`], the protocol and the [`RetryPolicy`] for a registry.
//! - [`PackError`], [`RegistryError`] and [`FetchError`] each offer a hint for the user.

mod archive;
mod credentials;
mod digest;
mod fetch;
mod image;
mod image_reference;
mod layer;
mod layout;
mod oci_spec;
mod pack_error;
mod push;
mod registry;
mod registry_error;
mod retry;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub use credentials::{Credentials, CredentialsError};
pub use digest::Digest;
pub use fetch::{FetchError, FetchedPlugins, ImageSource, fetch};
pub use image::{Image, ImageName};
pub use image_reference::{ImageReference, ImageReferenceError};
pub use layer::{EntryContent, Layer, LayerEntry};
pub use layout::{Layout, PackedImage};
pub use oci_spec::{Platform, PlatformError};
pub use pack_error::PackError;
pub use push::{PushReport, push};
pub use registry::{RegistryAccess, RegistryProtocol};
pub use registry_error::RegistryError;
pub use retry::RetryPolicy;
