//! Why TLS failed, in the words of whoever has to mend it.

use rustls::{AlertDescription, CertificateError, Error};

/// What failed; `ours` says that we dialled.
pub(crate) fn reason(error: &Error, dialled: bool) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::NoCertificatesPresented => "the peer has no client certificate, and one is required here".to_owned(),
        Error::AlertReceived(alert) => alert_of(*alert),
        Error::InvalidMessage(_) if dialled => "what answers there speaks no TLS".to_owned(),
        Error::InvalidMessage(error) => format!("the peer speaks no TLS: {error:?}"),
        Error::PeerIncompatible(why) => format!("the peer speaks no TLS 1.3 that is spoken here: {why:?}"),
        Error::DecryptError => "a record was changed on its way".to_owned(),
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the peer's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the peer's certificate is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => "the peer's certificate is of an unknown authority".to_owned(),
        CertificateError::BadSignature => {
            "the peer's certificate is of an unknown authority: one of that name is known, with another key".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the peer's certificate is not for {}, but for {}",
            expected.to_str(),
            if presented.is_empty() {
                "no name".to_owned()
            } else {
                presented.join(", ")
            }
        ),
        CertificateError::NotValidForName => "the peer's certificate is for another name".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the peer's certificate is for another use (extendedKeyUsage)".to_owned()
        }
        // What webpki has no word of its own for arrives as this.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the peer's certificate is an authority's own (CA:TRUE), which no endpoint may show".to_owned()
        }
        other => format!("the peer's certificate: {other}"),
    }
}

fn alert_of(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the peer requires a client certificate, and none is configured here".to_owned()
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "the peer does not know the authority of our certificate".to_owned()
        }
        AlertDescription::UnsupportedCertificate => {
            "our certificate is for another use (extendedKeyUsage), says the peer".to_owned()
        }
        AlertDescription::CertificateExpired => "our certificate has expired, says the peer".to_owned(),
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            format!("the peer refused our certificate ({alert:?})")
        }
        AlertDescription::ProtocolVersion => "the peer speaks no TLS 1.3".to_owned(),
        AlertDescription::HandshakeFailure => "the peer has no certificate, or no cipher in common".to_owned(),
        other => format!("the peer ended it: {other:?}"),
    }
}
