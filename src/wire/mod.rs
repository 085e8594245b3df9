//! The client side of HTTP/1.1. The loop and [`client`](crate::client) share the first group of modules; only the loop uses the
//! second.

pub(crate) mod body;
pub(crate) mod chunks;
pub(crate) mod head;
pub(crate) mod socket;

pub(crate) mod address;
pub(crate) mod background;
pub(crate) mod connection;
pub(crate) mod request;
pub(crate) mod transport;
