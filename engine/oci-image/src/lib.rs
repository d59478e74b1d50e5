//! Container images without a container engine: made bit for bit the same everywhere, kept as a layout or an archive, pushed to
//! a registry, and the plugins of one taken out again.
//!
//! An image goes through a [`Layout`]: [`Layout::pack`] writes one to a temporary directory, and from there it is kept,
//! archived, or [pushed](push). What is made depends on nothing but the content: no clock, no user, no path of this machine.

mod archive;
mod credentials;
mod digest;
mod document;
mod fetch;
mod image;
mod layer;
mod layout;
mod pack_error;
mod push;
mod registry;
mod registry_error;
mod retry;
mod target;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub use credentials::{Credentials, CredentialsError};
pub use digest::Digest;
pub use document::{Platform, PlatformError};
pub use fetch::{FetchError, Fetched, Source, fetch};
pub use image::{Image, ImageName};
pub use layer::{Content, Entry, Layer};
pub use layout::{Layout, PackedImage};
pub use pack_error::PackError;
pub use push::{Pushed, push};
pub use registry::{Access, Transport};
pub use registry_error::RegistryError;
pub use retry::Patience;
pub use target::{Target, TargetError};
