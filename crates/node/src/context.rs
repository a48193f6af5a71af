//! Contexts and the table of limits.

use crate::{
    attachment::with,
    error::{Failure, failure_of},
    numbers::number,
};
use memlane_engine::{
    auth,
    config::Limits,
    context::Context,
    error::Error as EngineError,
    error::ErrorKind,
    tls::{ClientCert, Credentials, Tls},
};
use napi::{
    Error, Result, Status,
    bindgen_prelude::{Object, Uint8Array},
};
use napi_derive::napi;
use parking_lot::Mutex;
use std::sync::Arc;

pub(crate) fn fault(error: &EngineError) -> Error {
    Error::new(Status::GenericFailure, error.to_string())
}

/// The context of everybody in this process who asks for none of his own.
static DEFAULT: Mutex<Option<Context>> = Mutex::new(None);

fn default_context() -> std::result::Result<Context, EngineError> {
    let mut default = DEFAULT.lock();
    if default.is_none() {
        *default = Some(Context::new(Limits::default())?);
    }
    default.clone().ok_or_else(|| EngineError::new(ErrorKind::Internal))
}

/// A context, or why there is none.
#[napi(object)]
pub struct Made {
    pub handle: f64,
    pub failure: Option<Failure>,
}

/// Makes a context. `limits` holds numbers by the names of the limits; without them it is the process's own.
#[napi(
    catch_unwind,
    ts_args_type = "attachment: number, limits?: Record<string, number>, security?: Security"
)]
pub fn context(attachment: u32, limits: Option<Object>, security: Option<Security>) -> Result<Made> {
    let made = match limits {
        None => default_context(),
        Some(limits) => {
            let mut chosen = Limits::default();
            for &(name, ..) in Limits::TABLE {
                let Some(value) = limits.get::<f64>(name)? else {
                    continue;
                };
                let value =
                    number(value).ok_or_else(|| Error::new(Status::InvalidArg, format!("{name} is no number")))?;
                chosen.set(name, value as u64).map_err(|error| fault(&error))?;
            }
            Context::secured(chosen, secured(security)?)
        }
    };
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            return Ok(Made {
                handle: -1.0,
                failure: Some(failure_of(&error)),
            });
        }
    };
    let handle = with(attachment, |attachment| attachment.contexts.insert(made))
        .ok_or_else(|| Error::new(Status::InvalidArg, "no such attachment"))?;
    Ok(Made { handle, failure: None })
}

/// A secret and its name; the empty one for a secret that has none.
#[napi(object, object_to_js = false)]
pub struct NamedSecret {
    pub name: String,
    pub secret: Uint8Array,
}

/// Certificates and keys in PEM.
#[napi(object, object_to_js = false)]
pub struct TlsCredentials {
    pub cert: Option<Uint8Array>,
    pub key: Option<Uint8Array>,
    pub ca: Option<Uint8Array>,
    /// 0 asks for no certificate of who dials, 1 checks one, 2 requires one.
    pub client_cert: u32,
    pub server_name: Option<String>,
}

impl From<&TlsCredentials> for Credentials {
    fn from(from: &TlsCredentials) -> Self {
        let bytes = |pem: &Option<Uint8Array>| pem.as_ref().map(|pem| pem.to_vec());
        Self {
            cert: bytes(&from.cert),
            key: bytes(&from.key),
            ca: bytes(&from.ca),
            client_cert: match from.client_cert {
                0 => ClientCert::None,
                1 => ClientCert::Request,
                _ => ClientCert::Require,
            },
            server_name: from.server_name.clone(),
        }
    }
}

/// Who may connect.
#[napi(object, object_to_js = false)]
pub struct Security {
    pub tokens: Vec<NamedSecret>,
    pub tls: Option<TlsCredentials>,
    pub legacy: Option<bool>,
    pub allow_unauthenticated: bool,
}

fn secured(security: Option<Security>) -> Result<auth::Security> {
    let Some(security) = security else {
        return Ok(auth::Security::default());
    };
    let mut tokens = auth::Tokens::default();
    for token in &security.tokens {
        let added = tokens.add(&token.name, &token.secret);
        added.map_err(|error| Error::new(Status::InvalidArg, error.to_string()))?;
    }
    let tls = security.tls.as_ref().map(|tls| Tls::new(&tls.into()));
    let tls = tls
        .transpose()
        .map_err(|error| Error::new(Status::InvalidArg, error.to_string()))?;
    Ok(auth::Security {
        tokens,
        tls: tls.map(Arc::new),
        legacy: security.legacy,
        allow_unauthenticated: security.allow_unauthenticated,
    })
}

/// Connections of a context that are made from now on have these credentials; what is wrong with them, if anything is.
#[napi(catch_unwind)]
pub fn context_tls(attachment: u32, context: f64, tls: TlsCredentials) -> Option<String> {
    let context = with(attachment, |attachment| attachment.contexts.get(context).cloned()).flatten()?;
    replaced(&context, &tls)
}

/// The same of the context of an endpoint.
#[napi(catch_unwind)]
pub fn endpoint_tls(attachment: u32, endpoint: f64, tls: TlsCredentials) -> Option<String> {
    let endpoint = with(attachment, |attachment| attachment.endpoints.get(endpoint).cloned()).flatten()?;
    replaced(endpoint.context(), &tls)
}

fn replaced(context: &Context, tls: &TlsCredentials) -> Option<String> {
    context.set_tls(&tls.into()).err().map(|error| error.to_string())
}

/// Lets go of a context; its endpoints keep it as long as they need it.
#[napi(catch_unwind)]
pub fn close_context(attachment: u32, context: f64) {
    with(attachment, |attachment| attachment.contexts.remove(context));
}

/// One row of the table of limits.
#[napi(object)]
pub struct LimitRow {
    pub name: String,
    pub default: f64,
    pub least: f64,
    pub most: f64,
}

/// Names, defaults and ranges of the limits.
#[napi(catch_unwind)]
pub fn limit_table() -> Vec<LimitRow> {
    Limits::TABLE
        .iter()
        .map(|&(name, default, least, most)| LimitRow {
            name: name.to_owned(),
            default: default as f64,
            least: least as f64,
            most: most as f64,
        })
        .collect()
}
