//! Container images without a container engine: made bit for bit the same everywhere, kept as a layout or an archive, pushed to
//! a registry, and the plugins of one taken out again.
//!
//! An image goes through a [`Layout`]: [`Layout::pack`] writes one to a temporary directory, and from there it is kept,
//! archived, or [pushed](push). What is made depends on nothing but the content: no clock, no user, no path of this machine.

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
