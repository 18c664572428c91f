//! Packs files as an OCI image layout: the demo's image, and the images of the tests.

#[cfg(feature = "image")]
pub mod image;
