//! HTTP/1.1 as a client speaks it: what both the loop and [`client`](crate::client) need, and below it what the loop alone
//! needs.

pub(crate) mod body;
pub(crate) mod chunks;
pub(crate) mod head;
pub(crate) mod socket;

pub(crate) mod address;
pub(crate) mod background;
pub(crate) mod connection;
pub(crate) mod request;
pub(crate) mod transport;
