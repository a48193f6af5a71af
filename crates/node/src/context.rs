//! Contexts and the table of limits.

use crate::{attachment::with, numbers::number};
use memlane_engine::{auth, config::Limits, context::Context, error::Error as EngineError, error::ErrorKind};
use napi::{
    Error, Result, Status,
    bindgen_prelude::{Object, Uint8Array},
};
use napi_derive::napi;
use parking_lot::Mutex;

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

/// Makes a context. `limits` holds numbers by the names of the limits; without them it is the process's own.
#[napi(
    catch_unwind,
    ts_args_type = "attachment: number, limits?: Record<string, number>, security?: Security"
)]
pub fn context(attachment: u32, limits: Option<Object>, security: Option<Security>) -> Result<f64> {
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
    let made = made.map_err(|error| fault(&error))?;
    with(attachment, |attachment| attachment.contexts.insert(made))
        .ok_or_else(|| Error::new(Status::InvalidArg, "no such attachment"))
}

/// A secret and its name; the empty one for a secret that has none.
#[napi(object, object_to_js = false)]
pub struct NamedSecret {
    pub name: String,
    pub secret: Uint8Array,
}

/// Who may connect.
#[napi(object, object_to_js = false)]
pub struct Security {
    pub tokens: Vec<NamedSecret>,
    pub legacy: bool,
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
    Ok(auth::Security {
        tokens,
        legacy: security.legacy,
        allow_unauthenticated: security.allow_unauthenticated,
    })
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
