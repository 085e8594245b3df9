//! An HTTPS server on localhost with its own certificate authority.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    mem,
    path::Path,
    sync::Arc,
};

use lambda_musl::testing::http::Server;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// Serves `body` for every request until the test ends, and writes the authority's certificate to `authority`. Returns the port.
pub fn serve(body: &'static str, authority: &Path) -> String {
    let config = Arc::new(config(authority));
    let server = Server::start(move |_, stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(connection, stream.into_inner()));
        // Only one request is read from a connection. A client may close the connection if it rejects the certificate.
        let head = stream.by_ref().lines().map_while(Result::ok);
        head.take_while(|line| !line.is_empty()).for_each(drop);
        let stream = stream.get_mut();
        let length = body.len();
        write!(stream, "HTTP/1.0 203 Sure\r\nContent-Length: {length}\r\n\r\n{body}")?;
        stream.conn.send_close_notify();
        stream.flush()
    })
    .unwrap();
    let port = server.port().to_owned();
    // Dropping the server would stop it.
    mem::forget(server);
    port
}

/// The configuration of a server with a certificate for localhost. Writes the issuer's certificate to `authority`.
pub fn config(authority: &Path) -> ServerConfig {
    let mut params = CertificateParams::default();
    // The name must differ from the server's: a certificate that names itself as its issuer counts as self-signed.
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(authority, certificate.pem()).unwrap();
    let issuer = Issuer::new(params, key);

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap()
}
