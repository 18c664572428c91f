//! The REST API, driven over HTTP.
