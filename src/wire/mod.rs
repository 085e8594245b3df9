//! HTTP/1.1 as a client that talks to the Runtime API needs it.

pub(crate) mod address;
pub(crate) mod background;
pub(crate) mod body;
pub(crate) mod chunks;
pub(crate) mod connection;
pub(crate) mod head;
pub(crate) mod request;
mod socket;
pub(crate) mod transport;
