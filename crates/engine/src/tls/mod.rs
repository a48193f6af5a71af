//! Certificates: what an endpoint shows, and whom it believes. The bytes of a connection are the matter of `io`.

#[cfg(feature = "tls")]
mod configs;
#[cfg(feature = "tls")]
pub(crate) mod words;

#[cfg(feature = "tls")]
pub use configs::Tls;
#[cfg(all(test, feature = "tls"))]
pub(crate) use configs::worn_out_after;
use std::fmt;

/// What TLS of a context is made of; PEM, each of it.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Our certificate, and those between it and its authority.
    pub cert: Option<Vec<u8>>,
    /// Its private key.
    pub key: Option<Vec<u8>>,
    /// The authorities that peers' certificates have to be of; without any nobody can be dialled.
    pub ca: Option<Vec<u8>>,
    /// What is asked of who dials us.
    pub client_cert: ClientCert,
    /// The name that the certificates of peers have to be for; the host that is dialled where there is none.
    pub server_name: Option<String>,
}

/// What is asked of who dials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCert {
    /// Nothing.
    #[default]
    None,
    /// A certificate is checked where there is one.
    Request,
    /// A certificate of one of our authorities.
    Require,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_cert", &self.client_cert)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// Why credentials are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(pub(crate) String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// What a build without TLS has instead: nobody can make one.
#[cfg(not(feature = "tls"))]
#[derive(Debug)]
pub struct Tls(std::convert::Infallible);

#[cfg(not(feature = "tls"))]
impl Tls {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &Credentials) -> Result<Self, TlsError> {
        Err(TlsError("this build of memlane has no TLS".to_owned()))
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn replace(&self, _: &Credentials) -> Result<(), TlsError> {
        match self.0 {}
    }
}
