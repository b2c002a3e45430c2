//! TLS by rustls, over any stream of the loop's: who somebody is, and who is trusted.

use std::sync::Arc;

use futures_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use futures_rustls::{TlsAcceptor, TlsConnector};

use crate::Protocol;

/// Made up on the spot, for `localhost`, and signed by itself.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    pub fn make_up() -> Identity {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("localhost is a name");
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        Identity { certificate: made.cert.der().clone(), key }
    }

    /// For the server's side: HTTP/2 to who speaks it.
    pub fn acceptor(&self) -> TlsAcceptor {
        let chain = vec![self.certificate.clone()];
        let config = ServerConfig::builder().with_no_client_auth();
        let mut config = config.with_single_cert(chain, self.key.clone_key()).expect("a pair");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config).into()
    }

    /// For the client's side: trusts this one, and nobody else.
    pub fn connector(&self, protocol: &str) -> TlsConnector {
        let mut trusted = RootCertStore::empty();
        trusted.add(self.certificate.clone()).expect("a certificate");
        let config = ClientConfig::builder().with_root_certificates(trusted);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Arc::new(config).into()
    }
}

/// What was agreed on by name in the handshake.
pub fn protocol(agreed: Option<&[u8]>) -> Protocol {
    match agreed {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    }
}
