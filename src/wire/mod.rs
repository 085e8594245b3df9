//! The client side of HTTP/1.1. The modules of the first group are independent of Lambda, and [`client`](crate::client) uses most
//! of them as well. Those of the second group send requests to Lambda's APIs.

pub(crate) mod body;
pub(crate) mod chunks;
pub(crate) mod head;
pub(crate) mod socket;

pub(crate) mod address;
pub(crate) mod background;
pub(crate) mod connection;
pub(crate) mod request;
pub(crate) mod transport;
