//! Credentials as rustls takes them: TLS 1.3 and nothing older, no tickets, no early data.

use super::{ClientCert, Credentials, TlsError};
use parking_lot::RwLock;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::{Resumption, UnbufferedClientConnection},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{NoServerSessionStorage, UnbufferedServerConnection, WebPkiClientVerifier},
    version::TLS13,
};
use std::{fmt, sync::Arc};

/// The credentials of a context. Connections that are up keep those that they were made with.
pub struct Tls(RwLock<Arc<Configs>>);

struct Configs {
    /// For who dials us; none without a certificate.
    server: Option<Arc<ServerConfig>>,
    /// For whom we dial; none without an authority.
    client: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Credentials, parsed and checked against each other.
    ///
    /// # Errors
    /// What is wrong, and with which of them.
    pub fn new(credentials: &Credentials) -> Result<Self, TlsError> {
        Self::by(Arc::new(provider()), credentials)
    }

    /// The same with ciphers of the caller's.
    pub(crate) fn by(provider: Arc<CryptoProvider>, credentials: &Credentials) -> Result<Self, TlsError> {
        let configs = Configs::new(provider, credentials)?;
        Ok(Self(RwLock::new(Arc::new(configs))))
    }

    /// New connections are made with these from now on.
    ///
    /// # Errors
    /// As for [`Tls::new`]; nothing was replaced then.
    pub fn replace(&self, credentials: &Credentials) -> Result<(), TlsError> {
        let configs = Arc::new(Configs::new(Arc::new(provider()), credentials)?);
        *self.0.write() = configs;
        Ok(())
    }

    /// Our side of a connection that was accepted; `None` without a certificate.
    pub(crate) fn accepted(&self) -> Result<Option<UnbufferedServerConnection>, rustls::Error> {
        let server = self.0.read().server.clone();
        server.map(UnbufferedServerConnection::new).transpose()
    }

    /// Our side of a connection to this host.
    ///
    /// # Errors
    /// Why nothing that answers there could be believed.
    pub(crate) fn dialled(&self, host: &str) -> Result<UnbufferedClientConnection, String> {
        let configs = Arc::clone(&self.0.read());
        let Some(client) = &configs.client else {
            return Err("no authority (tls.ca) is configured here that the peer could be checked against".to_owned());
        };
        let name = match &configs.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(|_| {
                format!("no certificate can be for {host}: dial a name or an address, or set tls.serverName")
            })?,
        };
        UnbufferedClientConnection::new(Arc::clone(client), name).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Ring's, with the fastest cipher first: AES-128 is as far out of reach as AES-256.
pub(crate) fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    let fastest = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != fastest);
    provider
}

impl Configs {
    fn new(provider: Arc<CryptoProvider>, credentials: &Credentials) -> Result<Self, TlsError> {
        let wrong = |what: &str, error: &dyn fmt::Display| TlsError(format!("{what}: {error}"));
        let own = own(credentials)?;
        let roots = credentials.ca.as_deref().map(authorities).transpose()?;
        let server_name = credentials.server_name.clone().map(ServerName::try_from).transpose();
        let server_name =
            server_name.map_err(|_| TlsError("serverName is neither a DNS name nor an IP address".to_owned()))?;
        if credentials.client_cert != ClientCert::None && roots.is_none() {
            return Err(TlsError(
                "clientCert needs a ca to check certificates against".to_owned(),
            ));
        }
        let mut server = None;
        if let Some((chain, key)) = &own {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&TLS13])
                .map_err(|error| wrong("tls", &error))?;
            let builder = match (&roots, credentials.client_cert) {
                (None, _) | (_, ClientCert::None) => builder.with_no_client_auth(),
                (Some(roots), asked) => {
                    let verifier =
                        WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider));
                    let verifier = match asked {
                        ClientCert::Require => verifier,
                        _ => verifier.allow_unauthenticated(),
                    };
                    builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong("ca", &error))?)
                }
            };
            let config = builder.with_single_cert(chain.clone(), key.clone_key());
            let mut config = config.map_err(|error| wrong("cert and key", &error))?;
            // Each connection is checked anew: who lost its authority does not come back by a ticket.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            server = Some(Arc::new(config));
        }
        let mut client = None;
        if let Some(roots) = roots {
            let builder = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&TLS13])
                .map_err(|error| wrong("tls", &error))?
                .with_root_certificates(roots);
            let mut config = match own {
                Some((chain, key)) => builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| wrong("cert and key", &error))?,
                None => builder.with_no_client_auth(),
            };
            config.resumption = Resumption::disabled();
            client = Some(Arc::new(config));
        }
        Ok(Self {
            server,
            client,
            server_name,
        })
    }
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own(credentials: &Credentials) -> Result<Option<Own>, TlsError> {
    let (cert, key) = match (&credentials.cert, &credentials.key) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        _ => return Err(TlsError("cert and key: one is nothing without the other".to_owned())),
    };
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| TlsError(format!("key is no private key in PEM without a password: {error}")))?;
    Ok(Some((certificates("cert", cert)?, key)))
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| TlsError(format!("{what} is no PEM: {error}")))?;
    if all.is_empty() {
        return Err(TlsError(format!("{what} holds no certificate in PEM")));
    }
    Ok(all)
}

fn authorities(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates("ca", pem)? {
        roots.add(authority).map_err(|error| TlsError(format!("ca: {error}")))?;
    }
    Ok(Arc::new(roots))
}

/// The same, whose keys are worn out after so many records.
#[cfg(test)]
pub(crate) fn worn_out_after(records: u64) -> CryptoProvider {
    use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls13CipherSuite};
    let mut provider = provider();
    for suite in &mut provider.cipher_suites {
        let SupportedCipherSuite::Tls13(fresh) = *suite;
        let common = CipherSuiteCommon {
            suite: fresh.common.suite,
            hash_provider: fresh.common.hash_provider,
            confidentiality_limit: records,
        };
        let worn = Tls13CipherSuite { common, ..*fresh };
        *suite = SupportedCipherSuite::Tls13(Box::leak(Box::new(worn)));
    }
    provider
}
